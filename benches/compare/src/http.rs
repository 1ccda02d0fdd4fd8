//! Clients of the HTTP servers: wrk, and those of the golden rule.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::system;

use crate::run::{self, Figures, Server};

/// How long to wait for an answer before something is thought to be broken.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How many clients ask for the slow job.
const HAMMERS: usize = 2;

/// Whether wrk is on the PATH.
pub(crate) fn has_wrk() -> bool {
    // Without arguments it prints its usage and fails; all that counts is that it can be started.
    std::process::Command::new("wrk").output().is_ok()
}

/// Time and server CPU for each request for `/fast`, in so many seconds of wrk. Nothing without wrk.
pub(crate) fn wrk(
    server: &Server,
    connections: usize,
    seconds: u64,
) -> io::Result<Option<Figures>> {
    if !has_wrk() {
        return Ok(None);
    }
    let url = format!("http://{}/fast", server.address);
    let wrk = |seconds: u64| {
        let words = ["wrk", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), &url];
        run::print(&words.map(str::to_owned), &system::cores()[..1])
    };
    // Warm-up; also long enough for a first look.
    wrk(1)?;
    let (process, start) = (server.child.id(), Instant::now());
    let before = system::cpu_time_of(process)?;
    let told = wrk(seconds)?;
    let (cpu, wall) = (system::cpu_time_of(process)? - before, start.elapsed());
    if told.contains("Non-2xx") || told.contains("Socket errors") {
        return Err(io::Error::other(told));
    }
    let line = told.lines().find(|line| line.contains(" requests in "));
    let requests = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    let requests = requests.filter(|count| *count > 0.0).ok_or_else(|| io::Error::other(told))?;
    let each = |time: Duration| time.as_nanos() as f64 / requests;
    Ok(Some(Figures::from([("ns".into(), each(wall)), ("cpu".into(), each(cpu))])))
}

/// How long `/fast` takes while others ask for the slow path, if there is one.
pub(crate) fn golden(server: &Server, slow: Option<&str>, time: Duration) -> io::Result<Figures> {
    // On no core of its own: it is a question of what the server leaves of both.
    system::pin_to(system::cores())?;
    let over = AtomicBool::new(false);
    let mut clients = Vec::new();
    for path in slow.into_iter().flat_map(|path| [path; HAMMERS]) {
        clients.push((Client::connect(&server.address)?, path));
    }
    let times = thread::scope(|scope| {
        let mut hammers = Vec::new();
        for (mut client, path) in clients {
            let over = &over;
            hammers.push(scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    client.get(path)?;
                }
                io::Result::Ok(())
            }));
        }
        let times = time_fast(&server.address, time);
        over.store(true, Ordering::Relaxed);
        for hammer in hammers {
            hammer.join().expect("a client")?;
        }
        times
    })?;
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        times[rank.saturating_sub(1)].as_nanos() as f64
    };
    Ok([("p50", 50), ("p99", 99), ("max", 100)].map(|(name, at_)| (name.into(), at(at_))).into())
}

/// Times requests for `/fast` on one connection, one after the other, and sorts the times.
fn time_fast(address: &str, time: Duration) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(address)?;
    let begun = Instant::now();
    let mut times = Vec::new();
    // The first quarter finds cold caches and sleeping threads.
    while begun.elapsed() < time || times.is_empty() {
        let sent = Instant::now();
        client.get("/fast")?;
        if begun.elapsed() > time / 4 {
            times.push(sent.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// A client that sends one request at a time and blocks until it is answered.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

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
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim_end().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut self.stream.by_ref().take(length), &mut io::sink())?;
        Ok(())
    }
}
