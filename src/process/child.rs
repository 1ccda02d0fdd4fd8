//! A child on the loop: it is waited for once, and its end is told once.
//!
//! On Linux its descriptor becomes readable at its end, and the loop polls that. Elsewhere, or
//! where the system gives no such descriptor, the loop looks at each signal that a child has ended.
//! Either way a child that has ended is waited for whether anybody asks or not, so no zombie is
//! left, and before it was waited for no other process has its number, so no signal goes astray.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::plumbing::Ends;
use crate::callback;
use crate::callback::slot::{Once, Registered};
use crate::error;
use crate::net;
use crate::pipe;
use crate::queue::closure::Closure;
use crate::signal::Signal;
use crate::state::State;
use crate::state::named::{Name, Named, Names};
use crate::state::references::ref_methods;
use crate::state::registration::{Handle, Registration};
use crate::sys::Event;
use crate::sys::process::{self as sys_process, Pid};
use crate::task::waiters::{Place, Waiters};
use crate::trace::label::InForce;

/// A child's name in reports, and the one of a request for its end.
pub(super) const KIND: &str = "child process";

/// How a child has ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// With this status.
    Known(ExitStatus),
    /// Other code has waited for it, and has the status.
    Lost,
}

/// What all names of a child share.
pub(super) struct Process {
    /// Open until the end was told. It holds the loop unless it is unref'd.
    registration: Registration,
    /// How many [`Child`]ren there are for it.
    names: Names,
    /// The child as the system knows it.
    pid: Arc<Pid>,
    /// None until it was waited for.
    end: Cell<Option<End>>,
    /// Its descriptor is registered with the poller.
    registered: Cell<bool>,
    /// Where there is no descriptor: has the loop look when a child has ended.
    signal: Cell<Option<Signal>>,
    /// It is killed when the last name is dropped.
    kill_on_drop: bool,
    /// This process's ends of its pipes and sockets.
    ends: RefCell<Ends>,
    /// Called with the end. Gone once it is.
    on_end: Once<dyn FnOnce(io::Result<ExitStatus>)>,
    /// The tasks that wait for its end.
    waiters: Waiters,
}

impl Process {
    fn state(&self) -> &Rc<State> {
        &self.registration.state
    }

    /// Has the loop hear of the end.
    fn watch(self: &Rc<Self>) -> io::Result<()> {
        let key = self.registration.key().expect("an open handle has a key").to_bits();
        if let Some(descriptor) = self.pid.descriptor() {
            self.state()
                .register(|poller| poller.register_descriptor(descriptor, Event::READABLE, key))?;
            self.registered.set(true);
            return Ok(());
        }
        let weak = Rc::downgrade(self);
        let look = move || {
            if let Some(process) = weak.upgrade() {
                process.registration.call_again();
            }
        };
        let signal = {
            let _at = self.registration.location().map(InForce::at);
            self.state().enter_for(|| Signal::start(sys_process::SIGCHLD, look))?
        };
        signal.unref();
        self.signal.set(Some(signal));
        // It may have ended before.
        self.registration.call_again();
        Ok(())
    }

    fn unwatch(&self) {
        if self.registered.take()
            && let Some(descriptor) = self.pid.descriptor()
        {
            self.state().sources.deregister(|poller| poller.deregister_descriptor(descriptor));
        }
        if let Some(signal) = self.signal.take() {
            signal.stop();
        }
    }

    /// Waits for the child if it has ended. Its end, if it has.
    fn look(&self) -> Option<End> {
        if self.end.get().is_none() {
            let end = match self.pid.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => End::Known(status),
                Err(_) => End::Lost,
            };
            self.end.set(Some(end));
            // It has not been told.
            self.registration.call_again();
        }
        self.end.get()
    }

    /// Tells the end, once.
    fn tell(self: &Rc<Self>, state: &Rc<State>) {
        if !self.registration.is_open() {
            return;
        }
        let Some(end) = self.look() else { return };
        self.unwatch();
        let entry = self.registration.close();
        sys_process::reap_orphans();
        // Their tasks are microtasks: they run after the callback.
        self.waiters.wake();
        match self.on_end.take(KIND) {
            Some((f, origin)) => callback::call(state, origin, move || f(end.into())),
            None => callback::drain(state),
        }
        drop(entry);
    }

    fn poll_wait(&self, place: &Place, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let end = match self.look() {
            Some(end) => end.into(),
            None if !self.registration.is_open() => Err(error::shut_down()),
            None => {
                self.waiters.wait(place, cx);
                return Poll::Pending;
            }
        };
        self.waiters.leave(place);
        Poll::Ready(end)
    }

    fn signal(&self, signum: i32) -> io::Result<()> {
        let ended = || io::Error::new(io::ErrorKind::NotFound, "the child has ended");
        if self.look().is_some() {
            return Err(ended());
        }
        match self.pid.signal(signum) {
            // It has ended since.
            Err(_) if self.look().is_some() => Err(ended()),
            result => result,
        }
    }

    #[track_caller]
    fn set_on_end(self: &Rc<Self>, f: Box<dyn FnOnce(io::Result<ExitStatus>)>) {
        if self.registration.is_open() {
            let before = self.on_end.set(f);
            return drop(before);
        }
        match self.end.get() {
            Some(end) if self.state().is_open() => {
                let (state, origin) = (self.state().clone(), Registered::here().origin(KIND));
                let call = move || callback::call(&state, origin, move || f(end.into()));
                self.state().push_pending(Closure::new(call));
            }
            _ => drop(f),
        }
    }
}

impl From<End> for io::Result<ExitStatus> {
    fn from(end: End) -> io::Result<ExitStatus> {
        match end {
            End::Known(status) => Ok(status),
            End::Lost => Err(io::Error::from_raw_os_error(sys_process::ECHILD)),
        }
    }
}

impl Handle for Process {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Ends of children come last in the poll phase, as signals do.
    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        let own = state.clone();
        state.push_poll_last(Closure::new(move || self.tell(&own)));
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        self.unwatch();
        drop(self.registration.close());
        if self.look().is_none() {
            sys_process::leave_orphan(self.pid.clone());
        }
        drop(self.ends.take());
        callback::drop_quietly(self.on_end.clear());
        self.waiters.wake();
    }
}

impl Named for Process {
    fn names(&self) -> &Names {
        &self.names
    }

    /// The child goes on and is waited for, unless it is to be killed. Ends that nobody has taken
    /// are closed.
    fn last_name_dropped(self: &Rc<Self>) {
        if self.kill_on_drop && self.look().is_none() {
            // It fails only if the child has ended.
            self.pid.signal(sys_process::SIGKILL).ok();
        }
        drop(self.ends.take());
    }
}

/// A child process. Made by [`Command::spawn`](super::Command::spawn).
///
/// `Clone`: a clone is another name for the same child. Dropping all of them leaves it alone,
/// unless [`kill_on_drop`](super::Command::kill_on_drop) was asked for; its end is waited for all
/// the same, and a callback is called. Ends of pipes that were not taken are closed then.
///
/// # Liveness
/// A child keeps the loop alive until it has ended, unless [`unref`](Child::unref)'d. One that is
/// left when its loop ends goes on, and is waited for by the next loop of this process that starts
/// a child or hears of an end.
///
/// # Examples
/// ```
/// use windlass::process::Command;
///
/// windlass::run(|| -> std::io::Result<()> {
///     let child = Command::new("sleep").arg("1000").spawn()?;
///     child.on_exit(|status| println!("{status}")); // signal: 9 (SIGKILL)
///     child.kill()
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Child {
    /// A name of what all clones share.
    process: Name<Process>,
}

impl Child {
    pub(super) fn new(
        state: &Rc<State>,
        pid: Arc<Pid>,
        ends: Ends,
        kill_on_drop: bool,
        location: &'static Location<'static>,
    ) -> io::Result<Child> {
        let process = Rc::new(Process {
            registration: Registration::new(state.clone()),
            names: Names::default(),
            pid,
            end: Cell::new(None),
            registered: Cell::new(false),
            signal: Cell::new(None),
            kill_on_drop,
            ends: RefCell::new(ends),
            on_end: Once::default(),
            waiters: Waiters::default(),
        });
        process.registration.open(process.clone(), location, true);
        if let Err(error) = process.watch() {
            drop(process.registration.close());
            sys_process::give_up(process.pid.clone());
            return Err(error);
        }
        Ok(Child { process: Name::new(process) })
    }

    /// Its number. Once it was waited for, another process may have it.
    pub fn id(&self) -> u32 {
        self.process.pid.number()
    }

    /// The end of the pipe that the child reads, once, if it was asked for.
    pub fn take_stdin(&self) -> Option<pipe::Writer> {
        self.process.ends.borrow_mut().stdin.take()
    }

    /// The end of the pipe to which the child writes, once, if it was asked for.
    pub fn take_stdout(&self) -> Option<pipe::Reader> {
        self.process.ends.borrow_mut().stdout.take()
    }

    /// The end of the pipe to which the child writes its errors, once, if it was asked for.
    pub fn take_stderr(&self) -> Option<pipe::Reader> {
        self.process.ends.borrow_mut().stderr.take()
    }

    /// This process's end of the pair of sockets that the child has as this descriptor, once, if
    /// one above 2 was asked for by [`Command::fd`](super::Command::fd). What either side writes
    /// the other one reads, and it ends each way on its own; descriptors can travel over it.
    pub fn take_fd(&self, number: i32) -> Option<net::UnixStream> {
        let further = &mut self.process.ends.borrow_mut().further;
        let place = further.iter().position(|(asked, _)| *asked == number)?;
        Some(further.swap_remove(place).1)
    }

    /// Closes the ends of the further descriptors, for nobody can take them.
    pub(super) fn close_further(&self) {
        let further = std::mem::take(&mut self.process.ends.borrow_mut().further);
        drop(further);
    }

    /// Calls `f` once the child has ended, with its status, last in the poll phase; or in the
    /// pending phase if it was told already. Replaces the callback given before.
    ///
    /// What it has written may still wait in the pipes: these end by themselves. If other code has
    /// waited for the child, `f` is dropped uncalled.
    #[track_caller]
    pub fn on_exit(&self, f: impl FnOnce(ExitStatus) + 'static) {
        self.on_end(move |end| {
            if let Ok(status) = end {
                f(status);
            }
        });
    }

    /// Calls `f` once the child has ended, also if its status is lost. The same place as the one of
    /// [`on_exit`](Child::on_exit).
    #[track_caller]
    pub(super) fn on_end(&self, f: impl FnOnce(io::Result<ExitStatus>) + 'static) {
        self.process.set_on_end(Box::new(f));
    }

    /// Waits for the end of the child. Any number of tasks may, also later, and all get the same
    /// status. The end of its input is closed first if nobody has taken it, for a child that reads
    /// it would never end.
    ///
    /// # Errors
    /// `ECHILD` when other code has waited for the child; a shut-down error when the loop has ended
    /// before it.
    pub fn wait(&self) -> Wait<'_> {
        drop(self.take_stdin());
        Wait { child: self, place: Place::default() }
    }

    /// The status if the child has ended, and the same each time from then on. None while it runs,
    /// and when other code has waited for it.
    pub fn try_status(&self) -> Option<ExitStatus> {
        match self.process.look() {
            Some(End::Known(status)) => Some(status),
            Some(End::Lost) | None => None,
        }
    }

    /// Sends a signal to this child, and never to a process that has got its number since. The
    /// number 0 only asks whether it runs.
    ///
    /// # Errors
    /// `NotFound` once it has ended; the system's for what is no signal, and for a child that runs
    /// as somebody else.
    pub fn signal(&self, signum: i32) -> io::Result<()> {
        self.process.signal(signum)
    }

    /// Kills the child: it cannot prevent that. Its end is told as any other.
    ///
    /// # Errors
    /// As [`signal`](Child::signal).
    pub fn kill(&self) -> io::Result<()> {
        self.signal(sys_process::SIGKILL)
    }

    ref_methods!("child" while "runs"; process.registration);
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("end", &self.process.end.get())
            .finish_non_exhaustive()
    }
}

/// The end of a child, waited for. Made by [`Child::wait`].
///
/// # Examples
/// ```
/// use windlass::process::Command;
///
/// windlass::block_on(async {
///     let child = Command::new("true").spawn()?;
///     assert!(child.wait().await?.success());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Wait<'a> {
    /// The child that is waited for.
    child: &'a Child,
    /// Its place among the tasks that wait.
    place: Place,
}

impl Future for Wait<'_> {
    type Output = io::Result<ExitStatus>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.child.process.poll_wait(&self.place, cx)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.child.process.waiters.leave(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::{Loop, block_on, run};

    /// A child as it is where the system gives no descriptor for it.
    fn without_descriptor(script: &str) -> Child {
        let command = std::process::Command::new("/bin/sh").args(["-c", script]).spawn();
        let pid = Arc::new(Pid::without_descriptor(command.expect("a shell").id()));
        let state = crate::state::current::expect("a test");
        Child::new(&state, pid, Ends::default(), false, Location::caller()).expect("a child")
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri starts no programs")]
    fn without_descriptors_ends_are_heard_of_by_the_signal_and_no_signal_goes_astray() {
        let told = Rc::new(Cell::new(0));
        run(|| {
            for _ in 0..50 {
                let count = told.clone();
                without_descriptor("exit 4").on_exit(move |status| {
                    assert_eq!(status.code(), Some(4));
                    count.set(count.get() + 1);
                });
            }
            assert!(Loop::current().is_alive());
        });
        assert_eq!(told.get(), 50);
        block_on(async {
            let child = without_descriptor("exec sleep 1000");
            child.signal(0).unwrap();
            child.kill().unwrap();
            assert_eq!(child.wait().await.unwrap().signal(), Some(sys_process::SIGKILL));
            assert_eq!(child.kill().unwrap_err().kind(), io::ErrorKind::NotFound);
        });
    }
}
