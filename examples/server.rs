//! How does a server on one thread stay quick while some of its requests are slow?
//!
//! By never computing on the loop: sums go to a pool of workers, files to the thread pool, and the
//! loop only moves messages and bytes. One path breaks this rule on purpose.
//!
//! ```text
//! $ cargo run --release --example server -- --addr 127.0.0.1:8080
//! listening on http://127.0.0.1:8080
//! try   curl http://127.0.0.1:8080/fast
//! …
//! ```
//!
//! While `curl 'http://127.0.0.1:8080/slow?n=44'` waits, `/fast` answers at once. While
//! `/slow-inline?n=44` waits, so does everybody, and `/stalls` names the line afterwards. `RUST_LOG=windlass=debug` shows what the loop does.
//!
//! With `--features inspect`, `WINDLASS_INSPECT=127.0.0.1:7070` has the server show itself in a browser: there the
//! line of `/slow-inline` is named while it blocks.

#[path = "common/mod.rs"]
mod common;
#[path = "http/mod.rs"]
mod http;

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use windlass::Laggard;
use windlass::observe::Recorder;
use windlass::signal::Signal;

use common::{Long, Parser, Stop, complain, mention};
use http::{Config, Server};

const HELP: &str = "\
Serves HTTP/1.1 from one event loop.

usage: server [options]

  --addr ADDRESS:PORT     where to listen; port 0 takes a free one (default 127.0.0.1:8080)
  --workers N             workers for /slow (default: one less than there are cores)
  --root DIR              what /file/ serves (default: the current directory)
  --max-connections N     clients beyond this get 503 (default 10000)
  --idle-timeout-ms MS    how long a client may be idle, take to send a request, or take
                          nothing of its answer; one that takes some of it in each
                          such span is served, however slow (default 10000)
  --stall-ms MS           /stalls names callbacks that block the loop for longer than
                          this (default 20); 0 for none
  --record FILE           record what the loops do, and write the last of it to FILE when
                          the server ends; https://ui.perfetto.dev shows it
  --grace-ms MS           how long running requests may go on after the first SIGINT
                          or SIGTERM (default 5000); a second one ends them at once
  --help                  this text
";

/// The numbers that POSIX has given to these signals everywhere.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn main() -> ExitCode {
    common::main(HELP, read, |options| windlass::run_main(|| serve(options)))
}

struct Options {
    config: Config,
    /// How long running requests may go on after the first signal.
    grace: Duration,
    /// Where a recording of the loops goes.
    record: Option<PathBuf>,
}

/// The main script: starts everything and returns; the loop turns until a signal has it end in
/// order.
fn serve(options: Options) {
    let started = Server::start(options.config).and_then(|server| {
        let addr = server.local_addr()?;
        let recording = Cell::new(options.record.map(Recording::start).transpose()?);
        let signals = Signals { server, grace: options.grace, seen: Cell::new(0), recording };
        // Before the address is printed: whoever reads it may send a signal at once.
        signals.watch()?;
        print_commands(addr);
        Ok(())
    });
    if let Err(error) = started {
        complain!("{error}");
        windlass::exit(1);
    }
}

fn print_commands(addr: SocketAddr) {
    // A script may close the pipe after this line, which is no reason to fail.
    mention!("listening on http://{addr}");
    for path in
        ["/fast", "/slow?n=40", "/slow-inline?n=40", "/file/Cargo.toml", "/metrics", "/stalls"]
    {
        mention!("try   curl 'http://{addr}{path}'");
    }
}

/// Counts the signals that ask for an end.
struct Signals {
    server: Server,
    grace: Duration,
    seen: Cell<u32>,
    recording: Cell<Option<Recording>>,
}

impl Signals {
    fn watch(self) -> io::Result<()> {
        let signals = Rc::new(self);
        for signum in [SIGINT, SIGTERM] {
            let signals = Rc::clone(&signals);
            // To watch for a signal is no reason to go on: unref'd, it does not hold the loop.
            Signal::start(signum, move || signals.received(signum))?.unref();
        }
        Ok(())
    }

    fn received(&self, signum: i32) {
        if self.seen.replace(self.seen.get() + 1) > 0 {
            complain!("stopped at once");
            // As a shell reports a command that a signal has ended.
            return windlass::exit(128 + signum);
        }
        complain!("stopping; a second signal stops at once");
        let recording = self.recording.take();
        self.server.stop(self.grace, |unanswered, late| {
            report(unanswered, &late);
            if let Some(Err(error)) = recording.map(Recording::write) {
                complain!("the recording: {error}");
                windlass::set_exit_code(1);
            }
        });
    }
}

/// A recorder, and the file for what it has seen. The file is made first: if that fails, nothing has begun.
struct Recording {
    recorder: Recorder,
    file: File,
}

impl Recording {
    fn start(path: PathBuf) -> io::Result<Recording> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::create(&path).map_err(named)?;
        Ok(Recording { recorder: Recorder::start(), file })
    }

    fn write(self) -> io::Result<()> {
        self.recorder.stop().write_chrome_trace(self.file)
    }
}

/// The loop is about to end. Says who was late.
fn report(unanswered: usize, late: &[Laggard]) {
    if unanswered > 0 {
        complain!("{unanswered} connections were cut off");
    }
    for laggard in late {
        complain!("late: {laggard}");
    }
    if unanswered > 0 || !late.is_empty() {
        windlass::set_exit_code(1);
    }
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut config = Config {
        addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
        // One core is left to the loop.
        workers: cores.saturating_sub(1).max(1),
        root: ".".into(),
        connections_max: 10_000,
        idle_timeout: Duration::from_secs(10),
        stall_limit: Some(Duration::from_millis(20)),
    };
    let (mut grace, mut record) = (Duration::from_secs(5), None);
    let millis = |parser: &mut Parser, name, min| {
        common::number(parser, name, min, 3_600_000).map(Duration::from_millis)
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("addr") => config.addr = parse_addr(&common::value(parser, "--addr")?)?,
            Long("workers") => config.workers = common::number(parser, "--workers", 1, 1024)?,
            Long("root") => config.root = common::value(parser, "--root")?.into(),
            Long("max-connections") => {
                config.connections_max = common::number(parser, "--max-connections", 1, 1_000_000)?;
            }
            Long("idle-timeout-ms") => {
                config.idle_timeout = millis(parser, "--idle-timeout-ms", 1)?;
            }
            Long("stall-ms") => {
                let limit = millis(parser, "--stall-ms", 0)?;
                config.stall_limit = Some(limit).filter(|limit| !limit.is_zero());
            }
            Long("record") => record = Some(common::value(parser, "--record")?.into()),
            Long("grace-ms") => grace = millis(parser, "--grace-ms", 0)?,
            argument => return Err(common::other(argument)),
        }
    }
    Ok(Options { config, grace, record })
}

fn parse_addr(text: &OsStr) -> Result<SocketAddr, Stop> {
    let text = text.to_string_lossy();
    let port = text.rsplit_once(':').map_or("", |(_, port)| port);
    if port.bytes().all(|byte| byte.is_ascii_digit())
        && !port.is_empty()
        && port.parse::<u16>().is_err()
    {
        return Err(Stop::Wrong(format!("port {port} is out of range: 0 to 65535")));
    }
    let wanted = "--addr wants an address and a port, such as 127.0.0.1:8080 or [::1]:0";
    text.parse().map_err(|_| Stop::Wrong(format!("{wanted}, not {text:?}")))
}
