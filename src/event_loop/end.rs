//! The end of a program: its hooks, `exit`, and the teardown of its loop.
//!
//! A program ends when nothing on its loop is alive and the before-exit hooks add nothing, or by
//! `exit`, by a panic that nobody took, or by the termination of its worker. Then the exit hooks
//! run. The teardown follows at once or when the loop is dropped: it drops every callback that is
//! left, uncalled.

use std::any::Any;
use std::iter;
use std::panic::{self, Location};
use std::rc::Rc;
use std::thread;

use super::turn::Turned;
use crate::callback::{self, Halt};
use crate::phase::mode::RunMode;
use crate::state::current;
use crate::state::{State, Status};
use crate::trace::Phase;
use crate::trace::label::{Label, Shown};

impl State {
    /// Turns until nothing is alive and the before-exit hooks add nothing; false after a stop.
    ///
    /// Whether a stop in a hook that adds nothing is one too, `heeds_hooks` says: the turn that
    /// follows uses it up.
    pub(super) fn turn_to_the_end(self: &Rc<Self>, heeds_hooks: bool) -> bool {
        loop {
            let turned = self.turn(RunMode::Default);
            if self.is_halted() {
                return true;
            }
            if turned != Turned::Finished {
                return false;
            }
            self.log(|| "nothing is alive: the before-exit hooks are called".to_owned());
            self.run_before_exit();
            let stops = heeds_hooks && self.is_stopping();
            if self.is_halted() || !self.is_alive() && !stops {
                return true;
            }
        }
    }

    /// Calls the before-exit hooks that there are now. Those that a hook adds wait for the next
    /// time, and those behind one whose panic left the loop come first then.
    fn run_before_exit(&self) {
        self.begin_phase(Phase::Main, || self.hooks.before_exit.borrow().len());
        let hooks = self.hooks.before_exit.borrow().clone();
        let called = &self.hooks.called_before_exit;
        if called.get() >= hooks.len() {
            called.set(0); // The last one's panic left the loop.
        }
        callback::guard(self, || {
            while !self.is_halted()
                && let Some(hook) = hooks.get(called.get())
            {
                called.set(called.get() + 1);
                let outcome = hook.invoke(self, "before-exit hook", |f| f()).unwrap_or(Ok(()));
                // As in Node one event has many listeners, and the drain comes after the last.
                if outcome.is_err() || called.get() == hooks.len() {
                    callback::settle(self, outcome);
                }
            }
        });
        called.set(0);
    }

    /// Runs the exit hooks, in order. Nothing that they queue runs, nor a hook that they add. One
    /// that calls `exit` is the last.
    ///
    /// The panic of a hook cuts none of the others short. Returns the first that nobody took, for
    /// the caller to go on with.
    fn run_exit_hooks(&self) -> Option<Box<dyn Any + Send>> {
        let exits = self.exits.get();
        self.exits_before_hooks.set(Some(exits));
        // The program is over: a hook does not turn its loop again, nor end it by dropping a name.
        let turning = self.teller.track.set_turning(true);
        self.begin_phase(Phase::Main, || self.hooks.exit.borrow().len());
        let mut first = None;
        for (hook, registered) in self.hooks.exit.take() {
            let origin = registered.origin("exit hook");
            if self.exits.get() > exits {
                callback::drop_quietly(hook);
                continue;
            }
            let outcome = callback::invoke(self, origin, || hook(self.exit_code.get()));
            let panic = outcome.err().filter(|payload| !payload.is::<Halt>());
            let place = self.teller.track.running.get();
            let panic = panic.and_then(|payload| callback::offer(self, payload, place));
            if let Some(payload) = panic.filter(|payload| !payload.is::<Halt>()) {
                self.exit_code.set(1);
                if let Some(chance) = self.chance() {
                    chance.fail(crate::error::panic_message(payload.as_ref()));
                }
                match first {
                    None => first = Some(payload),
                    Some(_) => log_exit_panic(payload),
                }
            }
        }
        self.exits_before_hooks.set(None);
        // No drain follows a hook, and perhaps no turn that would end its account.
        self.teller.end_macrotask(&self.clock);
        self.hooks.exit.take().into_iter().for_each(callback::drop_quietly);
        self.teller.track.set_turning(turning);
        first
    }

    /// Runs the exit hooks of a program that nothing keeps alive, and goes on with their panic.
    pub(super) fn end_by_itself(&self) {
        if let Some(payload) = self.run_exit_hooks() {
            panic::resume_unwind(payload);
        }
    }

    /// Follows up on `exit` or on a worker's termination, behind a turn with this outcome. A panic
    /// of an exit hook that nobody took takes its place, unless one goes on already.
    pub(super) fn end_if_halted<R>(
        self: &Rc<Self>,
        outcome: thread::Result<R>,
    ) -> thread::Result<R> {
        let panic = if self.is_halted() { self.end() } else { None };
        match (panic, outcome) {
            (Some(payload), Err(first)) if !first.is::<Halt>() => {
                log_exit_panic(payload);
                Err(first)
            }
            (Some(payload), _) => Err(payload),
            (None, outcome) => outcome,
        }
    }

    /// A panic that nobody took ends the program: its exit hooks run, with code 1, and nothing
    /// else.
    pub(super) fn fail(self: &Rc<Self>) {
        if self.is_open() && self.exits.get() == 0 {
            self.exit_code.set(1);
            self.cut_short.set(true);
            let _entered = current::enter(self);
            // One panic goes on already.
            if let Some(second) = self.run_exit_hooks() {
                log_exit_panic(second);
            }
        }
    }

    /// Ends the loop where nobody goes on with a panic: that of an exit hook is logged.
    pub(super) fn tear_down(self: &Rc<Self>) {
        if let Some(payload) = self.end() {
            log_exit_panic(payload);
        }
    }

    /// Ends the loop: drops every callback once, uncalled, and closes what is open. The loop can
    /// still be reached from destructors, but takes nothing in.
    ///
    /// After an `exit` the exit hooks come first, whichever code ends the loop: `exit` may have
    /// been called where nothing turns, and be followed by no turn. Returns the panic of one that
    /// nobody took.
    fn end(self: &Rc<Self>) -> Option<Box<dyn Any + Send>> {
        if !self.is_open() {
            return None;
        }
        let _entered = current::enter(self);
        let mut panic = None;
        if self.exits.get() > 0 {
            log::debug!("{}: exit with code {}", self.teller.track.name(), self.exit_code.get());
            panic = self.run_exit_hooks();
        }
        log::debug!("{}: the loop is torn down", self.teller.track.name());
        if let Some(member) = &self.virtual_time
            && let Some(chance) = member.chance()
        {
            chance.ends(member.number(), || self.why_it_waits());
        }
        self.status.set(Status::TearingDown);
        self.mailbox.end();
        drop_each(self.mailbox.close());
        for queue in [&self.ticks, &self.microtasks, &self.drained] {
            drop_each(iter::from_fn(|| queue.pop()));
        }
        drop_each(iter::from_fn(|| self.immediates.pop_below(u64::MAX)));
        drop_each(self.timers.take_all());
        self.tear_down_handles();
        self.tear_down_tasks();
        drop_each(iter::from_fn(|| self.pending.take()));
        drop_each(iter::from_fn(|| self.poll_last.take()));
        drop_each(iter::from_fn(|| self.closing.take()));
        drop_each(self.delivery.take_all());
        drop_each(self.extensions.take());
        drop_each(self.hooks.before_exit.take());
        drop_each(self.hooks.exit.take());
        callback::drop_quietly(self.hooks.uncaught.clear());
        callback::drop_quietly(self.hooks.unhandled.clear());
        callback::drop_quietly(self.hooks.iteration.clear());
        drop(self.read_buffer.take());
        self.mailbox.figures.end();
        if let Some(member) = self.virtual_time.as_ref().filter(|member| member.is_first()) {
            member.end();
        }
        self.status.set(Status::Closed);
        self.tell_end();
        self.sources.close();
        panic
    }

    fn tear_down_handles(self: &Rc<Self>) {
        let handles = self.handles.take_all();
        for handle in &handles {
            // It may call a user's code, which is to keep none of the others from being told.
            callback::quietly(|| handle.begin_tear_down());
        }
        for handle in handles {
            // Its waiters' wakers and messages are dropped on the way: one that panics costs only
            // the rest of this handle.
            let same = handle.clone();
            callback::quietly(|| same.tear_down(self));
            callback::drop_quietly(handle);
        }
    }

    fn tear_down_tasks(&self) {
        self.log_unfinished();
        for task in self.tasks.take_all() {
            let same = task.clone();
            callback::quietly(|| same.tear_down());
            callback::drop_quietly(task);
        }
    }

    /// Names the tasks that the end cuts off. That is a warning if nobody has asked for the end: by
    /// `exit`, a stop, or the termination of a worker.
    fn log_unfinished(&self) {
        let asked_for = self.is_halted() || self.is_stopping() || self.cut_short.get();
        let level = if asked_for { log::Level::Debug } else { log::Level::Warn };
        let mut places: Vec<(&'static Location<'static>, usize)> = Vec::new();
        for place in self.tasks.locations(usize::MAX) {
            // Two labels may have one line of the host.
            let same = |known| known == place && Label::of(known) == Label::of(place);
            match places.iter_mut().find(|(known, _)| same(*known)) {
                Some((_, count)) => *count += 1,
                None => places.push((place, 1)),
            }
        }
        for (place, count) in places {
            let times = if count == 1 { String::new() } else { format!(", {count} times") };
            log::log!(
                level,
                "a task had not finished when its loop ended: spawned at {}{times}",
                Shown(place)
            );
        }
    }
}

/// For the panic of an exit hook with which nobody can go on.
fn log_exit_panic(payload: Box<dyn Any + Send>) {
    log::error!("an exit hook panicked: {}", crate::error::panic_message(payload.as_ref()));
    callback::drop_payload(payload);
}

/// Drops users' values one by one: a destructor that panics costs none of the others anything.
fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(callback::drop_quietly);
}
