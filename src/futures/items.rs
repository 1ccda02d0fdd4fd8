//! `Stream` of what gives one thing after another, each by its own verb that polls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::channel::broadcast::BroadcastChannel;
use crate::channel::port::Port;
use crate::fs::stream::ReadStream;
use crate::fs::{WatchEvent, Watcher};
use crate::net::{Accept, TcpListener, TcpStream, UnixListener, UnixStream};
use crate::signal::Signal;
use crate::time::Interval;
use crate::worker::Worker;

/// The connections of a listener, until that is closed. Made by
/// [`TcpListener::incoming`] and [`UnixListener::incoming`].
///
/// An error is one of the stream and does not end it: a connection that could not be accepted. The
/// next one may be.
///
/// # Liveness
/// It keeps the loop alive while a task waits for the next connection.
///
/// # Examples
/// ```
/// use futures_util::StreamExt;
/// use windlass::net::{TcpListener, TcpStream};
///
/// windlass::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let _client = TcpStream::connect(listener.local_addr()?).await?;
///     let connection = listener.incoming().next().await.expect("the listener is open")?;
///     assert!(connection.peer_addr().is_ok());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Incoming<'a, S> {
    /// The wait for the next one.
    accept: Accept<'a, S>,
}

/// Gives listeners their connections.
macro_rules! incoming {
    ($($listener:ident, $stream:ty, $make:literal;)+) => {$(
        impl $listener {
            /// The connections, one after the other, until the listener is closed. Feature
            /// `futures`.
            ///
            /// # Examples
            /// ```
            /// use futures_util::StreamExt;
            ///
            /// windlass::block_on(async {
            #[doc = $make]
            ///     let mut incoming = listener.incoming();
            ///     let connection = incoming.next().await.unwrap()?;
            ///     # drop((connection, client));
            ///     Ok::<(), std::io::Error>(())
            /// })?;
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn incoming(&self) -> Incoming<'_, $stream> {
                Incoming { accept: self.accept() }
            }
        }
    )+};
}

incoming! {
    TcpListener, TcpStream, "\
    let listener = windlass::net::TcpListener::bind(\"127.0.0.1:0\")?;
    let client = windlass::net::TcpStream::connect(listener.local_addr()?);";
    UnixListener, UnixStream, "\
    let path = std::env::temp_dir().join(format!(\"windlass-doc-incoming-{}\", std::process::id()));
    let listener = windlass::net::UnixListener::bind(&path)?;
    let client = windlass::net::UnixStream::connect(&path);
    # std::fs::remove_file(&path)?;";
}

impl<S> Stream for Incoming<'_, S> {
    type Item = io::Result<S>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.accept).poll(cx);
        // The error of a closed listener is the end.
        polled.map(|accepted| if self.accept.is_over() { None } else { Some(accepted) })
    }
}

impl Stream for Interval {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_tick(cx).map(Some)
    }
}

impl Stream for Signal {
    type Item = ();

    /// Not ready any more once it is stopped.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.poll_recv(cx).map(Some)
    }
}

impl<S: Send + 'static, R: Send + 'static, K> Stream for Port<S, R, K> {
    type Item = R;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        self.poll_recv(cx)
    }
}

impl<In: Send + 'static, Out: Send + 'static> Stream for Worker<In, Out> {
    type Item = Out;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Out>> {
        self.poll_recv(cx)
    }
}

impl<T: Clone + Send + 'static> Stream for BroadcastChannel<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl Stream for Watcher {
    type Item = io::Result<WatchEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Watcher::poll_next(&self, cx);
        // The error of a closed watcher is the end.
        polled.map(|event| if event.is_err() && self.is_closing() { None } else { Some(event) })
    }
}

impl Stream for ReadStream {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ReadStream::poll_next(&self, cx).map(Result::transpose)
    }
}
