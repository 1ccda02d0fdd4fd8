//! The kinds of streams: how a pair of each is made, of which one is written and the other read.
//!
//! The standard output is none of them: its end is that of the process. Its promises are in
//! `tests/stdio.rs`.
#![allow(unsafe_code)] // A standard stream of this process is what is put in its place.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnix;

use super::common::Pty;
use windlass::net::{TcpListener, TcpStream, UnixStream};
use windlass::process::{Command, Stdio};
use windlass::stream::{Readable, Writable};
use windlass::tty::Tty;
use windlass::{pipe, stdio};

/// What all handles have and the two traits have not.
pub(super) trait Handle {
    fn on_close(&self, f: impl FnOnce() + 'static);
    fn unref(&self);
    fn is_closing(&self) -> bool;
}

macro_rules! handles {
    ($($type:ty)+) => {$(
        impl Handle for $type {
            fn on_close(&self, f: impl FnOnce() + 'static) {
                self.on_close(f);
            }

            fn unref(&self) {
                self.unref();
            }

            fn is_closing(&self) -> bool {
                self.is_closing()
            }
        }
    )+};
}

handles! { TcpStream UnixStream pipe::Reader pipe::Writer Tty stdio::Stdin }

/// A kind of stream.
pub(super) trait Kind: 'static {
    type Writer: Writable + Handle;
    type Reader: Readable + Handle;

    /// Two streams of the current loop: what is written to one can be read from the other.
    async fn pair() -> io::Result<(Self::Writer, Self::Reader)>;

    /// What has to follow a shutdown, for the other side to see an end.
    fn after_shutdown(_writer: &Self::Writer) {}
}

/// Sends the end of a stream behind its writes.
pub(super) fn end<K: Kind>(writer: &K::Writer) {
    let own = writer.clone();
    writer.shutdown().on_complete(move |_| K::after_shutdown(&own));
}

pub(super) struct Tcp;

impl Kind for Tcp {
    type Writer = TcpStream;
    type Reader = TcpStream;

    async fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?);
        let reader = listener.accept().await?;
        Ok((client.await?, reader))
    }
}

pub(super) struct Unix;

impl Kind for Unix {
    type Writer = UnixStream;
    type Reader = UnixStream;

    async fn pair() -> io::Result<(UnixStream, UnixStream)> {
        UnixStream::pair()
    }
}

pub(super) struct Pipe;

impl Kind for Pipe {
    type Writer = pipe::Writer;
    type Reader = pipe::Reader;

    async fn pair() -> io::Result<(pipe::Writer, pipe::Reader)> {
        pipe::pipe()
    }
}

/// Pipes that come from elsewhere, and are opened anew.
pub(super) struct Adopted;

impl Kind for Adopted {
    type Writer = pipe::Writer;
    type Reader = pipe::Reader;

    async fn pair() -> io::Result<(pipe::Writer, pipe::Reader)> {
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Reader::from_fd(reader.into())?;
        Ok((pipe::Writer::from_fd(writer.into())?, reader))
    }
}

/// What a program writes to its terminal, which changes none of it, and who shows that.
pub(super) struct Terminal;

impl Kind for Terminal {
    type Writer = Tty;
    type Reader = Tty;

    async fn pair() -> io::Result<(Tty, Tty)> {
        let pty = Pty::open();
        pty.make_raw();
        let shown = Tty::open(pty.master())?;
        Ok((Tty::open(pty.slave())?, shown))
    }

    /// A terminal goes both ways, and has no end but its close.
    fn after_shutdown(writer: &Tty) {
        writer.close();
    }
}

/// The ends of a child that hands on what it reads.
pub(super) struct Child;

impl Kind for Child {
    type Writer = pipe::Writer;
    type Reader = pipe::Reader;

    async fn pair() -> io::Result<(pipe::Writer, pipe::Reader)> {
        let mut cat = Command::new("cat");
        let cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        cat.unref();
        Ok((cat.take_stdin().expect("a pipe"), cat.take_stdout().expect("a pipe")))
    }
}

/// Puts something in the place of a standard stream of this process, which runs one test only.
fn replace(fd: i32, by: OwnedFd) {
    // SAFETY: nothing here owns the descriptors 0 to 2.
    assert_eq!(unsafe { libc::dup2(by.as_raw_fd(), fd) }, fd);
}

/// A standard input that is a pipe.
pub(super) struct StdinPipe;

impl Kind for StdinPipe {
    type Writer = pipe::Writer;
    type Reader = stdio::Stdin;

    async fn pair() -> io::Result<(pipe::Writer, stdio::Stdin)> {
        let (reader, writer) = io::pipe()?;
        replace(0, reader.into());
        Ok((pipe::Writer::from_fd(writer.into())?, stdio::stdin()))
    }
}

/// A standard input that is a socket.
pub(super) struct StdinSocket;

impl Kind for StdinSocket {
    type Writer = UnixStream;
    type Reader = stdio::Stdin;

    async fn pair() -> io::Result<(UnixStream, stdio::Stdin)> {
        let (reader, writer) = StdUnix::pair()?;
        replace(0, reader.into());
        Ok((UnixStream::from_std(writer)?, stdio::stdin()))
    }
}
