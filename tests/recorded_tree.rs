//! `observe::Recorder`: a random tree of scheduled work over several loops and a pool is rebuilt from
//! the recorded ids and causes.
//!
//! Each callback and each job of the program is a node. The program itself writes down which node
//! scheduled which, and on each thread the order in which nodes run. The recording has the same
//! callbacks in the same order, so each node has its event; its cause must be its parent's event.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use windlass::observe::{Event, Recorder, Recording, What};
use windlass::worker::{Port, Worker};
use windlass::{Loop, Pool, Remote};

use common::*;

const WORKERS: usize = 3;

/// How deep the tree is at most, below the callback that begins it.
const DEPTH: u64 = 6;

/// A number for each node, from 1.
type Node = u64;

/// What is sent from loop to loop: a node that is to run there.
type Message = Twig;

/// A node that is to run, with what it needs to grow its own.
#[derive(Clone, Copy)]
struct Twig {
    node: Node,
    depth: u64,
}

/// What the program knows of itself.
struct Truth {
    seed: u64,
    /// The kind and the parent of each node. The parent of the main script is 0.
    nodes: Mutex<HashMap<Node, (&'static str, Node)>>,
    /// What ran where, in order.
    ran: Mutex<BTreeMap<String, Vec<Node>>>,
    /// The node that was made last.
    last: AtomicU64,
    /// How many nodes have not run yet.
    open: AtomicU64,
    /// The loops by name.
    loops: Mutex<BTreeMap<&'static str, Remote>>,
}

/// One thread's view of the program.
#[derive(Clone)]
struct Here {
    truth: Arc<Truth>,
    /// The name of the track of this loop.
    name: &'static str,
    /// Jobs run on the loop's thread.
    is_virtual: bool,
    /// The other ends of this loop's ports: the main loop's workers, or a worker's parent.
    neighbours: Vec<Neighbour>,
}

#[derive(Clone)]
enum Neighbour {
    Worker(Worker<Message, Message>),
    Parent(Port<Message, Message>),
}

const NAMES: [&str; WORKERS + 1] = ["main", "worker a", "worker b", "worker c"];

impl Truth {
    fn add(&self, kind: &'static str, parent: Node) -> Node {
        let node = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.fetch_add(1, Ordering::AcqRel);
        self.nodes.lock().unwrap().insert(node, (kind, parent));
        node
    }

    /// The node runs, on the track of this name.
    fn runs(&self, name: &str, node: Node) {
        self.ran.lock().unwrap().entry(name.to_owned()).or_default().push(node);
    }
}

impl Here {
    /// A node runs: notes it, and grows others from it.
    fn run(&self, twig: Twig) {
        self.truth.runs(self.name, twig.node);
        self.grow(twig);
        self.done(twig.node);
    }

    fn done(&self, node: Node) {
        if self.truth.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end(node);
        }
    }

    /// All has run: a last post to each worker closes its port, so that its loop ends.
    fn end(&self, node: Node) {
        let loops = self.truth.loops.lock().unwrap().clone();
        for (number, remote) in loops.into_values().enumerate().skip(1) {
            let last = self.truth.add("post", node);
            remote
                .post(move || {
                    let here = here_on(number);
                    here.truth.runs(here.name, last);
                    let [Neighbour::Parent(port)] = &here.neighbours[..] else { unreachable!() };
                    port.close();
                })
                .unwrap();
        }
    }

    fn grow(&self, twig: Twig) {
        if twig.depth == 0 {
            return;
        }
        let mut dice = Dice::new(self.truth.seed.wrapping_mul(1_000_003).wrapping_add(twig.node));
        for _ in 0..dice.roll(4) {
            self.schedule(dice.roll(11), &mut dice, twig);
        }
    }

    /// Schedules one node, or several that belong together.
    fn schedule(&self, what: u64, dice: &mut Dice, parent: Twig) {
        let (here, truth) = (self.clone(), &self.truth);
        let below = |kind| Twig { node: truth.add(kind, parent.node), depth: parent.depth - 1 };
        match what {
            0 => {
                let twig = below("tick");
                windlass::next_tick(move || here.run(twig));
            }
            1 => {
                let twig = below("microtask");
                windlass::queue_microtask(move || here.run(twig));
            }
            2 => {
                let twig = below("timer");
                windlass::set_timeout(ms(dice.roll(4)), move || here.run(twig));
            }
            3 => {
                let twig = below("immediate");
                windlass::set_immediate(move || here.run(twig));
            }
            4 => {
                let twig = below("task");
                windlass::spawn(async move { here.run(twig) });
            }
            5 => {
                let job = below("pool job");
                let completion = Twig { node: truth.add("pool job", job.node), ..job };
                let request = windlass::queue_work(here.job(job));
                request.on_complete(move |result| {
                    result.unwrap();
                    here.run(completion);
                });
            }
            6 => {
                // Polled for the first time by who spawned it, then by what it waited for.
                let first = below("task");
                windlass::spawn(async move {
                    here.truth.runs(here.name, first.node);
                    let job = Twig { node: here.truth.add("pool job", first.node), ..first };
                    let second = Twig { node: here.truth.add("task", job.node), ..first };
                    let request = windlass::queue_work(here.job(job));
                    here.done(first.node);
                    request.await.unwrap();
                    here.run(second);
                });
            }
            7 | 8 => {
                let to = dice.roll(NAMES.len() as u64) as usize;
                let remote = truth.loops.lock().unwrap()[NAMES[to]].clone();
                let twig = below("post");
                remote.post(move || here_on(to).run(twig)).unwrap();
            }
            _ => {
                let to = &self.neighbours[dice.roll(self.neighbours.len() as u64) as usize];
                match to {
                    Neighbour::Worker(worker) => worker.post(below("message port")),
                    Neighbour::Parent(port) => port.post(below("worker")),
                }
            }
        }
    }

    /// What a job does: it notes that it runs, and where.
    fn job(&self, twig: Twig) -> impl FnOnce() + Send + 'static {
        let truth = self.truth.clone();
        let name = self.is_virtual.then_some(self.name);
        move || {
            let thread = thread::current();
            truth.runs(name.unwrap_or_else(|| thread.name().unwrap()), twig.node);
            // Its completion follows, so it is never the last one.
            truth.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

thread_local! {
    /// What posts find on the loop to which they come.
    static HERE: std::cell::RefCell<Option<Here>> = const { std::cell::RefCell::new(None) };
}

/// The view of this thread, whose loop this is.
fn here_on(number: usize) -> Here {
    let here = HERE.with_borrow(|here| here.clone().unwrap());
    assert_eq!(here.name, NAMES[number]);
    here
}

/// The main script of the whole program.
fn main_script(truth: &Arc<Truth>, is_virtual: bool) {
    let main = truth.add("main", 0);
    truth.runs(NAMES[0], main);
    truth.loops.lock().unwrap().insert(NAMES[0], Loop::current().remote());
    let mut here =
        Here { truth: truth.clone(), name: NAMES[0], is_virtual, neighbours: Vec::new() };
    let online = std::rc::Rc::new(std::cell::Cell::new(0));
    for name in &NAMES[1..] {
        let (node, truth) = (truth.add("main", main), truth.clone());
        let builder = Worker::<Message, Message>::builder().name(*name);
        let worker = builder.spawn(move |port| worker_script(&truth, name, is_virtual, node, port));
        here.neighbours.push(Neighbour::Worker(worker.unwrap()));
    }
    for neighbour in here.neighbours.clone() {
        let Neighbour::Worker(worker) = neighbour else { unreachable!() };
        let (here, online) = (here.clone(), online.clone());
        worker.on_message(move |twig| {
            online.set(online.get() + 1);
            // The first message of each says that it is there. The last of those begins the tree.
            let depth = match online.get() {
                WORKERS => DEPTH,
                count if count < WORKERS => 0,
                _ => twig.depth,
            };
            here.run(Twig { depth, ..twig });
        });
    }
    HERE.with_borrow_mut(|place| *place = Some(here.clone()));
    here.done(main);
}

fn worker_script(
    truth: &Arc<Truth>,
    name: &'static str,
    is_virtual: bool,
    node: Node,
    port: Port<Message, Message>,
) {
    truth.runs(name, node);
    truth.loops.lock().unwrap().insert(name, Loop::current().remote());
    let neighbours = vec![Neighbour::Parent(port.clone())];
    let here = Here { truth: truth.clone(), name, is_virtual, neighbours };
    HERE.with_borrow_mut(|place| *place = Some(here.clone()));
    let last = here.clone();
    port.post(Twig { node: truth.add("worker", node), depth: 0 });
    port.on_message(move |twig| here.run(twig));
    last.done(node);
}

/// The callbacks and jobs of the track of each name, in order.
fn by_track(recording: &Recording) -> BTreeMap<String, Vec<&Event>> {
    let events = recording.events().iter();
    let names: HashMap<u32, &String> = events
        .clone()
        .filter_map(|event| match &event.what {
            What::Track { number, name } => Some((*number, name)),
            _ => None,
        })
        .collect();
    let mut tracks = BTreeMap::<String, Vec<&Event>>::new();
    for event in events.filter(|event| event.id > 0) {
        tracks.entry(names[&event.track].clone()).or_default().push(event);
    }
    tracks
}

/// The kind of a callback or job.
fn kind(event: &Event) -> &'static str {
    match &event.what {
        What::Callback(callback) => callback.kind,
        What::Job { kind, .. } => kind,
        _ => unreachable!("it has an id"),
    }
}

/// Runs the program of a seed under a recorder and rebuilds its tree. Returns how many nodes it had.
fn rebuild(seed: u64, is_virtual: bool) -> usize {
    let truth = Arc::new(Truth {
        seed,
        nodes: Mutex::default(),
        ran: Mutex::default(),
        last: AtomicU64::new(0),
        open: AtomicU64::new(0),
        loops: Mutex::default(),
    });
    let pool = Pool::new(2).unwrap();
    let event_loop = Loop::builder().virtual_time(is_virtual).pool(pool).build().unwrap();
    let recorder = Recorder::start();
    event_loop.run(|| main_script(&truth, is_virtual));
    drop(event_loop);
    let recording = recorder.stop();
    HERE.take();

    assert_eq!(recording.dropped(), 0);
    let (nodes, ran) = (truth.nodes.lock().unwrap(), truth.ran.lock().unwrap());
    let tracks = by_track(&recording);
    let mut events = HashMap::new();
    for (name, ran) in &*ran {
        let seen = &tracks[name];
        let expected: Vec<_> = ran.iter().map(|node| nodes[node].0).collect();
        let kinds: Vec<_> = seen.iter().map(|event| kind(event)).collect();
        assert_eq!(kinds, expected, "seed {seed}: what ran on {name}");
        events.extend(ran.iter().copied().zip(seen.iter().copied()));
    }
    assert_eq!(events.len(), nodes.len(), "seed {seed}: each node has run");
    assert_eq!(tracks.values().map(Vec::len).sum::<usize>(), nodes.len(), "seed {seed}: no more");
    let numbers: HashMap<u64, Node> =
        events.iter().map(|(node, event)| (event.id, *node)).collect();
    assert_eq!(numbers.len(), nodes.len(), "seed {seed}: each has an id of its own");
    for (node, (kind, parent)) in &*nodes {
        let cause = events[node].cause;
        let rebuilt = if cause == 0 { 0 } else { *numbers.get(&cause).unwrap_or(&Node::MAX) };
        assert_eq!(rebuilt, *parent, "seed {seed}: the parent of {kind} {node}");
    }
    nodes.len()
}

fn rebuild_many(seeds: u64, is_virtual: bool) {
    let _alone = alone();
    let nodes: usize = (1..=seeds).map(|seed| bounded(move || rebuild(seed, is_virtual))).sum();
    assert!(nodes as u64 > seeds * 20, "the trees are no bare stems: {nodes} nodes");
}

#[test]
fn a_tree_of_work_over_three_workers_is_rebuilt_from_ids_and_causes_in_virtual_time() {
    rebuild_many(150, true);
}

#[test]
fn a_tree_of_work_over_three_workers_is_rebuilt_from_ids_and_causes_on_the_real_clock() {
    rebuild_many(150, false);
}
