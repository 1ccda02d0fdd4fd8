//! Servers on epoll itself: one read and one write for each request, one wait for each batch.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd};

use common::inputs::{FAST_BODY, READ_MAX};

/// Is given what was read, and adds what to send.
type Answer = fn(&[u8], &mut Vec<u8>);

/// Serves connections until it is killed. Without an answer, bytes go back as they came.
fn serve(answer: Option<Answer>) {
    common::system::raise_descriptor_limit();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    common::measure::print_port(listener.local_addr().expect("an address").port());
    listener.set_nonblocking(true).expect("an option");
    let (mut buffer, mut out) = (vec![0; READ_MAX], Vec::with_capacity(READ_MAX));
    // SAFETY: all buffers outlive the calls, with the lengths given; the descriptors are our own.
    unsafe {
        let poller = libc::epoll_create1(0);
        let watch = |socket: i32| {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: socket as u64 };
            libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, socket, &mut event);
        };
        watch(listener.as_raw_fd());
        let mut events: [libc::epoll_event; 1024] = std::mem::zeroed();
        loop {
            let ready = libc::epoll_wait(poller, events.as_mut_ptr(), 1024, -1);
            for event in &events[..ready.max(0) as usize] {
                let socket = event.u64 as i32;
                if socket == listener.as_raw_fd() {
                    while let Ok((connection, _)) = listener.accept() {
                        connection.set_nodelay(true).expect("an option");
                        connection.set_nonblocking(true).expect("an option");
                        watch(connection.into_raw_fd());
                    }
                    continue;
                }
                let got = libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), 0);
                if got <= 0 {
                    libc::close(socket);
                    continue;
                }
                let got = &buffer[..got as usize];
                let mut rest = match answer {
                    None => got,
                    Some(answer) => {
                        out.clear();
                        answer(got, &mut out);
                        &out[..]
                    }
                };
                while !rest.is_empty() {
                    let sent =
                        libc::send(socket, rest.as_ptr().cast(), rest.len(), libc::MSG_NOSIGNAL);
                    if sent < 0 && *libc::__errno_location() != libc::EAGAIN {
                        break;
                    }
                    rest = &rest[sent.max(0) as usize..];
                }
            }
        }
    }
}

pub(crate) fn echo() {
    serve(None);
}

/// Answers each end of a request's head; does not even look at the path.
pub(crate) fn http() {
    serve(Some(|chunk, out| {
        let mut rest = chunk;
        while let Some(at) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n");
            out.extend_from_slice(FAST_BODY.as_bytes());
            rest = &rest[at + 4..];
        }
    }));
}
