//! Child processes.

use std::cell::Cell;
use std::ffi::{c_char, c_int};

use common::Figures;
use common::measure::measure;
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// One after the other.
pub(crate) fn spawn(items: u64) -> Figures {
    fn next(event_loop: *mut uv::uv_loop_t) {
        if LEFT.get() == 0 {
            return;
        }
        LEFT.set(LEFT.get() - 1);
        let mut arguments = [c"/bin/true".as_ptr().cast_mut(), std::ptr::null_mut::<c_char>()];
        // SAFETY: the options outlive the call, which copies what it keeps; the handle stays until
        // `closed`.
        unsafe {
            let mut options: uv::uv_process_options_t = std::mem::zeroed();
            options.file = arguments[0];
            options.args = arguments.as_mut_ptr();
            options.exit_cb = Some(exited);
            let child: *mut uv::uv_process_t = leaked();
            assert_eq!(uv::uv_spawn(event_loop, child, &options), 0);
        }
    }
    unsafe extern "C" fn exited(child: *mut uv::uv_process_t, status: i64, _: c_int) {
        assert_eq!(status, 0);
        // SAFETY: the child is closed once; the loop goes on.
        unsafe {
            let event_loop = (*child).loop_;
            uv::uv_close(child.cast(), Some(closed));
            next(event_loop);
        }
    }
    unsafe extern "C" fn closed(handle: *mut uv::uv_handle_t) {
        // SAFETY: it came from `leaked`, and libuv is done with it.
        drop(unsafe { Box::from_raw(handle.cast::<uv::uv_process_t>()) });
    }
    LEFT.set(items);
    let event_loop = new_loop();
    measure(items, || {
        next(event_loop);
        run(event_loop);
    })
}
