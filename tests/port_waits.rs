//! Handlers for messages and the wait of the poll phase: the loop looks without waiting only if
//! something can be seen.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::*;
use windlass::worker::{BroadcastChannel, Port, Worker, channel};
use windlass::{block_on, set_immediate, set_timeout, yield_now};

/// Checks the trace of a program in virtual time. A worker posts after 50 ms; after 10 ms `listen`
/// attaches a handler. An unreferenced immediate of that moment shows whether the loop waits for
/// the worker or looks once without waiting. What `listen` returns is kept until the worker has
/// posted.
fn check_trace<T: 'static>(expected: &[&str], listen: impl FnOnce(&Trace) -> T + 'static) {
    let scenario = |trace: &Trace| {
        let worker = Worker::<(), ()>::spawn(|port| {
            set_timeout(ms(50), move || port.post(()));
        })
        .expect("a worker");
        worker.on_message({
            let trace = trace.clone();
            move |()| trace.say("worker")
        });
        let trace = trace.clone();
        set_timeout(ms(10), move || {
            set_immediate(trace.says("immediate")).unref();
            let kept = listen(&trace);
            set_timeout(ms(60), move || drop(kept));
        });
    };
    check(scenario, expected);
}

/// Closes a port when it is dropped, also one with a handler.
struct Closes(Port<(), ()>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.close();
    }
}

// Node 20 prints the same: there is nothing to deliver, so the poll phase waits.
#[test]
fn a_handler_on_an_empty_port_leaves_the_next_wait_as_it_is() {
    check_trace(&["worker", "immediate"], |_| {
        let (one, other) = open_channel();
        other.on_message(|()| ());
        Closes(one)
    });
}

#[test]
fn so_does_a_handler_on_a_port_whose_messages_have_been_taken_and_which_hears_of_the_next_one() {
    let scenario = |trace: &Trace| {
        let (sender, receiver) = open_channel::<(), ()>();
        sender.post(());
        assert_eq!(receiver.try_recv(), Some(()));
        let worker = Worker::<(), ()>::spawn(|port| {
            set_timeout(ms(50), move || port.post(()));
        })
        .expect("a worker");
        let worker_trace = trace.clone();
        worker.on_message(move |()| {
            worker_trace.say("worker");
            sender.post(());
            sender.close();
        });
        let trace = trace.clone();
        set_timeout(ms(10), move || {
            set_immediate(trace.says("immediate")).unref();
            receiver.on_message(move |()| trace.say("message"));
        });
    };
    check(scenario, &["worker", "immediate", "message"]);
}

#[test]
fn a_handler_on_an_empty_broadcast_channel_leaves_the_next_wait_as_it_is() {
    check_trace(&["worker", "immediate"], |_| {
        let news = BroadcastChannel::<()>::new("a name of this test");
        news.on_message(|()| ());
        news.unref();
        let (one, other) = open_channel();
        other.on_message(|()| ());
        other.on_close(move || news.close());
        Closes(one)
    });
}

// Node 20 prints the same in both cases.
#[test]
fn the_start_of_a_worker_ends_the_next_wait_and_a_later_handler_does_not() {
    check_trace(&["immediate", "worker"], |_| Worker::<(), ()>::spawn(|_| ()).expect("a worker"));
    let scenario = |trace: &Trace| {
        let worker = Worker::<(), ()>::spawn(|port| {
            set_timeout(ms(50), move || port.post(()));
        })
        .expect("a worker");
        let trace = trace.clone();
        set_timeout(ms(10), move || {
            set_immediate(trace.says("immediate")).unref();
            worker.on_message(move |()| trace.say("worker"));
        });
    };
    check(scenario, &["worker", "immediate"]);
}

#[test]
fn a_message_is_delivered_in_the_next_poll_phase_whether_it_comes_before_its_handler_or_after() {
    for after in [false, true] {
        check_trace(&["message", "immediate", "worker"], move |trace| {
            let (sender, receiver) = open_channel();
            let trace = trace.clone();
            let say = move |()| trace.say("message");
            if after {
                receiver.on_message(say);
                sender.post(());
            } else {
                sender.post(());
                receiver.on_message(say);
            }
            Closes(sender)
        });
    }
}

#[test]
fn the_end_of_a_channel_is_seen_by_a_handler_that_comes_after_it() {
    check_trace(&["immediate", "closed", "worker"], |trace| {
        let (one, other) = open_channel::<(), ()>();
        one.close();
        let trace = trace.clone();
        set_timeout(ms(1), move || {
            other.on_message(|()| ());
            other.on_close(move || trace.say("closed"));
        });
    });
}

// The queue is seen empty under the lock that the post takes, so the post gives notice.
#[test]
fn a_port_whose_handler_is_attached_again_and_again_gets_all_that_another_thread_posts() {
    bounded(|| {
        const MESSAGES: u32 = 20_000;
        let (sender, receiver) = channel::<u32, ()>();
        let posting = std::thread::spawn(move || {
            windlass::run(|| {
                let sender = sender.open();
                (0..MESSAGES).for_each(|number| sender.post(number));
                sender.close();
            });
        });
        block_on(async {
            let receiver = receiver.open();
            let (seen, closed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let note = closed.clone();
            receiver.on_close(move || note.set(true));
            while !closed.get() {
                let count = seen.clone();
                receiver.off_message();
                receiver.on_message(move |number| {
                    assert_eq!(number, count.get());
                    count.set(number + 1);
                });
                yield_now().await;
            }
            assert_eq!(seen.get(), MESSAGES);
        });
        posting.join().expect("it ends by itself");
    });
}
