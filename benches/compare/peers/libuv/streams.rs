//! Unix sockets, which libuv calls pipes, and the standard streams.

use std::cell::Cell;
use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt;

use libuv_sys2 as uv;

use crate::net::{allocate, send};
use crate::{leaked, new_loop, run};

thread_local! {
    static OUTPUT: Cell<*mut uv::uv_stream_t> = const { Cell::new(std::ptr::null_mut()) };
    static INPUT: Cell<*mut uv::uv_stream_t> = const { Cell::new(std::ptr::null_mut()) };
}

pub(crate) fn unix_echo() {
    let event_loop = new_loop();
    let listener: *mut uv::uv_pipe_t = leaked();
    let path = common::inputs::socket_path();
    let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the listener stays until the process ends; the name outlives the call.
    unsafe {
        uv::uv_pipe_init(event_loop, listener, 0);
        assert_eq!(uv::uv_pipe_bind(listener, name.as_ptr()), 0);
        assert_eq!(uv::uv_listen(listener.cast(), 1024, Some(connected)), 0);
    }
    common::measure::print_address(path.display());
    run(event_loop);
}

unsafe extern "C" fn connected(listener: *mut uv::uv_stream_t, status: c_int) {
    assert_eq!(status, 0);
    let connection: *mut uv::uv_pipe_t = leaked();
    // SAFETY: the connection stays until `closed` has it.
    unsafe {
        uv::uv_pipe_init((*listener).loop_, connection, 0);
        assert_eq!(uv::uv_accept(listener, connection.cast()), 0);
        uv::uv_read_start(connection.cast(), Some(allocate), Some(read));
    }
}

unsafe extern "C" fn read(stream: *mut uv::uv_stream_t, got: isize, buffer: *const uv::uv_buf_t) {
    if got < 0 {
        // SAFETY: libuv calls no read callback after this one.
        unsafe { uv::uv_close(stream.cast(), Some(closed)) };
        return;
    }
    // SAFETY: so many bytes have been read into the buffer.
    send(stream, unsafe { std::slice::from_raw_parts((*buffer).base.cast(), got as usize) });
}

unsafe extern "C" fn closed(handle: *mut uv::uv_handle_t) {
    // SAFETY: it came from `connected`, and libuv is done with it.
    drop(unsafe { Box::from_raw(handle.cast::<uv::uv_pipe_t>()) });
}

/// The standard input to the standard output: what is not written at once stops the reading until
/// it is.
pub(crate) fn copy() {
    let event_loop = new_loop();
    // SAFETY: both handles stay until the process ends.
    unsafe {
        let open = |descriptor| {
            let stream: *mut uv::uv_pipe_t = leaked();
            uv::uv_pipe_init(event_loop, stream, 0);
            assert_eq!(uv::uv_pipe_open(stream, descriptor), 0);
            stream.cast::<uv::uv_stream_t>()
        };
        INPUT.set(open(0));
        OUTPUT.set(open(1));
        uv::uv_read_start(INPUT.get(), Some(allocate), Some(copy_chunk));
    }
    run(event_loop);
}

/// What did not go out at once.
#[repr(C)]
struct Rest {
    request: uv::uv_write_t,
    bytes: Vec<u8>,
}

unsafe extern "C" fn copy_chunk(
    input: *mut uv::uv_stream_t,
    got: isize,
    buffer: *const uv::uv_buf_t,
) {
    // SAFETY: so many bytes have been read into the buffer; what is kept is copied into a request
    // of its own,
    // which stays until `copied`.
    unsafe {
        if got < 0 {
            return uv::uv_close(input.cast(), None);
        }
        let chunk = uv::uv_buf_t { base: (*buffer).base, len: got as usize };
        let sent = uv::uv_try_write(OUTPUT.get(), &chunk, 1).max(0) as usize;
        if sent < chunk.len {
            uv::uv_read_stop(input);
            let rest =
                std::slice::from_raw_parts(chunk.base.add(sent).cast::<u8>(), chunk.len - sent);
            let rest =
                Box::into_raw(Box::new(Rest { request: std::mem::zeroed(), bytes: rest.to_vec() }));
            let (base, len) = ((*rest).bytes.as_mut_ptr().cast(), (*rest).bytes.len());
            let buffer = uv::uv_buf_t { base, len };
            uv::uv_write(rest.cast(), OUTPUT.get(), &buffer, 1, Some(copied));
        }
    }
}

unsafe extern "C" fn copied(request: *mut uv::uv_write_t, status: c_int) {
    // SAFETY: it came from `copy_chunk`, and is done.
    unsafe {
        drop(Box::from_raw(request.cast::<Rest>()));
        if status == 0 {
            uv::uv_read_start(INPUT.get(), Some(allocate), Some(copy_chunk));
        }
    }
}
