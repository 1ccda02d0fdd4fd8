//! How does a client keep its connections, over TLS?
//!
//! By hyper-util's pooled client. It asks that connections are `Send` and never sends one: a
//! `task::Local` for the stream, and one for the future that connects.
//!
//! ```text
//! $ cargo run --bin http_client -- https://localhost:41234/ /tmp/certificate.pem
//! 3 answers of 13 bytes, over 1 connection
//! ```

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::pki_types::ServerName;
use windlass::hyper::{Executor, Io, Timer};
use windlass::net::TcpStream;
use windlass::task::Local;

fn main() -> io::Result<()> {
    let [uri, path] = ecosystem::arguments("http_client URI CERTIFICATE");
    let uri: Uri = uri.parse().map_err(ecosystem::other)?;
    windlass::block_on(async {
        let made = Local::new(Rc::new(Cell::new(0)));
        let tls = TlsConnector::from(Arc::new(ecosystem::client_config(&path)?));
        let connector = Connector { tls, made: made.clone() };
        let client: Client<_, Empty<Bytes>> =
            Client::builder(Executor).pool_timer(Timer).build(connector);
        let mut bytes = 0;
        for _ in 0..3 {
            let answer = client.get(uri.clone()).await.map_err(ecosystem::other)?;
            let body = answer.into_body().collect().await.map_err(ecosystem::other)?;
            bytes = body.to_bytes().len();
        }
        println!("3 answers of {bytes} bytes, over {} connection", made.get());
        Ok(())
    })
}

/// Connects, and counts how often.
#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    made: Local<Rc<Cell<u32>>>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = Secured;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Connector { tls, made } = self.clone();
        Box::pin(Local::new(async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let port = uri.port_u16().unwrap_or(443);
            let stream = TcpStream::connect(format!("{host}:{port}")).await?;
            let name = ServerName::try_from(host).map_err(ecosystem::other)?;
            let stream = tls.connect(name, stream).await?;
            made.set(made.get() + 1);
            Ok(Secured(Io::new(Local::new(stream))))
        }))
    }
}

/// A connection of the pool.
struct Secured(Io<Local<TlsStream<TcpStream>>>);

impl Connection for Secured {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
