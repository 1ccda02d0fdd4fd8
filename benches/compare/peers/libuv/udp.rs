//! Datagrams: sent back, or counted. Several come with a call, which a program has to ask for.

use std::cell::Cell;
use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;

use common::inputs::{COUNT, READ_MAX};
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

/// How many datagrams of the largest size have room: libuv receives no more of them with a call.
const BATCH: usize = 20;

thread_local! {
    static COUNTED: Cell<u64> = const { Cell::new(0) };
    static BUFFER: Cell<*mut u8> = Cell::new(vec![0; READ_MAX * BATCH].leak().as_mut_ptr());
}

fn serve(received: uv::uv_udp_recv_cb) {
    let event_loop = new_loop();
    let socket: *mut uv::uv_udp_t = leaked();
    // SAFETY: the socket stays until the process ends; addresses outlive the calls.
    unsafe {
        let mut address = MaybeUninit::<uv::sockaddr_in>::zeroed();
        uv::uv_ip4_addr(c"127.0.0.1".as_ptr(), 0, address.as_mut_ptr().cast());
        uv::uv_udp_init_ex(event_loop, socket, uv::uv_udp_flags_UV_UDP_RECVMMSG as c_uint);
        assert_eq!(uv::uv_udp_bind(socket, address.as_ptr().cast(), 0), 0);
        let mut bound = MaybeUninit::<libc::sockaddr_in>::zeroed();
        let mut length = size_of::<libc::sockaddr_in>() as c_int;
        assert_eq!(uv::uv_udp_getsockname(socket, bound.as_mut_ptr().cast(), &mut length), 0);
        common::measure::print_port(u16::from_be(bound.assume_init().sin_port));
        assert_eq!(uv::uv_udp_recv_start(socket, Some(allocate), received), 0);
    }
    run(event_loop);
}

unsafe extern "C" fn allocate(_: *mut uv::uv_handle_t, _: usize, buffer: *mut uv::uv_buf_t) {
    // SAFETY: there is room for the answer; the one buffer is free between two batches.
    unsafe { *buffer = uv::uv_buf_t { base: BUFFER.get().cast(), len: READ_MAX * BATCH } };
}

fn send(socket: *mut uv::uv_udp_t, bytes: &[u8], to: *const uv::sockaddr) {
    let buffer = uv::uv_buf_t { base: bytes.as_ptr().cast_mut().cast(), len: bytes.len() };
    // SAFETY: bytes and address outlive the call, which keeps neither.
    let sent = unsafe { uv::uv_udp_try_send(socket, &buffer, 1, to) };
    assert_eq!(sent, bytes.len() as c_int);
}

unsafe extern "C" fn send_back(
    socket: *mut uv::uv_udp_t,
    got: isize,
    buffer: *const uv::uv_buf_t,
    from: *const uv::sockaddr,
    _: c_uint,
) {
    // Without a sender it is the end of a batch.
    if !from.is_null() {
        assert!(got >= 0);
        // SAFETY: so many bytes have been received into the buffer.
        let bytes =
            unsafe { std::slice::from_raw_parts((*buffer).base.cast::<u8>(), got as usize) };
        send(socket, bytes, from);
    }
}

unsafe extern "C" fn count(
    socket: *mut uv::uv_udp_t,
    got: isize,
    buffer: *const uv::uv_buf_t,
    from: *const uv::sockaddr,
    _: c_uint,
) {
    if !from.is_null() {
        assert!(got >= 0);
        // SAFETY: as above.
        let bytes =
            unsafe { std::slice::from_raw_parts((*buffer).base.cast::<u8>(), got as usize) };
        if bytes == COUNT {
            send(socket, &COUNTED.get().to_le_bytes(), from);
        } else {
            COUNTED.set(COUNTED.get() + 1);
        }
    }
}

pub(crate) fn echo() {
    serve(Some(send_back));
}

pub(crate) fn sink() {
    serve(Some(count));
}
