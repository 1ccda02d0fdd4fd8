//! hyper on this crate, as the HTTP server of the peer on tokio is hyper on tokio.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use common::inputs::FAST_BODY;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use windlass::net::{TcpListener, TcpStream};

/// A stream as hyper reads and writes it.
struct Io(TcpStream);

impl Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 8 * 1024];
        let room = buffer.remaining().min(bytes.len());
        let got = ready!(self.0.poll_read(cx, &mut bytes[..room]))?;
        buffer.put_slice(&bytes[..got]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

fn main() {
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        common::measure::print_port(listener.local_addr().expect("an address").port());
        listener.on_connection(|connection| {
            let connection = connection.expect("a connection");
            connection.set_nodelay(true).expect("an option");
            let service = service_fn(answer);
            windlass::spawn(async move {
                // A client that went away is no failure of the server.
                drop(http1::Builder::new().serve_connection(Io(connection), service).await);
            });
        });
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/fast" {
        let mut response = Response::new(Full::default());
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let response = Response::builder().header("content-type", "text/plain; charset=utf-8");
    let body = Full::new(Bytes::from_static(FAST_BODY.as_bytes()));
    Ok(response.body(body).expect("a response"))
}
