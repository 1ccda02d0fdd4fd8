//! hyper on this crate, as the HTTP server of the peer on tokio is hyper on tokio.

use std::convert::Infallible;

use common::inputs::FAST_BODY;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use windlass::hyper::Io;
use windlass::net::TcpListener;

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
                drop(http1::Builder::new().serve_connection(Io::new(connection), service).await);
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
