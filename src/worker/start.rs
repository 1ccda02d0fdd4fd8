//! A worker's thread, from its first step to its last.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, Location};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::direct;
use super::error::WorkerError;
use super::fail::take_failure;
use super::inherited::{self, Values};
use super::shared::{Cause, Ended, Shared, set_this_worker};
use super::this;
use crate::alloc;
use crate::callback::{self, Halt};
use crate::channel::port::{Port, PortEnd};
use crate::clock::Nanos;
use crate::error::Panic;
use crate::event_loop::Loop;
use crate::event_loop::builder::Parts;
use crate::sys;
use crate::trace::detail::{self, Detail};
use crate::trace::label::InForce;
use crate::trace::ring::Happened;
use crate::virtual_time::scheduler::Member;

/// How long the notice of a worker's end takes in virtual time: one millisecond, so that it comes
/// behind everything that the worker posted.
const END_TAKES: Nanos = 1_000_000;

/// All that a worker's thread begins with.
pub(super) struct Start<In, Out, M> {
    /// The parts of its loop.
    pub(super) parts: Parts,
    /// The part that it shares with its parent.
    pub(super) shared: Arc<Shared>,
    /// Its end of the channel to the parent.
    pub(super) end: PortEnd<Out, In>,
    /// The values that it inherits, and those that its builder added.
    pub(super) environment: Values,
    /// In bytes. None for no limit.
    pub(super) memory_limit: Option<usize>,
    /// The line that started the worker.
    pub(super) location: &'static Location<'static>,
    /// The callback that spawned it. Zero: none, or nobody observed.
    pub(super) cause: u64,
    /// The main script.
    pub(super) main: M,
}

impl<In: Send + 'static, Out: Send + 'static, M: FnOnce(Port<Out, In>) + 'static>
    Start<In, Out, M>
{
    /// The worker's thread, from its first step to its last.
    pub(super) fn run(self) {
        let Start { parts, shared, end, environment, memory_limit, location, cause, main } = self;
        FAREWELL.with(|_| ()); // First of all, to be dropped last of all.
        set_this_worker(Some(shared.clone()));
        shared.member.iter().for_each(Member::begin);
        let event_loop = Loop::from_parts(parts);
        inherited::inherit(event_loop.state(), environment);
        log::debug!("worker {} is online", shared.id);
        if detail::is_wanted() {
            event_loop.state().say(Detail::new(Happened::Online, shared.id));
        }
        shared.set_online(event_loop.virtual_now());
        if let Some(bytes) = memory_limit {
            alloc::set_limit(bytes);
        }
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            event_loop.run_worker(location, cause, move || {
                this::begin();
                // It is made where the worker is: this line says nothing to anybody.
                let place = InForce::at(location);
                let port = end.open();
                drop(place);
                main(port);
            })
        }));
        alloc::lift_limit();
        // The parent must hear of the end, also if a destructor panics there.
        callback::quietly(|| event_loop.tear_down());
        let exit_code = event_loop.exit_code();
        // Behind its last message, however long that one is on its way.
        let messages = shared.member.as_ref().and_then(Member::chance);
        let messages = messages.map_or(0, |chance| chance.message_time_max());
        let takes = END_TAKES.saturating_add(messages);
        let end_seen_at = event_loop.virtual_now().saturating_add(takes);
        let over_limit = event_loop.over_limit();
        // With it what the worker has inherited, which may be the last of its kind.
        callback::drop_quietly(event_loop);
        shared.interrupts.end();
        let terminated = shared.terminated.load(Ordering::SeqCst);
        let (code, cause) = match (outcome, over_limit) {
            (Err(payload), _) if !payload.is::<Halt>() => (1, Cause::Panicked(Panic::new(payload))),
            (_, Some(allocated)) => {
                let limit = memory_limit.unwrap_or_default();
                (1, Cause::Failed(WorkerError::OutOfMemory { limit, allocated }))
            }
            (Ok(by_itself), None) if by_itself || !terminated => (exit_code, Cause::ByItself),
            _ => (1, Cause::Terminated),
        };
        let (code, cause) = match (cause, take_failure()) {
            (Cause::ByItself | Cause::Terminated, Some(failure)) => {
                (exit_code, Cause::Failed(WorkerError::Failed(failure)))
            }
            (cause, failure) => {
                callback::drop_quietly(failure);
                (code, cause)
            }
        };
        log::debug!("worker {} ends with code {code}", shared.id);
        set_this_worker(None);
        direct::discharge(shared.address());
        let ended = Ended { code, cause, cpu_time: None };
        FAREWELL.set(Some(Farewell { shared, ended: Some(ended), seen_at: end_seen_at }));
    }
}

thread_local! {
    /// Set when this thread's worker has ended, to be dropped after all other locals.
    static FAREWELL: Cell<Option<Farewell>> = const { Cell::new(None) };
}

/// Tells the parent, when it is dropped, that the worker has ended.
///
/// It is a local of the worker's thread, and the first one: locals are dropped in the opposite
/// order of their first use, so the user's are gone by then. Their destructors may take any time.
/// Were the parent told before them, it would spend that time in joining the thread.
struct Farewell {
    /// The part that the worker shares with its parent.
    shared: Arc<Shared>,
    /// Taken out when the parent is told.
    ended: Option<Ended>,
    /// In virtual time: from when on the parent sees the end.
    seen_at: Nanos,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let Some(ended) = self.ended.take() else { return };
        let cpu_time = sys::own_cpu_time();
        self.shared.set_ended(Ended { cpu_time, ..ended }, self.seen_at);
        self.shared.member.iter().for_each(Member::end);
    }
}
