//! A timer by its name, and the unit of its delay. What can be done with it stands in [`super`].

use crate::clock::Nanos;

/// A timer. `Copy`; dropping it clears nothing. A number, which any thread may have: it does
/// nothing on another thread than its loop's, and once its loop has ended.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::run(|| {
///     let idle = windlass::set_timer(Duration::from_secs(5), |_| println!("5 s without news"));
///     windlass::set_timeout(Duration::from_millis(1), move || {
///         idle.refresh(); // News: count anew.
///         idle.clear(); // And enough of it.
///     });
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The loop it belongs to. Zero: it was never armed.
    pub(super) loop_id: u32,
    /// The place where it was made.
    pub(super) index: u32,
    /// Tells it from the other timers that had this place.
    pub(super) generation: u32,
}

pub(super) const NANOS_PER_MILLI: u64 = 1_000_000;

/// A delay in nanoseconds; one beyond 584 years never passes.
pub(super) fn nanos(delay_ms: u64) -> Nanos {
    delay_ms.saturating_mul(NANOS_PER_MILLI)
}
