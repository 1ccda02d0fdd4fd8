//! `AsyncRead` and `AsyncWrite` of the streams, each by the stream's own verbs.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::Io;
use crate::net::{TcpStream, UnixStream};
use crate::pipe::{Reader, Writer};
use crate::stdio::{Stdin, Stdout};
use crate::stream::{ReadHalf, Readable, Writable, WriteHalf};
use crate::tty::Tty;

/// Has types be read: `$stream` says how to get at the stream that does it.
macro_rules! reads {
    ($($type:ty, |$this:ident| $stream:expr $(, $bound:ident)?;)+) => {$(
        impl$(<S: $bound>)? AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                Readable::poll_read($stream, cx, buffer)
            }
        }
    )+};
}

/// Has types be written, in the same way.
macro_rules! writes {
    ($($type:ty, |$this:ident| $stream:expr $(, $bound:ident)?;)+) => {$(
        impl$(<S: $bound>)? AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                Writable::poll_write($stream, cx, data)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                Writable::poll_write_vectored($stream, cx, data)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = &*self;
                Writable::poll_flush($stream, cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = &*self;
                Writable::poll_shutdown($stream, cx)
            }
        }
    )+};
}

reads! {
    TcpStream, |this| this;
    &TcpStream, |this| *this;
    UnixStream, |this| this;
    &UnixStream, |this| *this;
    Reader, |this| this;
    &Reader, |this| *this;
    Stdin, |this| this;
    &Stdin, |this| *this;
    Tty, |this| this;
    &Tty, |this| *this;
    ReadHalf<S>, |this| this.get_ref(), Readable;
    Io<S>, |this| this.get_ref(), Readable;
    &Io<S>, |this| this.get_ref(), Readable;
}

writes! {
    TcpStream, |this| this;
    &TcpStream, |this| *this;
    UnixStream, |this| this;
    &UnixStream, |this| *this;
    Writer, |this| this;
    &Writer, |this| *this;
    Stdout, |this| this;
    &Stdout, |this| *this;
    Tty, |this| this;
    &Tty, |this| *this;
    WriteHalf<S>, |this| this.get_ref(), Writable;
    Io<S>, |this| this.get_ref(), Writable;
    &Io<S>, |this| this.get_ref(), Writable;
}
