//! Look-ups of one host that are under way at the same time share one call of the resolver.
//!
//! A [`Call`] is one pool job and those who wait for its answer, in the order they asked. Whoever
//! asks the same question while the call is queued or running waits with them; once the answer is
//! here, or the job was cancelled, the question opens a new call. All of it belongs to one loop:
//! the answer comes to the job's request, and from there to each waiter in turn, in the poll phase.
//!
//! A waiter is cancelled by itself: the others go on. The last one takes the job with it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync;

use super::error::LookupError;
use super::options::{Family, LookupOptions};
use super::resolve;
use crate::error::{self, CancelError, WorkError};
use crate::pool::{self, Admission, JobOrigin, WorkKind};
use crate::request::{Canceller, Completer, Request};
use crate::state::State;
use crate::state::registration::{Handle, Registration};

/// What requests for addresses complete with. Their ports are 0.
type Answer = io::Result<Vec<SocketAddr>>;

/// What look-ups have in common that can share a call.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    /// The loop that asks: a call belongs to one.
    loop_id: u32,
    /// The name.
    host: CString,
    /// Which addresses are asked for.
    family: Family,
}

/// What reports call a look-up.
pub(super) const KIND: &str = "name look-up";

/// The most places that a table without calls keeps for later ones.
const KEPT_CALLS: usize = 64;

thread_local! {
    /// The calls of this thread's loops that can be joined.
    static CALLS: RefCell<HashMap<Question, Weak<Call>>> = RefCell::new(HashMap::new());
}

/// One call of the resolver, on its way. Owned by the callback of its job's request.
struct Call {
    /// What is asked.
    question: Question,
    /// By number, which is the order in which they asked. A tree, so that one of many can be taken
    /// out.
    waiters: RefCell<BTreeMap<u64, Rc<Waiter>>>,
    /// The number of the next one who asks.
    next_number: Cell<u64>,
    /// Cancels the job. Set when the job was submitted.
    job: RefCell<Option<Canceller>>,
    /// The job drops its end when a thread begins it.
    queued: sync::Weak<()>,
}

/// One who waits for a call's answer.
struct Waiter {
    /// Open for those who joined; of the first one, the loop knows the job's own request.
    registration: Registration,
    /// Taken by the answer, the cancelling or the end of the loop, whichever is first.
    completer: Cell<Option<Completer<Answer>>>,
    /// What is wanted of the answer.
    options: LookupOptions,
}

/// Asks for the addresses of a host, or waits with those who have asked.
pub(super) fn lookup(
    state: &Rc<State>,
    location: &'static Location<'static>,
    host: CString,
    options: LookupOptions,
) -> Request<Answer> {
    let (completer, request) = Completer::new(state, KIND, location);
    let waiter = Rc::new(Waiter {
        registration: Registration::new(state.clone()),
        completer: Cell::new(None),
        options,
    });
    let question = Question { loop_id: state.id, host, family: options.family };
    let call = match find(&question) {
        Some(call) => {
            waiter.registration.open(waiter.clone(), location, true);
            call
        }
        None => Call::start(state, location, question),
    };
    let number = call.next_number.get();
    call.next_number.set(number + 1);
    let weak = Rc::downgrade(&call);
    completer.on_cancel(move || {
        weak.upgrade().map_or(Err(CancelError::Done), |call| call.cancel(number))
    });
    waiter.completer.set(Some(completer));
    call.waiters.borrow_mut().insert(number, waiter);
    request
}

/// The call that this question can join.
fn find(question: &Question) -> Option<Rc<Call>> {
    CALLS.try_with(|calls| calls.borrow().get(question).and_then(Weak::upgrade)).ok().flatten()
}

impl Call {
    fn start(
        state: &Rc<State>,
        location: &'static Location<'static>,
        question: Question,
    ) -> Rc<Call> {
        let (host, family) = (question.host.clone(), question.family.into());
        let begun = sync::Arc::new(());
        let call = Rc::new(Call {
            question,
            waiters: RefCell::default(),
            next_number: Cell::new(0),
            job: RefCell::default(),
            queued: sync::Arc::downgrade(&begun),
        });
        let joined = CALLS.try_with(|calls| {
            calls.borrow_mut().insert(call.question.clone(), Rc::downgrade(&call))
        });
        // At the end of a thread there is no table, and then each look-up has a call of its own.
        drop(joined);
        let work = move || {
            drop(begun);
            resolve::addresses(&host, family)
                .map_err(|failure| LookupError::new(host.to_string_lossy().into_owned(), failure))
        };
        let answer = |result| result;
        let origin = JobOrigin::new(WorkKind::SlowIo, KIND, location);
        let job = pool::submit(state, origin, Admission::New, work, answer);
        call.job.replace(Some(job.canceller()));
        let (state, asked) = (state.clone(), call.clone());
        job.pass_to(move |result| asked.answer(&state, result));
        call
    }

    /// Nobody joins this call any more.
    fn leave_table(&self) {
        let left = CALLS.try_with(|calls| {
            let mut calls = calls.borrow_mut();
            let ours =
                calls.get(&self.question).is_some_and(|call| call.as_ptr() == &raw const *self);
            let left = if ours { calls.remove(&self.question) } else { None };
            // A burst of questions is over: its table goes too.
            if calls.is_empty() && calls.capacity() > KEPT_CALLS {
                calls.shrink_to_fit();
            }
            left
        });
        drop(left);
    }

    /// Tells all who wait, each once.
    fn answer(
        &self,
        state: &State,
        result: Result<Result<Vec<SocketAddr>, LookupError>, WorkError>,
    ) {
        self.leave_table();
        let waiters = self.waiters.take();
        let mut untold = Untold { waiters: VecDeque::with_capacity(waiters.len()) };
        let mut result = Some(result);
        let mut left = waiters.len();
        for waiter in waiters.into_values() {
            left -= 1;
            // A failure of the pool cannot be copied: the last one gets it, the others its words.
            let answer = match &result {
                Some(Ok(Ok(addresses))) => waiter.choose(addresses, &self.question),
                Some(Ok(Err(failure))) => Err(failure.clone().into()),
                Some(Err(WorkError::Cancelled)) => Err(error::cancelled()),
                Some(Err(failure)) if left > 0 => Err(io::Error::other(failure.to_string())),
                Some(Err(_)) | None => match result.take() {
                    Some(Err(failure)) => Err(failure.into()),
                    _ => unreachable!("a failure is taken by the last who waits"),
                },
            };
            untold.waiters.push_back((waiter, answer));
        }
        // A callback that panics or ends the loop leaves the rest to the guard.
        while !state.is_halted()
            && let Some((waiter, answer)) = untold.waiters.pop_front()
        {
            waiter.tell(answer, Completer::complete);
        }
    }

    fn cancel(&self, number: u64) -> Result<(), CancelError> {
        let (waits, others) = {
            let waiters = self.waiters.borrow();
            (waiters.contains_key(&number), waiters.len() > 1)
        };
        if !waits {
            return Err(CancelError::Done);
        }
        if !others {
            // Its request completes as cancelled, and so will the one who waits for it.
            let job = self.job.borrow().clone();
            let cancelled = job.map_or(Err(CancelError::Done), |job| job.cancel());
            if cancelled.is_ok() {
                self.leave_table();
            }
            return cancelled;
        }
        if self.queued.strong_count() == 0 {
            return Err(CancelError::Busy);
        }
        let left = self.waiters.borrow_mut().remove(&number);
        if let Some(waiter) = left {
            waiter.tell(Err(error::cancelled()), Completer::complete_later);
        }
        Ok(())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.leave_table();
    }
}

/// Who has not been told. If it comes to be dropped, they are told in the pending phase.
struct Untold {
    /// In the order in which they asked, each with its answer.
    waiters: VecDeque<(Rc<Waiter>, Answer)>,
}

impl Drop for Untold {
    fn drop(&mut self) {
        for (waiter, answer) in self.waiters.drain(..) {
            waiter.tell(answer, Completer::complete_later);
        }
    }
}

impl Waiter {
    /// What of the resolver's answer was asked for.
    fn choose(&self, addresses: &[SocketAddr], question: &Question) -> Answer {
        let chosen = self.options.apply(addresses.to_vec());
        if chosen.is_empty() {
            let host = question.host.to_string_lossy().into_owned();
            return Err(LookupError::no_address(host).into());
        }
        Ok(chosen)
    }

    fn tell(&self, answer: Answer, complete: impl FnOnce(Completer<Answer>, Answer)) {
        drop(self.registration.close());
        if let Some(completer) = self.completer.take() {
            complete(completer, answer);
        }
    }

    fn shut_down(&self) {
        self.tell(Err(error::shut_down()), |completer, answer| completer.shut_down(Some(answer)));
    }
}

impl Drop for Waiter {
    /// The job's callback was dropped with its loop: who waits is told.
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Handle for Waiter {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn tear_down(self: Rc<Self>, _state: &Rc<State>) {
        self.shut_down();
    }
}
