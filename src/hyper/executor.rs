//! Futures that hyper starts.

use std::future::Future;

/// Runs futures on the current loop, as [`spawn`](crate::spawn) does. They need not be `Send`.
///
/// A panic of such a future goes to [`on_uncaught`](crate::on_uncaught), as that of any task that
/// nobody awaits.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use hyper::rt::Executor as _;
///
/// windlass::run(|| {
///     let text = std::rc::Rc::new("no Send is asked for");
///     windlass::hyper::Executor.execute(async move { println!("{text}") });
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F: Future + 'static> hyper::rt::Executor<F> for Executor {
    #[track_caller]
    fn execute(&self, future: F) {
        drop(crate::spawn(future));
    }
}
