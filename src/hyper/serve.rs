//! A server: connections are accepted, served and counted.

use std::error::Error;
use std::future::{Future, poll_fn, ready};
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures_io::{AsyncRead, AsyncWrite};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::server::conn::auto::Builder;

use super::connection::{self, Detached};
use super::server::{Entered, Options, Server, Serving};
use super::timer::Timer;
use crate::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use crate::state::current;
use crate::task;
use crate::time::timeout;
use crate::trace::label::here;

/// What a server accepts connections from.
///
/// # Examples
/// ```
/// use windlass::hyper::Listen;
/// use windlass::net::TcpListener;
///
/// fn stop(listener: &impl Listen) {
///     listener.close();
/// }
///
/// windlass::run(|| {
///     stop(&TcpListener::bind("127.0.0.1:0")?);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Listen: 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;

    /// The next connection. An error does not end the server, unless the listener is closed.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Stops listening. An accept that waits gets an error.
    fn close(&self);

    /// Whether it was closed.
    fn is_closing(&self) -> bool;

    /// Lets the loop end although an accept waits: the server keeps it alive, and says for how
    /// long.
    fn unref(&self);
}

/// Small answers are sent at once (`TCP_NODELAY`), as by Node's server.
impl Listen for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let stream = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn close(&self) {
        TcpListener::close(self);
    }

    fn is_closing(&self) -> bool {
        TcpListener::is_closing(self)
    }

    fn unref(&self) {
        TcpListener::unref(self);
    }
}

impl Listen for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        UnixListener::accept(self).await
    }

    fn close(&self) {
        UnixListener::close(self);
    }

    fn is_closing(&self) -> bool {
        UnixListener::is_closing(self)
    }

    fn unref(&self) {
        UnixListener::unref(self);
    }
}

/// Serves the connections of a listener by HTTP/1 and HTTP/2, whichever the client speaks, until
/// the server is [shut down](Server::shutdown) or the listener closed.
///
/// `service` is shared by all connections. Its futures and bodies need not be `Send`: they run on
/// this loop. [`service_fn`](hyper::service::service_fn) makes one of a function.
///
/// A panic of the service is logged with the line that called `serve`. Over HTTP/1 it costs the
/// connection, over HTTP/2 the stream, and nobody else anything. An error of the service costs the
/// same.
///
/// # Liveness
/// A server keeps the loop alive until it has ended, unless [`unref`](Server::unref)'d. The end in
/// order ([`Loop::shutdown`](crate::Loop::shutdown)) stops it, and waits for its connections.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
/// use windlass::hyper::{Options, serve};
/// use windlass::net::{TcpListener, TcpStream};
///
/// windlass::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     let hello = service_fn(|_request: Request<Incoming>| async {
///         Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
///     });
///     let server = serve(listener, hello, Options::new());
///
///     let client = TcpStream::connect(address).await?;
///     client.write(b"GET / HTTP/1.0\r\n\r\n").await?;
///     let mut buffer = [0; 1024];
///     let count = client.read(&mut buffer).await?;
///     assert!(buffer[..count].starts_with(b"HTTP/1.0 200 OK"));
///
///     assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn serve<L, S, B>(listener: L, service: S, options: Options) -> Server
where
    L: Listen,
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_with(listener, |stream| ready(Ok(stream)), service, options)
}

/// As [`serve`], with something to be done with each connection before it is served, such as the
/// handshake of TLS.
///
/// It counts as a connection from the beginning, has the [header limit](Options::header_limit), and
/// is cut off as one that is served. One that fails is logged at `debug`.
///
/// # Panics
/// When no loop is current.
///
/// # Examples
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
/// use windlass::hyper::{Options, serve_with};
/// use windlass::net::{TcpListener, TcpStream};
///
/// windlass::block_on(async {
///     let hello = service_fn(|_request: Request<Incoming>| async {
///         Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
///     });
///     let handshake = |stream: TcpStream| async move {
///         println!("a client from {}", stream.peer_addr()?);
///         Ok::<TcpStream, std::io::Error>(stream)
///     };
///     let server =
///         serve_with(TcpListener::bind("127.0.0.1:0")?, handshake, hello, Options::new());
///     assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn serve_with<L, H, F, T, S, B>(
    listener: L,
    handshake: H,
    service: S,
    options: Options,
) -> Server
where
    L: Listen,
    H: Fn(L::Stream) -> F + 'static,
    F: Future<Output = io::Result<T>> + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let state = current::expect("hyper::serve");
    let at = here();
    let listener = Rc::new(listener);
    listener.unref();
    let close = listener.clone();
    let serving = Serving::open(&state, at, options, Box::new(move || close.close()));
    if state.is_open() {
        let (handshake, service) = (Rc::new(handshake), Rc::new(service));
        let builder = Rc::new(builder(at, options));
        let own = serving.clone();
        let accepting = accept(own.clone(), listener, move |entered, stream| {
            let (handshake, service) = (handshake.clone(), service.clone());
            let builder = builder.clone();
            task::spawn_detached_at(at, async move {
                match shake_hands(&entered.0, handshake(stream)).await {
                    Ok(stream) => connection::run(entered, stream, service, &builder).await,
                    Err(error) => log::debug!("an HTTP connection was not begun: {error}"),
                }
            });
        });
        task::spawn_detached_at(at, accepting);
    }
    Server { serving }
}

/// Waits for a handshake, but no longer than for the head of a request, and not beyond the moment
/// at which the server cuts its connections off.
async fn shake_hands<T>(
    serving: &Serving,
    handshake: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut cut = pin!(serving.cut());
    let mut handshake = pin!(handshake);
    let begun = poll_fn(|cx| match cut.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        Poll::Pending => handshake.as_mut().poll(cx),
    });
    match serving.options.header_limit {
        None => begun.await,
        Some(limit) => timeout(limit, begun).await.unwrap_or(Err(io::ErrorKind::TimedOut.into())),
    }
}

/// What serves the connections of a server that was made at this line.
fn builder(at: &'static Location<'static>, options: Options) -> Builder<Detached> {
    let mut builder = Builder::new(Detached(at));
    builder.http1().timer(Timer).header_read_timeout(options.header_limit);
    builder.http2().timer(Timer);
    builder
}

/// Accepts connections and begins them, as many at a time as there may be, until the listener is
/// closed: then the server ends.
async fn accept<L: Listen>(
    serving: Rc<Serving>,
    listener: Rc<L>,
    begin: impl Fn(Entered, L::Stream),
) {
    // Also when a listener of the program's own panics.
    let _end = serving.clone().end_when_dropped();
    while serving.room().await && !listener.is_closing() {
        match listener.accept().await {
            Ok(stream) => begin(serving.enter(), stream),
            Err(_closed) if listener.is_closing() => return,
            Err(error) => log::warn!("a connection could not be accepted: {error}"),
        }
    }
}
