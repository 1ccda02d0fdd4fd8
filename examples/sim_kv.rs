//! How is a program found to be wrong that fails once in a hundred runs?
//!
//! By running it in thousands of ways, each from a seed. This one is a replicated key-value store of three
//! workers over TCP. One leads, two follow. Clients send additions to the leader, which gives each to its
//! followers and answers when one of them has it, so that an answer outlives the leader. Connections break
//! now and then, and reads and writes do less than they could. Each addition that was answered must count,
//! and the followers must end with what the leader has.
//!
//! ```text
//! $ cargo run --release --example sim_kv
//! 1000 seeds: each answered addition counts, and all three stores agree
//! $ cargo run --release --example sim_kv -- --bug lost-update
//! seed 0: 555 was answered, but x is 554
//! to run it again: WINDLASS_SEED=0
//! it fails with 2 of its 19 faults: WINDLASS_SEED=0 WINDLASS_FAULTS=0,2
//!   0: a short read, worker loop 1 at 951.636µs
//!   2: a short write, worker loop 1 at 33.577724ms
//! and says then: seed 0: 555 was answered, but x is 545
//! ```
//!
//! With the bug the leader keeps a new value only once a follower has it. Two additions that are under way
//! at the same time then both start from the same value, and one is lost.

#[path = "common/mod.rs"]
mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::panic;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use windlass::net::{TcpListener, TcpStream};
use windlass::sim::{Faults, Network, Outcome, Sim, explore};
use windlass::stream::Lines;
use windlass::worker::{Port, Worker};
use windlass::{spawn, time};

use common::{Long, Parser, Stop, complain, say};

const HELP: &str = "\
Runs a replicated store of three workers with one seed after the other.

usage: sim_kv [--bug lost-update] [--seeds N | --seed N] [--short]

  --bug lost-update  the leader forgets what is under way
  --seeds N          how many seeds: 1,000 unless said
  --seed N           this seed alone, and says how its run went
  --short            20 seeds
  --help             this text

WINDLASS_SEED=N runs one seed alone. WINDLASS_TRACE=FILE records the run that fails.
";

const LEADER: &str = "10.0.0.1:7000";
const FOLLOWERS: [&str; 2] = ["10.0.0.2:7000", "10.0.0.3:7000"];
/// How long whoever has lost a connection waits before the next.
const PAUSE: Duration = Duration::from_millis(1);
/// Lines are short here.
const LINE_MAX: usize = 100;

struct Options {
    bug: bool,
    seeds: u64,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    common::main(HELP, read, |Options { bug, seeds, seed }| {
        let network = Network::default().split(0.1).reset(0.01);
        let faults =
            Faults::default().short_reads(0.05).short_writes(0.05).would_block(0.05).accept(0.02);
        let make = |seed| {
            let sim = Sim::new(seed).network(network.clone()).faults(faults.clone());
            sim.limit(Duration::from_secs(60))
        };
        if let Some(seed) = seed {
            return match panic::catch_unwind(|| make(seed).run(|| program(bug))) {
                Ok(Outcome { elapsed, digest, .. }) => {
                    say!("seed {seed}: {elapsed:?} of virtual time, digest {digest:016x}");
                    ExitCode::SUCCESS
                }
                Err(payload) => {
                    let text = payload.downcast_ref::<String>().cloned();
                    complain!("{}", text.unwrap_or_else(|| format!("seed {seed} fails")));
                    ExitCode::FAILURE
                }
            };
        }
        match explore(0..seeds, make, || program(bug)) {
            Ok(count) => {
                say!("{count} seeds: each answered addition counts, and all three stores agree");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                complain!("{failure}");
                ExitCode::FAILURE
            }
        }
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options { bug: false, seeds: 1_000, seed: None };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("bug") => match common::value(parser, "--bug")?.to_str() {
                Some("lost-update") => options.bug = true,
                _ => return Err(Stop::Wrong("the only bug is lost-update".to_owned())),
            },
            Long("seeds") => options.seeds = common::number(parser, "--seeds", 1, u64::MAX)?,
            Long("seed") => {
                options.seed = Some(common::number(parser, "--seed", 0, u64::MAX)?);
            }
            Long("short") => options.seeds = 20,
            argument => return Err(common::other(argument)),
        }
    }
    Ok(options)
}

/// An entry of the log: a key, and its value from then on.
type Entry = (String, i64);
/// A worker, which answers each message with its log.
type Replica = Worker<(), Vec<Entry>>;

/// The main script: starts all, and checks at the end.
fn program(bug: bool) {
    let leader = Replica::spawn_async(move |port| lead(port, bug)).expect("a leader");
    let followers = FOLLOWERS.map(|address| {
        Replica::spawn_async(move |port| follow(port, address)).expect("a follower")
    });
    drop(spawn(async move {
        let clients = [(1, 31), (10, 43), (100, 67)];
        let clients = clients.map(|(amount, ms)| spawn(client(amount, Duration::from_millis(ms))));
        let (mut answered, mut unsure) = (0, 0);
        for client in clients {
            let (sure, lost) = client.await.expect("a client");
            (answered, unsure) = (answered + sure, unsure + lost);
        }
        let log = loop {
            let log = log_of(&leader).await;
            let [first, second] = &followers;
            if log_of(first).await == log && log_of(second).await == log {
                break log;
            }
            time::sleep(PAUSE).await;
        };
        let x = log.last().map_or(0, |(_, value)| *value);
        // An addition whose answer was lost may have counted.
        assert!(
            (answered..=answered + unsure).contains(&x),
            "{answered} was answered, but x is {x}"
        );
        drop((leader.terminate(), followers.map(|follower| follower.terminate())));
    }));
}

async fn log_of(replica: &Replica) -> Vec<Entry> {
    replica.post(());
    replica.recv().await.expect("a replica goes on")
}

/// Adds this to x five times, one after the other with a rest between. How much was answered, and how much
/// perhaps lost.
async fn client(amount: i64, rest: Duration) -> (i64, i64) {
    let (mut answered, mut unsure, mut left) = (0, 0, 5);
    while left > 0 {
        let Ok(stream) = TcpStream::connect(LEADER).await else {
            time::sleep(PAUSE).await;
            continue;
        };
        let mut lines = Lines::new(stream.clone(), LINE_MAX);
        while left > 0 {
            left -= 1;
            time::sleep(rest).await;
            let sent = stream.write(format!("x {amount}\n").as_bytes()).await;
            match (sent, lines.next().await) {
                (Ok(()), Ok(Some(_value))) => answered += amount,
                _ => {
                    unsure += amount;
                    break;
                }
            }
        }
    }
    (answered, unsure)
}

/// What the leader has.
#[derive(Default)]
struct Store {
    /// It keeps a value only once a follower has it.
    bug: bool,
    values: RefCell<BTreeMap<String, i64>>,
    log: RefCell<Vec<Entry>>,
    /// How much of the log some follower has.
    safe: Cell<usize>,
    /// Tasks that wait for something to change.
    waiting: RefCell<Vec<Waker>>,
}

impl Store {
    fn changed(&self) {
        let waiting = self.waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn until(&self, condition: impl Fn(&Store) -> bool) {
        poll_fn(|cx| {
            if condition(self) {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Adds to a value. Returns it once it is safe.
    async fn add(&self, key: &str, amount: i64) -> i64 {
        let value = self.values.borrow().get(key).copied().unwrap_or(0) + amount;
        if !self.bug {
            self.values.borrow_mut().insert(key.to_owned(), value);
        }
        self.log.borrow_mut().push((key.to_owned(), value));
        let place = self.log.borrow().len();
        self.changed();
        self.until(|store| store.safe.get() >= place).await;
        if self.bug {
            self.values.borrow_mut().insert(key.to_owned(), value);
        }
        value
    }
}

/// The leader.
async fn lead(port: Port<Vec<Entry>, ()>, bug: bool) {
    let store = Rc::new(Store { bug, ..Store::default() });
    for address in FOLLOWERS {
        let store = store.clone();
        drop(spawn(async move {
            loop {
                // Whatever has broken: once more from where the follower says.
                drop(feed(&store, address).await);
                time::sleep(PAUSE).await;
            }
        }));
    }
    let listener = TcpListener::bind(LEADER).expect("the leader's address");
    let of_clients = store.clone();
    listener.on_connection(move |stream| {
        let Ok(stream) = stream else { return };
        let store = of_clients.clone();
        // A client whose connection has broken comes again.
        drop(spawn(async move { drop(serve(&store, stream).await) }));
    });
    while port.recv().await.is_some() {
        port.post(store.log.borrow().clone());
    }
}

/// Answers what a client asks.
async fn serve(store: &Store, stream: TcpStream) -> io::Result<()> {
    let mut lines = Lines::new(stream.clone(), LINE_MAX);
    while let Some(line) = lines.next().await? {
        let (key, amount) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        let amount = amount.parse().map_err(io::Error::other)?;
        let value = store.add(key, amount).await;
        stream.write(format!("{value}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Gives a follower what it does not have, until the connection breaks.
async fn feed(store: &Store, address: &str) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let mut lines = Lines::new(stream.clone(), LINE_MAX);
    while let Some(count) = lines.next().await? {
        let count: usize = count.parse().map_err(io::Error::other)?;
        store.safe.set(store.safe.get().max(count));
        store.changed();
        store.until(|store| store.log.borrow().len() > count).await;
        let (key, value) = store.log.borrow()[count].clone();
        stream.write(format!("{count} {key} {value}\n").as_bytes()).await?;
    }
    Ok(())
}

/// A follower: says how much it has, takes the next entry, and so on.
async fn follow(port: Port<Vec<Entry>, ()>, address: &'static str) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let listener = TcpListener::bind(address).expect("a follower's address");
    let of_leader = log.clone();
    listener.on_connection(move |stream| {
        let Ok(stream) = stream else { return };
        let log = of_leader.clone();
        drop(spawn(async move { drop(copy(&log, stream).await) }));
    });
    while port.recv().await.is_some() {
        port.post(log.borrow().clone());
    }
}

async fn copy(log: &RefCell<Vec<Entry>>, stream: TcpStream) -> io::Result<()> {
    let mut lines = Lines::new(stream.clone(), LINE_MAX);
    loop {
        let count = log.borrow().len();
        stream.write(format!("{count}\n").as_bytes()).await?;
        let Some(line) = lines.next().await? else { return Ok(()) };
        let mut words = line.split(' ');
        let (place, key, value) = (words.next(), words.next(), words.next());
        let value = value.and_then(|value| value.parse().ok());
        // What an older connection still brings is here already.
        if let (Some(key), Some(value)) = (key, value)
            && place == Some(log.borrow().len().to_string().as_str())
        {
            log.borrow_mut().push((key.to_owned(), value));
        }
    }
}
