//! Sleeps. One is armed by its first poll; dropping it clears it; one that calls back is a task.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::inputs::{LIVE_TIMERS, LONG, churned, delays};
use common::measure::measure;
use common::{Figures, system};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, Sleep, sleep};

use crate::queues::measure_async;
use crate::runtime;

fn armed(delay: Duration) -> Pin<Box<Sleep>> {
    let mut timer = Box::pin(sleep(delay));
    let polled = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    timer
}

pub(crate) fn arm(items: u64) -> Figures {
    runtime().block_on(async {
        let mut timers = Vec::with_capacity(items as usize);
        measure(items, || timers.extend(delays(items, 100_000).map(armed)))
    })
}

pub(crate) fn clear(items: u64) -> Figures {
    runtime().block_on(async {
        let timers: Vec<_> = delays(items, 100_000).map(armed).collect();
        measure(items, || drop(timers))
    })
}

/// A task for each, from when all have been armed until all have run.
pub(crate) fn fire(items: u64) -> Figures {
    let fired: &'static Cell<u64> = Box::leak(Box::new(Cell::new(0)));
    let runtime = runtime();
    let tasks = LocalSet::new();
    let figures = tasks.block_on(&runtime, async {
        for delay in delays(items, 500) {
            spawn_local(async move {
                sleep(delay).await;
                fired.set(fired.get() + 1);
            });
        }
        // Each is polled once, which arms it.
        tokio::task::yield_now().await;
        measure_async(items, async {
            while fired.get() < items {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    });
    assert_eq!(fired.get(), items);
    figures
}

pub(crate) fn churn(items: u64) -> Figures {
    runtime().block_on(async {
        let mut timers: Vec<_> = (0..LIVE_TIMERS).map(|_| armed(LONG)).collect();
        measure(items, || {
            for index in 0..items {
                timers[churned(index)].as_mut().reset(Instant::now() + LONG);
            }
        })
    })
}

/// The sleeps alone, as part of a future that is there anyway. (A task for each would be more.)
pub(crate) fn memory(items: u64) -> Figures {
    runtime().block_on(async {
        let shared = Rc::new(0);
        let before = system::resident_own();
        let timers: Vec<_> =
            delays(items, 100_000).map(|delay| (armed(delay + LONG), shared.clone())).collect();
        let bytes = system::resident_own() - before;
        drop(timers);
        Figures::new().with("bytes", bytes as f64 / items as f64)
    })
}
