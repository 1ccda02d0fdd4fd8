//! Microtasks, ticks, iterations and tasks.

use std::cell::Cell;
use std::hint::black_box;

use common::Figures;
use windlass::handle::Idle;
use windlass::net::TcpListener;
use windlass::observe::Recorder;

use crate::{timed, timed_on};

/// Items of one batch.
const BATCH: u64 = 1000;

/// A counter that closures may hold without counting who holds it.
fn counter() -> &'static Cell<u64> {
    Box::leak(Box::new(Cell::new(0)))
}

/// Runs batches of callbacks that `queue` queues, one batch in each check phase.
fn batches(items: u64, queue: fn(&'static Cell<u64>)) -> Figures {
    fn batch(left: u64, count: &'static Cell<u64>, queue: fn(&'static Cell<u64>)) {
        queue(count);
        if left > 1 {
            windlass::set_immediate(move || batch(left - 1, count, queue));
        }
    }
    let (left, count) = (items.div_ceil(BATCH), counter());
    let figures = timed(left * BATCH, || batch(left, count, queue));
    assert_eq!(count.get(), left * BATCH);
    figures
}

pub(crate) fn microtask_batch(items: u64) -> Figures {
    batches(items, |count| {
        for _ in 0..BATCH {
            windlass::queue_microtask(move || count.set(count.get() + 1));
        }
    })
}

pub(crate) fn tick_batch(items: u64) -> Figures {
    batches(items, |count| {
        for _ in 0..BATCH {
            windlass::next_tick(move || count.set(count.get() + 1));
        }
    })
}

pub(crate) fn microtask_chain(items: u64) -> Figures {
    fn next(left: u64) {
        if left > 0 {
            windlass::queue_microtask(move || next(left - 1));
        }
    }
    timed(items, || next(items))
}

pub(crate) fn tick_chain(items: u64) -> Figures {
    fn next(left: u64) {
        if left > 0 {
            windlass::next_tick(move || next(left - 1));
        }
    }
    timed(items, || next(items))
}

/// The same while a recorder runs: what it takes longer is the cost of an event.
pub(crate) fn tick_chain_recorded(items: u64) -> Figures {
    let _recorder = Recorder::start();
    tick_chain(items)
}

/// What a recorder adds to a chain of ticks, for each of its events.
pub(crate) fn recorded_event(items: u64) -> Figures {
    let alone = tick_chain(items);
    let recorder = Recorder::start();
    let recorded = tick_chain(items);
    let recording = recorder.stop();
    let events = recording.events().len() as u64 + recording.dropped();
    let each = |name| (recorded.get(name) - alone.get(name)) * items as f64 / events as f64;
    Figures::new().with("ns", each("ns")).with("cpu", each("cpu"))
}

/// As [`loop_count`], on a loop that has something to ask the system about.
pub(crate) fn loop_count_with_source(items: u64) -> Figures {
    let event_loop = windlass::Loop::new().expect("a loop");
    let listener = event_loop.enter(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.on_connection(|_| ());
        listener.unref();
        listener
    });
    let figures = timed_on(&event_loop, items, || next_iteration(items, Idle::start(|| ())));
    drop(listener);
    figures
}

fn next_iteration(left: u64, idle: Idle) {
    if left == 0 {
        return idle.stop();
    }
    windlass::set_immediate(move || next_iteration(left - 1, idle));
}

/// Iterations with an idle watcher and a chain of immediates.
pub(crate) fn loop_count(items: u64) -> Figures {
    timed(items, || next_iteration(items, Idle::start(|| ())))
}

/// The same while a recorder runs, with two callbacks an iteration.
pub(crate) fn loop_count_recorded(items: u64) -> Figures {
    let _recorder = Recorder::start();
    loop_count(items)
}

pub(crate) fn spawn_task(items: u64) -> Figures {
    let event_loop = windlass::Loop::new().expect("a loop");
    common::measure::measure(items, || {
        event_loop.block_on(async {
            for item in 0..items {
                black_box(windlass::spawn(async move { item }).await.expect("a task"));
            }
        });
    })
}
