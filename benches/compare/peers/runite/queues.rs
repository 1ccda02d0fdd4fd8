//! Microtasks, macrotasks, tasks.

use std::cell::Cell;
use std::hint::black_box;

use common::Figures;

use crate::{timed, timed_async};

const BATCH: u64 = 1000;

pub(crate) fn microtask_batch(items: u64) -> Figures {
    fn batch(left: u64, count: &'static Cell<u64>) {
        for _ in 0..BATCH {
            runite::queue_microtask(|| count.set(count.get() + 1));
        }
        if left > 1 {
            runite::queue_macrotask(move || batch(left - 1, count));
        }
    }
    let (batches, count) = (items.div_ceil(BATCH), Box::leak(Box::new(Cell::new(0))));
    let count: &'static Cell<u64> = count;
    let figures = timed(batches * BATCH, move || batch(batches, count));
    assert_eq!(count.get(), batches * BATCH);
    figures
}

pub(crate) fn microtask_chain(items: u64) -> Figures {
    fn next(left: u64) {
        if left > 0 {
            runite::queue_microtask(move || next(left - 1));
        }
    }
    timed(items, move || next(items))
}

/// A chain of macrotasks: the loop looks at its driver between them.
pub(crate) fn loop_count(items: u64) -> Figures {
    fn next(left: u64) {
        if left > 0 {
            runite::queue_macrotask(move || next(left - 1));
        }
    }
    timed(items, move || next(items))
}

pub(crate) fn spawn_task(items: u64) -> Figures {
    timed_async(items, async {
        for item in 0..items {
            black_box(runite::spawn(async move { item }).await.expect("a task"));
        }
    })
}
