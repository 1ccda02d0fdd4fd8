//! What does slow work do to everybody else, depending on where it runs?
//!
//! The golden rule of an event loop: never block it. This program shows what it is worth. It starts
//! the server of the `server` example in this process, lets two clients ask for slow sums without a
//! pause, and measures how long a third waits for `/fast` meanwhile.
//!
//! ```text
//! $ cargo run --release --example golden_rule
//! while two clients ask for fib(35), /fast takes
//!
//!                     requests        p50        p99        max   sums
//! idle                   41442      71 us     116 us    4175 us      0
//! on the loop              100      21 ms      41 ms      41 ms    183
//! on the pool           170937      16 us      24 us     338 us    134
//! in a worker           157732      16 us      42 us    5674 us    142
//!
//! the p99 with workers is 0.37 times the p99 when idle
//! ```
//!
//! These are the figures of the median of five runs, on 2 cores. Below them it prints which callbacks
//! the stall watch named while the sums ran on the loop: the line to look at in a program that is
//! slow, found without knowing it.
//!
//! On the loop, a request waits for both clients' sums. The pool has more threads than there are
//! cores, so the loop has to share one with them now and then. The workers are one less than there
//! are cores. That the busy machine beats the idle one is no mistake: its cores do not fall asleep.
//!
//! The clients are threads with blocking sockets, so that they measure the server and not
//! themselves. The loop never meets them but through its sockets, and through one notifier: the only
//! thing that may be called from their side to tell it that the measuring is over.

#[path = "common/mod.rs"]
mod common;
#[path = "http/mod.rs"]
mod http;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::Location;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use windlass::handle::Notifier;
use windlass::observe::watch_stalls;

use common::{Long, Parser, Stop, complain, say};
use http::{Config, Server};

const HELP: &str = "\
Measures a fast request while slow ones run on the loop, on the pool, and in a worker.

usage: golden_rule [options]

  --n N          the slow job is fib(N), 1 to 50 (default 35)
  --seconds S    how long each of the four measurements takes (default 3)
  --short        a quick look: as --n 27 --seconds 0.4
  --help         this text
";

/// How many clients ask for slow sums.
const HAMMERS: usize = 2;

/// Requests before a measurement, which are not counted: they find cold caches and sleeping threads.
const WARM_UP: usize = 50;

/// A callback on the loop that takes longer is a stall.
const STALL: Duration = Duration::from_millis(5);

/// The variant without slow work.
const IDLE: &str = "idle";

/// The variant that breaks the rule.
const ON_THE_LOOP: &str = "on the loop";

/// Where slow work may run, and the page that runs it there.
const BUSY: [(&str, &str); 3] =
    [(ON_THE_LOOP, "/slow-inline"), ("on the pool", "/slow-pool"), ("in a worker", "/slow")];

/// How long to wait for an answer before something is thought to be broken.
const ANSWER_MAX: Duration = Duration::from_secs(120);

struct Options {
    n: u32,
    time: Duration,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| {
        windlass::run_main(|| {
            if let Err(error) = start(options) {
                complain!("{error}");
                windlass::exit(1);
            }
        })
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options { n: 35, time: Duration::from_secs(3) };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("short") => options = Options { n: 27, time: Duration::from_millis(400) },
            Long("n") => options.n = common::number(parser, "--n", 1, 50)?,
            Long("seconds") => {
                let seconds = common::number(parser, "--seconds", 0.1, 3600.0)?;
                options.time = Duration::from_secs_f64(seconds);
            }
            argument => return Err(common::other(argument)),
        }
    }
    Ok(options)
}

/// The main script: starts the server on this loop, and the clients beside it.
fn start(options: Options) -> io::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let server = Server::start(Config {
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        // One core is left to the loop.
        workers: cores.saturating_sub(1).max(1),
        root: ".".into(),
        connections_max: 16,
        idle_timeout: Duration::from_secs(60),
        stall_limit: None,
    })?;
    let addr = server.local_addr()?;
    let (outcome, measured) = mpsc::channel();
    let done = Notifier::new(move || {
        if let Ok((Err(error), _)) = measured.try_recv() {
            complain!("{error}");
            windlass::exit(1);
        }
        server.stop(Duration::from_secs(1), |_, _| ());
    });
    // What holds the loop is its listener. The notifier need not.
    done.unref();
    thread::Builder::new().name("clients".into()).spawn(move || {
        // A notifier closes with its last clone. The one in the message outlives this thread, and
        // so the call is not lost.
        let sent = outcome.send((measure_all(addr, &options), done.clone()));
        sent.expect("the notifier's callback holds the receiver");
        done.notify();
    })?;
    Ok(())
}

/// Measures and prints line after line, on the clients' thread.
fn measure_all(addr: SocketAddr, options: &Options) -> io::Result<()> {
    let n = options.n;
    say!("while two clients ask for fib({n}), /fast takes\n");
    say!("{:<16}{:>12}{:>11}{:>11}{:>11}{:>7}", "", "requests", "p50", "p99", "max", "sums");

    let count = 1 + BUSY.len();
    let progress = |done: usize, name: &str| {
        let left = options.time * (count - done) as u32;
        common::progress(format_args!(
            "measures {name}: {} of {count}, {} s left",
            done + 1,
            left.as_secs().max(1)
        ));
    };
    progress(0, IDLE);
    let idle = measure(addr, None, options.time)?;
    idle.print(IDLE);
    let (mut worker_p99, mut stalls) = (Duration::ZERO, Vec::new());
    for (done, (name, page)) in (1..).zip(BUSY) {
        progress(done, name);
        let path = format!("{page}?n={n}");
        let measured = || measure(addr, Some(&path), options.time);
        let busy = if name == ON_THE_LOOP {
            let busy;
            (busy, stalls) = watched(measured);
            busy?
        } else {
            measured()?
        };
        busy.print(name);
        worker_p99 = busy.percentile(99);
    }
    let times = worker_p99.as_secs_f64() / idle.percentile(99).as_secs_f64();
    say!("\nthe p99 with workers is {times:.2} times the p99 when idle");
    say!("\n{ON_THE_LOOP}, callbacks of over {} took, by the stall watch:", in_words(STALL));
    stalls.iter().for_each(|stall| say!("{stall}"));
    if stalls.is_empty() {
        say!("none");
    }
    Ok(())
}

/// What the stall watch says of the loop while `measured` goes on: a line for each callback.
fn watched<R>(measured: impl FnOnce() -> R) -> (R, Vec<String>) {
    let (tell, told) = mpsc::channel();
    let watch = watch_stalls(STALL, move |stall| {
        // A worker may compute for as long as it likes: that is what it is for.
        if stall.over && stall.worker == 0 {
            tell.send(stall.callback.clone()).expect("the receiver outlives the watch");
        }
    });
    let result = measured();
    drop(watch);
    let mut named = BTreeMap::new();
    for callback in told {
        let (count, longest) = named.entry((callback.kind, callback.location)).or_default();
        *count += 1;
        *longest = callback.took.max(*longest);
    }
    let line = |((kind, place), (count, longest)): ((&str, Option<&Location<'_>>), (usize, _))| {
        let place = place.map_or_else(String::new, |place| format!(" of {place}"));
        format!("{kind}{place}: {count} times, up to {}", in_words(longest))
    };
    (result, named.into_iter().map(line).collect())
}

/// What one client saw.
struct Sample {
    /// How long each request for `/fast` took, shortest first.
    times: Vec<Duration>,
    /// How many slow sums were answered meanwhile.
    sums: usize,
}

impl Sample {
    /// The time that so many percent of the requests stayed within.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.times.len() * percent).div_ceil(100);
        self.times[rank.saturating_sub(1)]
    }

    fn print(&self, name: &str) {
        common::end_progress();
        say!(
            "{name:<16}{:>12}{:>11}{:>11}{:>11}{:>7}",
            self.times.len(),
            in_words(self.percentile(50)),
            in_words(self.percentile(99)),
            in_words(self.percentile(100)),
            self.sums,
        );
    }
}

fn in_words(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{micros} us"),
        micros => format!("{} ms", micros / 1_000),
    }
}

/// Asks for `/fast` again and again for `time`, while others ask for `hammered`.
fn measure(addr: SocketAddr, hammered: Option<&str>, time: Duration) -> io::Result<Sample> {
    let over = Arc::new(AtomicBool::new(false));
    let mut hammers = Vec::new();
    if let Some(path) = hammered {
        for _ in 0..HAMMERS {
            let (path, over) = (path.to_owned(), Arc::clone(&over));
            let mut client = Client::connect(addr)?;
            hammers.push(thread::spawn(move || -> io::Result<usize> {
                let mut sums = 0;
                while !over.load(Ordering::Relaxed) {
                    client.get(&path)?;
                    sums += 1;
                }
                Ok(sums)
            }));
        }
    }
    let times = time_fast(addr, time);
    over.store(true, Ordering::Relaxed);
    let mut sums = 0;
    for hammer in hammers {
        sums += hammer.join().map_err(|_| io::Error::other("a client panicked"))??;
    }
    Ok(Sample { times: times?, sums })
}

/// Times requests for `/fast` on one connection, one after the other, and sorts the times.
fn time_fast(addr: SocketAddr, time: Duration) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(addr)?;
    let begin = Instant::now();
    // When each request waits for a sum, the warming up must not take all the time there is.
    for _ in 0..WARM_UP {
        client.get("/fast")?;
        if begin.elapsed() > time / 4 {
            break;
        }
    }
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < time || times.is_empty() {
        let sent = Instant::now();
        client.get("/fast")?;
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// A client that sends one request at a time and blocks until it is answered.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(addr: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Sends a request, and reads its answer to the end.
    fn get(&mut self, path: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("{path} was answered with {line:?}")));
        }
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim_end().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut self.stream.by_ref().take(length), &mut io::sink())?;
        Ok(())
    }
}
