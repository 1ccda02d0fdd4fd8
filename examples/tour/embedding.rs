//! How does a loop live inside another one, here around poll(2)?
//!
//! The outer loop sleeps on the inner one's descriptor, no longer than the inner one would sleep,
//! and then lets it do one iteration that does not wait.
//!
//! ```text
//! $ cargo run --example embedding
//! outer: asks
//! inner: answers in a millisecond
//! outer: has an answer of 1 byte, and hangs up
//! inner: the end
//! ```

#![allow(unsafe_code)] // To call poll(2).

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use windlass::{Loop, RunMode, net, set_timeout};

fn main() -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    let inner = Loop::new()?;
    inner.enter(|| net::UnixStream::from_std(theirs).map(|stream| stream.read_start(answer)))?;
    println!("outer: asks");
    (&ours).write_all(b"?")?;
    while inner.turn(RunMode::NoWait) {
        let wait = inner.poll_timeout().map_or(-1, |wait| wait.as_micros().div_ceil(1000) as i32);
        let watch = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut watched = [watch(inner.as_raw_fd()), watch(ours.as_raw_fd())];
        // SAFETY: the array is alive, and has two entries.
        if unsafe { libc::poll(watched.as_mut_ptr(), 2, wait) } > 0 && watched[1].revents != 0 {
            println!("outer: has an answer of {} byte, and hangs up", (&ours).read(&mut [0; 8])?);
            ours.shutdown(std::net::Shutdown::Both)?;
        }
    }
    Ok(())
}

fn answer(stream: &net::UnixStream, bytes: io::Result<&[u8]>) {
    if bytes.is_ok_and(|bytes| !bytes.is_empty()) {
        println!("inner: answers in a millisecond");
        let stream = stream.clone();
        set_timeout(Duration::from_millis(1), move || drop(stream.write(b"!")));
    } else {
        println!("inner: the end");
    }
}
