//! The end of a loop in order: what it does with what is under way, and whom it waits for.
//!
//! `Loop::shutdown` asks each handle once to end ([`Handle::begin_shutdown`]). From then on it
//! looks before each wait whether anything is left that it waits for ([`Handle::is_waited_for`]).
//! When nothing is left, or the limit has come, the answers are queued, and behind them the exit.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use super::Loop;
use crate::callback;
use crate::phase::timers::{self, Timer};
use crate::queue::closure::Closure;
use crate::report::Laggard;
use crate::request::{Completer, Request};
use crate::state::State;
use crate::state::key::Key;
use crate::state::registration::{Handle, Registration};
use crate::sys::Event;
use crate::trace::label::here;
use crate::unhandled::{Failure, Lost};

/// What reports call a shutdown that is under way.
const KIND: &str = "shutdown";

impl Failure for Vec<Laggard> {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn into_lost(self) -> Lost {
        let names: Vec<_> = self.iter().map(ToString::to_string).collect();
        Lost::text(format!("not ended in time: {}", names.join(", ")))
    }
}

/// What a shutdown answers.
type Answer = Result<(), Vec<Laggard>>;

impl Loop {
    /// Ends the loop in order: listeners close, jobs that wait in the pool or for a worker of a
    /// [`WorkerPool`](crate::worker::WorkerPool) are cancelled, workers are asked to
    /// [shut down](crate::worker::Worker::shutdown), and what runs may finish until `limit` has
    /// passed. Then the loop ends in any case, as by [`exit`](crate::exit) with its exit code: exit
    /// hooks run, and what is left is dropped uncalled.
    ///
    /// Waited for are requests under way, jobs that run, workers, children, connections that are
    /// read or have something to write, and [`keep_alive`](Loop::keep_alive) guards, with the tasks
    /// that they hold. An operation of several jobs that has begun, as of an open file, goes on to
    /// its end. Timers, immediates, notifiers, ports, signals and watchers go on meanwhile and hold
    /// nothing.
    ///
    /// Jobs that are submitted after the call complete with
    /// [`WorkError::PoolShutDown`](crate::WorkError::PoolShutDown), those of a worker pool with
    /// [`WorkerError::Closed`](crate::worker::WorkerError::Closed). A server whose requests still
    /// need jobs stops accepting and answers them first. Workers that are started after the call
    /// are waited for, but not asked to end.
    ///
    /// # Ordering
    /// The answer comes first: its callback, or the task that awaits it, and their drain run, and
    /// then the loop ends. A further call joins the first one: the nearer limit counts, and all get
    /// the same answer, also who asks in an answer. Who asks anew in each answer puts the end off
    /// for as long.
    ///
    /// # Liveness
    /// A shutdown holds the loop until it ends it.
    ///
    /// # Errors
    /// The [`Laggard`]s: what had not ended when the limit came. The thread of a worker that is
    /// stuck in a callback is left behind, and logged.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// windlass::run(|| {
    ///     windlass::set_interval(Duration::from_secs(60), |_| println!("still here"));
    ///     windlass::Loop::current().shutdown(Duration::from_secs(5)).on_complete(|ended| {
    ///         for laggard in ended.err().into_iter().flatten() {
    ///             eprintln!("not ended in time: {laggard}");
    ///         }
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn shutdown(&self, limit: Duration) -> Request<Answer> {
        let (state, location) = (&self.state, here());
        if !state.is_open() {
            return Request::finished(state, KIND, Ok(()));
        }
        let (completer, request) = Completer::new(state, KIND, location);
        match state.extension::<Shutdown>() {
            Some(shutdown) => shutdown.join(completer, limit),
            None => Shutdown::begin(state, location, completer, limit),
        }
        request
    }
}

/// A shutdown under way.
struct Shutdown {
    /// Holds the loop until the answer is given.
    registration: Registration,
    /// Those who have asked.
    askers: RefCell<Vec<Completer<Answer>>>,
    /// Ends the wait, at the nearest limit.
    limit: Cell<Option<Timer>>,
    /// Its place among the prepare watchers.
    number: Cell<u64>,
    /// What the loop was seen to wait for last.
    waits_for: Cell<Key>,
    /// The answer is known: it is queued, with the exit behind it.
    answered: Cell<bool>,
}

impl Shutdown {
    fn begin(
        state: &Rc<State>,
        location: &'static Location<'static>,
        completer: Completer<Answer>,
        limit: Duration,
    ) {
        let shutdown = Rc::new(Shutdown {
            registration: Registration::new(state.clone()),
            askers: RefCell::new(vec![completer]),
            limit: Cell::new(None),
            number: Cell::new(u64::MAX),
            waits_for: Cell::default(),
            answered: Cell::new(false),
        });
        state.set_extension(shutdown.clone());
        state.shutting_down.set(true);
        shutdown.set_limit(location, limit);
        shutdown.registration.open(shutdown.clone(), location, true);
        shutdown.number.set(state.prepare.add(shutdown.clone()));
        for handle in state.handles.all() {
            // Users' values are dropped here. A panic of one must not keep the rest from being
            // asked.
            callback::quietly(|| handle.begin_shutdown(state));
        }
    }

    /// One more has asked.
    fn join(self: &Rc<Self>, completer: Completer<Answer>, limit: Duration) {
        self.askers.borrow_mut().push(completer);
        let nearer = |timer: &Timer| timer.due_in().is_none_or(|left| limit < left);
        let timer = self.limit.get();
        if !self.answered.get() && timer.as_ref().is_none_or(nearer) {
            timer.iter().for_each(Timer::clear);
            let location = self.registration.location().unwrap_or_else(here);
            self.set_limit(location, limit);
        }
    }

    fn set_limit(self: &Rc<Self>, location: &'static Location<'static>, limit: Duration) {
        let weak = Rc::downgrade(self);
        let expire = move || {
            if let Some(shutdown) = weak.upgrade() {
                let laggards = shutdown.laggards();
                shutdown.answer(if laggards.is_empty() { Ok(()) } else { Err(laggards) });
            }
        };
        let state = &self.registration.state;
        self.limit.set(Some(timers::set_internal(state, limit, location, expire)));
    }

    /// Whether the loop still waits for something. That is asked in each iteration, so it begins
    /// with what was found the last time.
    fn waits(&self, state: &State) -> bool {
        let found = state.handles.find_from(self.waits_for.get(), |handle| handle.is_waited_for());
        self.waits_for.set(found.unwrap_or_default());
        found.is_some()
    }

    /// What the loop still waits for.
    fn laggards(&self) -> Vec<Laggard> {
        let state = &self.registration.state;
        let own = match thread::current().name().unwrap_or(state.teller.track.name()) {
            "" => "main".to_owned(),
            name => name.to_owned(),
        };
        let handles = state.handles.all().into_iter().filter(|handle| handle.is_waited_for());
        let laggards = handles.map(|handle| {
            let registration = handle.registration();
            let mut laggard = Laggard {
                kind: handle.kind(),
                location: registration.location(),
                thread: own.clone(),
                running_for: registration.open_for(),
            };
            handle.explain(&mut laggard);
            laggard
        });
        laggards.collect()
    }

    /// Answers all who have asked, and ends the loop.
    fn answer(self: &Rc<Self>, answer: Answer) {
        if !self.answered.replace(true) {
            self.limit.take().iter().for_each(Timer::clear);
            self.clone().tell(answer);
        }
    }

    /// Queues the answers of those who have asked, and behind them a look for who has asked
    /// meanwhile, as in an answer. The loop ends when nobody has.
    ///
    /// Each answer is a callback of its own, so that one which panics keeps neither the others nor
    /// the end.
    fn tell(self: Rc<Self>, answer: Answer) {
        let state = self.registration.state.clone();
        let askers = self.askers.take();
        if askers.is_empty() {
            return state.exit(state.exit_code.get());
        }
        for completer in askers {
            completer.complete_later(answer.clone());
        }
        state.push_pending(Closure::new(move || self.tell(answer)));
    }
}

impl Handle for Shutdown {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Right before the loop would wait.
    fn ready(self: Rc<Self>, state: &Rc<State>, _event: Event) {
        if !self.answered.get() && !self.waits(state) {
            self.answer(Ok(()));
        }
    }

    fn tear_down(self: Rc<Self>, state: &Rc<State>) {
        drop(self.registration.close());
        drop(state.prepare.remove(self.number.get()));
        drop(state.remove_extension::<Shutdown>());
        for completer in self.askers.take() {
            callback::quietly(|| completer.shut_down(None));
        }
    }
}
