//! The idle phase: watchers that run in every iteration and keep poll from blocking.

use std::rc::Rc;

use super::watchers::{self, InPhase, Phase, PhaseWatcher};
use crate::state::State;
use crate::trace;

pub(crate) fn run(state: &Rc<State>) {
    watchers::run(state, trace::Phase::Idle, &state.idle);
}

/// Calls back in every iteration, before the poll phase, and keeps that from blocking.
///
/// For work in small steps between events. Watchers run in the order they were started; one
/// started by another first runs in the next iteration. Lives until stopped, and keeps the loop
/// alive meanwhile unless [`unref`](PhaseWatcher::unref)'d. libuv: `uv_idle_t`.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use windlass::handle::Idle;
///
/// windlass::run(|| {
///     let own = Rc::new(Cell::new(None::<Idle>));
///     let inner = own.clone();
///     own.set(Some(Idle::start(move || {
///         println!("once is enough");
///         inner.take().unwrap().stop();
///     })));
///     windlass::set_immediate(|| println!("something to wake up for"));
/// });
/// ```
pub type Idle = PhaseWatcher<InIdle>;

/// Names the phase of [`Idle`].
///
/// # Examples
/// ```
/// use windlass::handle::{Idle, InIdle, PhaseWatcher};
///
/// windlass::run(|| {
///     let watcher: PhaseWatcher<InIdle> = Idle::start(|| ());
///     watcher.stop();
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub enum InIdle {}

impl InPhase for InIdle {
    const PHASE: Phase = Phase::Idle;
    const START: &'static str = "Idle::start";
    const KIND: &'static str = "idle watcher";
}
