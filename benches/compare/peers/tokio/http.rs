//! hyper on tokio: `/fast` at once, `/slow?n=N` in `spawn_blocking`, `/slow-inline?n=N` on the loop.

use std::convert::Infallible;

use common::inputs::{FAST_BODY, fib};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::net::accept;

pub(crate) fn serve() {
    accept(|connection| async {
        let service = service_fn(answer);
        // A client that went away is no failure of the server.
        let served =
            http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        drop(served);
    });
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let query = request.uri().query().unwrap_or("");
    let n = query.strip_prefix("n=").and_then(|n| n.parse().ok()).unwrap_or(0);
    let body = match request.uri().path() {
        "/fast" => Bytes::from_static(FAST_BODY.as_bytes()),
        "/slow" => {
            let sum = tokio::task::spawn_blocking(move || fib(n)).await.expect("no panics");
            format!("{sum}\n").into()
        }
        "/slow-inline" => format!("{}\n", fib(n)).into(),
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let response = Response::builder().header("content-type", "text/plain; charset=utf-8");
    Ok(response.body(Full::new(body)).expect("a response"))
}
