//! Which descriptors a child gets, and the ends of pipes that stay here.
//!
//! The numbers that a child is to have are taken here first, as far as they are free. So nothing
//! that is opened on the way has one of them, and nothing that is put in place in the child is in
//! the way of another: not the pipe by which std hears why a program could not be started either.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;

use crate::fs::PathError;
use crate::net;
use crate::pipe;
use crate::sys::process::{duplicate_above, duplicate_number, is_inherited, occupy};

/// Where reading ends at once, and what is written is gone.
const NULL_DEVICE: &str = "/dev/null";

/// What becomes of a descriptor of a child.
///
/// Made by its functions, or from a file, a socket or another descriptor. What it is made from
/// stays open with the [`Command`](super::Command), which may be spawned again: a pipe whose
/// writing end a command has does not end before that is dropped.
///
/// # Examples
/// ```
/// use windlass::process::{Command, Stdio};
///
/// windlass::block_on(async {
///     let output = std::fs::File::create("/dev/null")?;
///     let child = Command::new("true").stdin(Stdio::null()).stdout(Stdio::from(output)).spawn()?;
///     assert!(child.wait().await?.success());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stdio(Kind);

/// What becomes of a descriptor.
#[derive(Debug)]
enum Kind {
    /// The null device.
    Null,
    /// What has the same number here.
    Inherit,
    /// A new pipe or pair of sockets, whose other end stays here.
    Piped,
    /// A copy of this one.
    Descriptor(OwnedFd),
}

impl Stdio {
    /// The null device: nothing to read, and what is written is gone. Where there is none, a spawn
    /// with an output that is to be it fails, and names it.
    pub fn null() -> Stdio {
        Stdio(Kind::Null)
    }

    /// The descriptor that has the same number in this process. One of the first three that is
    /// closed here, or is to be closed on exec, is the null device.
    pub fn inherit() -> Stdio {
        Stdio(Kind::Inherit)
    }

    /// A new pipe, as one of the first three; a pair of Unix sockets above them, for a program that
    /// reads and writes there. The other end is taken from the [`Child`](super::Child).
    pub fn piped() -> Stdio {
        Stdio(Kind::Piped)
    }
}

impl From<OwnedFd> for Stdio {
    fn from(fd: OwnedFd) -> Stdio {
        Stdio(Kind::Descriptor(fd))
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        OwnedFd::from(file).into()
    }
}

impl From<io::PipeReader> for Stdio {
    fn from(reader: io::PipeReader) -> Stdio {
        OwnedFd::from(reader).into()
    }
}

impl From<io::PipeWriter> for Stdio {
    fn from(writer: io::PipeWriter) -> Stdio {
        OwnedFd::from(writer).into()
    }
}

/// The null device, to be what a child has with this number. Where there is none, as in a directory
/// tree without `/dev`, an input is a pipe without a writer, in which there is nothing to read
/// either.
fn null_device(number: RawFd) -> io::Result<OwnedFd> {
    let (reads, writes) = (!(1..3).contains(&number), number != 0);
    match OpenOptions::new().read(reads).write(writes).open(NULL_DEVICE) {
        Ok(device) => Ok(device.into()),
        Err(error) if !writes && error.kind() == io::ErrorKind::NotFound => {
            io::pipe().map(|(reader, _)| reader.into())
        }
        // Or it would seem to be the program that is missing.
        Err(error) => Err(PathError::wrap("open", NULL_DEVICE.as_ref(), error)),
    }
}

/// Numbers that are kept from being given to anything else, until this is dropped.
pub(super) struct Numbers {
    /// Those that were free, with what has them now.
    taken: Vec<(RawFd, OwnedFd)>,
    /// Greater than all that were asked for.
    above: RawFd,
}

impl Numbers {
    /// Takes the first three, and others.
    pub(super) fn take(others: impl Iterator<Item = RawFd>) -> io::Result<Numbers> {
        let mut numbers = Numbers { taken: Vec::new(), above: 3 };
        for number in (0..3).chain(others) {
            numbers.above = numbers.above.max(number.saturating_add(1));
            if let Some(descriptor) = occupy(number)? {
                numbers.taken.push((number, descriptor));
            }
        }
        Ok(numbers)
    }

    fn was_free(&self, number: RawFd) -> bool {
        self.taken.iter().any(|(taken, _)| *taken == number)
    }

    /// What a child is given as one of its first three descriptors, and this process's end if that
    /// is a new pipe.
    pub(super) fn standard(
        &self,
        number: RawFd,
        stdio: &Stdio,
    ) -> io::Result<(process::Stdio, Option<OwnedFd>)> {
        Ok(match &stdio.0 {
            Kind::Null => (null_device(number)?.into(), None),
            Kind::Inherit if !is_inherited(number) => (null_device(number)?.into(), None),
            Kind::Inherit => (process::Stdio::inherit(), None),
            Kind::Descriptor(fd) => (duplicate_above(fd.as_fd(), 3)?.into(), None),
            Kind::Piped => {
                let (reader, writer) = io::pipe()?;
                match number {
                    0 => (reader.into(), Some(writer.into())),
                    _ => (writer.into(), Some(reader.into())),
                }
            }
        })
    }

    /// What a child is given as a further descriptor, under a number that is in nothing's way, and
    /// this process's end if that is a new pair of sockets.
    pub(super) fn further(
        &self,
        number: RawFd,
        stdio: &Stdio,
    ) -> io::Result<(OwnedFd, Option<UnixStream>)> {
        let mut ours = None;
        let source = match &stdio.0 {
            Kind::Null => null_device(number)?,
            Kind::Inherit if self.was_free(number) => {
                let text = format!("descriptor {number} cannot be inherited: it is not open");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            Kind::Inherit => duplicate_number(number)?,
            Kind::Descriptor(fd) => return Ok((duplicate_above(fd.as_fd(), self.above)?, None)),
            Kind::Piped => {
                let (own, theirs) = UnixStream::pair()?;
                ours = Some(own);
                theirs.into()
            }
        };
        Ok((duplicate_above(source.as_fd(), self.above)?, ours))
    }
}

/// This process's ends of the pipes and sockets of a child, each until it is taken.
#[derive(Default)]
pub(super) struct Ends {
    /// What is written here is read by the child.
    pub(super) stdin: Option<pipe::Writer>,
    /// What the child writes.
    pub(super) stdout: Option<pipe::Reader>,
    /// What the child writes of errors.
    pub(super) stderr: Option<pipe::Reader>,
    /// Those of the further ones, by the numbers that they have there.
    pub(super) further: Vec<(RawFd, net::UnixStream)>,
}
