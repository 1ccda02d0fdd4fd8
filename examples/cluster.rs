//! How does a server use all cores?
//!
//! Two ways, both with a worker for each core, measured against a server on a single loop. *Shared port*: each
//! worker has a listener of its own on the same address, and the system spreads the connections
//! (`SO_REUSEPORT`). *One acceptor*: the main loop accepts, takes each connection off its loop and posts it
//! to the next worker, where it opens again.
//!
//! Every request costs the server some work, so that there is something to share: with two workers on two cores
//! it answers up to twice as many. The clients need the cores too, so on a small machine the gain is less.
//!
//! ```text
//! $ cargo run --release --example cluster
//! one loop      :  11819 requests/s
//! shared port   :  25948 requests/s by 2 workers, 2.20 times as many
//! one acceptor  :  25501 requests/s by 2 workers, 2.16 times as many
//! ```
//!
//! Which to take? The shared port has no hop between threads, but the system looks at addresses and not at who
//! is busy: few connections may all meet at one worker. One acceptor decides for itself, round
//! robin here, and its loop is the limit for connections, not for requests.

#[path = "common/mod.rs"]
mod common;

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream as Client};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use windlass::net::{DetachedTcpStream, TcpListener, TcpStream};
use windlass::worker::{Port, Worker};

use common::{Long, Parser, Stop, complain, say};

const HELP: &str = "\
Measures a server on one loop, and on the loops of several workers.

usage: cluster [options]

  --workers N  how many (default: as many as there are cores)
  --short      a quick look
  --help       this text
";

const QUESTION: [u8; 4] = *b"ping";

/// What a request costs.
fn work() -> u64 {
    (0..200_000_u64).fold(0, |sum, number| black_box(sum ^ number.wrapping_mul(number)))
}

/// Answers every four bytes with four bytes, after some work.
fn serve(connection: &TcpStream) {
    let mut waiting = 0;
    connection.read_start(move |connection, chunk| match chunk {
        Ok(bytes) => {
            waiting += bytes.len();
            while waiting >= QUESTION.len() {
                waiting -= QUESTION.len();
                let answer = (work() as u32).to_be_bytes();
                drop(connection.write(&answer));
            }
        }
        Err(error) => complain!("a connection failed: {error}"),
    });
}

fn serve_each(listener: &TcpListener) {
    listener.on_connection(|connection| match connection {
        Ok(connection) => serve(&connection),
        Err(error) => complain!("no connection: {error}"),
    });
}

/// Asks over and over until the time is up: how many answers came.
fn client(address: SocketAddr, time: Duration) -> io::Result<u64> {
    let mut stream = Client::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut answers, began) = (0, Instant::now());
    while began.elapsed() < time {
        stream.write_all(&QUESTION)?;
        stream.read_exact(&mut [0; 4])?;
        answers += 1;
    }
    Ok(answers)
}

/// Requests in a second, by so many clients with one connection each. They are threads
/// with blocking sockets, waited for on the pool.
async fn load(address: SocketAddr, clients: usize, time: Duration) -> io::Result<f64> {
    let asking = move || -> io::Result<u64> {
        let threads: Vec<_> =
            (0..clients).map(|_| thread::spawn(move || client(address, time))).collect();
        let outcomes = threads.into_iter().map(|thread| match thread.join() {
            Ok(answers) => answers,
            Err(_) => Err(io::Error::other("a client panicked")),
        });
        outcomes.sum()
    };
    let answers = windlass::queue_work(asking).await??;
    Ok(answers as f64 / time.as_secs_f64())
}

/// A listener for each worker, all on one port.
async fn shared_port(size: usize) -> io::Result<(SocketAddr, Vec<Worker<(), ()>>)> {
    // Never listened to: it keeps the port while the workers bind it. It must not be asked to accept,
    // and it is closed before the first client comes.
    let keeper = TcpListener::bind_reuse_port("127.0.0.1:0")?;
    let address = keeper.local_addr()?;
    let mut workers = Vec::new();
    for _ in 0..size {
        let worker = Worker::spawn(move |port: Port<(), ()>| {
            match TcpListener::bind_reuse_port(address) {
                Ok(listener) => serve_each(&listener),
                Err(error) => complain!("a worker could not bind: {error}"),
            }
            port.post(()); // It listens.
        })?;
        worker.recv().await;
        workers.push(worker);
    }
    keeper.close();
    Ok((address, workers))
}

/// One listener, and workers that are sent connections.
fn one_acceptor(size: usize) -> io::Result<(TcpListener, Vec<Worker<DetachedTcpStream, ()>>)> {
    let start = |_| {
        Worker::spawn(|port: Port<(), DetachedTcpStream>| {
            port.on_message(|connection| match connection.open() {
                Ok(connection) => serve(&connection),
                Err(error) => complain!("a connection was lost on its way: {error}"),
            });
        })
    };
    let workers = (0..size).map(start).collect::<io::Result<Vec<_>>>()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (targets, mut next) = (workers.clone(), 0);
    listener.on_connection(move |connection| match connection.and_then(|c| c.detach()) {
        Ok(connection) => {
            targets[next % targets.len()].post(connection);
            next += 1;
        }
        Err(error) => complain!("no connection: {error}"),
    });
    Ok((listener, workers))
}

/// The servers keep their loops; here they end.
async fn end<In: Send + 'static, Out: Send + 'static>(workers: Vec<Worker<In, Out>>) {
    for worker in workers {
        worker.terminate().await;
    }
}

struct Options {
    workers: usize,
    short: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, compare)
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let mut options = Options { workers: cores, short: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("workers") => options.workers = common::number(parser, "--workers", 1, 1024)?,
            Long("short") => options.short = true,
            argument => return Err(common::other(argument)),
        }
    }
    Ok(options)
}

fn compare(Options { workers: size, short }: Options) -> io::Result<()> {
    let time = Duration::from_millis(if short { 200 } else { 3000 });
    // Enough that the system's hash gives every worker some.
    let clients = size * 8;

    windlass::block_on(async move {
        // One loop is a cluster of one, so that this loop is free to measure in all three.
        let (alone, single) = one_acceptor(1)?;
        let base = load(alone.local_addr()?, clients, time).await?;
        say!("one loop      : {base:6.0} requests/s");
        alone.close();
        end(single).await;

        let tell = |name: &str, rate: f64| {
            let gain = rate / base;
            say!("{name}: {rate:6.0} requests/s by {size} workers, {gain:.2} times as many");
        };
        let (address, workers) = shared_port(size).await?;
        tell("shared port   ", load(address, clients, time).await?);
        end(workers).await;

        let (listener, workers) = one_acceptor(size)?;
        tell("one acceptor  ", load(listener.local_addr()?, clients, time).await?);
        listener.close();
        end(workers).await;
        Ok(())
    })
}
