//! All that a loop consists of.
//!
//! Each part of [`State`] is a structure with its own cells, behind methods that return owned
//! values: no borrow is ever held while user code runs. Handles and requests hold the state as an
//! `Rc`, so that they can outlive the loop and find it closed.
//!
//! Nothing in this folder calls a callback. [`handles`] has all that is open on a loop, by [`key`];
//! [`registration`] is a handle's hold on it, [`named`] says how a handle ends with its last clone,
//! [`references`] how it keeps the loop alive or not. [`tasks`], [`sources`], [`delivery`] and
//! [`hooks`] are further parts of the state. [`told`] is what it tells of all these. [`current`]
//! says which loop is current on a thread.

pub(crate) mod current;
pub(crate) mod delivery;
pub(crate) mod handles;
pub(crate) mod hooks;
pub(crate) mod key;
pub(crate) mod named;
pub(crate) mod references;
pub(crate) mod registration;
pub(crate) mod sources;
pub(crate) mod tasks;
pub(crate) mod told;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::alloc;
use crate::clock::{Clock, Nanos};
use crate::phase::timers::all::Timers;
use crate::pool::Pool;
use crate::queue::closing::Closing;
use crate::queue::deferred::Deferred;
use crate::queue::immediate::Immediates;
use crate::queue::numbered::Numbered;
use crate::queue::ring::Ring;
use crate::report::Alive;
use crate::sys::Poller;
use crate::task::budget::PollBudget;
use crate::threads::mailbox::Mailbox;
use crate::threads::patience::Patience;
use crate::trace::delays::Delays;
use crate::trace::label::Shown;
use crate::trace::teller::Teller;
use crate::virtual_time::chance::Chance;
use crate::virtual_time::scheduler::Member;

use delivery::Delivery;
use handles::Handles;
use hooks::Hooks;
use named::Names;
use registration::Handle;
use sources::Sources;
use tasks::Tasks;

/// The idle, prepare or check watchers of a loop.
pub(crate) type Watchers = Numbered<dyn Handle>;

/// Where a loop stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It can be turned, and takes callbacks in.
    Open,
    /// Its callbacks are being dropped. Nothing is taken in any more.
    TearingDown,
    /// Nothing is left of it.
    Closed,
}

/// All that a loop consists of.
pub(crate) struct State {
    /// Unique in the process, for ids that outlive the loop.
    pub(crate) id: u32,
    /// Where the loop stands in its life. It only goes forward.
    pub(crate) status: Cell<Status>,
    /// The loop's idea of now.
    pub(crate) clock: Clock,
    /// The side that other threads see.
    pub(crate) mailbox: Arc<Mailbox>,
    /// What was taken out of the mailbox, and what receives on this loop.
    pub(crate) delivery: Delivery,
    /// The poller, and what is registered with it.
    pub(crate) sources: Sources,
    /// Whether the loop looks for a while before it sleeps.
    pub(crate) patience: Patience,
    /// All that is open on the loop, but for timers and immediates.
    pub(crate) handles: Handles<dyn Handle>,
    /// The spawned futures that have not finished.
    pub(crate) tasks: Tasks,
    /// How many of them may be polled in one drain, if there is a limit.
    pub(crate) poll_budget: Option<PollBudget>,

    /// Run right after the callback that is running.
    pub(crate) ticks: Ring,
    /// Run when no tick is left.
    pub(crate) microtasks: Ring,
    /// The drain has come to the microtasks, and was perhaps left there by a panic.
    pub(crate) in_microtasks: Cell<bool>,
    /// Run when neither a tick nor a microtask is left.
    pub(crate) drained: Ring,
    /// Run in the check phase.
    pub(crate) immediates: Immediates,
    /// Run in the timers phase.
    pub(crate) timers: Timers,
    /// Completions for the pending phase.
    pub(crate) pending: Deferred,
    /// The watchers of the idle phase.
    pub(crate) idle: Watchers,
    /// The watchers of the prepare phase.
    pub(crate) prepare: Watchers,
    /// The watchers of the check phase.
    pub(crate) check: Watchers,
    /// The number that was given last to what waits somewhere and can be cancelled.
    pub(crate) last_number: Cell<u64>,
    /// Callbacks that come last in the poll phase: signals.
    pub(crate) poll_last: Deferred,
    /// What closed handles have to tell, for the close phase.
    pub(crate) closing: Closing,

    /// In virtual time: the loop as a member of its program.
    pub(crate) virtual_time: Option<Member>,
    /// Runs the blocking jobs of this loop.
    pub(crate) pool: Pool,
    /// The buffer that sockets read into, one at a time. Absent while a callback looks at it.
    pub(crate) read_buffer: Cell<Option<Box<[u8]>>>,
    /// What a module keeps on the loop that the loop need not know, by type.
    pub(crate) extensions: RefCell<Vec<Rc<dyn Any>>>,
    /// The callbacks for the program's end and for its panics.
    pub(crate) hooks: Hooks,
    /// What the loop tells those who observe it. Its track is shared with the figures, where other
    /// threads see what runs.
    pub(crate) teller: Teller,
    /// How long iterations keep the loop busy. Others may read it while it runs.
    pub(crate) delays: Arc<Delays>,
    /// Somebody wants the account of each iteration.
    pub(super) keeps_account: Cell<bool>,
    /// What the program ends with.
    pub(crate) exit_code: Cell<i32>,
    /// How many bytes the thread had when that was more than its limit, and the loop was ended for
    /// it.
    pub(crate) over_limit: Cell<Option<usize>>,
    /// How often `exit` was called. More than zero: the exit hooks are due.
    pub(crate) exits: Cell<u32>,
    /// While the exit hooks run: how often `exit` had been called when they began.
    pub(crate) exits_before_hooks: Cell<Option<u32>>,
    /// The last turn ended by a stop or by a panic: that tasks are left is no news then.
    pub(crate) cut_short: Cell<bool>,
    /// A shutdown is under way: no new jobs.
    pub(crate) shutting_down: Cell<bool>,
    /// How many [`Loop`](crate::Loop)s there are for this state.
    pub(crate) names: Names,
}

impl State {
    /// Whether the loop takes in callbacks. Not while it is torn down.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.status.get() == Status::Open
    }

    /// A number by which something that waits can be cancelled. They are given in order.
    #[inline]
    pub(crate) fn next_number(&self) -> u64 {
        self.last_number.set(self.last_number.get() + 1);
        self.last_number.get()
    }

    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.mailbox.is_halted()
    }

    /// Whether somebody observes the loop.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.mailbox.is_observed()
    }

    /// The line that registered the callback that runs, if that was recorded.
    #[inline]
    pub(crate) fn set_running(&self, place: Option<&'static Location<'static>>) {
        self.teller.track.running.set(place);
    }

    /// Decides what is open, in a simulation.
    pub(crate) fn chance(&self) -> Option<&Chance> {
        self.virtual_time.as_ref()?.chance().map(Arc::as_ref)
    }

    /// The number of the simulation that the loop belongs to, unique in the process; else zero.
    pub(crate) fn simulation(&self) -> u64 {
        self.virtual_time.as_ref().map_or(0, Member::simulation)
    }

    /// Refuses what a simulation does not have.
    pub(crate) fn refuse_in_simulation(&self, what: &str) -> io::Result<()> {
        if self.chance().is_none() {
            return Ok(());
        }
        let text = format!("a simulation has no {what}");
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.mailbox.is_stopping()
    }

    /// A line of the log, at debug, of what has happened on this loop. Only within a turn, which
    /// has asked at its beginning whether the log wants it: else this is one branch.
    #[inline]
    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if self.is_observed() {
            self.teller.log(line);
        }
    }

    /// So much time was spent blocked in poll.
    pub(crate) fn add_idle(&self, nanos: Nanos) {
        self.mailbox.figures.add_idle(nanos);
        self.delays.idle(nanos);
    }

    /// Registers something with the poller, if the loop is open.
    pub(crate) fn register(&self, f: impl FnOnce(&Poller) -> io::Result<()>) -> io::Result<()> {
        self.sources.register(&self.mailbox, f)
    }

    /// What a module keeps on this loop.
    pub(crate) fn extension<T: 'static>(&self) -> Option<Rc<T>> {
        let extensions = self.extensions.borrow();
        extensions.iter().find_map(|one| one.clone().downcast().ok())
    }

    pub(crate) fn set_extension(&self, extension: Rc<dyn Any>) {
        self.extensions.borrow_mut().push(extension);
    }

    /// Takes a module's extension out, for the caller to drop.
    pub(crate) fn remove_extension<T: 'static>(&self) -> Option<Rc<dyn Any>> {
        let mut extensions = self.extensions.borrow_mut();
        let index = extensions.iter().position(|one| one.is::<T>())?;
        Some(extensions.swap_remove(index))
    }

    /// Gives memory back that a burst has left: if `now`, else of what was used much less since the
    /// last call.
    ///
    /// Called between two callbacks.
    #[cold]
    #[inline(never)]
    pub(crate) fn give_back(&self, now: bool) {
        self.ticks.give_back(now);
        self.microtasks.give_back(now);
        self.drained.give_back(now);
        self.immediates.give_back(now);
        self.timers.give_back(now);
        self.handles.give_back(now);
        self.tasks.give_back(now);
        self.delivery.give_back(&self.mailbox, now);
        self.pending.give_back(now);
        self.poll_last.give_back(now);
        self.closing.give_back(now);
    }

    /// The things that keep the loop alive.
    pub(crate) fn why_alive(&self) -> Vec<Alive> {
        let mut alive = Vec::new();
        self.handles.report(&mut alive, usize::MAX);
        self.timers.report(&mut alive);
        self.immediates.report(&mut alive);
        alive
    }

    /// What a loop waits for, in words: a few handles and tasks, for in virtual time it is asked at
    /// each wait that only others can end.
    pub(crate) fn why_it_waits(&self) -> String {
        let mut alive = Vec::new();
        self.handles.report(&mut alive, NAMED_MAX + 1);
        self.timers.report(&mut alive);
        self.immediates.report(&mut alive);
        let mut reasons = a_few(&alive);
        let tasks = self.tasks.locations(NAMED_MAX + 1).into_iter();
        let tasks: Vec<_> =
            tasks.map(|place| format!("a task spawned at {}", Shown(place))).collect();
        reasons.extend(a_few(&tasks));
        if reasons.is_empty() { "nothing that it knows of".to_owned() } else { reasons.join(", ") }
    }

    /// What keeps a loop from being closed, in words.
    pub(crate) fn what_is_open(&self) -> String {
        let handles = self.handles.list().into_iter();
        let mut open: Vec<_> =
            handles.map(|handle| Alive::new(handle.kind, handle.location)).collect();
        self.timers.report(&mut open);
        self.immediates.report(&mut open);
        if open.is_empty() {
            return "callbacks that wait, or timers and immediates without a reference".to_owned();
        }
        a_few(&open).join(", ")
    }

    pub(crate) fn set_exit_code(&self, code: i32) {
        self.exit_code.set(code);
    }

    /// Asks the loop to end: nothing that is queued runs any more. See `end`.
    pub(crate) fn exit(&self, code: i32) {
        self.exit_code.set(code);
        self.exits.set(self.exits.get() + 1);
        self.mailbox.halt();
    }

    /// Whether the callback that runs is to return: the loop was told to end. In an exit hook, for
    /// which that is nothing new, whether it was told again.
    pub(crate) fn must_return(&self) -> bool {
        self.is_halted()
            && self.exits_before_hooks.get().is_none_or(|exits| self.exits.get() > exits)
    }

    /// The thread may not have so many bytes more: the loop ends as one that is over its limit. The
    /// callback gets what it needs to come to its end.
    pub(crate) fn end_for_refused(&self, bytes: usize) {
        if !self.is_halted() {
            alloc::open_reserve();
            let allocated = alloc::allocated().max(0) as usize;
            self.over_limit.set(Some(allocated.saturating_add(bytes)));
            self.mailbox.halt();
        }
    }

    /// The thread has more memory than it may have: the loop ends, as when it is told to.
    #[cold]
    pub(crate) fn end_for_memory(&self) {
        alloc::lift_limit();
        // Not when it ends anyway, as after `exit`.
        if !self.is_halted() {
            self.over_limit.set(Some(alloc::allocated().max(0) as usize));
            self.mailbox.halt();
        }
    }
}

/// How many handles, and how many tasks, a message names.
const NAMED_MAX: usize = 10;

/// The first of them, in words, and whether there are more.
fn a_few(things: &[impl ToString]) -> Vec<String> {
    let mut words: Vec<_> = things.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if things.len() > NAMED_MAX {
        words.push("more of that kind".to_owned());
    }
    words
}
