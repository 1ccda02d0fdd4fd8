//! Files: looking at one; opening, measuring, reading and closing one.

use std::cell::{Cell, OnceCell};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use common::Figures;
use common::inputs::file_4k;
use common::measure::measure;
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static PATH: OnceCell<CString> = const { OnceCell::new() };
}

fn path() -> *const std::ffi::c_char {
    PATH.with(|path| {
        path.get_or_init(|| CString::new(file_4k().as_os_str().as_bytes()).expect("a path"))
            .as_ptr()
    })
}

fn take() -> bool {
    let left = LEFT.get();
    LEFT.set(left.saturating_sub(1));
    left > 0
}

/// Runs `next` on 64 requests of their own, each of which goes on by itself for as long as there is work.
fn in_flight<T>(items: u64, next: unsafe fn(*mut uv::uv_loop_t, *mut T)) -> Figures {
    let event_loop = new_loop();
    LEFT.set(items);
    // The path is made before time counts.
    path();
    measure(items, || {
        // SAFETY: each request stays until the process ends.
        (0..64).for_each(|_| unsafe { next(event_loop, leaked()) });
        run(event_loop);
    })
}

pub(crate) fn stat(items: u64) -> Figures {
    unsafe fn next(event_loop: *mut uv::uv_loop_t, request: *mut uv::uv_fs_t) {
        if take() {
            // SAFETY: the request is free, and the path stays as long as the thread.
            unsafe { uv::uv_fs_stat(event_loop, request, path(), Some(done)) };
        }
    }
    unsafe extern "C" fn done(request: *mut uv::uv_fs_t) {
        // SAFETY: the request is done.
        unsafe {
            assert_eq!((*request).statbuf.st_size, 4096);
            uv::uv_fs_req_cleanup(request);
            next((*request).loop_, request);
        }
    }
    in_flight(items, next)
}

/// One whole-file read: the request comes first, so that a pointer to it is a pointer to all of it.
#[repr(C)]
struct Read {
    request: uv::uv_fs_t,
    file: uv::uv_file,
    size: usize,
    buffer: uv::uv_buf_t,
}

pub(crate) fn read(items: u64) -> Figures {
    unsafe fn next(event_loop: *mut uv::uv_loop_t, read: *mut Read) {
        if take() {
            // SAFETY: the request is free, and the path stays as long as the thread.
            unsafe { uv::uv_fs_open(event_loop, read.cast(), path(), 0, 0, Some(opened)) };
        }
    }
    unsafe extern "C" fn opened(request: *mut uv::uv_fs_t) {
        let read: *mut Read = request.cast();
        // SAFETY: here and below, each step uses the request after the step before is done with it.
        unsafe {
            assert!((*request).result >= 0);
            (*read).file = (*request).result as uv::uv_file;
            uv::uv_fs_req_cleanup(request);
            uv::uv_fs_fstat((*request).loop_, request, (*read).file, Some(measured));
        }
    }
    unsafe extern "C" fn measured(request: *mut uv::uv_fs_t) {
        let read: *mut Read = request.cast();
        // SAFETY: as above; the buffer is freed in `closed`.
        unsafe {
            (*read).size = (*request).statbuf.st_size as usize;
            uv::uv_fs_req_cleanup(request);
            let base = libc::malloc((*read).size).cast();
            (*read).buffer = uv::uv_buf_t { base, len: (*read).size };
            let buffer = &raw const (*read).buffer;
            uv::uv_fs_read((*request).loop_, request, (*read).file, buffer, 1, 0, Some(filled));
        }
    }
    unsafe extern "C" fn filled(request: *mut uv::uv_fs_t) {
        let read: *mut Read = request.cast();
        // SAFETY: as above.
        unsafe {
            assert_eq!((*request).result, 4096);
            uv::uv_fs_req_cleanup(request);
            uv::uv_fs_close((*request).loop_, request, (*read).file, Some(closed));
        }
    }
    unsafe extern "C" fn closed(request: *mut uv::uv_fs_t) {
        let read: *mut Read = request.cast();
        // SAFETY: as above; the buffer came from `malloc` and goes once.
        unsafe {
            uv::uv_fs_req_cleanup(request);
            libc::free((*read).buffer.base.cast());
            next((*request).loop_, read);
        }
    }
    in_flight(items, next)
}
