//! `observe::Recorder::detailed`: what a loop, its pool and its ports hold is rebuilt from the details
//! alone, at many moments of random programs.
//!
//! At each callback the program asks its loop what it holds, before it does anything else, and keeps the
//! answer by the callback's id. A reader that is given nothing but the details must know the same when it
//! comes to the beginning of that callback.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::observe::{self, Detail, Event, Queue, Recorder, Recording, What};
use windlass::worker::{Port, Worker, channel};
use windlass::{Immediate, Loop, Pool, Remote, Timer, WorkKind};

use common::*;

const WORKERS: usize = 3;
const EVENTS: usize = 1 << 15;

/// How many callbacks a program has in all, about.
const CALLBACKS: u64 = 150;

/// What a loop says of itself at one moment.
#[derive(Debug)]
struct Truth {
    alive: Vec<(&'static str, Option<&'static Location<'static>>)>,
    /// Kind, line, active, referenced.
    handles: Vec<(&'static str, Option<&'static Location<'static>>, bool, bool)>,
    iterations: u64,
    events: u64,
    /// In virtual time: in how long the timers are due that the program knows.
    due_in: Option<Vec<Duration>>,
    /// Ticks, microtasks and immediates that the program has queued, and that have not begun.
    queued: [u64; 3],
    /// How many messages wait in the ports of this loop to itself.
    messages: Vec<usize>,
    /// In virtual time: the jobs of its pool that wait, those of them that are slow, and those that are
    /// done.
    jobs: Option<[u64; 3]>,
}

/// What all loops of a program share.
struct Shared {
    seed: u64,
    is_virtual: bool,
    /// By the ids of the callbacks.
    truths: Mutex<HashMap<u64, Truth>>,
    /// How many more callbacks may be scheduled.
    left: AtomicU64,
    remotes: Mutex<Vec<Remote>>,
    /// A recorder that begins in the middle.
    late: Mutex<Option<Recorder>>,
}

/// One loop of the program.
struct Here {
    shared: Arc<Shared>,
    dice: RefCell<Dice>,
    /// The last timers and immediates, to be cleared, refreshed, unref'd.
    timers: RefCell<Vec<Timer>>,
    immediates: RefCell<Vec<Immediate>>,
    /// Ticks, microtasks and immediates that wait.
    queued: [Cell<u64>; 3],
    ports: RefCell<Vec<Port<u8, u8>>>,
    notifiers: RefCell<Vec<Notifier>>,
    watchers: RefCell<Vec<Box<dyn Fn()>>>,
    /// Nothing more is scheduled.
    is_over: Cell<bool>,
    /// Posts a message to a loop that is a neighbour.
    neighbours: RefCell<Vec<Box<dyn Fn()>>>,
}

thread_local! {
    static HERE: RefCell<Option<Rc<Here>>> = const { RefCell::new(None) };
}

fn here() -> Rc<Here> {
    HERE.with_borrow(|here| here.clone().expect("a loop of the program"))
}

impl Here {
    fn begin(shared: &Arc<Shared>, number: u64) -> Rc<Here> {
        let here = Rc::new(Here {
            shared: shared.clone(),
            dice: RefCell::new(Dice::new(shared.seed * 31 + number)),
            timers: RefCell::default(),
            immediates: RefCell::default(),
            queued: Default::default(),
            ports: RefCell::default(),
            notifiers: RefCell::default(),
            watchers: RefCell::default(),
            is_over: Cell::new(false),
            neighbours: RefCell::default(),
        });
        HERE.set(Some(here.clone()));
        here
    }

    /// What would go on for ever ends after a while.
    fn limit(self: &Rc<Self>) {
        let here = self.clone();
        windlass::set_timeout(ms(10), move || here.calm_down());
    }

    fn roll(&self, sides: u64) -> u64 {
        self.dice.borrow_mut().roll(sides)
    }

    /// A callback begins: the loop says what it holds, then more is scheduled.
    fn runs(&self) {
        let truth = self.truth();
        self.shared.truths.lock().unwrap().insert(observe::callback_id(), truth);
        for _ in 0..self.roll(4) {
            self.act();
        }
    }

    fn truth(&self) -> Truth {
        let event_loop = Loop::current();
        let mut alive: Vec<_> =
            event_loop.why_alive().iter().map(|it| (it.kind, Some(it.location))).collect();
        alive.sort();
        let handles = event_loop.handles();
        let handles = handles.iter().map(|it| (it.kind, Some(it.location), it.active, it.has_ref));
        let mut handles: Vec<_> = handles.collect();
        handles.sort();
        let metrics = event_loop.metrics();
        let is_virtual = self.shared.is_virtual;
        let due_in = is_virtual.then(|| {
            let mut due: Vec<_> = self.timers.borrow().iter().filter_map(Timer::due_in).collect();
            due.sort();
            due
        });
        let pool = Loop::current().pool().metrics();
        let jobs = [pool.queued as u64, pool.queued_slow as u64, pool.completed];
        Truth {
            alive,
            handles,
            iterations: metrics.iterations,
            events: metrics.events,
            due_in,
            queued: self.queued.each_ref().map(Cell::get),
            messages: without_zeros(self.ports.borrow().iter().map(Port::queue_len)),
            jobs: is_virtual.then_some(jobs),
        }
    }

    /// Counts something that waits in one of the three queues. What is returned is for its begin.
    fn counted(self: &Rc<Self>, queue: usize) -> impl FnOnce() + 'static {
        let here = self.clone();
        here.queued[queue].set(here.queued[queue].get() + 1);
        move || {
            here.queued[queue].set(here.queued[queue].get() - 1);
            here.runs();
        }
    }

    fn act(&self) {
        let here = here();
        let left = &self.shared.left;
        let one_less = |left: u64| left.checked_sub(1);
        if self.is_over.get()
            || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
        {
            return;
        }
        match self.roll(26) {
            0 | 1 => windlass::next_tick(here.counted(0)),
            2 | 3 => windlass::queue_microtask(here.counted(1)),
            4 | 5 => {
                let immediate = windlass::set_immediate(here.counted(2));
                self.immediates.borrow_mut().push(immediate);
            }
            6 | 7 => self.keep(windlass::set_timeout(ms(self.roll(4)), move || here.runs())),
            8 => {
                let left = Cell::new(self.roll(3));
                self.keep(windlass::set_interval(ms(1 + self.roll(3)), move |timer| {
                    here.runs();
                    match left.get() {
                        0 => timer.clear(),
                        more => left.set(more - 1),
                    }
                }));
            }
            9 => self.keep(windlass::set_timer(ms(self.roll(3)), move |_| here.runs())),
            10 | 11 => self.with_timer(Timer::refresh),
            12 => self.with_timer(Timer::clear),
            13 => self.with_timer(|timer| timer.set_ref(!timer.has_ref())),
            14 => self.with_immediate(|one, here| {
                // Whether it still waits is seen by its reference.
                one.set_ref(true);
                if one.has_ref() {
                    one.clear();
                    here.queued[2].set(here.queued[2].get() - 1);
                }
            }),
            15 => self.with_immediate(|one, _| one.set_ref(!one.has_ref())),
            16 => drop(windlass::spawn(async move {
                here.runs();
                windlass::time::sleep(ms(here.roll(3))).await;
                here.runs();
            })),
            17 | 18 => self.submit(),
            19 => {
                let to = self.roll(WORKERS as u64 + 1) as usize;
                let remote = self.shared.remotes.lock().unwrap().get(to).cloned();
                if let Some(remote) = remote {
                    // A worker may have ended by now.
                    let posted = remote.post(|| crate::here().runs());
                    assert!(posted.is_ok() || to > 0);
                }
            }
            20 => self.open_channel(),
            21 => {
                if let Some(port) = one_of(&self.ports, self.roll(8)) {
                    (0..self.roll(4)).for_each(|_| port.post(0));
                }
            }
            22 => {
                if let Some(port) = one_of(&self.ports, self.roll(8)) {
                    match self.roll(3) {
                        0 => port.close(),
                        1 => port.set_ref(!port.has_ref()),
                        _ => drop(port.try_recv()),
                    }
                }
            }
            23 => {
                let notifier = Notifier::new(move || here.runs());
                notifier.notify();
                if self.roll(2) == 0 {
                    notifier.unref();
                }
                self.notifiers.borrow_mut().push(notifier);
            }
            24 => self.watch(),
            _ => {
                let neighbours = self.neighbours.borrow();
                if !neighbours.is_empty() {
                    neighbours[self.roll(neighbours.len() as u64) as usize]();
                }
            }
        }
    }

    fn keep(&self, timer: Timer) {
        self.timers.borrow_mut().push(timer);
    }

    fn with_timer(&self, f: impl FnOnce(&Timer)) {
        if let Some(timer) = one_of(&self.timers, self.roll(8)) {
            f(&timer);
        }
    }

    fn with_immediate(&self, f: impl FnOnce(&Immediate, &Here)) {
        if let Some(immediate) = one_of(&self.immediates, self.roll(8)) {
            f(&immediate, self);
        }
    }

    fn submit(&self) {
        let here = here();
        let kinds = [WorkKind::Cpu, WorkKind::FastIo, WorkKind::SlowIo];
        let mut work = windlass::work(|_| ()).kind(kinds[self.roll(3) as usize]);
        if self.roll(4) == 0 {
            work = work.deadline(ms(self.roll(2)));
        }
        let request = work.submit();
        let canceller = request.canceller();
        request.on_complete(move |_| here.runs());
        if self.roll(4) == 0 {
            canceller.cancel().ok();
        }
    }

    /// A channel of which this loop has both ends.
    fn open_channel(&self) {
        for port in open_both() {
            let here = here();
            port.on_message(move |_| here.runs());
            self.ports.borrow_mut().push(port);
        }
    }

    /// A watcher, until it has been called a few times.
    fn watch(&self) {
        let here = here();
        let left = Cell::new(self.roll(4));
        let number = self.watchers.borrow().len();
        let called = move || {
            here.runs();
            match left.get() {
                0 => here.watchers.borrow()[number](),
                more => left.set(more - 1),
            }
        };
        let stop: Box<dyn Fn()> = match self.roll(3) {
            0 => {
                let watcher = Idle::start(called);
                Box::new(move || watcher.stop())
            }
            1 => {
                let watcher = Prepare::start(called);
                Box::new(move || watcher.stop())
            }
            _ => {
                let watcher = Check::start(called);
                watcher.unref();
                Box::new(move || watcher.stop())
            }
        };
        self.watchers.borrow_mut().push(stop);
    }

    /// What would go on for ever ends.
    fn calm_down(&self) {
        self.is_over.set(true);
        self.timers.borrow().iter().for_each(Timer::clear);
        self.ports.borrow().iter().for_each(Port::close);
        self.notifiers.borrow().iter().for_each(Notifier::close);
        self.watchers.borrow().iter().for_each(|stop| stop());
    }
}

/// The line of [`open_both`] at which both ends of a channel are opened.
const OPENED: u32 = line!() + 5;

/// Opens both ends of a channel on this loop.
fn open_both() -> [Port<u8, u8>; 2] {
    let ends = <[_; 2]>::from(channel::<u8, u8>());
    ends.map(|end| end.open())
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

/// In order.
fn without_zeros(all: impl Iterator<Item = usize>) -> Vec<usize> {
    sorted(all.filter(|count| *count > 0))
}

/// One of the newest.
fn one_of<T: Clone>(all: &RefCell<Vec<T>>, from_the_end: u64) -> Option<T> {
    all.borrow().iter().nth_back(from_the_end as usize).cloned()
}

fn main_script(shared: &Arc<Shared>) {
    let here = Here::begin(shared, 0);
    here.runs();
    here.limit();
    shared.remotes.lock().unwrap().push(Loop::current().remote());
    for number in 1..=WORKERS {
        let shared = shared.clone();
        let builder = Worker::<u8, u8>::builder().pool(Pool::new(2).unwrap());
        let worker = builder
            .spawn(move |port| {
                let here = Here::begin(&shared, number as u64);
                shared.remotes.lock().unwrap().push(Loop::current().remote());
                let (parent, inner) = (port.clone(), here.clone());
                here.neighbours.borrow_mut().push(Box::new(move || parent.post(0)));
                port.on_message(move |_| inner.runs());
                // The worker ends by itself: its port to the parent does not hold it.
                port.unref();
                here.limit();
                (0..8).for_each(|_| here.act());
            })
            .unwrap();
        let (to, inner) = (worker.clone(), here.clone());
        here.neighbours.borrow_mut().push(Box::new(move || to.post(0)));
        worker.on_message(move |_| inner.runs());
    }
    (0..12).for_each(|_| here.act());
    let late = here.clone();
    here.queued[2].set(here.queued[2].get() + 1);
    windlass::set_immediate(move || {
        late.queued[2].set(late.queued[2].get() - 1);
        *late.shared.late.lock().unwrap() = Some(Recorder::detailed(EVENTS));
        (0..12).for_each(|_| late.act());
    });
}

/// Compares all that the loops have said with what a reader knows then. Returns how many moments it has
/// compared.
fn compare(recording: &Recording, shared: &Shared, is_late: bool) -> usize {
    assert_eq!(recording.dropped(), 0);
    let truths = shared.truths.lock().unwrap();
    let (mut world, mut compared) = (World::default(), 0);
    // Each loop has a pool of its own.
    let mut pools = HashMap::new();
    for event in recording.events() {
        if is_late {
            world.step_late(event)
        } else {
            world.step(event)
        }
        if let What::Detail(Detail::Submitted { pool, .. }) = &event.what {
            pools.insert(event.track, *pool);
        }
        let What::Detail(Detail::Began { .. }) = &event.what else { continue };
        let Some(truth) = truths.get(&event.id) else { continue };
        let held = &world.loops[&event.track];
        if is_late && !held.is_whole {
            continue;
        }
        compared += 1;
        let seed = shared.seed;
        let at = format!("seed {seed}: {:?}, late {is_late}", event.what);
        assert_eq!(held.alive(), truth.alive, "{at}");
        let handles = held.handles.values();
        let handles = handles.map(|it| (it.kind, it.location, it.active, it.referenced));
        assert_eq!(sorted(handles), truth.handles, "{at}");
        assert_eq!(held.running.last(), Some(&event.id), "{at}");
        assert_eq!(held.iterations, truth.iterations, "{at}");
        let queued = [
            held.waiting(Queue::Ticks),
            // A poll of a task is a microtask that the program does not count.
            held.waiting(Queue::Microtasks).max(truth.queued[1]),
            held.immediates.len() as u64,
        ];
        assert_eq!(queued[0], truth.queued[0], "{at}");
        assert!(queued[1] >= truth.queued[1] && queued[2] == truth.queued[2], "{at}: {queued:?}");
        if is_late {
            continue;
        }
        assert_eq!(held.events, truth.events, "{at}");
        // Those to which only this loop posts: the port to a parent is opened where its worker is
        // spawned.
        let own = |place: Option<&Location<'_>>| {
            place.is_some_and(|place| (place.file(), place.line()) == (file!(), OPENED))
        };
        let handles = held.handles.iter();
        let ports = handles.filter(|(_, it)| it.kind == "message port" && own(it.location));
        let ports = ports.map(|(number, _)| world.receives[&(event.track, *number)]);
        let waiting = ports.map(|port| world.ports.get(&port).copied().unwrap_or(0));
        let waiting = waiting.map(|count| usize::try_from(count).unwrap());
        assert_eq!(without_zeros(waiting), truth.messages, "{at}");
        if let Some(due_in) = &truth.due_in {
            let waits = held.timers.values();
            let due = waits.map(|timer| timer.due.saturating_sub(event.at).min(timer.delay));
            // There are others than the program's: of deadlines, and of tasks that sleep.
            let mut due = sorted(due).into_iter();
            assert!(due_in.iter().all(|own| due.any(|one| one == *own)), "{at}: {due_in:?}");
        }
        if let Some(jobs) = truth.jobs {
            let own = pools.get(&event.track).and_then(|pool| world.pools.get(pool));
            let known = own.map_or([0; 3], |own| {
                let slow = own.waiting.values().filter(|slow| **slow).count();
                [own.waiting.len() as u64, slow as u64, own.finished]
            });
            assert_eq!(known, jobs, "{at}");
        }
    }
    if !is_late {
        assert!(world.ports.values().all(|waiting| *waiting == 0), "{:?}", world.ports);
        assert!(
            world.pools.values().all(|jobs| jobs.waiting.is_empty() && jobs.running.is_empty())
        );
        assert!(world.loops.values().filter(|held| held.has_ended).count() > WORKERS);
    }
    compared
}

fn check_seed(seed: u64, is_virtual: bool) -> usize {
    let pool = Pool::new(2).unwrap();
    let shared = Arc::new(Shared {
        seed,
        is_virtual,
        truths: Mutex::default(),
        left: AtomicU64::new(CALLBACKS),
        remotes: Mutex::default(),
        late: Mutex::default(),
    });
    let recorder = Recorder::detailed(EVENTS);
    let event_loop = Loop::builder().virtual_time(is_virtual).pool(pool).build().unwrap();
    event_loop.run(|| main_script(&shared));
    drop(event_loop);
    HERE.take();
    let late = shared.late.lock().unwrap().take().unwrap().stop();
    compare(&recorder.stop(), &shared, false) + compare(&late, &shared, true)
}

fn check_many(seeds: u64, is_virtual: bool) {
    let _alone = alone();
    let compared: usize =
        (1..=seeds).map(|seed| bounded(move || check_seed(seed, is_virtual))).sum();
    assert!(compared as u64 > seeds * 50, "the programs are no bare stems: {compared} moments");
}

#[test]
fn a_callback_that_asks_for_its_id_is_told_though_it_has_not_returned() {
    let _alone = alone();
    let recorder = Recorder::detailed(EVENTS);
    let (id, recording) = windlass::run(|| {
        let (tell, told) = std::sync::mpsc::channel();
        windlass::set_immediate(move || {
            let id = observe::callback_id();
            tell.send((id, recorder.stop())).unwrap();
        });
        told
    })
    .recv()
    .unwrap();
    let began = |what: &What| matches!(what, What::Detail(Detail::Began { kind: "immediate", .. }));
    let events = recording.events().iter().filter(|event| event.id == id);
    assert_eq!(events.filter(|event| began(&event.what)).count(), 1);
}

#[test]
fn what_four_loops_hold_is_rebuilt_from_details_alone_in_virtual_time() {
    check_many(100, true);
}

#[test]
fn what_four_loops_hold_is_rebuilt_from_details_alone_on_the_real_clock() {
    check_many(100, false);
}

#[test]
fn the_immediates_of_a_poll_budget_are_told_when_they_are_queued_as_when_they_are_taken() {
    let _alone = alone();
    let recorder = Recorder::detailed(EVENTS);
    let event_loop = Loop::builder().virtual_time(true).poll_budget(1).build().unwrap();
    event_loop.run(|| (0..3).for_each(|_| drop(windlass::spawn(async {}))));
    drop(event_loop);
    let recording = recorder.stop();
    let immediates = |is_taken: bool| {
        let number = |event: &Event| match event.what {
            What::Detail(Detail::Queued { queue: Queue::Immediates, number, .. }) if !is_taken => {
                Some(number)
            }
            What::Detail(Detail::Taken { queue: Queue::Immediates, number }) if is_taken => {
                Some(number)
            }
            _ => None,
        };
        recording.events().iter().filter_map(number).collect::<Vec<_>>()
    };
    assert_eq!(immediates(false), immediates(true));
    assert!(!immediates(true).is_empty());
}
