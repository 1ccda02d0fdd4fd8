//! Tasks as tokio-console sees them: a span for each, and an event for each wake.
//!
//! With the feature `tracing`, in the form in which tokio itself tells of its tasks, so that
//! `console-subscriber` takes it from any runtime. Without it nothing of this is there: a task has
//! no span, and a wake tells nobody.
//!
//! A subscriber is a user's code. It is called when a task is spawned, polled, woken or dropped,
//! where no borrow is held.

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{SpanId, traced};
#[cfg(feature = "tracing")]
pub(crate) use on::{SpanId, traced};

#[cfg(feature = "tracing")]
mod on {
    use std::future::Future;
    use std::panic::Location;

    use tracing::{Id, Instrument};

    /// The span of a task, by its number, which keeps nothing open.
    #[derive(Clone)]
    pub(crate) struct SpanId(Option<Id>);

    /// The future within a span of its own, which is closed when the future is dropped.
    pub(crate) fn traced<F: Future>(
        future: F,
        kind: &'static str,
        location: &'static Location<'static>,
    ) -> (impl Future<Output = F::Output>, SpanId) {
        let span = tracing::trace_span!(
            target: "tokio::task",
            parent: None,
            "runtime.spawn",
            kind = %kind,
            task.name = "",
            loc.file = location.file(),
            loc.line = location.line(),
            loc.col = location.column(),
        );
        let id = SpanId(span.id());
        (future.instrument(span), id)
    }

    impl SpanId {
        /// The task is woken. Told as a wake by reference, whatever it was: clones and drops of
        /// wakers are not told, and a wake by value would count as a drop.
        pub(crate) fn woken(&self) {
            if let Some(id) = &self.0 {
                tracing::trace!(
                    target: "tokio::task::waker",
                    op = "waker.wake_by_ref",
                    task.id = id.into_u64(),
                );
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use std::panic::Location;

    /// No span.
    #[derive(Clone)]
    pub(crate) struct SpanId;

    /// The future as it is.
    #[inline]
    pub(crate) fn traced<F>(
        future: F,
        _kind: &'static str,
        _location: &'static Location<'static>,
    ) -> (F, SpanId) {
        (future, SpanId)
    }

    impl SpanId {
        #[inline]
        pub(crate) fn woken(&self) {}
    }
}
