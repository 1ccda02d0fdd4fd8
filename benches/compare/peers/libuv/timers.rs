//! Timers: the handles lie in one array, as in libuv's own benchmark. It is not touched before time counts,
//! for everybody else gets the memory of a timer while arming it, too.

use std::cell::Cell;
use std::mem::MaybeUninit;

use common::inputs::{LIVE_TIMERS, LONG, churned, delays_ms};
use common::measure::measure;
use common::{Figures, Stopwatch, system};
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

thread_local! {
    static FIRED: Cell<u64> = const { Cell::new(0) };
}

unsafe extern "C" fn fired(_: *mut uv::uv_timer_t) {
    FIRED.set(FIRED.get() + 1);
}

/// Room for so many timers, until the process ends.
fn room(count: u64) -> &'static mut [MaybeUninit<uv::uv_timer_t>] {
    let mut timers = Vec::with_capacity(count as usize);
    // SAFETY: there is room for so many, and what they hold need not be anything yet.
    unsafe { timers.set_len(count as usize) };
    timers.leak()
}

fn arm_all(event_loop: *mut uv::uv_loop_t, timers: &mut [MaybeUninit<uv::uv_timer_t>], range: u64) {
    let delays = delays_ms(timers.len() as u64, range);
    for (timer, delay) in timers.iter_mut().zip(delays) {
        // SAFETY: the timer's room stays until the process ends.
        unsafe {
            uv::uv_timer_init(event_loop, timer.as_mut_ptr());
            uv::uv_timer_start(timer.as_mut_ptr(), Some(fired), delay, 0);
        }
    }
}

pub(crate) fn arm(items: u64) -> Figures {
    let (event_loop, timers) = (new_loop(), room(items));
    measure(items, || arm_all(event_loop, timers, 100_000))
}

pub(crate) fn clear(items: u64) -> Figures {
    let (event_loop, timers) = (new_loop(), room(items));
    arm_all(event_loop, timers, 100_000);
    measure(items, || {
        for timer in timers {
            // SAFETY: it has been initialised.
            unsafe { uv::uv_timer_stop(timer.as_mut_ptr()) };
        }
    })
}

pub(crate) fn fire(items: u64) -> Figures {
    let (event_loop, timers) = (new_loop(), room(items));
    arm_all(event_loop, timers, 500);
    let stopwatch = Stopwatch::start();
    run(event_loop);
    let figures = stopwatch.stop(items);
    assert_eq!(FIRED.get(), items);
    figures
}

pub(crate) fn churn(items: u64) -> Figures {
    let (event_loop, timers) = (new_loop(), room(LIVE_TIMERS as u64));
    let long = LONG.as_millis() as u64;
    for timer in &mut *timers {
        // SAFETY: the timer's room stays until the process ends.
        unsafe {
            uv::uv_timer_init(event_loop, timer.as_mut_ptr());
            uv::uv_timer_start(timer.as_mut_ptr(), Some(fired), long, long);
        }
    }
    measure(items, || {
        for index in 0..items {
            // SAFETY: all have been initialised.
            unsafe { uv::uv_timer_again(timers[churned(index)].as_mut_ptr()) };
        }
    })
}

/// Each allocated by itself, with one pointer of the program's own.
pub(crate) fn memory(items: u64) -> Figures {
    let event_loop = new_loop();
    let before = system::resident_own();
    for delay in delays_ms(items, 100_000) {
        let timer = leaked();
        // SAFETY: the timer's room stays until the process ends.
        unsafe {
            uv::uv_timer_init(event_loop, timer);
            uv::uv_timer_start(timer, Some(fired), delay + LONG.as_millis() as u64, 0);
        }
    }
    let bytes = system::resident_own() - before;
    Figures::new().with("bytes", bytes as f64 / items as f64)
}
