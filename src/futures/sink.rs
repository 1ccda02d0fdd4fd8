//! `Sink` of a port: messages go to its other end.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;

use crate::channel::bounded::Bounded;
use crate::channel::port::Port;

/// The channel is closed: the message that was being sent is gone.
///
/// # Examples
/// ```
/// use futures_util::SinkExt;
/// use windlass::{futures::Closed, worker::channel};
///
/// windlass::block_on(async {
///     let (here, there) = channel::<u32, ()>();
///     let mut here = here.open();
///     drop(there);
///     assert_eq!(here.send(1).await, Err(Closed));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed")
    }
}

impl Error for Closed {}

/// The functions of a sink that are the same of both kinds of ports. A message that is sent waits
/// for nobody; the close is that of the port, in both directions.
macro_rules! flush_and_close {
    () => {
        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
            self.close();
            Poll::Ready(Ok(()))
        }
    };
}

impl<S: Send + 'static, R: Send + 'static> Sink<S> for Port<S, R> {
    type Error = Closed;

    fn poll_ready(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        Poll::Ready(if self.is_closed() { Err(Closed) } else { Ok(()) })
    }

    fn start_send(self: Pin<&mut Self>, message: S) -> Result<(), Closed> {
        self.try_post(message).map_err(|_message| Closed)
    }

    flush_and_close!();
}

impl<S: Send + 'static, R: Send + 'static> Sink<S> for Port<S, R, Bounded> {
    type Error = Closed;

    /// Keeps a place in this name of the port, until it is filled or the name is dropped.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let permit = match self.permit.take() {
            Some(permit) => Some(permit),
            None => ready!(self.poll_reserve(cx)),
        };
        let outcome = if permit.is_some() { Ok(()) } else { Err(Closed) };
        self.permit.set(permit);
        Poll::Ready(outcome)
    }

    /// # Panics
    /// Without a [`poll_ready`](Sink::poll_ready) that was ready before.
    fn start_send(self: Pin<&mut Self>, message: S) -> Result<(), Closed> {
        let permit = self.permit.take().expect("windlass: start_send without poll_ready");
        permit.post(message).map_err(|_message| Closed)
    }

    flush_and_close!();
}
