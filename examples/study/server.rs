//! The server: a worker listens, and a task answers each connection.
//!
//! The loop of the worker only moves bytes. A program runs in a process of its own, and what comes
//! of it is read on the pool.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::json;
use windlass::net::{TcpListener, TcpStream};
use windlass::queue_work;
use windlass::worker::{Port, Worker};

use super::http::{self, Answer, JSON, JSON_LINES, Method, Request};
use super::{asked, lessons, page, questions, runs};

/// Clients beyond this are closed without a word.
const CONNECTIONS_MAX: usize = 64;

/// So many events of a run are shown: with each one the page has a state more.
const EVENTS_MAX: usize = 30_000;

/// Programs that run at a time.
const RUNS_MAX: usize = 4;

pub(crate) struct Config {
    pub(crate) addr: SocketAddr,
    /// What runs JavaScript, if the user has said so.
    pub(crate) mini_node: Option<PathBuf>,
}

/// Starts the worker. `on_ready` gets the address, or why there is none.
pub(crate) fn start(
    config: Config,
    on_ready: impl FnOnce(Result<SocketAddr, String>) + 'static,
) -> io::Result<Worker<(), Result<SocketAddr, String>>> {
    let addr = config.addr;
    let worker = Worker::builder().name("study").spawn(move |port: Port<_, ()>| {
        let started = Server::start(config);
        let why = |error| format!("cannot listen on {addr}: {error}; --addr names another place");
        port.post(started.map_err(why));
    })?;
    let mut on_ready = Some(on_ready);
    worker.on_message(move |ready| {
        if let Some(on_ready) = on_ready.take() {
            on_ready(ready);
        }
    });
    Ok(worker)
}

/// What all connections share.
struct Server {
    here: SocketAddr,
    mini_node: Option<PathBuf>,
    connections: Cell<usize>,
    runs: Cell<usize>,
}

/// One of a limited number.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn new(count: &'a Cell<usize>, most: usize) -> Option<Counted<'a>> {
        if count.get() >= most {
            return None;
        }
        count.set(count.get() + 1);
        Some(Counted(count))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Server {
    fn start(config: Config) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(config.addr)?;
        let here = listener.local_addr()?;
        let (connections, runs) = Default::default();
        let server = Rc::new(Server { here, mini_node: config.mini_node, connections, runs });
        listener.on_connection(move |stream| match stream {
            Ok(stream) => {
                let server = server.clone();
                drop(windlass::spawn(async move { server.serve(stream).await }));
            }
            Err(error) => log::error!("cannot accept: {error}"),
        });
        Ok(here)
    }

    async fn serve(&self, stream: TcpStream) {
        let Some(_counted) = Counted::new(&self.connections, CONNECTIONS_MAX) else {
            return stream.close();
        };
        let answer = match http::read(&stream, self.here).await {
            None => return stream.close(),
            Some(Ok(request)) => match http::unless_gone(&stream, self.answer(request)).await {
                Some(answer) => answer,
                None => return stream.close(),
            },
            Some(Err(answer)) => answer,
        };
        http::answer(&stream, &answer).await;
    }

    async fn answer(&self, request: Request) -> Answer {
        let Request { method, path, query, body } = request;
        match (method, path.as_str()) {
            (Method::Get, "/api/about") => Answer::ok(JSON, self.about()),
            (Method::Get, "/api/lessons") => Answer::ok(JSON, lessons::json()),
            (Method::Get, "/api/question") => question(&query).await,
            (Method::Post, "/api/run") => self.run(&body).await,
            (Method::Get, path) => match page::file(path) {
                Some(file) => Answer::ok(file.content_type(), file.bytes),
                None => Answer::not_found(),
            },
            (Method::Post, _) => Answer::not_found(),
        }
    }

    fn about(&self) -> String {
        let no_javascript = runs::find_mini_node(self.mini_node.as_deref()).err();
        let about = json!({
            "mode": "study",
            "program": "study",
            "version": env!("CARGO_PKG_VERSION"),
            // Why there is none, if that is so.
            "no_javascript": no_javascript,
        });
        about.to_string()
    }

    async fn run(&self, body: &[u8]) -> Answer {
        let program = match asked::read(body) {
            Ok(program) => program,
            Err(why) => return Answer::bad(&why),
        };
        let Some(_counted) = Counted::new(&self.runs, RUNS_MAX) else {
            let why = format!("{RUNS_MAX} programs run already: try again when one has ended");
            return Answer::error("503 Service Unavailable", &why);
        };
        match runs::run(program, self.mini_node.as_deref(), EVENTS_MAX).await {
            Ok(lines) => Answer::ok(JSON_LINES, lines),
            Err(why) => Answer::error("500 Internal Server Error", &why),
        }
    }
}

async fn question(query: &str) -> Answer {
    let seed = query.split('&').find_map(|pair| pair.strip_prefix("seed="));
    let Some(Ok(seed)) = seed.map(str::parse) else {
        return Answer::bad("a question has a seed: a whole number, as in ?seed=1");
    };
    // Many programs are tried on the model.
    match queue_work(move || questions::question(seed).to_string()).await {
        Ok(question) => Answer::ok(JSON, question),
        Err(error) => Answer::error("500 Internal Server Error", &error.to_string()),
    }
}
