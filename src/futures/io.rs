//! A stream without verbs of its own, for programs that are written for the traits.

use crate::fs::File;
use crate::net::{TcpStream, UnixStream};
use crate::pipe::{Reader, Writer};
use crate::stdio::{Stdin, Stdout};
use crate::tty::Tty;

/// A stream that has the traits' verbs alone: with `AsyncReadExt` in scope its `read` is that of
/// the trait, not the stream's. Made by `into_io` of each stream.
///
/// It does what the stream does: closing, holding the loop and the end of the last clone are the
/// stream's.
///
/// # Examples
/// ```
/// use futures_util::io::{AsyncReadExt, AsyncWriteExt};
/// use windlass::net::UnixStream;
///
/// windlass::block_on(async {
///     let (ours, theirs) = UnixStream::pair()?;
///     let (mut ours, mut theirs) = (ours.into_io(), theirs.into_io());
///     ours.write_all(b"hello").await?;
///     let mut bytes = [0; 5];
///     theirs.read_exact(&mut bytes).await?;
///     assert_eq!(&bytes, b"hello");
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Io<S>(S);

impl<S> Io<S> {
    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// The stream, with its own verbs again.
    pub fn into_inner(self) -> S {
        self.0
    }
}

/// Gives streams their way to an [`Io`].
macro_rules! into_io {
    ($($stream:ty),+) => {$(
        impl $stream {
            /// The stream without its own verbs, for use by the traits of futures-io. Feature
            /// `futures`.
            pub fn into_io(self) -> Io<Self> {
                Io(self)
            }
        }
    )+};
}

into_io!(TcpStream, UnixStream, Reader, Writer, Stdin, Stdout, Tty, File);
