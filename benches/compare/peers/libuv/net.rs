//! Servers: one buffer for all reads, answers tried at once and queued only for what did not fit.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

use common::inputs::{FAST_BODY, READ_MAX};
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

/// A connection: the handle comes first, so that a pointer to it is a pointer to all of it.
#[repr(C)]
struct Connection {
    handle: uv::uv_tcp_t,
    /// How much of the blank line after a request's head has been seen (HTTP only).
    matched: usize,
}

/// An answer that did not go out at once.
#[repr(C)]
struct Write {
    request: uv::uv_write_t,
    bytes: Vec<u8>,
}

/// Adds to the last buffer what is to be sent for the bytes that came.
type Answer = fn(&mut usize, &[u8], &mut Vec<u8>);

thread_local! {
    static BUFFER: Cell<*mut u8> = Cell::new(vec![0; READ_MAX].leak().as_mut_ptr());
    static OUT: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(READ_MAX));
    /// Without one, bytes go back as they came.
    static ANSWER: Cell<Option<Answer>> = const { Cell::new(None) };
}

fn serve(answer: Option<Answer>) {
    common::system::raise_descriptor_limit();
    ANSWER.set(answer);
    let event_loop = new_loop();
    let listener: *mut uv::uv_tcp_t = leaked();
    // SAFETY: the listener stays until the process ends; addresses outlive the calls.
    unsafe {
        let mut address = MaybeUninit::<uv::sockaddr_in>::zeroed();
        uv::uv_ip4_addr(c"127.0.0.1".as_ptr(), 0, address.as_mut_ptr().cast());
        uv::uv_tcp_init(event_loop, listener);
        assert_eq!(uv::uv_tcp_bind(listener, address.as_ptr().cast(), 0), 0);
        assert_eq!(uv::uv_listen(listener.cast(), 1024, Some(connected)), 0);
        let mut bound = MaybeUninit::<libc::sockaddr_in>::zeroed();
        let mut length = size_of::<libc::sockaddr_in>() as c_int;
        assert_eq!(uv::uv_tcp_getsockname(listener, bound.as_mut_ptr().cast(), &mut length), 0);
        common::measure::print_port(u16::from_be(bound.assume_init().sin_port));
    }
    run(event_loop);
}

unsafe extern "C" fn connected(listener: *mut uv::uv_stream_t, status: c_int) {
    assert_eq!(status, 0);
    let connection: *mut Connection = leaked();
    // SAFETY: the connection stays until `closed` has it.
    unsafe {
        uv::uv_tcp_init((*listener).loop_, connection.cast());
        assert_eq!(uv::uv_accept(listener, connection.cast()), 0);
        uv::uv_tcp_nodelay(connection.cast(), 1);
        uv::uv_read_start(connection.cast(), Some(allocate), Some(read));
    }
}

pub(crate) unsafe extern "C" fn allocate(
    _: *mut uv::uv_handle_t,
    _: usize,
    buffer: *mut uv::uv_buf_t,
) {
    // SAFETY: there is room for the answer; the one buffer is free between two reads.
    unsafe { *buffer = uv::uv_buf_t { base: BUFFER.get().cast(), len: READ_MAX } };
}

unsafe extern "C" fn read(stream: *mut uv::uv_stream_t, got: isize, buffer: *const uv::uv_buf_t) {
    let connection: *mut Connection = stream.cast();
    if got < 0 {
        // SAFETY: libuv calls no read callback after this one.
        unsafe { uv::uv_close(stream.cast(), Some(closed)) };
        return;
    }
    // SAFETY: so many bytes have been read into the buffer.
    let bytes = unsafe { std::slice::from_raw_parts((*buffer).base.cast::<u8>(), got as usize) };
    match ANSWER.get() {
        None => send(stream, bytes),
        Some(answer) => OUT.with_borrow_mut(|out| {
            out.clear();
            // SAFETY: the connection is open.
            answer(unsafe { &mut (*connection).matched }, bytes, out);
            send(stream, out);
        }),
    }
}

pub(crate) fn send(stream: *mut uv::uv_stream_t, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let buffer =
        uv::uv_buf_t { base: bytes.as_ptr().cast::<c_char>().cast_mut(), len: bytes.len() };
    // SAFETY: the bytes outlive the call, which copies nothing it keeps; what is kept, is copied here.
    unsafe {
        let sent = uv::uv_try_write(stream, &buffer, 1).max(0) as usize;
        if sent < bytes.len() {
            let write: *mut Write = leaked();
            (&raw mut (*write).bytes).write(bytes[sent..].to_vec());
            let rest = &(*write).bytes;
            let buffer =
                uv::uv_buf_t { base: rest.as_ptr().cast::<c_char>().cast_mut(), len: rest.len() };
            uv::uv_write(write.cast(), stream, &buffer, 1, Some(written));
        }
    }
}

unsafe extern "C" fn written(request: *mut uv::uv_write_t, _: c_int) {
    // SAFETY: it came from `send`, and is done.
    drop(unsafe { Box::from_raw(request.cast::<Write>()) });
}

unsafe extern "C" fn closed(handle: *mut uv::uv_handle_t) {
    // SAFETY: it came from `connected`, and libuv is done with it.
    drop(unsafe { Box::from_raw(handle.cast::<Connection>()) });
}

pub(crate) fn echo() {
    serve(None);
}

/// Answers the end of each request's head.
pub(crate) fn http() {
    serve(Some(|matched, bytes, out| {
        for &byte in bytes {
            *matched = match (*matched, byte) {
                (0 | 2, b'\r') => *matched + 1,
                (1 | 3, b'\n') => *matched + 1,
                (_, b'\r') => 1,
                _ => 0,
            };
            if *matched == 4 {
                *matched = 0;
                out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n");
                out.extend_from_slice(FAST_BODY.as_bytes());
            }
        }
    }));
}
