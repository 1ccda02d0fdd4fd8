//! What a standard stream runs on, by what is behind its descriptor.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{BorrowedFd, RawFd};
use std::panic::Location;
use std::rc::{Rc, Weak};

use super::file::PooledFile;
use crate::state::State;
use crate::state::key::Key;
use crate::sys::{self, Descriptor, Event, Kind, Transport};

/// What a standard stream runs on. It has a descriptor of its own: those from 0 to 2 stay open.
pub(crate) struct Standard {
    /// The loop, for what no poller watches.
    state: Rc<State>,
    /// What is behind the descriptor.
    kind: Kind,
    /// How it is read and written.
    calls: Calls,
    /// Gets the calls back when the stream closes. Gone when the loop has ended.
    kept: Weak<Kept>,
}

/// What was behind a descriptor when the last stream of it closed.
pub(super) type Kept = Cell<Option<(Kind, Calls)>>;

/// How a standard stream is read and written.
pub(super) enum Calls {
    /// The poller says when.
    Polled(Descriptor),
    /// The pool does it.
    Pooled(PooledFile),
    /// There is nothing to read or write: the number of the system's error.
    Failed(i32),
}

impl Standard {
    /// Looks at what is behind a descriptor.
    pub(super) fn open(
        state: &Rc<State>,
        location: &'static Location<'static>,
        fd: RawFd,
        kept: &Rc<Kept>,
    ) -> Standard {
        let standard =
            |kind, calls| Standard { state: state.clone(), kind, calls, kept: Rc::downgrade(kept) };
        if let Some((kind, calls)) = kept.take() {
            return standard(kind, calls);
        }
        let kind = sys::kind_of(fd);
        let calls = sys::duplicate(fd).and_then(|own| match kind {
            Kind::File => Ok(Calls::Pooled(PooledFile::new(state, location, own))),
            Kind::Unknown if !sys::can_be_polled(fd) => {
                Ok(Calls::Pooled(PooledFile::new(state, location, own)))
            }
            _ => Descriptor::adopt(own, kind).map(Calls::Polled),
        });
        match calls {
            Ok(calls) => standard(kind, calls),
            Err(error) => Standard::failed(state, &error),
        }
    }

    /// A stream each of whose reads and writes fails with this error.
    pub(super) fn failed(state: &Rc<State>, error: &io::Error) -> Standard {
        let number = error.raw_os_error().unwrap_or(sys::EBADF);
        let calls = Calls::Failed(number);
        Standard { state: state.clone(), kind: Kind::Unknown, calls, kept: Weak::new() }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The error of one that has failed with this number: in a simulation always the same.
    fn error(&self, number: i32) -> io::Error {
        let refused = self.state.refuse_in_simulation("standard streams");
        refused.err().unwrap_or_else(|| io::Error::from_raw_os_error(number))
    }
}

impl Drop for Standard {
    /// Not what shares a flag with other processes: that is put back now. Nor an error, for it may
    /// be another one the next time.
    fn drop(&mut self) {
        let keep = match &self.calls {
            Calls::Polled(descriptor) => !descriptor.shares_flag(),
            Calls::Pooled(_) => true,
            Calls::Failed(_) => false,
        };
        if keep && let Some(kept) = self.kept.upgrade() {
            let calls = mem::replace(&mut self.calls, Calls::Failed(sys::EBADF));
            kept.set(Some((self.kind, calls)));
        }
    }
}

impl Transport for Standard {
    /// It may be a terminal.
    const HANG_UP_PASSES: bool = true;

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        match &self.calls {
            Calls::Polled(descriptor) => descriptor.watched(),
            Calls::Pooled(_) | Calls::Failed(_) => None,
        }
    }

    fn can_receive(&self) -> bool {
        match &self.calls {
            Calls::Polled(descriptor) => descriptor.can_receive(),
            Calls::Pooled(_) => true,
            Calls::Failed(_) => false,
        }
    }

    fn can_send(&self) -> bool {
        match &self.calls {
            Calls::Polled(descriptor) => descriptor.can_send(),
            Calls::Pooled(_) => true,
            Calls::Failed(_) => false,
        }
    }

    fn sends_later(&self) -> bool {
        matches!(self.calls, Calls::Pooled(_))
    }

    fn report_to(&mut self, key: Option<u64>) {
        let Some(key) = key.map(Key::from_bits) else { return };
        if let Calls::Pooled(file) = &self.calls {
            file.report_to(key);
        }
        // A first call is worth a try at any time.
        self.state.handles.mark_ready(key, Event::READABLE);
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.calls {
            Calls::Polled(descriptor) => descriptor.receive(buffer),
            Calls::Pooled(file) => file.receive(buffer),
            Calls::Failed(number) => Err(self.error(*number)),
        }
    }

    fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.send_vectored(&[IoSlice::new(data)])
    }

    fn send_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.calls {
            Calls::Polled(descriptor) => descriptor.send_vectored(data),
            Calls::Pooled(file) => file.send_vectored(data),
            Calls::Failed(number) => Err(self.error(*number)),
        }
    }

    fn send_end(&self) -> io::Result<()> {
        Ok(())
    }
}
