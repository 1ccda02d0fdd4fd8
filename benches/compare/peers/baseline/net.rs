//! Servers on epoll itself: one read and one write for each request, one wait for each batch. And a
//! copy from pipe
//! to pipe that blocks.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use common::inputs::{FAST_BODY, READ_MAX};

/// Is given what was read, and adds what to send.
type Answer = fn(&[u8], &mut Vec<u8>);

/// Serves connections over TCP.
fn serve_tcp(answer: Option<Answer>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    common::measure::print_port(listener.local_addr().expect("an address").port());
    listener.set_nonblocking(true).expect("an option");
    serve(listener.as_raw_fd(), answer, || {
        let (connection, _) = listener.accept().ok()?;
        connection.set_nodelay(true).expect("an option");
        Some(connection.into())
    });
}

/// Serves connections until it is killed. Without an answer, bytes go back as they came.
fn serve(listener: RawFd, answer: Option<Answer>, accept: impl Fn() -> Option<OwnedFd>) {
    common::system::raise_descriptor_limit();
    let (mut buffer, mut out) = (vec![0; READ_MAX], Vec::with_capacity(READ_MAX));
    // SAFETY: all buffers outlive the calls, with the lengths given; the descriptors are our own.
    unsafe {
        let poller = libc::epoll_create1(0);
        let watch = |socket: i32| {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: socket as u64 };
            libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, socket, &mut event);
        };
        watch(listener);
        let mut events: [libc::epoll_event; 1024] = std::mem::zeroed();
        loop {
            let ready = libc::epoll_wait(poller, events.as_mut_ptr(), 1024, -1);
            for event in &events[..ready.max(0) as usize] {
                let socket = event.u64 as i32;
                if socket == listener {
                    while let Some(connection) = accept() {
                        common::system::set_nonblocking(&connection).expect("an option");
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
    serve_tcp(None);
}

pub(crate) fn unix_echo() {
    let path = common::inputs::socket_path();
    let listener = UnixListener::bind(&path).expect("a listener");
    common::measure::print_address(path.display());
    listener.set_nonblocking(true).expect("an option");
    serve(listener.as_raw_fd(), None, || Some(listener.accept().ok()?.0.into()));
}

pub(crate) fn pipe() {
    // Below the buffer of std's own standard streams.
    let (mut input, mut output) = (file(&std::io::stdin()), file(&std::io::stdout()));
    let mut buffer = vec![0; READ_MAX];
    while let Ok(got @ 1..) = input.read(&mut buffer) {
        if output.write_all(&buffer[..got]).is_err() {
            break;
        }
    }
}

fn file(stream: &impl AsFd) -> File {
    stream.as_fd().try_clone_to_owned().expect("a descriptor").into()
}

/// Answers each end of a request's head; does not even look at the path.
pub(crate) fn http() {
    serve_tcp(Some(|chunk, out| {
        let mut rest = chunk;
        while let Some(at) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n");
            out.extend_from_slice(FAST_BODY.as_bytes());
            rest = &rest[at + 4..];
        }
    }));
}
