//! How does a loop serve HTTP/1 and HTTP/2?
//!
//! By hyper, which the loop gives streams, tasks and timers. `serve` has time limits and a bound on
//! connections; with a certificate it speaks TLS.
//!
//! ```text
//! $ cargo run --bin hyper_hello
//! listening on 127.0.0.1:41234
//! $ curl http://127.0.0.1:41234/world
//! hello, world
//! $ curl --http2-prior-knowledge http://127.0.0.1:41234/world
//! hello, world
//! ```

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use windlass::hyper::{Options, serve, serve_with};
use windlass::net::TcpListener;

fn main() -> io::Result<()> {
    let usage = "hyper_hello [--tls CERTIFICATE]";
    let arguments = ecosystem::all_arguments(usage);
    let tls = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--tls", path] => Some(TlsAcceptor::from(Arc::new(ecosystem::server_config(path)?))),
        _ => ecosystem::refuse(usage),
    };
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("listening on {}", listener.local_addr()?);
        let (service, options) = (service_fn(hello), Options::new());
        // The server holds the loop by itself.
        drop(match tls {
            None => serve(listener, service, options),
            Some(tls) => serve_with(listener, move |stream| tls.accept(stream), service, options),
        });
        Ok(())
    })
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.uri().path().trim_start_matches('/');
    Ok(Response::new(Full::from(format!("hello, {name}\n"))))
}
