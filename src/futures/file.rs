//! `AsyncRead`, `AsyncWrite` and `AsyncSeek` of a file, by its own verbs that poll.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::Io;
use crate::fs::File;

/// Has a type be a file: `$file` says how to get at it.
macro_rules! files {
    ($($type:ty, |$this:ident| $file:expr;)+) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                File::poll_read($file, cx, buffer)
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                File::poll_write($file, cx, data)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = &*self;
                File::poll_flush($file, cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = &*self;
                File::poll_close($file, cx)
            }
        }

        impl AsyncSeek for $type {
            fn poll_seek(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                to: SeekFrom,
            ) -> Poll<io::Result<u64>> {
                let $this = &*self;
                File::poll_seek($file, cx, to)
            }
        }
    )+};
}

files! {
    File, |this| this;
    &File, |this| *this;
    Io<File>, |this| this.get_ref();
    &Io<File>, |this| this.get_ref();
}
