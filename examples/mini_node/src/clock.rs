//! The clocks that programs read: the machine's, or the loop's in virtual time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use rquickjs::{Ctx, Object, Result};

use crate::native::Natives;

/// What a look at the clock takes in virtual time, where nothing else takes any: so that a program that waits for
/// the clock in a loop does not wait for ever.
const LOOK: Duration = Duration::from_micros(1);

/// Where time comes from, for all threads of the process. Unset: from the machine.
static VIRTUAL: OnceLock<Virtual> = OnceLock::new();

/// When the first program began.
static START: OnceLock<Instant> = OnceLock::new();

/// In virtual time.
#[derive(Debug)]
struct Virtual {
    /// Of `Math.random`.
    seed: u64,
}

/// From now on all programs of this process read the loop's clock, and `Math.random` begins with this seed.
pub(crate) fn set_virtual(seed: u64) {
    VIRTUAL.get_or_init(|| Virtual { seed });
}

/// Since the first program began.
pub(crate) fn elapsed() -> Duration {
    let now = if VIRTUAL.get().is_some() {
        windlass::time::advance(LOOK);
        windlass::now()
    } else {
        Instant::now()
    };
    now.saturating_duration_since(*START.get_or_init(|| now))
}

/// Milliseconds since 1970.
fn wall() -> f64 {
    let time = if VIRTUAL.get().is_some() {
        windlass::time::advance(LOOK);
        windlass::time::system_now()
    } else {
        SystemTime::now()
    };
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64)
}

/// What `internal/virtual_time` needs.
pub(crate) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.set("seed", VIRTUAL.get().map(|it| (it.seed % (1 << 32)) as f64))?;
    natives.add("wall", wall)?;
    Ok(natives.into_object())
}
