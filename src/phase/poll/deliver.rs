//! The part of the poll phase that delivers what other threads made ready.

use std::rc::Rc;

use crate::callback;
use crate::state::State;
use crate::state::key::Key;
use crate::sys;
use crate::threads::mailbox::incoming::{Done, Woken};
use crate::trace::Phase;
use crate::trace::detail::{self, Named, Queue};

/// The most posted closures that are called in one poll phase.
const POSTS_PER_PHASE: usize = 1024;

/// Delivers what other threads made ready: completions, then receivers by age, then posts.
///
/// Completions and posts that come meanwhile wait for the next poll phase. A receiver that is
/// notified meanwhile is called in this phase if no younger one has been, as in Node.
#[inline]
pub(crate) fn deliver(state: &Rc<State>) {
    if state.mailbox.is_filled() {
        fetch(state);
    }
    if !state.delivery.is_empty() || !state.microtasks.is_empty() {
        deliver_all(state);
    }
}

/// Empties the mailbox. Woken tasks become microtasks at once.
fn fetch(state: &State) {
    let (count, mut tasks) = state.delivery.fetch(&state.mailbox);
    state.mailbox.figures.add_events(count as u64);
    if detail::is_wanted() {
        state.tell_fetched(count, tasks.len());
    }
    if !tasks.is_empty() {
        tasks.drain(..).for_each(Woken::queue);
        state.delivery.keep(tasks);
    }
}

fn deliver_all(state: &Rc<State>) {
    let delivery = &state.delivery;
    // What is there now. More may come while these are called.
    let mut completions = delivery.completions();
    let mut posts = delivery.posts.len().min(POSTS_PER_PHASE);
    state.begin_phase(Phase::Poll, || completions + posts);
    let (mut from, end) = (0, delivery.next_number());
    callback::guard(state, || {
        callback::drain(state); // The tasks that other threads woke.
        while completions > 0 && !state.is_halted() {
            completions -= 1;
            let Some(Done { request: key, job }) = delivery.next_completion() else { break };
            state.tell_taken(Queue::Completions, Named::Handle(key));
            if let Some(request) = state.handles.get(Key::from_bits(key)) {
                request.ready(state, sys::Event::default());
            }
            drop(job);
        }
        while !state.is_halted() {
            if state.mailbox.is_filled() {
                fetch(state);
                callback::drain(state); // Tasks again.
            }
            let Some((number, receiver)) = delivery.next_receiver(from, end) else { break };
            // After a panic in it the same receiver goes on with what it has left.
            from = number;
            state.tell_handle_taken(Queue::Receivers, &*receiver);
            receiver.ready(state, sys::Event::default());
            from = number + 1;
        }
        while posts > 0 && !state.is_halted() {
            posts -= 1;
            let Some(post) = state.tell_next(Queue::Posts, delivery.posts.next()) else { break };
            callback::call_post(state, post);
        }
    });
}
