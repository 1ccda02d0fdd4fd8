//! The prepare phase: watchers that run right before poll.

use std::rc::Rc;

use super::watchers::{self, InPhase, Phase, PhaseWatcher};
use crate::state::State;
use crate::trace;

pub(crate) fn run(state: &Rc<State>) {
    watchers::run(state, trace::Phase::Prepare, &state.prepare);
}

/// Calls back in every iteration, right before the poll phase.
///
/// Watchers run in the order they were started; one started by another first runs in the next
/// iteration. Lives until stopped, and keeps the loop alive meanwhile unless
/// [`unref`](PhaseWatcher::unref)'d. Does not keep poll from blocking. libuv: `uv_prepare_t`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use windlass::handle::Prepare;
///
/// windlass::run(|| {
///     let own = Rc::new(Cell::new(None::<Prepare>));
///     let inner = own.clone();
///     own.set(Some(Prepare::start(move || {
///         println!("once is enough");
///         inner.take().unwrap().stop();
///     })));
///     windlass::set_immediate(|| println!("something to wake up for"));
/// });
/// ```
pub type Prepare = PhaseWatcher<InPrepare>;

/// Names the phase of [`Prepare`].
///
/// # Examples
/// ```
/// use windlass::handle::{InPrepare, PhaseWatcher, Prepare};
///
/// windlass::run(|| {
///     let watcher: PhaseWatcher<InPrepare> = Prepare::start(|| ());
///     watcher.stop();
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub enum InPrepare {}

impl InPhase for InPrepare {
    const PHASE: Phase = Phase::Prepare;
    const START: &'static str = "Prepare::start";
    const KIND: &'static str = "prepare watcher";
}
