//! Tests that end, and tests that run alone.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a test may take before it counts as hung.
const HUNG_AFTER: Duration = Duration::from_secs(300);

/// Runs `body` on a thread of its own, passes its panic on, and fails when it hangs.
pub(crate) fn bounded<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = mpsc::channel();
    let thread = thread::Builder::new()
        .name(thread::current().name().unwrap_or("test").to_owned())
        .spawn(move || {
            let result = body();
            done.send(()).unwrap();
            result
        })
        .unwrap();
    if finished.recv_timeout(HUNG_AFTER) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Lets no other test of this binary run that asks for the same: they share what the process has.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
