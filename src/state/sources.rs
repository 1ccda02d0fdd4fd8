//! What a loop waits for through the system: the poller, and the sources that are registered with
//! it.
//!
//! A loop sleeps in one of two ways. Before its first source nobody but other threads can have
//! something for it, so it blocks on the mailbox's condition variable, which costs both sides less
//! and takes no descriptors. From its first source on, or once its descriptor was lent out, it
//! blocks in the poller, for good.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::error;
use crate::sys::{Poller, Waker};
use crate::threads::mailbox::Mailbox;

/// The poller of a loop and the count of its sources.
#[derive(Default)]
pub(crate) struct Sources {
    /// Made when the loop is built by a program, so that the error is seen there, and by a worker's
    /// loop with its first source: two descriptors that most workers never need. None again once
    /// the loop is closed.
    poller: RefCell<Option<Poller>>,
    /// What wakes the poller, until the mailbox gets it.
    waker: Cell<Option<Waker>>,
    /// The loop sleeps in the poller.
    in_use: Cell<bool>,
    /// The poller's descriptor was lent out, so it is closed with the state and not before.
    lent: Cell<bool>,
    /// Sources that are registered now.
    count: Cell<usize>,
    /// The loop has ended: nothing is registered any more.
    closed: Cell<bool>,
}

impl Sources {
    /// Makes the poller unless it is there.
    pub(crate) fn make_poller(&self) -> io::Result<()> {
        if self.poller.borrow().is_none() {
            let (poller, waker) = Poller::new()?;
            self.poller.replace(Some(poller));
            self.waker.set(Some(waker));
        }
        Ok(())
    }

    /// Has the loop sleep in the poller from now on.
    fn use_poller(&self, mailbox: &Mailbox) -> io::Result<()> {
        if self.closed.get() {
            return Err(error::shut_down());
        }
        self.make_poller()?;
        self.in_use.set(true);
        if let Some(waker) = self.waker.take() {
            mailbox.set_waker(waker);
        }
        Ok(())
    }

    /// Whether the loop sleeps in the poller.
    #[inline]
    pub(crate) fn in_use(&self) -> bool {
        self.in_use.get()
    }

    /// Whether anything is registered.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.count.get() > 0
    }

    /// Uses the poller of a loop that sleeps in it.
    #[inline(always)]
    pub(crate) fn with_poller<R>(&self, f: impl FnOnce(&mut Poller) -> R) -> R {
        let mut poller = self.poller.borrow_mut();
        f(poller.as_mut().expect("a poller in use is there"))
    }

    /// Registers something with the poller, if the loop is open.
    pub(crate) fn register(
        &self,
        mailbox: &Mailbox,
        f: impl FnOnce(&Poller) -> io::Result<()>,
    ) -> io::Result<()> {
        self.use_poller(mailbox)?;
        let poller = self.poller.borrow();
        f(poller.as_ref().expect("made just now"))?;
        self.count.set(self.count.get() + 1);
        Ok(())
    }

    /// Takes something out of the poller. Closing the descriptor afterwards would do it too, but
    /// not while a copy of the descriptor is open elsewhere.
    pub(crate) fn deregister(&self, f: impl FnOnce(&Poller) -> io::Result<()>) {
        let poller = self.poller.borrow();
        let Some(poller) = poller.as_ref() else { return };
        self.count.set(self.count.get() - 1);
        if let Err(error) = f(poller) {
            log::error!("a source could not be taken out of the poller: {error}");
        }
    }

    /// Changes a registration that there is already.
    pub(crate) fn reregister(&self, f: impl FnOnce(&Poller) -> io::Result<()>) -> io::Result<()> {
        let poller = self.poller.borrow();
        f(poller.as_ref().ok_or_else(error::shut_down)?)
    }

    /// The poller's descriptor, for an outer loop to wait on.
    pub(crate) fn lend(&self, mailbox: &Mailbox) -> RawFd {
        if !self.closed.get() {
            self.use_poller(mailbox).expect("windlass: no descriptors left for a loop's own");
            self.lent.set(true);
        }
        let poller = self.poller.borrow();
        poller.as_ref().expect("windlass: a closed loop has no descriptor").as_raw_fd()
    }

    /// The loop is closed, and its descriptors with it.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        if !self.lent.get() {
            drop((self.poller.take(), self.waker.take()));
        }
    }
}
