//! Timers. There is no refresh: clearing and arming takes its place.

use std::cell::Cell;
use std::rc::Rc;

use common::inputs::{LIVE_TIMERS, LONG, churned, delays};
use common::measure::measure;
use common::{Figures, Stopwatch, system};
use runite::time::set_timeout;

pub(crate) fn arm(items: u64) -> Figures {
    runite::block_on(async {
        let mut timers = Vec::with_capacity(items as usize);
        measure(items, || {
            timers.extend(delays(items, 100_000).map(|delay| set_timeout(delay, || ())));
        })
    })
}

pub(crate) fn clear(items: u64) -> Figures {
    runite::block_on(async {
        let timers: Vec<_> =
            delays(items, 100_000).map(|delay| set_timeout(delay, || ())).collect();
        measure(items, || timers.iter().for_each(|timer| timer.cancel()))
    })
}

pub(crate) fn fire(items: u64) -> Figures {
    let fired: &'static Cell<u64> = Box::leak(Box::new(Cell::new(0)));
    runite::block_on(async {
        for delay in delays(items, 500) {
            set_timeout(delay, || fired.set(fired.get() + 1));
        }
    });
    let stopwatch = Stopwatch::start();
    runite::run();
    let figures = stopwatch.stop(items);
    assert_eq!(fired.get(), items);
    figures
}

pub(crate) fn churn(items: u64) -> Figures {
    runite::block_on(async {
        let mut timers: Vec<_> = (0..LIVE_TIMERS).map(|_| set_timeout(LONG, || ())).collect();
        measure(items, || {
            for index in 0..items {
                let timer = &mut timers[churned(index)];
                timer.cancel();
                *timer = set_timeout(LONG, || ());
            }
        })
    })
}

pub(crate) fn memory(items: u64) -> Figures {
    runite::block_on(async {
        let shared = Rc::new(0);
        let before = system::resident_own();
        for delay in delays(items, 100_000) {
            let shared = shared.clone();
            set_timeout(delay + LONG, move || drop(shared));
        }
        let bytes = system::resident_own() - before;
        Figures::new().with("bytes", bytes as f64 / items as f64)
    })
}
