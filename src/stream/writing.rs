//! The writing side of a stream: what is sent at once, what waits, and in which order it completes.
//!
//! A write is tried at once, by [`Writing::try_send`]. What the system does not take is queued, and
//! several queued writes go out with one call, by [`Writing::send_batch`]. A write that has ended
//! is *finished*, and waits to be taken out and completed:
//!
//! ```text
//! two queues:  finished   finished  │  begun              unsent   unsent  │  the end
//!              taken out in order   │  not cancelled      cancelled        │  sent behind the last
//!                                   │  any more           by number        │  write
//! ```
//!
//! So writes complete in the order of their calls. All that one call has sent is booked before the
//! first completion, whose callback may then write, cancel, close or panic.
//!
//! This file makes no system call and calls nothing back. It is given the function that sends, and
//! that which completes a request is of any type `C`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::cell::peek;
use crate::error::CancelError;
use crate::queue::cancellable::Cancellable;
use crate::sys::Event;
use crate::task::waiters::Waiters;

/// Queued writes that go out with one call. 32 buffers fit on the stack.
const WRITES_PER_BATCH: usize = 32;

/// The writing side of a stream.
pub(crate) struct Writing<C> {
    /// The system takes bytes, for all that is known. Set by an event, cleared by a would-block,
    /// and not set while the connection is being made.
    writable: Cell<bool>,
    /// The end was asked for: nothing more is written. The end itself may still wait for writes.
    ended: Cell<bool>,
    /// Wakes the task that waits until it can write.
    task: Cell<Option<Waker>>,
    /// Boxed, for most streams have none most of the time: without a box a round has nothing to do
    /// here.
    requests: Cell<Option<Box<Requests<C>>>>,
}

/// The requests of the writing side that have not completed. They wait for each other in this
/// order.
struct Requests<C> {
    /// The stream is being connected: nothing is sent yet.
    attempt: Option<Rc<dyn Attempt>>,
    /// What completes the writes that have finished, in the order of the calls, and how each ended.
    finished: VecDeque<(C, io::Result<()>)>,
    /// The writes that have not, in the order of the calls.
    unsent: Cancellable<Write<C>>,
    /// Bytes in `unsent` that are still to go.
    queued: usize,
    /// The end of the stream waits for the writes before it.
    end: Option<C>,
    /// Those who wait to hear that the stream has failed. They are no requests, and stand here for
    /// the box's sake.
    watchers: Option<Rc<Waiters>>,
}

/// What is left of a write when it is queued, and later.
#[derive(Default)]
pub(super) struct Rest {
    /// What was to be sent when it was queued.
    pub(super) data: Vec<u8>,
    /// The number of bytes of `data` that have gone.
    pub(super) sent: usize,
    /// Bytes had gone before the write was queued, or go at this moment: it can no longer be
    /// cancelled.
    pub(super) begun: bool,
    /// What goes with the first byte. None once that has gone.
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Rest {
    fn len(&self) -> usize {
        self.data.len() - self.sent
    }
}

/// One write that has not finished.
struct Write<C> {
    /// What has not gone.
    rest: Rest,
    /// What completes its request.
    completer: C,
}

/// An attempt to connect, which is told how it ends. One of these is called, once.
pub(crate) trait Attempt {
    /// The stream is connected. Completes the request here.
    fn connected(&self);

    /// The stream could not be connected, and is closed.
    fn failed(self: Rc<Self>, error: io::Error);

    /// The program has closed the stream before that was decided.
    fn cancelled(&self);

    /// The loop ends.
    fn shut_down(&self);
}

impl<C> Default for Requests<C> {
    fn default() -> Requests<C> {
        let (finished, unsent) = (VecDeque::new(), Cancellable::default());
        Requests { attempt: None, finished, unsent, queued: 0, end: None, watchers: None }
    }
}

impl<C> Requests<C> {
    fn is_empty(&self) -> bool {
        !self.has_writes() && self.end.is_none() && self.attempt.is_none()
    }

    fn has_writes(&self) -> bool {
        !self.finished.is_empty() || !self.unsent.is_empty()
    }

    /// Sends what has not gone of the first unsent writes, with one call: how many writes that
    /// were, and what came of it. One with descriptors begins a call, so that they go with its own
    /// first byte.
    fn send(
        &self,
        send: impl FnOnce(&[IoSlice<'_>], &[OwnedFd]) -> io::Result<usize>,
    ) -> (usize, io::Result<usize>) {
        let mut buffers = [IoSlice::new(&[]); WRITES_PER_BATCH];
        let mut descriptors: &[OwnedFd] = &[];
        let mut count = 0;
        for (buffer, Write { rest, .. }) in buffers.iter_mut().zip(self.unsent.iter()) {
            if !rest.descriptors.is_empty() {
                if count > 0 {
                    break;
                }
                descriptors = &rest.descriptors;
            }
            *buffer = IoSlice::new(&rest.data[rest.sent..]);
            count += 1;
        }
        (count, send(&buffers[..count], descriptors))
    }

    /// Takes sent bytes off the unsent writes. Those that have none left are finished.
    fn book(&mut self, mut count: usize) {
        while let Some(Write { rest, .. }) = self.unsent.first_mut() {
            let taken = count.min(rest.len());
            if taken > 0 {
                drop(std::mem::take(&mut rest.descriptors));
            }
            rest.sent += taken;
            count -= taken;
            self.queued -= taken;
            if rest.len() > 0 {
                return;
            }
            self.finish_first(Ok(()));
        }
    }

    /// The first unsent write has ended.
    fn finish_first(&mut self, outcome: io::Result<()>) {
        if let Some(write) = self.unsent.pop_first() {
            self.queued -= write.rest.len();
            self.finished.push_back((write.completer, outcome));
        }
    }

    /// The first `count` unsent writes go at this moment, in whole or in part.
    fn begin(&mut self, count: usize) {
        for write in self.unsent.iter_mut().take(count) {
            write.rest.begun = true;
        }
    }

    fn cancel(&mut self, number: u64) -> Result<C, CancelError> {
        let write = self.unsent.get(number).ok_or(CancelError::Done)?;
        if write.rest.begun || write.rest.sent > 0 {
            return Err(CancelError::Busy);
        }
        let write = self.unsent.remove(number).ok_or(CancelError::Done)?;
        self.queued -= write.rest.len();
        Ok(write.completer)
    }
}

impl<C> Writing<C> {
    /// A side that can be written, has no requests and has not ended.
    pub(super) fn new() -> Writing<C> {
        Writing {
            writable: Cell::new(true),
            ended: Cell::new(false),
            task: Cell::new(None),
            requests: Cell::new(None),
        }
    }

    /// Whether the end was asked for.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Notes that the end is asked for. True if it was before.
    pub(super) fn end(&self) -> bool {
        self.ended.replace(true)
    }

    /// Notes what the poller reported, once the stream is connected.
    #[inline(always)]
    pub(super) fn note(&self, event: Event) {
        if event.has(Event::WRITABLE.with(Event::WRITE_CLOSED).with(Event::ERROR)) {
            self.writable.set(true);
        }
    }

    /// Whether the system takes bytes, for all that is known.
    pub(super) fn is_writable(&self) -> bool {
        self.writable.get()
    }

    /// Sends until all is gone or the system takes no more: how much, or the error of the first
    /// call. An error after that is not reported: it comes again.
    ///
    /// `send` is given the number of bytes that have gone, and sends those behind them.
    #[inline(always)]
    pub(super) fn try_send(
        &self,
        total: usize,
        mut send: impl FnMut(usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut sent = 0;
        while sent < total && self.writable.get() {
            match send(sent) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable.set(false),
                Err(error) if sent == 0 => return Err(error),
                Err(_comes_again) => break,
            }
        }
        Ok(sent)
    }

    /// Sends queued writes with one call, and books what came of it. `later` says that a call that
    /// would block has taken over what it was given.
    pub(super) fn send_batch(
        &self,
        later: bool,
        send: impl FnOnce(&[IoSlice<'_>], &[OwnedFd]) -> io::Result<usize>,
    ) {
        self.change(|requests| match requests.send(send) {
            (_, Ok(count)) => requests.book(count),
            (count, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable.set(false);
                if later {
                    requests.begin(count);
                }
            }
            (_, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            // The others are tried, and fail for themselves.
            (_, Err(error)) => requests.finish_first(Err(error)),
        });
    }

    /// Looks at the requests. None when there are none.
    #[inline]
    fn look<R>(&self, look: impl FnOnce(&Requests<C>) -> R) -> Option<R> {
        peek(&self.requests, |requests| requests.as_deref().map(look))
    }

    /// Changes the requests. None when there are none. `change` calls nothing back.
    fn change<R>(&self, change: impl FnOnce(&mut Requests<C>) -> R) -> Option<R> {
        let mut requests = self.requests.take()?;
        let result = change(&mut requests);
        self.requests.set(Some(requests));
        Some(result)
    }

    /// Adds to the requests. `add` calls nothing back.
    fn add(&self, add: impl FnOnce(&mut Requests<C>)) {
        let mut requests = self.requests.take().unwrap_or_default();
        add(&mut requests);
        self.requests.set(Some(requests));
    }

    /// Gives the memory back when no request is left.
    pub(super) fn shrink(&self) {
        let is_watched = self.watchers().is_some_and(|watchers| !watchers.is_empty());
        if !self.is_busy() && !is_watched {
            self.requests.set(None);
        }
    }

    /// Those who wait to hear that the stream has failed.
    pub(super) fn watchers(&self) -> Option<Rc<Waiters>> {
        self.look(|requests| requests.watchers.clone()).flatten()
    }

    /// A list for such.
    pub(super) fn make_watchers(&self) -> Rc<Waiters> {
        self.watchers().unwrap_or_else(|| {
            let made = Rc::<Waiters>::default();
            self.add(|requests| requests.watchers = Some(made.clone()));
            made
        })
    }

    /// Whether a round has something to do here.
    #[inline(always)]
    pub(super) fn is_waiting(&self) -> bool {
        peek(&self.requests, Option::is_some) || self.has_task()
    }

    /// Whether a request has not completed.
    pub(super) fn is_busy(&self) -> bool {
        self.look(|requests| !requests.is_empty()).unwrap_or(false)
    }

    /// Whether a write waits for the system.
    #[inline]
    pub(super) fn has_unsent(&self) -> bool {
        self.look(|requests| !requests.unsent.is_empty()).unwrap_or(false)
    }

    /// Whether a write has not completed, finished or not: the next one waits behind it.
    #[inline]
    pub(super) fn has_writes(&self) -> bool {
        self.look(|requests| requests.has_writes()).unwrap_or(false)
    }

    /// Whether another call would send something.
    pub(super) fn can_send(&self) -> bool {
        self.writable.get() && self.has_unsent()
    }

    /// The number of writes that have finished and wait to be taken out.
    pub(super) fn finished(&self) -> usize {
        self.look(|requests| requests.finished.len()).unwrap_or(0)
    }

    /// Bytes that are still to go.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.look(|requests| requests.queued).unwrap_or(0)
    }

    /// Queues what is left of a write. By the number, larger than those before, it is cancelled.
    pub(super) fn push(&self, number: u64, rest: Rest, completer: C) {
        self.add(|requests| {
            requests.queued += rest.len();
            requests.unsent.push(number, Write { rest, completer });
        });
    }

    /// Puts a write that has ended at once behind those that have finished.
    pub(super) fn push_finished(&self, outcome: io::Result<()>, completer: C) {
        debug_assert!(!self.has_unsent(), "it would have been queued behind those");
        self.add(|requests| requests.finished.push_back((completer, outcome)));
    }

    /// Takes the first write out that has finished.
    pub(super) fn take_finished(&self) -> Option<(C, io::Result<()>)> {
        self.change(|requests| requests.finished.pop_front())?
    }

    /// Takes an unsent write out. `Busy` if bytes of it have gone, `Done` if it is not here.
    pub(super) fn cancel(&self, number: u64) -> Result<C, CancelError> {
        self.change(|requests| requests.cancel(number)).unwrap_or(Err(CancelError::Done))
    }

    /// Has the end wait for the writes.
    pub(super) fn push_end(&self, completer: C) {
        self.add(|requests| requests.end = Some(completer));
    }

    /// Takes the end out that waits.
    pub(super) fn take_end(&self) -> Option<C> {
        self.change(|requests| requests.end.take())?
    }

    /// The stream is being connected: the first event says that it can be written.
    pub(super) fn begin_attempt(&self, attempt: Rc<dyn Attempt>) {
        self.writable.set(false);
        self.add(|requests| requests.attempt = Some(attempt));
    }

    /// The attempt that is not decided.
    pub(super) fn attempt(&self) -> Option<Rc<dyn Attempt>> {
        self.look(|requests| requests.attempt.clone()).flatten()
    }

    /// The attempt is decided: its stream can be written, if it is connected.
    pub(super) fn end_attempt(&self) {
        self.writable.set(true);
        self.change(|requests| requests.attempt = None);
    }

    /// Keeps the waker of a task until it can write, or until another task takes its place.
    pub(super) fn wait(&self, cx: &Context<'_>) -> Option<Waker> {
        self.task.replace(Some(cx.waker().clone()))
    }

    /// Whether a task waits.
    #[inline(always)]
    pub(super) fn has_task(&self) -> bool {
        peek(&self.task, Option::is_some)
    }

    /// The task that waits, for the caller to wake.
    pub(super) fn take_task(&self) -> Option<Waker> {
        self.task.take()
    }

    /// Takes all requests out, but not who watches: the attempt, and the others in the order in
    /// which they complete, each with its outcome if it has finished, else with this error.
    pub(super) fn take_all(&self, error: fn() -> io::Error) -> Left<C> {
        let Some(mut requests) = self.requests.take() else {
            return Left { attempt: None, ends: Vec::new() };
        };
        if let Some(watchers) = requests.watchers.take() {
            self.add(|requests| requests.watchers = Some(watchers));
        }
        let unsent = requests.unsent.into_values().map(|write| (write.completer, Err(error())));
        let end = requests.end.map(|completer| (completer, Err(error())));
        let ends = requests.finished.into_iter().chain(unsent).chain(end).collect();
        Left { attempt: requests.attempt, ends }
    }
}

/// The requests that a stream leaves when it ends.
pub(super) struct Left<C> {
    /// The attempt to connect, undecided.
    pub(super) attempt: Option<Rc<dyn Attempt>>,
    /// The writes and the end, with their outcomes.
    pub(super) ends: Vec<(C, io::Result<()>)>,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A writing side that names what completes a write.
    type Names = Writing<&'static str>;

    /// A number for a write.
    fn next_number() -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        LAST.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues a write of which nothing has gone.
    fn push(writing: &Names, data: &[u8], name: &'static str) -> u64 {
        let number = next_number();
        writing.push(number, Rest { data: data.to_vec(), ..Rest::default() }, name);
        number
    }

    /// Sends a batch of which the system takes `limit` bytes, and returns all that it was offered.
    fn send(writing: &Names, limit: usize) -> Vec<u8> {
        let mut offered = Vec::new();
        writing.send_batch(false, |buffers, _descriptors| {
            offered = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
            Ok(offered.len().min(limit))
        });
        offered
    }

    /// Fails a batch.
    fn fail(writing: &Names, kind: io::ErrorKind) {
        writing.send_batch(false, |_buffers, _descriptors| Err(kind.into()));
    }

    /// Takes all finished writes out: the name of each, and whether it went well.
    fn finished(writing: &Names) -> Vec<(&'static str, bool)> {
        let taken = std::iter::from_fn(|| writing.take_finished());
        taken.map(|(name, outcome)| (name, outcome.is_ok())).collect()
    }

    #[test]
    fn one_call_sends_several_writes_and_all_it_has_sent_is_booked_before_any_completes() {
        let writing = Names::new();
        push(&writing, b"first", "one");
        push(&writing, b"", "empty");
        push(&writing, b"second", "two");
        push(&writing, b"third", "three");
        assert_eq!(send(&writing, 8), b"firstsecondthird");
        assert_eq!((writing.finished(), writing.queued_bytes()), (2, 8));
        assert_eq!(send(&writing, 100), b"ondthird", "only what has not gone");
        assert!(!writing.has_unsent() && writing.has_writes(), "finished, and not yet told");
        assert_eq!(
            finished(&writing),
            [("one", true), ("empty", true), ("two", true), ("three", true)]
        );
        assert!(!writing.has_writes());
    }

    #[test]
    fn a_batch_takes_as_many_writes_as_fit_on_the_stack_and_the_next_one_goes_on() {
        let writing = Names::new();
        for _ in 0..WRITES_PER_BATCH + 1 {
            push(&writing, b"x", "one of many");
        }
        assert_eq!(send(&writing, usize::MAX).len(), WRITES_PER_BATCH);
        assert_eq!(send(&writing, usize::MAX).len(), 1);
        assert_eq!(writing.finished(), WRITES_PER_BATCH + 1);
    }

    #[test]
    fn a_failure_ends_the_first_unsent_write_and_no_other() {
        let writing = Names::new();
        push(&writing, b"gone", "one");
        push(&writing, b"fails", "two");
        push(&writing, b"stays", "three");
        send(&writing, 6);
        fail(&writing, io::ErrorKind::BrokenPipe);
        assert_eq!(finished(&writing), [("one", true), ("two", false)]);
        assert_eq!(writing.queued_bytes(), 5);
        assert_eq!(send(&writing, 5), b"stays");
        assert_eq!(finished(&writing), [("three", true)]);
    }

    #[test]
    fn a_would_block_waits_for_an_event_and_an_interruption_does_not() {
        let writing = Names::new();
        push(&writing, b"data", "one");
        fail(&writing, io::ErrorKind::Interrupted);
        assert!(writing.can_send());
        fail(&writing, io::ErrorKind::WouldBlock);
        assert!(!writing.can_send() && writing.has_unsent());
        writing.note(Event::READABLE);
        assert!(!writing.can_send());
        writing.note(Event::WRITABLE);
        assert!(writing.can_send());
    }

    #[test]
    fn a_write_is_cancelled_until_a_byte_of_it_has_gone() {
        let writing = Names::new();
        let first = push(&writing, b"first", "one");
        let second = push(&writing, b"second", "two");
        let tail = next_number();
        writing.push(tail, Rest { data: b"tail".to_vec(), begun: true, ..Rest::default() }, "tail");
        send(&writing, 1);
        assert_eq!(writing.cancel(first), Err(CancelError::Busy));
        assert_eq!(writing.cancel(second), Ok("two"));
        assert_eq!(writing.cancel(second), Err(CancelError::Done));
        assert_eq!(writing.cancel(tail), Err(CancelError::Busy), "its head has gone");
        assert_eq!(writing.queued_bytes(), 8);
        assert_eq!(send(&writing, 100), b"irsttail");
        assert_eq!(writing.cancel(first), Err(CancelError::Done), "finished");
    }

    #[test]
    fn what_is_left_between_cancelled_writes_goes_in_order_and_completes_alone() {
        let writing = Names::new();
        let name = |index: usize| ["a", "b", "c", "d"][index % 4];
        let push_one = |index: usize| push(&writing, name(index).as_bytes(), name(index));
        let numbers: Vec<_> = (0..200).map(push_one).collect();
        let left = |index: usize| index % 50 == 1;
        for index in (0..200).filter(|index| !left(*index)) {
            assert_eq!(writing.cancel(numbers[index]), Ok(name(index)), "{index}");
            assert_eq!(writing.cancel(numbers[index]), Err(CancelError::Done), "{index}");
        }
        assert_eq!(writing.queued_bytes(), 4);
        let mut sent = Vec::new();
        while writing.has_unsent() {
            sent.extend(send(&writing, usize::MAX));
        }
        assert_eq!(sent, b"bdbd", "of places 1, 51, 101 and 151");
        assert_eq!(finished(&writing), [("b", true), ("d", true), ("b", true), ("d", true)]);
        assert!(!writing.has_writes() && !writing.is_busy());
        // A failure goes past those that were cancelled, and a close tells nobody of them.
        let numbers = ["a", "b", "c", "d"].map(|name| push(&writing, b"x", name));
        writing.cancel(numbers[1]).unwrap();
        fail(&writing, io::ErrorKind::BrokenPipe);
        assert_eq!(writing.cancel(numbers[2]), Ok("c"));
        let left = writing.take_all(crate::error::cancelled);
        let ends: Vec<_> = left.ends.iter().map(|(name, end)| (*name, end.is_ok())).collect();
        assert_eq!(ends, [("a", false), ("d", false)]);
    }

    #[test]
    fn a_write_that_was_taken_over_to_go_later_can_no_longer_be_cancelled() {
        let writing = Names::new();
        let taken = push(&writing, b"taken", "one");
        let would_block = |_: &[IoSlice<'_>], _: &[OwnedFd]| Err(io::ErrorKind::WouldBlock.into());
        writing.send_batch(true, would_block);
        let behind = push(&writing, b"behind", "two");
        assert_eq!(writing.cancel(taken), Err(CancelError::Busy));
        assert_eq!(writing.cancel(behind), Ok("two"));
        assert_eq!(send(&writing, 5), b"taken");
        assert_eq!(finished(&writing), [("one", true)]);
    }

    #[test]
    fn a_write_with_descriptors_begins_a_call_and_gives_them_up_with_its_first_byte() {
        let writing = Names::new();
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let with = |data: &[u8]| Rest {
            data: data.to_vec(),
            descriptors: vec![null(), null()],
            ..Rest::default()
        };
        push(&writing, b"plain", "one");
        writing.push(next_number(), with(b"with"), "two");
        push(&writing, b"behind", "three");
        let calls: Vec<_> = [100, 1, 100]
            .map(|limit: usize| {
                let mut call = (Vec::<u8>::new(), 0);
                writing.send_batch(false, |buffers, descriptors| {
                    call = (
                        buffers.iter().flat_map(|buffer| buffer.to_vec()).collect(),
                        descriptors.len(),
                    );
                    Ok(limit.min(call.0.len()))
                });
                call
            })
            .into();
        let expected: [(&[u8], usize); 3] = [(b"plain", 0), (b"withbehind", 2), (b"ithbehind", 0)];
        assert!(calls.iter().map(|(data, count)| (&data[..], *count)).eq(expected), "{calls:?}");
    }

    #[test]
    fn the_number_of_a_write_that_has_gone_cancels_no_later_one() {
        let writing = Names::new();
        let gone = push(&writing, b"gone", "one");
        send(&writing, 100);
        assert_eq!(finished(&writing), [("one", true)]);
        writing.shrink();
        push(&writing, b"later", "two");
        assert_eq!(writing.cancel(gone), Err(CancelError::Done));
    }

    #[test]
    fn an_owned_buffer_of_which_a_part_has_gone_is_sent_from_there() {
        let writing = Names::new();
        let data = b"head and tail".to_vec();
        let rest = Rest { data, sent: 9, begun: true, ..Rest::default() };
        writing.push(next_number(), rest, "one");
        assert_eq!(writing.queued_bytes(), 4);
        assert_eq!(send(&writing, 100), b"tail");
        assert_eq!(finished(&writing), [("one", true)]);
    }

    #[test]
    fn a_write_that_ends_at_once_completes_behind_those_that_have_finished() {
        let writing = Names::new();
        push(&writing, b"data", "one");
        send(&writing, 100);
        writing.push_finished(Err(io::ErrorKind::BrokenPipe.into()), "at once");
        assert_eq!(finished(&writing), [("one", true), ("at once", false)]);
    }

    #[test]
    fn the_end_waits_for_the_writes_and_is_asked_for_once() {
        let writing = Names::new();
        push(&writing, b"data", "one");
        assert!(!writing.end());
        assert!(writing.end(), "asked for before");
        writing.push_end("end");
        send(&writing, 100);
        assert_eq!(finished(&writing), [("one", true)]);
        assert!(writing.is_busy(), "the end has not gone");
        assert_eq!(writing.take_end(), Some("end"));
        assert!(!writing.is_busy() && writing.take_end().is_none());
    }

    #[test]
    fn what_a_close_leaves_is_each_request_in_order_and_finished_ones_keep_their_outcome() {
        let writing = Names::new();
        push(&writing, b"gone", "one");
        push(&writing, b"waits", "two");
        writing.push_end("end");
        send(&writing, 4);
        let left = writing.take_all(crate::error::cancelled);
        let ends: Vec<_> = left.ends.iter().map(|(name, end)| (*name, end.is_ok())).collect();
        assert_eq!(ends, [("one", true), ("two", false), ("end", false)]);
        assert!(left.attempt.is_none() && !writing.is_waiting());
        assert!(writing.take_all(crate::error::cancelled).ends.is_empty());
    }

    #[test]
    fn sending_at_once_goes_on_until_the_system_takes_no_more() {
        let writing = Names::new();
        let script = |steps: &[Result<usize, io::ErrorKind>], total| {
            let mut steps = steps.iter();
            let sent =
                writing.try_send(total, |_from| match steps.next().expect("no more calls") {
                    Ok(count) => Ok(*count),
                    Err(kind) => Err((*kind).into()),
                });
            assert!(steps.next().is_none(), "calls are missing");
            sent.map_err(|error| error.kind())
        };
        let (interrupted, full) = (io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock);
        let broken = io::ErrorKind::BrokenPipe;
        assert_eq!(script(&[], 0), Ok(0), "nothing to send, no call");
        assert_eq!(script(&[Ok(2), Err(interrupted), Ok(3)], 5), Ok(5));
        assert_eq!(script(&[Err(broken)], 5), Err(broken));
        assert_eq!(script(&[Ok(2), Err(broken)], 5), Ok(2), "the error comes again");
        assert!(writing.is_writable());
        assert_eq!(script(&[Ok(2), Err(full)], 5), Ok(2));
        assert_eq!(script(&[], 5), Ok(0), "not before the next event");
    }
}
