//! What the loop costs: nanoseconds for each item of a workload, the median and spread of several rounds.
//!
//! ```text
//! cargo bench --bench event_loop            # all workloads
//! cargo bench --bench event_loop -- timers  # those whose name has "timers" in it
//! cargo bench --bench event_loop -- --test  # short, to see that they run
//! cargo bench --bench event_loop -- --list  # their names
//! ```
//!
//! The names are libuv's where it has the same workload. Times on a shared machine wobble: compare two
//! versions in one sitting, or count instructions (`valgrind --tool=callgrind`).

#[path = "../examples/common/mod.rs"]
mod common;
mod options;
#[path = "options/progress.rs"]
mod progress;

use std::cell::{Cell, OnceCell};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use windlass::handle::{Idle, Notifier};
use windlass::net::TcpListener;
use windlass::observe::Recorder;
use windlass::worker::Worker;
use windlass::{Loop, RunMode, WorkKind};

use common::say;
use options::Options;
use progress::Progress;

const HELP: &str = "\
Measures what the loop costs: nanoseconds for each item of a workload.

usage: cargo bench --bench event_loop -- [options] [NAME]...

  NAME     only the workloads that have this in their name
  --test   short, to see that they run
  --list   name the workloads, and run none
  --help   this text
";

/// Runs about so many items and returns how many it was and how long it took.
type Workload = fn(u64) -> (u64, Duration);

/// Name, workload, and items of one round.
const WORKLOADS: &[(&str, Workload, u64)] = &[
    ("microtask_batch", microtask_batch, 2_000_000),
    ("microtask_chain", microtask_chain, 2_000_000),
    ("tick_chain", tick_chain, 2_000_000),
    ("tick_chain recorded", |items| recorded(tick_chain, items), 2_000_000),
    ("loop_count", |items| loop_count(items, true), 300_000),
    ("loop_count without sources", |items| loop_count(items, false), 300_000),
    ("million_timers arm", timers_arm, 1_000_000),
    ("million_timers clear", timers_clear, 1_000_000),
    ("million_timers fire", timers_fire, 1_000_000),
    ("timer_churn", timer_churn, 2_000_000),
    ("timer_scaling 10^2 live", |items| timer_scaling(items, 100), 1_000_000),
    ("timer_scaling 10^3 live", |items| timer_scaling(items, 1_000), 1_000_000),
    ("timer_scaling 10^4 live", |items| timer_scaling(items, 10_000), 1_000_000),
    ("timer_scaling 10^5 live", |items| timer_scaling(items, 100_000), 1_000_000),
    ("timer_scaling 10^6 live", |items| timer_scaling(items, 1_000_000), 1_000_000),
    ("spawn and finish a task", spawn_task, 500_000),
    ("async_pummel", async_pummel, 1_000_000),
    ("async_pummel recorded", |items| recorded(async_pummel, items), 1_000_000),
    ("async_ping_pong", |items| async_ping_pong(items, 0), 20_000),
    ("async_ping_pong spinning", |items| async_ping_pong(items, 50), 100_000),
    ("queue_work 1 in flight", |items| queue_work(items, 1), 10_000),
    ("queue_work 64 in flight", |items| queue_work(items, 64), 200_000),
    ("queue_work 1000 in flight", |items| queue_work(items, 1000), 200_000),
    ("queue_work burst of 1000", queue_work_burst, 200_000),
    ("work with a deadline, 64", work_with_deadline, 200_000),
    ("fs_stat 64 in flight", fs_stat, 50_000),
    ("fs_read 4 KiB 64 in flight", fs_read, 50_000),
    ("ping_pongs 64 B", ping_pongs, 20_000),
    ("worker_spawn to first message", worker_spawn, 300),
    ("worker_stream", worker_stream, 500_000),
    #[cfg(feature = "crypto")]
    ("crypto pbkdf2 sha512 x1000", crypto_pbkdf2, 500),
    #[cfg(feature = "crypto")]
    ("crypto scrypt 2^10 8 1", |items| crypto_scrypt(items, 10), 150),
    #[cfg(feature = "crypto")]
    ("crypto scrypt 2^14 8 1", |items| crypto_scrypt(items, 14), 20),
];

fn main() -> ExitCode {
    common::main(HELP, Options::read, |options| measure_all(&options))
}

fn measure_all(options: &Options) {
    let wanted: Vec<_> = WORKLOADS.iter().filter(|(name, ..)| options.wants(name)).collect();
    if options.list {
        return wanted.iter().for_each(|(name, ..)| say!("{name}: benchmark"));
    }
    let rounds = if options.test { 1 } else { 7 };
    say!("{:32} {:>12} {:>12} {:>12}", "ns per item", "median", "min", "max");
    let progress = Progress::new(wanted.len(), rounds);
    for (index, (name, workload, items)) in wanted.into_iter().enumerate() {
        let items = if options.test { (items / 100).max(10) } else { *items };
        let mut figures: Vec<f64> = (0..rounds)
            .map(|round| {
                progress.at(name, index, round);
                let (done, time) = workload(items);
                time.as_nanos() as f64 / done as f64
            })
            .collect();
        figures.sort_by(f64::total_cmp);
        let (median, last) = (figures[figures.len() / 2], figures.len() - 1);
        progress.clear();
        say!("{name:32} {median:12.1} {:12.1} {:12.1}", figures[0], figures[last]);
    }
}

/// The time that a program takes on a loop of its own, less the making of the loop.
fn timed(program: impl FnOnce()) -> Duration {
    let event_loop = Loop::new().expect("a loop");
    let start = Instant::now();
    event_loop.run(program);
    start.elapsed()
}

/// A workload while a recorder runs: what it takes longer is the cost of its events.
fn recorded(workload: Workload, items: u64) -> (u64, Duration) {
    let _recorder = Recorder::start();
    workload(items)
}

/// A thousand microtasks queued, then drained.
fn microtask_batch(items: u64) -> (u64, Duration) {
    fn batch(left: u64, count: Rc<Cell<u64>>) {
        for _ in 0..1000 {
            let count = count.clone();
            windlass::queue_microtask(move || count.set(count.get() + 1));
        }
        if left > 1 {
            windlass::set_immediate(move || batch(left - 1, count));
        }
    }
    let batches = (items / 1000).max(1);
    let count = Rc::new(Cell::new(0));
    let inner = count.clone();
    let time = timed(move || batch(batches, inner));
    assert_eq!(count.get(), batches * 1000);
    (count.get(), time)
}

fn microtask_chain(items: u64) -> (u64, Duration) {
    fn next(left: u64) {
        if left > 0 {
            windlass::queue_microtask(move || next(left - 1));
        }
    }
    (items, timed(|| next(items)))
}

fn tick_chain(items: u64) -> (u64, Duration) {
    fn next(left: u64) {
        if left > 0 {
            windlass::next_tick(move || next(left - 1));
        }
    }
    (items, timed(|| next(items)))
}

/// Iterations with an idle watcher and a chain of immediates. With a source, each asks the poller.
fn loop_count(items: u64, source: bool) -> (u64, Duration) {
    let time = timed(|| {
        let idle = Idle::start(|| ());
        if source {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            // With a callback it is the loop's.
            listener.on_connection(|_| ());
            listener.unref();
        }
        fn next(left: u64, idle: Idle) {
            if left == 0 {
                return idle.stop();
            }
            windlass::set_immediate(move || next(left - 1, idle));
        }
        next(items, idle);
    });
    (items, time)
}

/// The same numbers each time, spread over a range (xorshift).
fn delays(count: u64, range: u64) -> impl Iterator<Item = Duration> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_millis(1 + state % range)
    })
}

fn timers_arm(items: u64) -> (u64, Duration) {
    let event_loop = Loop::new().expect("a loop");
    let time = event_loop.enter(|| {
        let start = Instant::now();
        for delay in delays(items, 100_000) {
            windlass::set_timeout(delay, || ());
        }
        start.elapsed()
    });
    (items, time)
}

fn timers_clear(items: u64) -> (u64, Duration) {
    let event_loop = Loop::new().expect("a loop");
    let time = event_loop.enter(|| {
        let timers: Vec<_> =
            delays(items, 100_000).map(|delay| windlass::set_timeout(delay, || ())).collect();
        let start = Instant::now();
        for timer in timers {
            timer.clear();
        }
        start.elapsed()
    });
    (items, time)
}

/// In virtual time, so that only the work counts and not the waiting.
fn timers_fire(items: u64) -> (u64, Duration) {
    let event_loop = Loop::builder().virtual_time(true).build().expect("a loop");
    event_loop.enter(|| {
        for delay in delays(items, 500) {
            windlass::set_timeout(delay, || ());
        }
    });
    let start = Instant::now();
    event_loop.turn(RunMode::Default);
    (items, start.elapsed())
}

/// Refreshes among 100,000 live timers of one delay.
fn timer_churn(items: u64) -> (u64, Duration) {
    let event_loop = Loop::new().expect("a loop");
    let time = event_loop.enter(|| {
        let hour = Duration::from_secs(3600);
        let timers: Vec<_> = (0..100_000).map(|_| windlass::set_timer(hour, |_| ())).collect();
        let start = Instant::now();
        for index in 0..items as usize {
            timers[index * 7919 % timers.len()].refresh();
        }
        start.elapsed()
    });
    (items, time)
}

/// Clears one of so many live timers and arms another, both at random.
fn timer_scaling(items: u64, live: u64) -> (u64, Duration) {
    let event_loop = Loop::new().expect("a loop");
    let time = event_loop.enter(|| {
        let mut delays = delays(live + items, 100_000);
        let mut timers: Vec<_> = delays
            .by_ref()
            .take(live as usize)
            .map(|delay| windlass::set_timeout(delay, || ()))
            .collect();
        let start = Instant::now();
        for (index, delay) in delays.enumerate() {
            let timer = &mut timers[index * 7919 % live as usize];
            timer.clear();
            *timer = windlass::set_timeout(delay, || ());
        }
        start.elapsed()
    });
    (items, time)
}

fn spawn_task(items: u64) -> (u64, Duration) {
    let event_loop = Loop::new().expect("a loop");
    let start = Instant::now();
    event_loop.block_on(async {
        for item in 0..items {
            black_box(windlass::spawn(async move { item }).await.expect("a task"));
        }
    });
    (items, start.elapsed())
}

/// Closures posted by another thread.
fn async_pummel(items: u64) -> (u64, Duration) {
    let time = timed(|| {
        let remote = Loop::current().remote();
        // The job holds the loop until the last closure has been posted.
        drop(windlass::queue_work(move || {
            for _ in 0..items {
                remote.post(|| ()).expect("the loop is there");
            }
        }));
    });
    (items, time)
}

/// Round trips between two loops on two threads, which may spin for so many microseconds. For a figure of
/// one core run all of it on one (`taskset`).
fn async_ping_pong(items: u64, spin: u64) -> (u64, Duration) {
    let new_loop = move || Loop::builder().spin(Duration::from_micros(spin)).build();
    let event_loop = new_loop().expect("a loop");
    let mut start = Instant::now();
    let begun = &mut start;
    let mut other = None;
    event_loop.run(|| {
        let (to_other, own_end) = mpsc::channel::<Notifier>();
        let (to_this, other_end) = mpsc::channel::<Notifier>();
        let theirs = Rc::new(OnceCell::<Notifier>::new());
        let (mut left, partner) = (items, theirs.clone());
        let own = Rc::new(OnceCell::<Notifier>::new());
        let this = own.clone();
        let notifier = Notifier::new(move || {
            let partner = partner.get().expect("it was set before the first call");
            left -= 1;
            if left > 0 {
                return partner.notify();
            }
            partner.close();
            this.get().expect("it was set").close();
        });
        to_other.send(notifier.clone()).expect("sent");
        own.set(notifier).expect("set once");
        other = Some(std::thread::spawn(move || {
            new_loop().expect("a loop").run(move || {
                let partner = own_end.recv().expect("the other notifier");
                to_this.send(Notifier::new(move || partner.notify())).expect("sent");
            });
        }));
        let partner = other_end.recv().expect("the other notifier");
        *begun = Instant::now();
        partner.notify();
        theirs.set(partner).expect("set once");
    });
    let time = start.elapsed();
    other.take().expect("it was started").join().expect("it ends by itself");
    (items, time)
}

/// Jobs that do nothing, so many at a time.
fn queue_work(items: u64, in_flight: u64) -> (u64, Duration) {
    fn next(left: Rc<Cell<u64>>) {
        if left.get() > 0 {
            left.set(left.get() - 1);
            windlass::queue_work(|| ()).on_complete(move |_| next(left));
        }
    }
    let time = timed(|| {
        let left = Rc::new(Cell::new(items));
        (0..in_flight).for_each(|_| next(left.clone()));
    });
    (items, time)
}

/// A thousand jobs at once, and the next thousand when all are done.
fn queue_work_burst(items: u64) -> (u64, Duration) {
    fn burst(left: u64) {
        if left == 0 {
            return;
        }
        let open = Rc::new(Cell::new(1000));
        for _ in 0..1000 {
            let open = open.clone();
            windlass::queue_work(|| ()).on_complete(move |_| {
                open.set(open.get() - 1);
                if open.get() == 0 {
                    burst(left - 1);
                }
            });
        }
    }
    let bursts = (items / 1000).max(1);
    (bursts * 1000, timed(|| burst(bursts)))
}

/// Jobs with a kind, a token and a deadline.
fn work_with_deadline(items: u64) -> (u64, Duration) {
    fn next(left: Rc<Cell<u64>>) {
        if left.get() > 0 {
            left.set(left.get() - 1);
            let job = windlass::work(|token| token.is_cancelled()).kind(WorkKind::FastIo);
            let request = job.deadline(Duration::from_secs(10)).submit();
            request.on_complete(move |_| next(left));
        }
    }
    let time = timed(|| {
        let left = Rc::new(Cell::new(items));
        (0..64).for_each(|_| next(left.clone()));
    });
    (items, time)
}

fn fs_stat(items: u64) -> (u64, Duration) {
    fn next(left: Rc<Cell<u64>>) {
        if left.get() > 0 {
            left.set(left.get() - 1);
            windlass::fs::metadata("Cargo.toml").on_complete(move |_| next(left));
        }
    }
    let time = timed(|| {
        let left = Rc::new(Cell::new(items));
        (0..64).for_each(|_| next(left.clone()));
    });
    (items, time)
}

/// Whole files of 4 KiB.
fn fs_read(items: u64) -> (u64, Duration) {
    fn next(left: Rc<Cell<u64>>, path: Rc<Path>) {
        if left.get() > 0 {
            left.set(left.get() - 1);
            windlass::fs::read(&path).on_complete(move |bytes| {
                assert_eq!(bytes.expect("the file").len(), 4096);
                next(left, path);
            });
        }
    }
    let path: Rc<Path> = std::env::temp_dir().join("windlass-bench-4k").into();
    std::fs::write(&path, [7; 4096]).expect("a file");
    let inner = path.clone();
    let time = timed(|| {
        let left = Rc::new(Cell::new(items));
        (0..64).for_each(|_| next(left.clone(), inner.clone()));
    });
    std::fs::remove_file(&path).expect("the file");
    (items, time)
}

/// An echo server on the loop and a blocking client on a thread of its own.
fn ping_pongs(items: u64) -> (u64, Duration) {
    let time = timed(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let own = listener.clone();
        listener.on_connection(move |connection| {
            let connection = connection.expect("a connection");
            connection.set_nodelay(true).expect("an option");
            connection.read_start(|connection, chunk| {
                drop(connection.write(chunk.expect("no failure")));
            });
            own.close();
        });
        std::thread::spawn(move || {
            let mut client = std::net::TcpStream::connect(address).expect("a client");
            client.set_nodelay(true).expect("an option");
            let mut bytes = [7; 64];
            for _ in 0..items {
                client.write_all(&bytes).expect("sent");
                client.read_exact(&mut bytes).expect("answered");
            }
        });
    });
    (items, time)
}

fn worker_spawn(items: u64) -> (u64, Duration) {
    let event_loop = Loop::new().expect("a loop");
    let mut time = Duration::ZERO;
    for _ in 0..items {
        event_loop.block_on(async {
            let start = Instant::now();
            let worker: Worker<(), ()> = Worker::spawn(|port| port.post(())).expect("a worker");
            worker.recv().await.expect("a message");
            time += start.elapsed();
            worker.join().await.expect("it ends by itself");
        });
    }
    (items, time)
}

/// Messages one way, from a worker.
fn worker_stream(items: u64) -> (u64, Duration) {
    let count = Rc::new(Cell::new(0));
    let inner = count.clone();
    let time = timed(move || {
        let worker: Worker<(), u64> =
            Worker::spawn(move |port| (0..items).for_each(|item| port.post(item)))
                .expect("a worker");
        worker.on_message(move |_| inner.set(inner.get() + 1));
    });
    assert_eq!(count.get(), items);
    (items, time)
}

/// Keys of a thousand iterations each, one after the other.
#[cfg(feature = "crypto")]
fn crypto_pbkdf2(items: u64) -> (u64, Duration) {
    use windlass::crypto::{Digest, pbkdf2};
    one_by_one(items, || pbkdf2(b"password", b"salt", 1000, 64, Digest::Sha512))
}

/// Keys that take 2^`log_n` kibibytes each, one after the other.
#[cfg(feature = "crypto")]
fn crypto_scrypt(items: u64, log_n: u8) -> (u64, Duration) {
    use windlass::crypto::{ScryptParams, scrypt};
    let params = ScryptParams { log_n, r: 8, p: 1 };
    one_by_one(items, move || scrypt(b"password", b"salt", 64, params))
}

#[cfg(feature = "crypto")]
fn one_by_one(
    items: u64,
    derive: impl Fn() -> windlass::Request<std::io::Result<Vec<u8>>> + 'static,
) -> (u64, Duration) {
    let keys = async move {
        for _ in 0..items {
            black_box(derive().await.expect("a key"));
        }
    };
    (items, timed(|| drop(windlass::spawn(keys))))
}
