//! What does a loop do, and why, while a server is under load?
//!
//! Records the HTTP server of `server` for a moment, while clients of its own ask it for fast pages,
//! sums and files, and writes what loops, workers and pool threads did as a trace. Perfetto shows it:
//! a track for each thread, callbacks within phases, arrows from what scheduled to what ran.
//!
//! ```text
//! $ cargo run --release --example trace
//! 48 requests, 565 events on 6 tracks, none was dropped
//! the longest callback: notifier in the poll phase, 5187 us
//! written to /tmp/windlass-trace.json; open it at https://ui.perfetto.dev
//! ```

#[path = "../common/mod.rs"]
mod common;
#[path = "../http/mod.rs"]
mod http;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use windlass::observe::{Callback, Recorder, Recording, What};

use common::{Long, Parser, Stop, Value, complain, say};
use http::{Config, Server};

const HELP: &str = "\
Records a server under load for a moment, and writes a trace for Perfetto.

usage: trace [options] [PATH]

  PATH     where to write it (default: windlass-trace.json among the system's temporary files)
  --short  fewer requests
  --help   this text
";

/// What each client asks for, in turn.
const PATHS: [&str; 4] = ["/fast", "/slow?n=20", "/slow-pool?n=20", "/file/Cargo.toml"];

/// How many clients ask at a time.
const CLIENTS: usize = 3;

/// How long a request may take, in either direction.
const PATIENCE: Duration = Duration::from_secs(10);

struct Options {
    path: PathBuf,
    requests_per_client: usize,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| match trace(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let path = std::env::temp_dir().join("windlass-trace.json");
    let mut options = Options { path, requests_per_client: 16 };
    let mut given: Option<OsString> = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("short") => options.requests_per_client = 4,
            Value(path) if given.is_none() && !path.is_empty() => given = Some(path),
            argument => return Err(common::other(argument)),
        }
    }
    options.path = given.map_or(options.path, PathBuf::from);
    Ok(options)
}

fn trace(options: &Options) -> io::Result<()> {
    // Before the work, not after it: the path may be a wrong one.
    let file = File::create(&options.path).map_err(|error| named(&options.path, &error))?;
    let recorder = Recorder::start();
    let answered = Arc::new(Mutex::new(Ok(0)));
    let (result, count) = (answered.clone(), options.requests_per_client);
    windlass::run(move || serve(count, result))?;
    let recording = recorder.stop();
    let answered = std::mem::replace(&mut *answered.lock().expect("no client panics"), Ok(0))?;
    recording.write_chrome_trace(file).map_err(|error| named(&options.path, &error))?;
    say_what_was_seen(answered, &recording);
    say!("written to {}; open it at https://ui.perfetto.dev", options.path.display());
    Ok(())
}

/// The main script: serves until the clients have asked all that they want to.
fn serve(requests_per_client: usize, answered: Arc<Mutex<io::Result<usize>>>) -> io::Result<()> {
    let server = Server::start(Config {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        workers: 2,
        root: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        connections_max: 100,
        idle_timeout: PATIENCE,
        stall_limit: None,
    })?;
    let addr = server.local_addr()?;
    let stopping = windlass::handle::Notifier::new(move || server.stop(PATIENCE, |_, _| ()));
    thread::spawn(move || {
        let client =
            || (0..requests_per_client).try_for_each(|n| ask(addr, PATHS[n % PATHS.len()]));
        let outcome = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| client.join().expect("it does not panic"))
        });
        let outcome = outcome.map(|()| requests_per_client * CLIENTS);
        *answered.lock().expect("nobody panics with it") = outcome;
        stopping.notify();
    });
    Ok(())
}

/// Asks for a page on a connection of its own, and reads the answer to its end.
fn ask(addr: SocketAddr, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Err(io::Error::other(format!("{path}: {}", String::from_utf8_lossy(line))))
}

fn say_what_was_seen(requests: usize, recording: &Recording) {
    let events = recording.events();
    let tracks = events.iter().filter(|event| matches!(event.what, What::Track { .. })).count();
    let dropped = match recording.dropped() {
        0 => "none was dropped".to_owned(),
        count => format!("{count} were dropped"),
    };
    let count = events.len() - tracks;
    say!("{requests} requests, {count} events on {tracks} tracks, {dropped}");
    let callbacks = events.iter().filter_map(|event| match &event.what {
        What::Callback(callback) => Some(callback),
        _ => None,
    });
    if let Some(Callback { kind, phase, took, .. }) = callbacks.max_by_key(|it| it.took) {
        let phase = format!("{phase:?}").to_lowercase();
        say!("the longest callback: {kind} in the {phase} phase, {} us", took.as_micros());
    }
}

/// `error`, with the file that it is about in front.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
