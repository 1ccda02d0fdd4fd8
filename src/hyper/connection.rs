//! One connection of a server: served until it ends, is idle for too long, or the server ends.

use std::cell::Cell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::server::conn::auto::Builder;
use pin_project_lite::pin_project;

use super::Io;
use super::server::Entered;
use crate::task;
use crate::time::{Sleep, sleep};

/// Runs the streams of an HTTP/2 connection, so that a panic in one costs no other anything: it is
/// logged with this line.
#[derive(Clone, Copy)]
pub(super) struct Detached(pub(super) &'static Location<'static>);

impl<F: Future + 'static> Executor<F> for Detached {
    fn execute(&self, future: F) {
        task::spawn_detached_at(self.0, future);
    }
}

/// Serves a connection to its end.
pub(super) async fn run<T, S, B>(
    entered: Entered,
    stream: T,
    service: Rc<S>,
    builder: &Builder<Detached>,
) where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let serving = &entered.0;
    let activity = Rc::new(Activity::new());
    let io = Watched { io: Io::new(stream), activity: activity.clone() };
    let service = Counted { service, activity: activity.clone() };
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stopping = pin!(serving.stopping());
    let mut cut = pin!(serving.cut());
    let mut idle = serving.options.idle_limit.map(|limit| Idle::new(limit, activity));
    let mut is_ending = false;
    let ended = poll_fn(|cx| {
        if cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let ends = !is_ending && stopping.as_mut().poll(cx).is_ready();
        let is_idle = idle.as_mut().is_some_and(|idle| idle.poll(cx).is_ready());
        if is_idle && is_ending {
            return Poll::Ready(Ok(())); // It had as long again to end in order.
        }
        if ends || is_idle {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
        if is_idle && let Some(idle) = idle.as_mut() {
            idle.begin_anew(cx);
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        log::debug!("an HTTP connection ended: {error}");
    }
}

/// What happens on a connection.
struct Activity {
    /// Requests that are being answered, up to the last byte of the body.
    answering: Cell<usize>,
    /// When a byte came or went, or an answer ended.
    last: Cell<Instant>,
}

impl Activity {
    fn new() -> Activity {
        Activity { answering: Cell::new(0), last: Cell::new(crate::now()) }
    }

    fn note(&self) {
        self.last.set(crate::now());
    }

    /// How much is left of a limit without activity. None when it is over.
    fn left(&self, limit: Duration) -> Option<Duration> {
        if self.answering.get() > 0 {
            return Some(limit);
        }
        let quiet = crate::now().saturating_duration_since(self.last.get());
        limit.checked_sub(quiet).filter(|left| !left.is_zero())
    }
}

/// Ready when a connection has been idle for too long.
struct Idle {
    /// For how long it may be.
    limit: Duration,
    /// What happens on it.
    activity: Rc<Activity>,
    /// Until the next look.
    sleep: Sleep,
}

impl Idle {
    fn new(limit: Duration, activity: Rc<Activity>) -> Idle {
        Idle { limit, activity, sleep: sleep(limit) }
    }

    /// Counts the limit anew from now.
    fn begin_anew(&mut self, cx: &mut Context<'_>) {
        self.sleep = sleep(self.limit);
        // To be woken by it.
        let ready = Pin::new(&mut self.sleep).poll(cx).is_ready();
        debug_assert!(!ready, "a limit is not over at once");
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(Pin::new(&mut self.sleep).poll(cx));
            match self.activity.left(self.limit) {
                Some(left) => self.sleep = sleep(left),
                None => return Poll::Ready(()),
            }
        }
    }
}

/// A stream whose bytes are noted.
struct Watched<T> {
    /// The stream.
    io: Io<T>,
    /// Where they are noted.
    activity: Rc<Activity>,
}

impl<T> Watched<T> {
    /// Notes that something came or went.
    fn note<R>(&self, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if matches!(polled, Poll::Ready(Ok(_))) {
            self.activity.note();
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> Read for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, cursor);
        self.note(polled)
    }
}

impl<T: AsyncWrite + Unpin> Write for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, data);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, data);
        self.note(polled)
    }
}

/// A service whose answers are counted.
struct Counted<S> {
    /// The service, which all connections share.
    service: Rc<S>,
    /// Where they are counted.
    activity: Rc<Activity>,
}

impl<S, B> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = Response<Answered<B>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = Answer::new(self.activity.clone());
        Answering { future: S::call(&self.service, request), answer: Some(answer) }
    }
}

/// An answer that is being given: it counts until this is dropped.
struct Answer(Rc<Activity>);

impl Answer {
    fn new(activity: Rc<Activity>) -> Answer {
        activity.answering.set(activity.answering.get() + 1);
        Answer(activity)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.answering.set(self.0.answering.get() - 1);
        self.0.note();
    }
}

pin_project! {
    /// The service's future, which counts as an answer.
    struct Answering<F> {
        // The future.
        #[pin]
        future: F,
        // Given on to the body.
        answer: Option<Answer>,
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Answered<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let answer = this.answer.take();
        Poll::Ready(Ok(response.map(|body| Answered { body, _answer: answer })))
    }
}

pin_project! {
    /// The body of an answer, which counts until it has gone.
    struct Answered<B> {
        // The body.
        #[pin]
        body: B,
        // What counts.
        _answer: Option<Answer>,
    }
}

impl<B: Body> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
