//! Iterations.

use std::cell::Cell;

use common::Figures;
use common::measure::measure;
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static IDLE: Cell<*mut uv::uv_idle_t> = const { Cell::new(std::ptr::null_mut()) };
}

/// Iterations with an idle handle; a check handle counts them, in place of the immediates that libuv lacks.
pub(crate) fn loop_count(items: u64) -> Figures {
    unsafe extern "C" fn idle(_: *mut uv::uv_idle_t) {}
    unsafe extern "C" fn check(handle: *mut uv::uv_check_t) {
        LEFT.set(LEFT.get() - 1);
        if LEFT.get() == 0 {
            // SAFETY: both handles live until the process ends.
            unsafe {
                uv::uv_check_stop(handle);
                uv::uv_idle_stop(IDLE.get());
            }
        }
    }
    LEFT.set(items);
    let event_loop = new_loop();
    // SAFETY: as above.
    unsafe {
        IDLE.set(leaked());
        uv::uv_idle_init(event_loop, IDLE.get());
        uv::uv_idle_start(IDLE.get(), Some(idle));
        let counter = leaked();
        uv::uv_check_init(event_loop, counter);
        uv::uv_check_start(counter, Some(check));
    }
    measure(items, || run(event_loop))
}
