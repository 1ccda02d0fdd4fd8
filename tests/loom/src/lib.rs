//! The hand-over of messages between two threads, checked in every order of its steps. For the jobs
//! of the pool see `pool.rs`.
//!
//! The source under test is the crate's own: `src/channel/queue.rs`, one direction of a channel,
//! and `src/channel/receive.rs`, its receiving end. They are compiled here with loom's locks, and
//! with a receiver that is a bell instead of a loop's mailbox. A loop promises little to a queue:
//! after a notice it looks until the queue is empty. So a lost notice is a thread that waits for
//! ever, which loom finds.
#![cfg(test)]

#[path = "../../../src/channel/answers.rs"]
mod answers;
#[path = "../../../src/channel/queue.rs"]
#[allow(dead_code, unreachable_pub, reason = "the models use a part of it")]
mod queue;
#[path = "../../../src/channel/receive.rs"]
#[allow(dead_code, unreachable_pub, reason = "the models use a part of it")]
mod receive;
mod seam;
mod pool;

use std::collections::VecDeque;

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use queue::{End, Queue, Popped, Refused};
use receive::ReceiveBuffer;
use seam::{Bell, Receiver};

/// Takes messages as a loop does: after a notice, until nothing is there. Stops at the end or after
/// `limit`.
fn receive(buffer: &ReceiveBuffer<u32>, bell: &Bell, limit: usize) -> (Vec<u32>, bool) {
    let mut seen = Vec::new();
    loop {
        bell.wait();
        while seen.len() < limit {
            match buffer.pop(u64::MAX) {
                Popped::Message(message) => seen.push(message),
                Popped::Empty | Popped::Finished => break,
                Popped::Closed => return (seen, true),
            }
        }
        if seen.len() == limit {
            return (seen, false);
        }
    }
}

/// Opens the receiving end on a loop that is a bell.
fn open(queue: &Arc<Queue<u32>>) -> (ReceiveBuffer<u32>, Arc<Bell>) {
    let bell = Arc::new(Bell::new());
    queue.attach(Receiver(bell.clone()));
    (ReceiveBuffer::new(queue.clone()), bell)
}

#[test]
fn every_message_arrives_once_in_order_and_the_close_behind_them() {
    loom::model(|| {
        let queue = Queue::new();
        let (buffer, bell) = open(&queue);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(sending.push(1).is_ok());
            assert!(sending.push(2).is_ok());
            sending.close_sender();
        });
        assert_eq!(receive(&buffer, &bell, 3), (vec![1, 2], true));
        sender.join().unwrap();
    });
}

#[test]
fn an_end_that_is_opened_while_the_other_sends_is_told_of_all() {
    loom::model(|| {
        let queue = Queue::new();
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(sending.push(1).is_ok());
            assert!(sending.push(2).is_ok());
        });
        let (buffer, bell) = open(&queue);
        assert_eq!(receive(&buffer, &bell, 2), (vec![1, 2], false));
        sender.join().unwrap();
    });
}

#[test]
fn an_end_that_travels_takes_its_messages_along() {
    loom::model(|| {
        let queue = Queue::new();
        let (first, bell) = open(&queue);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(sending.push(1).is_ok());
            assert!(sending.push(2).is_ok());
            sending.close_sender();
        });
        let (mut seen, _) = receive(&first, &bell, 1);
        first.detach();
        let (second, bell) = open(&queue);
        let (rest, closed) = receive(&second, &bell, 2);
        seen.extend(rest);
        assert_eq!((seen, closed), (vec![1, 2], true));
        sender.join().unwrap();
    });
}

#[test]
fn a_sender_that_finishes_and_then_closes_gives_notice_of_both() {
    loom::model(|| {
        let queue = Queue::new();
        let (buffer, bell) = open(&queue);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(sending.push(1).is_ok());
            sending.finish();
            assert_eq!(sending.push(2), Err(2));
            sending.close_sender();
        });
        assert_eq!(receive(&buffer, &bell, 2), (vec![1], true));
        sender.join().unwrap();
    });
}

#[test]
fn a_message_for_an_end_that_closes_comes_back_or_is_left_in_the_queue() {
    loom::model(|| {
        let queue = Queue::new();
        let sending = queue.clone();
        let sender = thread::spawn(move || sending.push(1).is_err());
        let left: VecDeque<u32> = ReceiveBuffer::new(queue.clone()).close();
        let came_back = sender.join().unwrap();
        assert_eq!(left.len() + usize::from(came_back), 1);
        assert_eq!(queue.push(2), Err(2));
    });
}

#[test]
fn a_handler_that_is_attached_hears_of_what_waits_and_of_what_comes() {
    loom::model(|| {
        let queue = Queue::new();
        let (buffer, bell) = open(&queue);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(sending.push(1).is_ok());
            assert!(sending.push(2).is_ok());
        });
        let (first, _) = receive(&buffer, &bell, 1);
        // Nobody listens: messages wait. Then a handler is attached, and looks if there is
        // something, as `on_message` does.
        queue.stop_looking(u64::MAX);
        if buffer.has_something(u64::MAX) {
            bell.ring();
        }
        let (second, _) = receive(&buffer, &bell, 1);
        assert_eq!([first, second].concat(), [1, 2]);
        sender.join().unwrap();
    });
}

#[test]
fn a_blocked_thread_is_woken_by_a_message_and_by_the_end() {
    loom::model(|| {
        let queue = Queue::new();
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(sending.push(1).is_ok());
            sending.close_sender();
        });
        let (buffer, limit) = (ReceiveBuffer::new(queue), std::time::Duration::MAX);
        assert!(matches!(buffer.pop_within(limit), Popped::Message(1)));
        assert!(matches!(buffer.pop_within(limit), Popped::Closed));
        sender.join().unwrap();
    });
}

#[test]
fn what_was_taken_at_once_and_not_handed_on_is_dropped_by_the_close_and_no_message_twice() {
    loom::model(|| {
        let queue = Queue::new();
        let (buffer, bell) = open(&queue);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            (1..=3).filter(|message| sending.push(*message).is_err()).collect::<Vec<u32>>()
        });
        let (mut all, _) = receive(&buffer, &bell, 1);
        let waiting = queue.len();
        let left = buffer.close();
        assert!(left.len() >= waiting, "what waits is counted, wherever it is");
        assert_eq!(queue.len(), 0);
        all.extend(left);
        all.extend(sender.join().unwrap());
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn what_was_taken_at_once_is_in_the_length_that_the_sender_sees() {
    loom::model(|| {
        let queue = Queue::new();
        let (buffer, bell) = open(&queue);
        (1..=2).for_each(|message| assert!(queue.push(message).is_ok()));
        let receiver = thread::spawn(move || receive(&buffer, &bell, 1));
        assert!((1..=2).contains(&queue.len()));
        assert_eq!(receiver.join().unwrap(), (vec![1], false));
        assert_eq!(queue.len(), 1);
    });
}

/// Reserves a place and sends to it. False when that is not possible any more.
fn send_when_there_is_room(queue: &Queue<u32>, message: u32) -> bool {
    let mut ticket = None;
    let reserved = block_on(std::future::poll_fn(|cx| queue.poll_reserve(&mut ticket, cx)));
    if let Some(ticket) = ticket {
        queue.stop_waiting(ticket);
    }
    reserved && queue.push_reserved(message).is_ok()
}

#[test]
fn a_sender_that_waits_for_room_gets_it_when_a_message_is_taken() {
    loom::model(|| {
        let queue = Queue::bounded(1);
        let (buffer, bell) = open(&queue);
        let sending = queue.clone();
        let sender = thread::spawn(move || {
            assert!(send_when_there_is_room(&sending, 1));
            assert!(send_when_there_is_room(&sending, 2));
        });
        assert_eq!(receive(&buffer, &bell, 2), (vec![1, 2], false));
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_that_wait_for_one_place_both_get_it() {
    let mut model = loom::model::Builder::new();
    // More would take hours, and the two senders need few switches to meet.
    model.preemption_bound = Some(3);
    model.check(|| {
        let queue = Queue::bounded(1);
        let (buffer, bell) = open(&queue);
        let senders = [1, 2].map(|number| {
            let sending = queue.clone();
            thread::spawn(move || assert!(send_when_there_is_room(&sending, number)))
        });
        let (mut seen, _) = receive(&buffer, &bell, 2);
        seen.sort();
        assert_eq!(seen, [1, 2]);
        for sender in senders {
            sender.join().unwrap();
        }
        assert!(queue.try_push(3).is_ok(), "no place was lost");
        assert!(matches!(queue.try_push(4), Err(Refused::Full(4))), "nor made");
    });
}

#[test]
fn a_sender_that_waits_for_room_is_told_when_the_other_end_closes() {
    loom::model(|| {
        let queue = Queue::bounded(1);
        assert!(queue.try_push(1).is_ok());
        let sending = queue.clone();
        let sender = thread::spawn(move || send_when_there_is_room(&sending, 2));
        let left = queue.close_receiver();
        assert_eq!(left, [1]);
        assert!(!sender.join().unwrap());
        assert_eq!(queue.end_seen(u64::MAX), End::Open);
    });
}
