//! A child as a request: its status, or all that it writes.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::Location;
use std::process::{ExitStatus, Output};
use std::rc::Rc;

use super::child::{Child, KIND};
use crate::error::CancelError;
use crate::pipe::Reader;
use crate::promise::Promise;
use crate::request::Request;
use crate::state::State;
use crate::sys;
use crate::trace::label::InForce;

/// A child whose end a request waits for.
struct Running<T: 'static> {
    /// The child.
    child: Child,
    /// Where what it writes arrives. Closed when the request completes.
    readers: RefCell<Vec<Reader>>,
    /// None once it is fulfilled.
    promise: Cell<Option<Promise<T>>>,
}

impl<T: 'static> Running<T> {
    fn new(
        state: &Rc<State>,
        child: Child,
        location: &'static Location<'static>,
    ) -> (Rc<Running<T>>, Request<io::Result<T>>) {
        let (promise, request) = Promise::new(state, KIND, location);
        child.close_further();
        let (readers, unset) = (RefCell::default(), Cell::new(None));
        let running = Rc::new(Running { child, readers, promise: unset });
        // The child owns it: when the loop ends first, the promise is dropped, and says so.
        let weak = Rc::downgrade(&running);
        promise.on_cancel(move || weak.upgrade().map_or(Err(CancelError::Done), |r| r.cancel()));
        running.promise.set(Some(promise));
        (running, request)
    }

    fn fulfil(&self, result: io::Result<T>) {
        if let Some(promise) = self.promise.take() {
            promise.fulfil_later(result);
        }
        self.readers.take().iter().for_each(Reader::close);
    }

    fn cancel(&self) -> Result<(), CancelError> {
        // It fails only if the child has ended, while others go on writing.
        self.child.kill().ok();
        self.fulfil(Err(io::Error::from_raw_os_error(sys::ECANCELED)));
        Ok(())
    }
}

/// The status of a child.
pub(super) fn wait(
    state: &Rc<State>,
    child: Child,
    location: &'static Location<'static>,
) -> Request<io::Result<ExitStatus>> {
    let (running, request) = Running::new(state, child, location);
    let _at = InForce::at(location);
    // Nobody can take them, and the child would wait for a reader.
    drop((running.child.take_stdin(), running.child.take_stdout(), running.child.take_stderr()));
    let own = running.clone();
    running.child.on_end(move |status| own.fulfil(status));
    request
}

/// What is collected of a child.
struct Collected {
    /// The child.
    running: Rc<Running<Output>>,
    /// What it has written, and of errors.
    bytes: [RefCell<Vec<u8>>; 2],
    /// What is still to come: the ends of both, and of the child.
    left: Cell<usize>,
    /// Its status, once it has ended.
    status: Cell<Option<ExitStatus>>,
}

/// All that a child writes.
pub(super) fn collect(
    state: &Rc<State>,
    child: Child,
    location: &'static Location<'static>,
) -> Request<io::Result<Output>> {
    let (running, request) = Running::new(state, child, location);
    let child = running.child.clone();
    drop(child.take_stdin());
    let readers = [child.take_stdout(), child.take_stderr()];
    let collected = Rc::new(Collected {
        left: Cell::new(1 + readers.iter().flatten().count()),
        running,
        bytes: Default::default(),
        status: Cell::new(None),
    });
    let _at = InForce::at(location);
    for (index, reader) in readers.into_iter().enumerate() {
        let Some(reader) = reader else { continue };
        let own = collected.clone();
        reader.read_start(move |_, chunk| own.add(index, chunk));
        collected.running.readers.borrow_mut().push(reader);
    }
    child.on_end(move |status| match status {
        Ok(status) => {
            collected.status.set(Some(status));
            collected.one_less();
        }
        Err(error) => collected.running.fulfil(Err(error)),
    });
    request
}

impl Collected {
    fn add(&self, index: usize, chunk: io::Result<&[u8]>) {
        match chunk {
            Ok([]) => self.one_less(),
            Ok(bytes) => self.bytes[index].borrow_mut().extend_from_slice(bytes),
            Err(error) => self.running.fulfil(Err(error)),
        }
    }

    fn one_less(&self) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0
            && let Some(status) = self.status.get()
        {
            let [stdout, stderr] = [0, 1].map(|index| self.bytes[index].take());
            self.running.fulfil(Ok(Output { status, stdout, stderr }));
        }
    }
}
