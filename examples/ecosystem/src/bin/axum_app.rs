//! How does an axum application run on a loop?
//!
//! Its router is a service like any other, which `hyper::serve` serves. Its state has to
//! be `Send` and `Sync`, and is neither sent nor shared: a `task::Local`.
//!
//! ```text
//! $ cargo run --bin axum_app
//! listening on 127.0.0.1:41234
//! $ curl http://127.0.0.1:41234/
//! visit 1
//! $ curl http://127.0.0.1:41234/boom
//! curl: (52) Empty reply from server
//! $ curl http://127.0.0.1:41234/
//! visit 2
//! ```

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use hyper_util::service::TowerToHyperService;
use windlass::hyper::{Options, serve};
use windlass::net::TcpListener;
use windlass::task::Local;

fn main() -> io::Result<()> {
    windlass::run(|| {
        let app = Router::new()
            .route("/", get(visit))
            .route("/boom", get(boom))
            .route("/length", post(length))
            .with_state(Local::new(Rc::new(Cell::new(0))));
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("listening on {}", listener.local_addr()?);
        // The server holds the loop by itself.
        drop(serve(listener, TowerToHyperService::new(app), Options::new()));
        Ok(())
    })
}

async fn visit(State(visits): State<Local<Rc<Cell<u32>>>>) -> String {
    visits.set(visits.get() + 1);
    format!("visit {}\n", visits.get())
}

async fn boom() {
    panic!("as it was asked to");
}

async fn length(body: String) -> String {
    format!("{}\n", body.len())
}
