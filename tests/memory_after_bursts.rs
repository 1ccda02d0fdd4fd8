//! What a burst leaves in memory: nothing, once it is over; and what a load that stays costs the allocator.
//! A test binary of its own, for it counts all that is allocated.

mod common;

use std::cell::Cell;
use std::collections::LinkedList;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::handle::{Check, Notifier};
use windlass::worker::channel;
use windlass::{
    Loop, next_tick, queue_microtask, queue_work, set_immediate, set_interval, set_timeout,
    set_timer, spawn,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new(100_000);

const BURST: usize = 100_000;

/// What may be left of a burst: a few bytes for each callback.
const LEFT_MAX: isize = 500_000;

/// Does something big on the current loop, in one iteration.
type Burst = fn();

const BURSTS: [(&str, Burst); 8] = [
    ("ticks", || (0..BURST).for_each(|_| next_tick(|| ()))),
    ("microtasks", || (0..BURST).for_each(|_| queue_microtask(|| ()))),
    ("immediates", || (0..BURST).for_each(|_| _ = set_immediate(|| ()))),
    ("timers", || (0..BURST).for_each(|_| _ = set_timeout(Duration::from_millis(1), || ()))),
    ("timers of as many delays", || {
        let timers: Vec<_> = (0..BURST).map(|n| set_timeout(long_delay(n), || ())).collect();
        timers.into_iter().for_each(|timer| timer.clear());
    }),
    ("unreferenced timers of as many delays, one at a time", || {
        (0..BURST).for_each(|n| set_timeout(long_delay(n), || ()).unref().clear());
    }),
    ("posts", || {
        let remote = Loop::current().remote();
        (0..BURST).for_each(|_| remote.post(|| ()).expect("the loop is there"));
    }),
    ("tasks", || (0..BURST).for_each(|_| drop(spawn(async {})))),
];

/// Bursts of what stands in the table of handles.
const OF_HANDLES: [(&str, Burst); 3] = [
    ("requests", || (0..BURST).for_each(|_| drop(queue_work(|| ())))),
    ("notifiers", || {
        let all: LinkedList<_> = (0..BURST).map(|_| Notifier::new(|| ())).collect();
        all.iter().for_each(Notifier::notify);
        set_immediate(|| drop(all));
    }),
    ("watchers", || {
        let all: LinkedList<_> = (0..BURST).map(|_| Check::start(|| ())).collect();
        all.iter().for_each(Check::stop);
    }),
];

/// Bursts of what waits for the pending phase, and for the close phase.
const OF_PHASES: [(&str, Burst); 2] = [
    ("completions", || (0..BURST).for_each(|_| queue_work(|| ()).cancel().unwrap())),
    ("closed ports", || (0..BURST).for_each(|_| channel::<(), ()>().0.open().close())),
];

/// Longer than the delays that share their lists' memory.
fn long_delay(number: usize) -> Duration {
    Duration::from_secs(3600) + Duration::from_millis(number as u64)
}

#[test]
fn a_loop_gives_back_what_a_burst_took_before_it_sleeps_for_long() {
    let _guard = alone();
    for (what, burst) in BURSTS.into_iter().chain(OF_HANDLES).chain(OF_PHASES) {
        let left = Rc::new(Cell::new(isize::MAX));
        let seen = left.clone();
        virtual_loop().run(|| {
            let before = ALLOCATOR.bytes() as isize;
            burst();
            // Armed after them, it has the last place.
            set_timeout(Duration::from_millis(300), move || {
                seen.set(ALLOCATOR.bytes() as isize - before)
            });
        });
        assert!(left.get() < LEFT_MAX, "{what}: {} bytes are left", left.get());
    }
}

#[test]
fn a_loop_that_never_sleeps_gives_back_what_a_burst_took() {
    let _guard = alone();
    for (what, burst) in BURSTS.into_iter().chain(OF_HANDLES).chain(OF_PHASES) {
        let left = Rc::new(Cell::new(isize::MAX));
        let seen = left.clone();
        virtual_loop().run(|| {
            let before = ALLOCATOR.bytes() as isize;
            burst();
            // In virtual time the short timers fire when nothing is ready.
            set_timeout(Duration::from_millis(2), move || {
                after_iterations(1500, move || seen.set(ALLOCATOR.bytes() as isize - before));
            });
        });
        assert!(left.get() < LEFT_MAX, "{what}: {} bytes are left", left.get());
    }
}

#[test]
fn a_load_that_stays_allocates_nothing_large_once_it_has_begun() {
    let _guard = alone();
    for (what, burst) in BURSTS.into_iter().filter(|(what, _)| !what.contains("delays")) {
        let rounds = Rc::new(Cell::new(0));
        let (count, large) = (rounds.clone(), Rc::new(Cell::new(0)));
        let now = large.clone();
        virtual_loop().run(|| {
            set_interval(Duration::from_millis(1), move |timer| {
                count.set(count.get() + 1);
                match count.get() {
                    8 => now.set(ALLOCATOR.large()),
                    24 => {
                        now.set(ALLOCATOR.large() - now.get());
                        return timer.clear();
                    }
                    _ => {}
                }
                burst();
            });
        });
        assert_eq!((rounds.get(), large.get()), (24, 0), "{what}");
    }
}

#[test]
fn timers_that_outlive_a_burst_stay_what_they_are_when_the_table_becomes_shorter() {
    let _guard = alone();
    let fired = Rc::new(Cell::new(0));
    virtual_loop().run(|| {
        let mut kept = Vec::new();
        for number in 0..BURST {
            let timer = set_timeout(Duration::from_millis(1), || ());
            if number % (BURST / 100) == 0 {
                let count = fired.clone();
                let delay = Duration::from_millis(400 + number as u64 % 7);
                kept.push(set_timeout(delay, move || count.set(count.get() + 1)));
                let count = fired.clone();
                kept.push(set_timer(Duration::from_millis(2), move |_| count.set(count.get() + 1)));
            }
            assert!(timer.is_active());
        }
        let (own, interval) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
        let (inner, runs) = (own.clone(), interval.clone());
        own.set(Some(set_interval(Duration::from_millis(150), move |timer| {
            assert_eq!(Some(timer), inner.get(), "it is known by its first name");
            runs.set(runs.get() + 1);
            if runs.get() == 4 {
                timer.clear();
                assert!(!timer.is_active());
            }
        })));
        let before = ALLOCATOR.bytes() as isize;
        let count = fired.clone();
        // By then the loop has slept, and given the places of the burst back.
        set_timeout(Duration::from_millis(200), move || {
            assert!(
                before - ALLOCATOR.bytes() as isize > 4_000_000,
                "the table has become shorter"
            );
            assert_eq!(count.get(), 100, "the timers of 2 ms");
            for pair in kept.chunks(2) {
                assert!(pair[0].is_active() && pair[0].has_ref() && !pair[1].is_active());
                pair[1].refresh();
                assert!(pair[1].is_active());
            }
            for pair in kept.chunks(2).skip(50) {
                pair.iter().for_each(|timer| timer.clear());
                assert!(!pair[0].is_active() && !pair[0].has_ref());
            }
        });
    });
    assert_eq!(fired.get(), 100 + 50 + 50);
}
