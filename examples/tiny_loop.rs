//! How much of an event loop is the loop?
//!
//! This one has all seven phases, ticks and microtasks, a heap of timers, and a pipe by which other
//! threads wake it, in 150 lines on std and one call of poll(2). `windlass::guide::tiny_loop` goes
//! through it and says what windlass adds, and why. The main program does what the example `phases`
//! does.
//!
//! ```text
//! $ cargo run --example tiny_loop
//! main script
//! pending: a cancelled job
//! idle: a watcher
//! prepare: a watcher
//! poll: a pool job
//! check: a watcher
//! check: an immediate
//! close: a port
//! timers: a timer
//! ```

// For the one call of poll(2); and nothing here is ever printed.
#![allow(unsafe_code, missing_debug_implementations)]

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// Something to call back.
#[derive(Default)]
pub struct Handle {
    /// None while it is called.
    callback: Cell<Option<Box<dyn FnMut(&Loop)>>>,
    /// Its place in its table. 0 when it is stopped.
    pub number: Cell<u64>,
    /// Whether the loop may end without it.
    pub is_unref: Cell<bool>,
    /// Of a source: what it waits for.
    pub fd: Cell<RawFd>,
}

/// Handles in the order in which they were added.
type Table = RefCell<BTreeMap<u64, Rc<Handle>>>;

/// All that there is to call back, by who calls it when.
#[derive(Default)]
pub struct Loop {
    /// After each callback, until none is left.
    pub ticks: Table,
    /// After the ticks.
    pub microtasks: Table,
    /// In the next pending phase: what was done at once, and must not call back at once.
    pub pending: Table,
    /// Once an iteration. There is no sleep while there are some.
    pub idle: Table,
    /// Once an iteration, before the sleep.
    pub prepare: Table,
    /// When a descriptor can be read.
    pub sources: Table,
    /// When another thread has done a job.
    requests: Table,
    /// Once an iteration, after the sleep.
    pub check: Table,
    /// In the next check phase.
    pub immediates: Table,
    /// In the next close phase.
    pub closing: Table,
    /// When they are due.
    pub timers: Table,
    /// The moments at which they are, the first on top.
    heap: RefCell<BinaryHeap<Reverse<(Duration, u64)>>>,
    /// From other threads: the numbers of requests that are done.
    pipe: OnceCell<(PipeReader, PipeWriter)>,
    last_number: Cell<u64>,
    begin: OnceCell<Instant>,
    /// In virtual time: what the clock says. It moves when there is nothing else to do.
    pub virtual_time: Option<Cell<Duration>>,
}

impl Loop {
    /// A loop whose clock jumps where it would sleep.
    pub fn in_virtual_time() -> Loop {
        Loop { virtual_time: Some(Cell::default()), ..Loop::default() }
    }

    /// Runs a main script, and then all that follows from it.
    pub fn run(&self, main: impl FnOnce(&Loop)) {
        let wake = self.add(&self.sources, Loop::deliver);
        wake.fd.set(self.pipe().0.as_raw_fd());
        wake.is_unref.set(true);
        main(self);
        self.drain();
        self.run_timers();
        while self.timeout().is_some() {
            self.iterate();
        }
    }

    fn iterate(&self) {
        self.call(self.pending.take());
        self.call(self.idle.borrow().clone());
        self.call(self.prepare.borrow().clone());
        self.poll();
        self.call(self.check.borrow().clone());
        self.call(self.immediates.take());
        self.call(self.closing.take().into_iter().rev());
        self.run_timers();
    }

    fn call(&self, handles: impl IntoIterator<Item = (u64, Rc<Handle>)>) {
        for (_, handle) in handles {
            self.invoke(&handle);
            self.drain();
        }
    }

    fn invoke(&self, handle: &Handle) {
        if let Some(mut callback) = handle.callback.take() {
            callback(self);
            handle.callback.set(Some(callback));
        }
    }

    fn drain(&self) {
        let queues = [&self.ticks, &self.microtasks];
        let next = |queue: &Table| queue.borrow_mut().pop_first();
        while let Some(queue) = queues.iter().find(|queue| !queue.borrow().is_empty()) {
            while let Some((_, handle)) = next(queue) {
                self.invoke(&handle);
            }
        }
    }

    fn poll(&self) {
        let sources = self.sources.borrow().clone();
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut entries: Vec<_> = sources.values().map(|source| entry(source.fd.get())).collect();
        let timeout = self.timeout().unwrap_or_default();
        let real = if self.virtual_time.is_none() { timeout } else { Duration::ZERO };
        let millis = real.as_micros().div_ceil(1000).try_into().unwrap_or(i32::MAX);
        // SAFETY: the array is alive, and has as many entries as it says.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, millis) };
        if let (0, Some(time)) = (ready, &self.virtual_time) {
            time.set(time.get() + timeout);
        }
        let ready = sources.into_iter().zip(entries).filter(|(_, entry)| entry.revents != 0);
        self.call(ready.map(|(source, _)| source));
    }

    /// How long poll may sleep. None if nothing is alive.
    fn timeout(&self) -> Option<Duration> {
        let holds = |table: &&Table| table.borrow().values().any(|handle| !handle.is_unref.get());
        if [&self.pending, &self.idle, &self.immediates, &self.closing].iter().any(holds) {
            return Some(Duration::ZERO);
        }
        let others = [&self.prepare, &self.sources, &self.requests, &self.check, &self.timers];
        others.iter().any(holds).then(|| self.next_due().saturating_sub(self.time()))
    }

    fn deliver(&self) {
        let mut numbers = [0; 4096];
        let count = (&self.pipe().0).read(&mut numbers).expect("there is one");
        let numbers =
            numbers[..count].chunks(8).map(|it| u64::from_ne_bytes(it.try_into().unwrap()));
        self.call(numbers.filter_map(|number| self.requests.borrow_mut().remove_entry(&number)));
    }

    fn run_timers(&self) {
        let now = self.time();
        while self.next_due() <= now {
            let first = self.heap.borrow_mut().pop().expect("it is due").0;
            let timer = self.timers.borrow_mut().remove_entry(&first.1);
            self.call(timer);
        }
    }

    fn next_due(&self) -> Duration {
        self.heap.borrow().peek().map_or(Duration::MAX, |first| first.0.0)
    }

    /// Puts a callback into a table, in which the loop finds it when its time comes.
    pub fn add(&self, table: &Table, f: impl FnMut(&Loop) + 'static) -> Rc<Handle> {
        let callback = Cell::new(Some(Box::new(f) as Box<_>));
        self.insert(table, Rc::new(Handle { callback, ..Handle::default() }))
    }

    fn insert(&self, table: &Table, handle: Rc<Handle>) -> Rc<Handle> {
        self.last_number.set(self.last_number.get() + 1);
        handle.number.set(self.last_number.get());
        table.borrow_mut().insert(handle.number.get(), handle.clone());
        handle
    }

    /// Takes a handle out of its table for good.
    pub fn stop(&self, table: &Table, handle: &Handle) {
        let removed = table.borrow_mut().remove(&handle.number.replace(0));
        drop((removed, handle.callback.take()));
    }

    /// Starts a timer of the table `timers`, or starts it anew.
    pub fn arm(&self, timer: &Rc<Handle>, due: Duration) {
        self.timers.borrow_mut().remove(&timer.number.get());
        self.insert(&self.timers, timer.clone());
        self.heap.borrow_mut().push(Reverse((due, timer.number.get())));
    }

    /// Does a job on another thread, and calls `f` in the poll phase after it.
    pub fn queue_work(&self, job: impl FnOnce() + Send + 'static, f: impl FnMut(&Loop) + 'static) {
        let number = self.add(&self.requests, f).number.get().to_ne_bytes();
        let mut pipe = self.pipe().1.try_clone().expect("a descriptor is left");
        let job = move || {
            job();
            pipe.write_all(&number).expect("the loop waits for it");
        };
        // In virtual time it takes none.
        if self.virtual_time.is_some() { job() } else { drop(thread::spawn(job)) }
    }

    fn pipe(&self) -> &(PipeReader, PipeWriter) {
        self.pipe.get_or_init(|| pipe().expect("the system has a pipe"))
    }

    /// What the clock says, counted from the first reading.
    pub fn time(&self) -> Duration {
        let real = || self.begin.get_or_init(Instant::now).elapsed();
        self.virtual_time.as_ref().map_or_else(real, Cell::get)
    }
}

fn main() {
    Loop::in_virtual_time().run(|event_loop| {
        let one_ms = Duration::from_millis(1);
        let timer = event_loop.add(&event_loop.timers, |_| say("timers: a timer"));
        event_loop.arm(&timer, one_ms);
        event_loop.add(&event_loop.closing, |_| say("close: a port"));
        event_loop.add(&event_loop.immediates, |_| say("check: an immediate"));
        let check = event_loop.add(&event_loop.check, |_| say("check: a watcher"));
        event_loop.queue_work(|| (), |_| say("poll: a pool job"));
        let prepare = event_loop.add(&event_loop.prepare, |_| say("prepare: a watcher"));
        let idle = event_loop.add(&event_loop.idle, move |event_loop| {
            say("idle: a watcher");
            event_loop.virtual_time.iter().for_each(|time| time.set(time.get() + one_ms));
        });
        [check, prepare, idle].iter().for_each(|watcher| watcher.is_unref.set(true));
        event_loop.add(&event_loop.pending, |_| say("pending: a cancelled job"));
        say("main script");
    });
}

/// Prints a line. Whoever reads may have gone.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
