//! What a loop reports of itself: what keeps it alive, its handles and requests, its figures, and
//! durations in words. Plain values, which know no loop.

pub(crate) mod metrics;
pub(crate) mod words;

use crate::trace::label::{Label, Shown};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// One thing that keeps a loop alive, as [`Loop::why_alive`](crate::Loop::why_alive) reports it.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let timer = windlass::set_timeout(std::time::Duration::from_secs(3600), || ());
///     let alive = windlass::Loop::current().why_alive();
///     assert_eq!(alive[0].kind, "timer");
///     println!("{}", alive[0]);
///     timer.clear();
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// What it is: "timer", "TCP listener", "pool job", …
    pub kind: &'static str,
    /// The line that made it.
    pub location: &'static Location<'static>,
}

impl Alive {
    pub(crate) fn new(kind: &'static str, location: &'static Location<'static>) -> Alive {
        Alive { kind, location }
    }

    /// The [label](crate::observe::labelled) that was in force where it was made.
    pub fn label(&self) -> Option<Label> {
        Label::of(self.location)
    }
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} made at {}", self.kind, Shown(self.location))
    }
}

/// One open handle or pending request, as [`Loop::handles`](crate::Loop::handles) lists it.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let listener = windlass::net::TcpListener::bind("127.0.0.1:0")?;
///     for handle in windlass::Loop::current().handles() {
///         println!("{} made at {}", handle.kind, handle.location);
///     }
///     listener.close();
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleInfo {
    /// What it is.
    pub kind: &'static str,
    /// The line that made it.
    pub location: &'static Location<'static>,
    /// The [label](crate::observe::labelled) that was in force there.
    pub label: Option<Label>,
    /// Whether it is started, or waiting to complete.
    pub active: bool,
    /// Whether it may keep the loop alive while active.
    pub has_ref: bool,
}

/// What had not ended when a [`Loop::shutdown`](crate::Loop::shutdown) stopped waiting for it.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// windlass::run(|| {
///     let ended = windlass::Loop::current().shutdown(Duration::from_secs(1));
///     ended.on_complete(|outcome| {
///         for laggard in outcome.err().unwrap_or_default() {
///             eprintln!("still busy: {laggard}");
///         }
///     });
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Laggard {
    /// What it is, as [`Alive`] names it.
    pub kind: &'static str,
    /// The line that asked for it; of a worker the line that registered the callback in which it
    /// is stuck, or that spawned it.
    pub location: Option<&'static Location<'static>>,
    /// The thread that runs it, never empty; of what waits on the loop, the loop's own.
    pub thread: String,
    /// For how long it has been under way. In virtual time, virtual.
    pub running_for: Duration,
}

impl Laggard {
    /// The [label](crate::observe::labelled) that was in force at its `location`.
    pub fn label(&self) -> Option<Label> {
        self.location.and_then(Label::of)
    }
}

impl fmt::Display for Laggard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(location) = self.location {
            write!(f, " made at {}", Shown(location))?;
        }
        let whole_millis = Duration::from_millis(self.running_for.as_millis() as u64);
        write!(f, " on {} for {whole_millis:?}", self.thread)
    }
}
