//! Timers: arming, clearing, firing, refreshing.

use std::cell::Cell;

use common::inputs::{LIVE_TIMERS, LONG, churned, delays};
use common::measure::measure;
use common::{Figures, Stopwatch};
use windlass::{Loop, RunMode, Timer};

pub(crate) fn arm(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    event_loop.enter(|| {
        measure(items, || {
            for delay in delays(items, 100_000) {
                windlass::set_timeout(delay, || ());
            }
        })
    })
}

pub(crate) fn clear(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    event_loop.enter(|| {
        let timers: Vec<Timer> =
            delays(items, 100_000).map(|delay| windlass::set_timeout(delay, || ())).collect();
        measure(items, || timers.iter().for_each(Timer::clear))
    })
}

/// From when all are armed until all have fired. They wait for real: what counts is the processor time.
pub(crate) fn fire(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    let fired: &Cell<u64> = Box::leak(Box::new(Cell::new(0)));
    event_loop.enter(|| {
        for delay in delays(items, 500) {
            windlass::set_timeout(delay, || fired.set(fired.get() + 1));
        }
    });
    let stopwatch = Stopwatch::start();
    event_loop.turn(RunMode::Default);
    let figures = stopwatch.stop(items);
    assert_eq!(fired.get(), items);
    figures
}

/// Refreshes among many live timers of one delay.
pub(crate) fn churn(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    event_loop.enter(|| {
        let timers: Vec<Timer> =
            (0..LIVE_TIMERS).map(|_| windlass::set_timer(LONG, |_| ())).collect();
        measure(items, || (0..items).for_each(|index| timers[churned(index)].refresh()))
    })
}

/// Clears the oldest of so many live timers of random delays, and arms another one.
pub(crate) fn among(items: u64, live: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    event_loop.enter(|| {
        let arm = |delay| windlass::set_timeout(delay, || ());
        let mut timers: Vec<Timer> = delays(live, 100_000).map(arm).collect();
        let more: Vec<_> = delays(items, 100_000).collect();
        measure(items, || {
            for (index, delay) in more.into_iter().enumerate() {
                let oldest = &mut timers[index % live as usize];
                oldest.clear();
                *oldest = arm(delay);
            }
        })
    })
}
