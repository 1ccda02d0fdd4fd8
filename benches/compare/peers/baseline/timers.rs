//! Timers as lists in a flat table, one for each delay, of slots in one array. Arming reads the clock, as a
//! delay counts from the moment of the call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::inputs::{LIVE_TIMERS, LONG, churned, delays_ms};
use common::measure::measure;
use common::{Figures, Stopwatch};

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Timer {
    next: u32,
    previous: u32,
    delay: u32,
    armed: Instant,
    call: fn(&mut u64),
}

/// First and last of each list; `NONE` when it is empty.
struct Timers {
    slots: Vec<Timer>,
    lists: Vec<(u32, u32)>,
}

impl Timers {
    fn new(delay_max: usize) -> Timers {
        Timers { slots: Vec::new(), lists: vec![(NONE, NONE); delay_max + 1] }
    }

    fn arm(&mut self, delay: u32) {
        let index = self.slots.len() as u32;
        let (first, last) = &mut self.lists[delay as usize];
        let call = |count: &mut u64| *count += 1;
        let previous = *last;
        self.slots.push(Timer { next: NONE, previous, delay, armed: Instant::now(), call });
        match previous {
            NONE => *first = index,
            previous => self.slots[previous as usize].next = index,
        }
        *last = index;
    }

    fn clear(&mut self, index: u32) {
        let Timer { next, previous, delay, .. } = self.slots[index as usize];
        let (first, last) = &mut self.lists[delay as usize];
        match next {
            NONE => *last = previous,
            next => self.slots[next as usize].previous = previous,
        }
        match previous {
            NONE => *first = next,
            previous => self.slots[previous as usize].next = next,
        }
    }

    /// Calls what is due in the list of one delay.
    fn fire(&mut self, delay: u32, now: Instant, count: &mut u64) {
        let mut index = self.lists[delay as usize].0;
        while index != NONE {
            let timer = self.slots[index as usize];
            if now < timer.armed + Duration::from_millis(u64::from(delay)) {
                return;
            }
            self.clear(index);
            (timer.call)(count);
            index = timer.next;
        }
    }
}

pub(crate) fn arm(items: u64) -> Figures {
    let mut timers = Timers::new(100_000);
    measure(items, || delays_ms(items, 100_000).for_each(|delay| timers.arm(delay as u32)))
}

pub(crate) fn clear(items: u64) -> Figures {
    let mut timers = Timers::new(100_000);
    delays_ms(items, 100_000).for_each(|delay| timers.arm(delay as u32));
    measure(items, || (0..items).for_each(|index| timers.clear(index as u32)))
}

pub(crate) fn fire(items: u64) -> Figures {
    let (mut timers, mut count) = (Timers::new(500), 0);
    delays_ms(items, 500).for_each(|delay| timers.arm(delay as u32));
    let stopwatch = Stopwatch::start();
    while count < items {
        std::thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        (1..=500).for_each(|delay| timers.fire(delay, now, &mut count));
    }
    stopwatch.stop(items)
}

/// A refresh stores the cached time and moves nothing: the list is put right when it comes up.
pub(crate) fn churn(items: u64) -> Figures {
    let now = Instant::now();
    let mut expiries = vec![now; LIVE_TIMERS];
    measure(items, || {
        for index in 0..items {
            expiries[churned(index)] = black_box(now) + LONG;
        }
        black_box(&expiries);
    })
}
