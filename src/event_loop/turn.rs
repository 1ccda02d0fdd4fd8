//! The turn: the phases in their order. The file to open first.
//!
//! A turn is libuv's `uv_run`; an iteration is one pass of it. The order of the phases is that of
//! libuv since 1.45: timers close an iteration, and run once before the first.
//!
//! Each phase is a file of its name under `phase/`. All of them call back through `callback`, which
//! drains ticks and microtasks after every single callback.

use std::rc::Rc;

use crate::callback;
use crate::phase::mode::RunMode;
use crate::phase::{check, close, idle, pending, poll, prepare, timers};
use crate::state::State;

/// What a turn has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// Nothing is alive any more.
    Finished,
    /// Something is alive still, and the mode asked for no more.
    Alive,
    /// A stop was requested and is used up, whether anything is alive or not.
    Stopped,
}

impl State {
    /// Iterations until `mode` is fulfilled.
    pub(super) fn turn(self: &Rc<Self>, mode: RunMode) -> Turned {
        // A stop that was requested before makes the turn return without a callback.
        if !self.is_stopping() {
            self.drain_left(); // What the code outside queued.
            self.clock.update();
            // Asked before these timers, as libuv does: an iteration follows them, whatever they
            // leave.
            let alive = self.is_alive();
            if mode == RunMode::Default && alive && !self.is_stopping() {
                timers::run(self);
            }
            self.iterations(mode, alive);
        }
        if mode != RunMode::Default {
            poll::ask(self); // Whoever turns the loop asks next how long it may wait.
        }
        let stopped = self.is_stopping();
        self.cut_short.set(stopped);
        self.mailbox.clear_stop();
        match (stopped, self.is_alive()) {
            (true, _) => Turned::Stopped,
            (false, true) => Turned::Alive,
            (false, false) => Turned::Finished,
        }
    }

    /// As many iterations as `mode` wants and there is something for: for the first one there is if
    /// the loop was `alive`.
    pub(super) fn iterations(self: &Rc<Self>, mode: RunMode, mut alive: bool) {
        while alive && !self.mailbox.is_to_return() {
            self.iterate(mode, false);
            if mode != RunMode::Default {
                return;
            }
            alive = self.is_alive();
        }
    }

    /// One iteration: the phases in their order. `hold` says that it waits also when nothing is
    /// alive. Inlined for the sake of the return (see `poll::wait`).
    #[inline(always)]
    pub(super) fn iterate(self: &Rc<Self>, mode: RunMode, hold: bool) {
        self.tell_iteration();
        pending::run(self);
        idle::run(self);
        prepare::run(self);

        poll::ask_before(self, mode, hold);
        poll::wait(self, mode, poll::timeout(self, mode, hold)); // The only sleep.
        poll::dispatch(self);
        pending::run_after_poll(self);

        check::run(self);
        close::run(self);

        // Without timers, poll's reading is recent enough: the clock is a fifth of an idle
        // iteration.
        if self.timers.any_waiting() {
            self.clock.update();
        }
        timers::run(self);

        self.drain_left();
        if self.is_observed() {
            self.end_iteration();
        }
    }

    /// Runs what was queued where no drain followed, as by a destructor between two callbacks: left
    /// there, it would keep the next poll from sleeping, and be lost if there is no next one.
    #[inline(always)]
    pub(super) fn drain_left(&self) {
        if callback::has_queued(self) {
            callback::guard(self, || callback::drain(self));
        }
    }

    /// Whether anything is left that keeps the loop alive.
    pub(crate) fn is_alive(&self) -> bool {
        self.handles.any_holding() || self.is_alive_besides_handles()
    }

    /// As [`is_alive`](State::is_alive), but for what is in the table of handles.
    pub(crate) fn is_alive_besides_handles(&self) -> bool {
        self.timers.any_holding()
            || self.immediates.any_referenced()
            || !self.pending.is_empty()
            || !self.closing.is_empty()
            || self.delivery.has_posts()
            || self.mailbox.has_posts_or_wakes()
    }
}
