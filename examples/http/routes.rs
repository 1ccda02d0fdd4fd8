//! From a request's target to what is to be done for it.
//!
//! Pure: it decides, and does nothing.

use std::path::PathBuf;

use super::files;
use super::request::{Method, Request, decimal};
use super::response::{HTML, Response, Status};
use super::sums::N_MAX;

/// The `n` of `/slow` without a query.
const N_DEFAULT: u32 = 40;

/// Where a sum is computed, which is the point of the whole example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Loop,
    Pool,
    Worker,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The answer is known already.
    Answer(Response),
    Metrics,
    Stalls,
    Slow(Place, u32),
    /// The file at this path below the root.
    File(PathBuf),
}

/// Finds out what `request` asks for; every error is an answer too.
pub(crate) fn route(request: &Request<'_>) -> Route {
    match request.method {
        Method::Get | Method::Head => {}
        Method::NotAllowed => return Route::Answer(Response::error(Status::METHOD_NOT_ALLOWED)),
        Method::Unknown => return Route::Answer(Response::error(Status::NOT_IMPLEMENTED)),
    }
    let target = request.target.as_ref();
    let path_len = target.bytes().position(|byte| byte == b'?').unwrap_or(target.len());
    let (path, query) = (&target[..path_len], target.get(path_len + 1..).unwrap_or_default());
    match path {
        // Without a path it was an address: `http://host?query`.
        "/" | "" => Route::Answer(Response::ok(HTML, PAGE)),
        "/fast" => Route::Answer(Response::text("fast\n")),
        "/metrics" => Route::Metrics,
        "/stalls" => Route::Stalls,
        "/slow" => slow(Place::Worker, query),
        "/slow-pool" => slow(Place::Pool, query),
        "/slow-inline" => slow(Place::Loop, query),
        _ => match path.strip_prefix("/file/").map(files::relative_path) {
            Some(Ok(path)) => Route::File(path),
            Some(Err(status)) => Route::Answer(Response::error(status)),
            None => Route::Answer(Response::explained(Status::NOT_FOUND, "see / for what is here")),
        },
    }
}

fn slow(place: Place, query: &str) -> Route {
    match parse_n(query) {
        Some(n) => Route::Slow(place, n),
        None => Route::Answer(Response::explained(
            Status::BAD_REQUEST,
            &format!("n must be a number from 0 to {N_MAX}, as in ?n={N_DEFAULT}"),
        )),
    }
}

/// The `n` of a query, [`N_DEFAULT`] when it names none, nothing when it is no number or too large.
fn parse_n(query: &str) -> Option<u32> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("n="));
    let Some(value) = values.next() else {
        // A query such as `?m=3` is no request for the default.
        return query.is_empty().then_some(N_DEFAULT);
    };
    let n = u32::try_from(decimal(value.as_bytes())?).ok()?;
    (n <= N_MAX && values.next().is_none()).then_some(n)
}

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>windlass: a server on one event loop</title>
<style>body { font: 16px/1.5 sans-serif; max-width: 40em; margin: 2em auto } dt { margin-top: 1em }</style>
<h1>A server on one event loop</h1>
<p>Every connection is served by one thread. It stays quick as long as no callback is slow.</p>
<dl>
<dt><a href="/fast">/fast</a>
<dd>Answers at once. Load it again while one of the others is busy.
<dt><a href="/slow?n=40">/slow?n=40</a>
<dd>Computes fib(40) in a pool of workers. The loop only waits for the message with the result.
<dt><a href="/slow-pool?n=40">/slow-pool?n=40</a>
<dd>Computes it on the thread pool that also reads the files.
<dt><a href="/slow-inline?n=40">/slow-inline?n=40</a>
<dd>Computes it on the loop, to show what blocking does: nobody is served until it is done.
<dt>/file/PATH
<dd>Sends a file from below the root, read on the thread pool chunk by chunk.
<dt><a href="/metrics">/metrics</a>
<dd>How busy the loop, the pool and the workers are.
<dt><a href="/stalls">/stalls</a>
<dd>The last ten callbacks that blocked the loop, each with the line that registered it.
</dl>
</html>
"#;
