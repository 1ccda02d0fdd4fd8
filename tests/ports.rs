//! Message ports: order, waiting, closing, travelling, and what they hold.

mod common;

use std::cell::{Cell, RefCell};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::*;
use windlass::worker::{Port, PortEnd, Worker, channel, channel_bounded};
use windlass::{
    Loop, RunMode, block_on, next_tick, queue_microtask, run, set_immediate, set_timeout,
};

/// A message that can carry the end of a channel of its own kind.
#[allow(dead_code)] // These messages are never looked into, only dropped.
enum Parcel {
    End(PortEnd<Parcel, Parcel>),
    Token(Arc<()>),
}

/// A handler that collects, and what it has collected.
fn collect<S, R>(port: &Port<S, R>) -> Rc<RefCell<Vec<R>>>
where
    S: Send + 'static,
    R: Send + 'static,
{
    let received = Rc::new(RefCell::new(Vec::new()));
    let list = received.clone();
    port.on_message(move |message| list.borrow_mut().push(message));
    received
}

// MP-01.
#[test]
fn messages_arrive_in_order_once_and_never_inside_post() {
    bounded(|| {
        block_on(async {
            let (sender, receiver) = open_channel::<u32, ()>();
            let received = collect(&receiver);
            (0..1000).for_each(|number| sender.post(number));
            assert!(received.borrow().is_empty());
            until(|| received.borrow().len() >= 1000).await;
            iterations(3).await;
            assert_eq!(*received.borrow(), (0..1000).collect::<Vec<_>>());
        });
    });
}

// MP-01, across threads, and with a drain of ticks between two messages as after any callback.
#[test]
fn every_message_is_a_callback_of_its_own() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let worker: Worker<(), u32> =
                Worker::spawn(|port| (0..3).for_each(|n| port.post(n))).unwrap();
            let log = log.clone();
            worker.on_message(move |number| {
                next_tick(log.says("tick"));
                log.say(format!("{number}"));
            });
        });
        assert_eq!(log.lines(), ["0", "tick", "1", "tick", "2", "tick"]);
    });
}

// MP-02 and MP-03.
#[test]
fn messages_wait_for_a_handler_also_after_an_earlier_one_was_removed() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (sender, receiver) = open_channel::<u32, ()>();
            (1..=2).for_each(|number| sender.post(number));
            let said = log.clone();
            after_iterations(3, move || {
                let (first, handler) = (said.clone(), receiver.clone());
                receiver.on_message(move |number| {
                    first.say(format!("first {number}"));
                    if number == 2 {
                        handler.off_message();
                    }
                });
                after_iterations(3, move || {
                    (3..=4).for_each(|number| sender.post(number));
                    after_iterations(3, move || {
                        said.say("attached again");
                        let handler = receiver.clone();
                        receiver.on_message(move |number| {
                            said.say(format!("second {number}"));
                            if number == 4 {
                                handler.off_message();
                            }
                        });
                        drop(sender);
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["first 1", "first 2", "attached again", "second 3", "second 4"]);
    });
}

// MP-02.
#[test]
fn a_handler_that_removes_itself_gets_no_further_message_of_the_batch() {
    bounded(|| {
        block_on(async {
            let (sender, receiver) = open_channel::<u32, ()>();
            let received = Rc::new(RefCell::new(Vec::new()));
            let (list, handler) = (received.clone(), receiver.clone());
            receiver.on_message(move |number| {
                list.borrow_mut().push(number);
                handler.off_message();
            });
            (0..3).for_each(|number| sender.post(number));
            until(|| !received.borrow().is_empty()).await;
            iterations(3).await;
            assert_eq!(*received.borrow(), [0]);
            assert_eq!(receiver.try_recv(), Some(1));
            assert_eq!(receiver.recv().await, Some(2));
        });
    });
}

// MP-03.
#[test]
fn a_handler_holds_the_loop_and_removing_it_lets_go() {
    bounded(|| {
        run(|| {
            let (_sender, receiver) = open_channel::<(), ()>();
            assert!(!Loop::current().is_alive(), "a port without a handler holds nothing");
            receiver.on_message(|()| ());
            assert!(Loop::current().is_alive());
            receiver.off_message();
            assert!(!Loop::current().is_alive());
            receiver.off_message();
            receiver.on_message(|()| ());
            receiver.on_message(|()| ());
            assert!(Loop::current().is_alive());
            receiver.close();
            receiver.on_message(|()| panic!("the port is closing"));
            receiver.off_message();
            set_immediate(move || {
                receiver.on_message(|()| panic!("the port is closed"));
                receiver.off_message();
            });
        });
    });
}

// MP-16.
#[test]
fn an_unreferenced_port_does_not_hold_the_loop_but_delivers_while_it_lives() {
    bounded(|| {
        let received = virtual_loop().run(|| {
            let (sender, receiver) = open_channel::<u32, ()>();
            let received = collect(&receiver);
            receiver.unref();
            sender.post(1);
            set_timeout(Duration::from_millis(5), move || drop(sender));
            received
        });
        assert_eq!(*received.borrow(), [1]);
    });
}

// MP-04. The other end is closed on another thread, right behind its messages.
#[test]
fn messages_posted_before_a_close_all_come_before_the_close_notice() {
    const ROUNDS: u32 = 10_000;
    fn round(left: u32, worker: Worker<PortEnd<u32, ()>, ()>, done: Rc<Cell<u32>>) {
        let (here, there) = channel::<(), u32>();
        worker.post(there);
        let here = here.open();
        let received = collect(&here);
        here.on_close(move || {
            assert_eq!(*received.borrow(), [1, 2, 3], "in round {left}");
            done.set(done.get() + 1);
            match left {
                1 => drop(worker.terminate()),
                _ => round(left - 1, worker, done),
            }
        });
    }
    bounded(|| {
        let done = Rc::new(Cell::new(0));
        run(|| {
            let worker = Worker::spawn(|port: Port<(), PortEnd<u32, ()>>| {
                port.on_message(|end| {
                    let end = end.open();
                    (1..=3).for_each(|number| end.post(number));
                    end.close();
                });
            });
            round(ROUNDS, worker.unwrap(), done.clone());
        });
        assert_eq!(done.get(), ROUNDS);
    });
}

// MP-05.
#[test]
fn closing_either_side_gives_one_notice_on_both() {
    bounded(|| {
        for close_first in [true, false] {
            let log = Trace::new();
            run(|| {
                let (one, other) = open_channel::<u32, u32>();
                one.on_close(log.says("one"));
                other.on_close(log.says("other"));
                one.on_message(|_| panic!("posted after the close"));
                other.on_message(|_| panic!("posted after the close"));
                let closed = if close_first { &one } else { &other };
                closed.close();
                closed.close();
                one.post(1);
                other.post(2);
                assert_eq!(one.try_post(3), Err(3));
                assert_eq!(other.try_post(4), Err(4));
                assert!(log.lines().is_empty(), "notices come later");
                after_iterations(5, move || {
                    one.close();
                    other.close();
                });
            });
            let mut lines = log.lines();
            lines.sort();
            assert_eq!(lines, ["one", "other"]);
        }
    });
}

/// Node's program for a port closed within a round of its own: three messages wait, and at the
/// first one `act` is called with the port and its other end.
#[track_caller]
fn check_closed_in_round(act: fn(&Trace, &Port<u32, u32>, &Port<u32, u32>), expected: &[&str]) {
    let log = Trace::new();
    virtual_loop().run(|| {
        let (here, there) = open_channel::<u32, u32>();
        here.on_close(log.says("here closed"));
        there.on_close(log.says("there closed"));
        there.on_message(|_| panic!("a closed port posts nothing"));
        let (inner, own, other) = (log.clone(), here.clone(), there.clone());
        let mut count = 0;
        here.on_message(move |number| {
            inner.say(number.to_string());
            count += 1;
            if count == 1 {
                act(&inner, &own, &other);
            }
        });
        (1..=3).for_each(|number| there.post(number));
        let (inner, there) = (log.clone(), there.clone());
        set_immediate(move || {
            inner.say("check");
            // Between the round and the close phase nothing is taken any more.
            assert_eq!(there.try_post(9), Err(9));
            set_immediate(inner.says("check again"));
        });
    });
    assert_eq!(log.lines(), expected);
}

// Conformance rule 34.
#[test]
fn a_port_closed_in_its_own_handler_delivers_what_is_left_of_the_round() {
    let in_round = ["1", "2", "3", "check", "here closed", "check again", "there closed"];
    check_closed_in_round(|_, here, _| here.close(), &in_round);
    let in_tick = |_: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        let here = here.clone();
        next_tick(move || here.close());
    };
    check_closed_in_round(in_tick, &in_round);
    let in_microtask = |_: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        let here = here.clone();
        queue_microtask(move || here.close());
    };
    check_closed_in_round(in_microtask, &in_round);
    let and_unrefs = |_: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        here.close();
        here.unref();
        here.close();
        assert!(here.is_closed());
        assert_eq!((here.try_recv(), here.queue_len()), (None, 0));
        here.post(7);
    };
    check_closed_in_round(and_unrefs, &in_round);
    let both = |_: &Trace, here: &Port<u32, u32>, there: &Port<u32, u32>| {
        here.close();
        there.close();
    };
    let order = ["1", "2", "3", "check", "there closed", "here closed", "check again"];
    check_closed_in_round(both, &order);
    let late = |_: &Trace, here: &Port<u32, u32>, there: &Port<u32, u32>| {
        here.close();
        there.post(4);
    };
    let order = ["1", "2", "3", "4", "check", "here closed", "check again", "there closed"];
    check_closed_in_round(late, &order);
}

#[test]
fn a_port_closed_in_its_own_handler_delivers_nothing_to_a_handler_that_is_gone() {
    let removes = |_: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        here.close();
        here.off_message();
    };
    let order = ["1", "check", "here closed", "check again", "there closed"];
    check_closed_in_round(removes, &order);
    let replaces = |log: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        here.close();
        here.off_message();
        let (log, here) = (log.clone(), here.clone());
        next_tick(move || here.on_message(move |number| log.say(format!("anew {number}"))));
    };
    let order = ["1", "anew 2", "anew 3", "check", "here closed", "check again", "there closed"];
    check_closed_in_round(replaces, &order);
    let exits = |_: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        here.close();
        windlass::exit(0);
    };
    check_closed_in_round(exits, &["1"]);
    // One that travels takes the rest along.
    let travels = |log: &Trace, here: &Port<u32, u32>, _: &Port<u32, u32>| {
        let again = here.clone().detach().open();
        let (log, own) = (log.clone(), again.clone());
        again.on_message(move |number| {
            log.say(format!("there {number}"));
            own.close();
        });
    };
    let log = Trace::new();
    virtual_loop().run(|| {
        let (here, there) = open_channel::<u32, u32>();
        let (inner, own) = (log.clone(), here.clone());
        here.on_message(move |number| {
            inner.say(number.to_string());
            travels(&inner, &own, &own);
        });
        (1..=3).for_each(|number| there.post(number));
    });
    assert_eq!(log.lines(), ["1", "there 2", "there 3"]);
}

/// Its place on the loop is gone when the panic passes by, which has the rest of a round delivered.
#[test]
fn a_loop_sleeps_after_a_panic_in_a_handler_that_has_taken_its_port_off_the_loop() {
    for close in [false, true] {
        let event_loop = real_loop();
        event_loop.run(move || {
            // To print a panic takes a while: the time begins after it.
            windlass::on_uncaught(|_| _ = set_timeout(ms(30), || ()));
            let (here, there) = open_channel::<(), ()>();
            let own = here.clone();
            here.on_message(move |()| {
                if close {
                    own.off_message();
                    own.close();
                } else {
                    drop(own.clone().detach());
                }
                panic!("on purpose");
            });
            there.post(());
        });
        let iterations = event_loop.metrics().iterations;
        assert!(iterations < 100, "it spins: {iterations} iterations");
    }
}

#[test]
fn a_round_of_a_closed_port_ends_at_the_length_it_began_with_or_a_thousand() {
    // (waiting at first, posted with each message, delivered)
    for (waiting, each, delivered) in [(3, 1, 1000), (3, 0, 3), (1500, 0, 1500), (1500, 1, 1500)] {
        bounded(move || {
            let (seen, dropped) = (Rc::new(Cell::new(0)), Arc::new(()));
            run(|| {
                let (here, there) = open_channel::<Arc<()>, Arc<()>>();
                let (count, own, other) = (seen.clone(), here.clone(), there.clone());
                here.on_message(move |message: Arc<()>| {
                    count.set(count.get() + 1);
                    own.close();
                    (0..each).for_each(|_| other.post(message.clone()));
                });
                (0..waiting).for_each(|_| there.post(dropped.clone()));
            });
            assert_eq!(seen.get(), delivered, "{waiting} waited, {each} more with each");
            assert_eq!(Arc::strong_count(&dropped), 1, "each message is dropped once");
        });
    }
}

#[test]
fn the_port_of_a_worker_closed_in_its_own_handler_delivers_what_is_left_of_the_round() {
    for ends in ["close", "exit", "panic"] {
        bounded(move || {
            let (log, seen) = (Trace::new(), Arc::new(AtomicUsize::new(0)));
            let count = seen.clone();
            // All three wait when the worker begins.
            virtual_loop().run(|| {
                let worker: Worker<u32, u32> = Worker::spawn(move |port| {
                    let own = port.clone();
                    port.on_message(move |number| {
                        count.fetch_add(1, Ordering::SeqCst);
                        own.post(number); // Only before the close.
                        own.close();
                        match ends {
                            "exit" => windlass::exit(3),
                            "panic" => panic!("on purpose"),
                            _ => {}
                        }
                    });
                })
                .unwrap();
                (1..=3).for_each(|number| worker.post(number));
                let inner = log.clone();
                worker.on_message(move |number| inner.say(number.to_string()));
                let inner = log.clone();
                worker.on_error(move |_| inner.say("error"));
                let inner = log.clone();
                worker.on_exit(move |code| inner.say(format!("exit {code}")));
            });
            let (delivered, expected): (_, &[&str]) = match ends {
                "exit" => (1, &["1", "exit 3"]),
                "panic" => (1, &["1", "error", "exit 1"]),
                _ => (3, &["1", "exit 0"]),
            };
            assert_eq!(
                (seen.load(Ordering::SeqCst), log.lines()),
                (delivered, to_strings(expected))
            );
        });
    }
}

fn to_strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

// Here as everywhere a panic ends its callback like a return.
#[test]
fn a_panic_in_the_handler_of_a_port_that_it_closed_does_not_end_the_round() {
    for hook in [true, false] {
        let (log, event_loop) = (Trace::new(), virtual_loop());
        event_loop.enter(|| {
            if hook {
                let log = log.clone();
                windlass::on_uncaught(move |_| log.say("caught"));
            }
            let (here, there) = open_channel::<u32, u32>();
            here.on_close(log.says("closed"));
            let (inner, own) = (log.clone(), here.clone());
            here.on_message(move |number| {
                inner.say(number.to_string());
                own.close();
                assert!(number != 1, "on purpose");
            });
            (1..=3).for_each(|number| there.post(number));
        });
        let turn = || catch_unwind(AssertUnwindSafe(|| event_loop.turn(RunMode::Default)));
        assert_eq!(turn().is_ok(), hook);
        assert_eq!(turn().ok(), Some(false));
        let lines = log.lines();
        let lines: Vec<_> = lines.iter().filter(|line| *line != "caught").collect();
        assert_eq!(lines, ["1", "2", "3", "closed"]);
    }
    // One that is never turned again drops all that it holds.
    let (token, event_loop) = (Arc::new(()), virtual_loop());
    event_loop.enter(|| {
        let (here, there) = open_channel::<Arc<()>, Arc<()>>();
        let (own, captured) = (here.clone(), token.clone());
        here.on_message(move |_| {
            own.close();
            drop(captured.clone());
            panic!("on purpose");
        });
        (0..3).for_each(|_| there.post(token.clone()));
    });
    assert!(catch_unwind(AssertUnwindSafe(|| event_loop.turn(RunMode::Default))).is_err());
    drop(event_loop);
    assert_eq!(Arc::strong_count(&token), 1);
}

// MP-06.
#[test]
fn dropping_the_last_name_of_a_port_without_a_handler_closes_it() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (one, other) = open_channel::<u32, u32>();
            let clone = one.clone();
            other.on_message(|_| ());
            other.on_close(log.says("closed"));
            drop(one);
            let said = log.clone();
            after_iterations(3, move || {
                said.say("one name is left");
                drop(clone);
            });
        });
        assert_eq!(log.lines(), ["one name is left", "closed"]);
    });
}

// MP-06.
#[test]
fn a_port_with_a_handler_belongs_to_its_loop() {
    bounded(|| {
        let received = run(|| {
            let (sender, receiver) = open_channel::<u32, ()>();
            let received = collect(&receiver);
            drop(receiver);
            sender.post(1);
            let count = received.clone();
            after_iterations(3, move || {
                assert_eq!(*count.borrow(), [1]);
                sender.post(2);
                sender.close();
            });
            received
        });
        assert_eq!(*received.borrow(), [1, 2]);
    });
}

#[test]
fn an_end_dropped_unopened_closes_the_channel() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (one, other) = channel::<u32, u32>();
            let one = one.open();
            one.on_close(log.says("closed"));
            one.on_message(|_| panic!("there is nobody"));
            drop(other);
            assert_eq!(one.try_post(7), Err(7));
        });
        assert_eq!(log.lines(), ["closed"]);
    });
}

// MP-07.
#[test]
fn a_port_that_travels_takes_its_messages_along_in_order() {
    bounded(|| {
        block_on(async {
            let (sender, travelling) = open_channel::<u32, ()>();
            (0..100).for_each(|number| sender.post(number));
            assert_eq!(travelling.try_recv(), Some(0));
            assert_eq!(travelling.recv().await, Some(1));
            let left_behind = travelling.clone();
            let end = travelling.detach();
            // What was left behind is unusable at once.
            assert_eq!(left_behind.try_post(()), Err(()));
            assert_eq!(left_behind.try_recv(), None);
            left_behind.on_message(|_| panic!("the port has left"));
            left_behind.close();
            (100..200).for_each(|number| sender.post(number));
            let worker: Worker<PortEnd<(), u32>, Vec<u32>> = Worker::spawn(|port| {
                let replies = port.clone();
                port.on_message(move |end: PortEnd<(), u32>| {
                    let (end, mut received) = (end.open(), Vec::new());
                    let (replies, closer) = (replies.clone(), end.clone());
                    end.on_message(move |number| {
                        received.push(number);
                        if number == 299 {
                            replies.post(std::mem::take(&mut received));
                            replies.off_message();
                            closer.close();
                        }
                    });
                });
            })
            .unwrap();
            worker.post(end);
            (200..300).for_each(|number| sender.post(number));
            assert_eq!(worker.recv().await.unwrap(), (2..300).collect::<Vec<_>>());
            assert_eq!(sender.recv().await, None, "closed by the worker");
        });
    });
}

// MP-07. A loop takes all that waits at once; what its handler has not been called with is still the port's.
#[test]
fn what_a_handler_has_not_seen_yet_still_waits_and_travels_before_what_comes_later() {
    bounded(|| {
        block_on(async {
            let (sender, receiver) = open_channel::<u32, ()>();
            (0..5).for_each(|number| sender.post(number));
            let end = Rc::new(RefCell::new(None));
            let (own, place) = (receiver.clone(), end.clone());
            receiver.on_message(move |number| {
                assert_eq!((number, own.queue_len()), (0, 4));
                assert_eq!(own.try_recv(), Some(1));
                assert_eq!(own.queue_len(), 3);
                place.replace(Some(own.clone().detach()));
            });
            until(|| end.borrow().is_some()).await;
            assert_eq!(receiver.queue_len(), 0);
            (5..8).for_each(|number| sender.post(number));
            let again = end.take().unwrap().open();
            assert_eq!(again.queue_len(), 6);
            let received = collect(&again);
            until(|| received.borrow().len() == 6).await;
            assert_eq!(*received.borrow(), (2..8).collect::<Vec<_>>());
        });
    });
}

/// A message that counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

// MP-15.
#[test]
fn messages_that_no_handler_has_seen_are_dropped_once() {
    bounded(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let fill = |sender: &Port<Dropped, ()>| {
            (0..5).for_each(|_| sender.post(Dropped(drops.clone())));
        };
        run(|| {
            let (sender, receiver) = open_channel::<Dropped, ()>();
            fill(&sender);
            let (own, sender, seen) = (receiver.clone(), sender.clone(), drops.clone());
            receiver.on_message(move |message| {
                own.close();
                own.off_message();
                assert!(sender.try_post(Dropped(seen.clone())).is_ok(), "the round is not over");
                assert_eq!(seen.load(Ordering::Relaxed), 0, "it may yet get another handler");
                drop(message);
                let (sender, seen) = (sender.clone(), seen.clone());
                set_immediate(move || {
                    assert_eq!(seen.load(Ordering::Relaxed), 6, "now it is");
                    assert!(sender.try_post(Dropped(seen.clone())).is_err());
                });
            });
        });
        assert_eq!(drops.swap(0, Ordering::Relaxed), 7);
        let calls = Rc::new(Cell::new(0));
        run(|| {
            let (sender, receiver) = open_channel::<Dropped, ()>();
            fill(&sender);
            let calls = calls.clone();
            receiver.on_message(move |_| {
                calls.set(calls.get() + 1);
                windlass::exit(0);
            });
        });
        assert_eq!((calls.get(), drops.load(Ordering::Relaxed)), (1, 5));
    });
}

// MP-09. What is in the queue then belongs to the queue itself; that it is freed cannot be promised,
// for a post does not look into what it posts.
#[test]
fn a_port_may_be_sent_its_own_peer_and_the_loop_ends() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (one, other) = channel::<Parcel, Parcel>();
            let one = one.open();
            one.on_close(log.says("closed"));
            one.post(Parcel::End(other));
        });
        assert_eq!(log.lines(), ["closed"]);
    });
}

// MP-09, as far as a program asks.
#[test]
fn a_port_knows_its_peer_and_a_program_that_drops_it_hears_of_the_close_as_in_node() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (one, other) = channel::<Parcel, Parcel>();
            let (_another, stranger) = channel::<Parcel, Parcel>();
            let (_third, bounded) = channel_bounded::<u8, u64>(1);
            let one = one.open();
            one.on_message(|_| unreachable!("nobody has the other end"));
            one.on_close(log.says("closed"));
            assert!(one.is_peer(&other));
            assert!(!one.is_peer(&stranger) && !one.is_peer(&bounded));
            // Also after a journey.
            let travelled = other.open().detach();
            assert!(one.is_peer(&travelled));
            if one.is_peer(&travelled) {
                drop(travelled);
            }
        });
        assert_eq!(log.lines(), ["closed"]);
        run(|| {
            let (one, other) = channel::<u8, u8>();
            let one = one.open();
            one.close();
            assert!(!one.is_peer(&other), "a closed port has no peer");
        });
    });
}

/// A chain of so many ends: each waits in the queue of the one before. At its end is a token.
fn chain(length: usize, token: &Arc<()>) -> PortEnd<Parcel, Parcel> {
    let (sender, mut first) = channel();
    sender.open().post(Parcel::Token(token.clone()));
    for number in 0..length {
        let (sender, before) = channel();
        let sender = sender.open();
        if number.is_multiple_of(2) {
            sender.post(Parcel::Token(token.clone()));
        }
        sender.post(Parcel::End(first));
        first = before;
    }
    first
}

#[test]
fn a_long_chain_of_ports_in_the_queues_of_others_is_dropped_without_a_deep_stack() {
    const LENGTH: usize = 20_000;
    let token = Arc::new(());
    let held = token.clone();
    thread_local!(static LOCAL: Cell<Option<PortEnd<Parcel, Parcel>>> = const { Cell::new(None) });
    let drop_all = move || {
        // As a local of the thread, whose destructor comes when all is dropped that was used later.
        LOCAL.set(Some(run(|| chain(LENGTH, &held))));
        // Not opened; closed; given to a handler; with a worker that never looks at it.
        drop(run(|| chain(LENGTH, &held)));
        run(|| drop(chain(LENGTH, &held).open()));
        run(|| chain(LENGTH, &held).open().on_message(|_| windlass::exit(0)));
        run(|| {
            let worker = Worker::<Parcel, ()>::spawn(|_| ()).unwrap();
            worker.post(Parcel::End(chain(LENGTH, &held)));
        });
    };
    // A small stack, so that it shows.
    std::thread::Builder::new().stack_size(256 << 10).spawn(drop_all).unwrap().join().unwrap();
    assert_eq!(Arc::strong_count(&token), 1, "nothing is left");
}

/// A message that drops its port and then does something.
struct Then(Option<PortEnd<Then, Then>>, Option<Box<dyn FnOnce() + Send>>);

impl Drop for Then {
    fn drop(&mut self) {
        drop(self.0.take());
        if let Some(then) = self.1.take() {
            then();
        }
    }
}

#[test]
fn a_panic_in_a_chain_of_ports_leaves_nothing_behind() {
    bounded(|| {
        let token = Arc::new(());
        let mut first: Option<PortEnd<Then, Then>> = None;
        run(|| {
            for number in 0..1_000 {
                let (sender, end) = channel();
                let held = token.clone();
                let then =
                    move || assert!(number != 500, "on purpose {}", Arc::strong_count(&held));
                let sender = sender.open();
                sender.post(Then(first.take(), Some(Box::new(then))));
                first = Some(end);
            }
        });
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(first)));
        assert!(dropped.is_err());
        assert_eq!(Arc::strong_count(&token), 1);
        // And the next chain is dropped as ever.
        drop(run(|| chain(1_000, &token)));
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

// MP-15. The port inside is dropped with the message, not some time later.
#[test]
fn a_destructor_may_run_a_loop_that_waits_for_what_the_port_inside_it_tells() {
    bounded(|| {
        run(|| {
            let (outer, end) = channel::<Then, Then>();
            let (inner, peer) = channel::<Then, Then>();
            // On a thread of its own, for a loop cannot run inside another one.
            let wait = move || {
                let body = || {
                    run(|| {
                        let peer = peer.open();
                        peer.on_message(|_| unreachable!("nobody posts"));
                    });
                };
                std::thread::spawn(body).join().unwrap();
            };
            outer.open().post(Then(Some(inner), Some(Box::new(wait))));
            drop(end);
        });
    });
}

// MP-10.
#[test]
fn one_message_pulled_directly_is_the_oldest_and_reaches_no_handler() {
    bounded(|| {
        block_on(async {
            let (sender, receiver) = open_channel::<u32, ()>();
            assert_eq!(receiver.try_recv(), None);
            (1..=4).for_each(|number| sender.post(number));
            assert_eq!(receiver.try_recv(), Some(1));
            assert_eq!(receiver.try_recv(), Some(2));
            let received = collect(&receiver);
            assert_eq!(receiver.try_recv(), Some(3));
            until(|| !received.borrow().is_empty()).await;
            iterations(3).await;
            assert_eq!(*received.borrow(), [4]);
            assert_eq!(receiver.try_recv(), None);
        });
    });
}

#[test]
fn recv_gives_the_messages_then_none_and_a_dropped_recv_loses_nothing() {
    bounded(|| {
        block_on(async {
            let (sender, receiver) = open_channel::<u32, ()>();
            let (waker, wakes) = Wakes::new();
            for round in 0..50 {
                let before = wakes.count();
                let mut recv = Box::pin(receiver.recv());
                assert!(poll_once(recv.as_mut(), &waker).is_pending());
                sender.post(round);
                if round % 2 == 1 {
                    until(|| wakes.count() > before).await;
                }
                drop(recv);
                assert_eq!(receiver.recv().await, Some(round));
            }
            sender.post(50);
            sender.close();
            assert_eq!(receiver.recv().await, Some(50));
            assert_eq!(receiver.recv().await, None);
            assert_eq!(receiver.recv().await, None);
        });
    });
}

// MP-11.
#[test]
fn an_endless_ping_pong_does_not_starve_the_loop() {
    bounded(|| {
        let messages = Rc::new(Cell::new(0));
        let at_second_check = Rc::new(Cell::new(0));
        run(|| {
            let (one, other) = open_channel::<(), ()>();
            let players: [&Port<(), ()>; 2] = [&one, &other];
            for port in players {
                let (reply, count) = (port.clone(), messages.clone());
                port.on_message(move |()| {
                    count.set(count.get() + 1);
                    reply.post(());
                });
            }
            one.post(());
            let (count, seen) = (messages.clone(), at_second_check.clone());
            set_immediate(move || {
                set_immediate(move || seen.set(count.get()));
            });
            set_timeout(Duration::from_millis(1), move || {
                one.close();
                other.close();
            });
        });
        assert!(messages.get() > 0);
        // Two ports, two iterations, and a thousand for each at most.
        assert!(at_second_check.get() <= 4000, "{} messages", at_second_check.get());
    });
}

// MP-11, the other half: as many as were there at the start are delivered in one go.
#[test]
fn five_thousand_waiting_messages_are_delivered_in_one_iteration() {
    bounded(|| {
        let at = Rc::new(RefCell::new(Vec::new()));
        run(|| {
            let (sender, receiver) = open_channel::<u32, ()>();
            (0..5000).for_each(|number| sender.post(number));
            let at = at.clone();
            let closer = receiver.clone();
            receiver.on_message(move |number| {
                at.borrow_mut().push(Loop::current().metrics().iterations);
                if number == 4999 {
                    closer.close();
                }
            });
        });
        let at = at.borrow();
        assert_eq!(at.len(), 5000);
        assert_eq!(at.first(), at.last());
    });
}

/// It has not seen its queue empty, but nobody listens: the close gives notice all the same.
#[test]
fn a_port_whose_handler_removed_itself_hears_of_the_close() {
    bounded(|| {
        let closed = Rc::new(Cell::new(false));
        virtual_loop().run(|| {
            let (sender, receiver) = open_channel::<(), ()>();
            let (own, closed) = (receiver.clone(), closed.clone());
            receiver.on_message(move |()| own.off_message());
            receiver.on_close(move || closed.set(true));
            sender.post(());
            set_timeout(Duration::from_millis(1), move || sender.close());
            set_timeout(Duration::from_millis(10), move || assert!(receiver.is_closed()));
        });
        assert!(closed.get());
    });
}

/// In virtual time, a port to a worker that posts to it at once, and closes its end 5 ms later, with its loop
/// that far ahead.
fn port_closed_ahead() -> Port<u8, u8> {
    let (sender, receiver) = channel::<u8, u8>();
    let worker = Worker::<PortEnd<u8, u8>, ()>::spawn(|port| {
        let own = port.clone();
        port.on_message(move |end| {
            let end = end.open();
            end.post(1);
            windlass::time::advance(Duration::from_millis(5));
            end.close();
            own.off_message();
        });
    });
    worker.unwrap().post(sender);
    receiver.open()
}

/// The close was made before the handler removed itself, by a loop that was ahead, and is seen after that.
#[test]
fn a_port_whose_handler_removed_itself_hears_of_a_close_from_ahead() {
    bounded(|| {
        let closed = Rc::new(Cell::new(false));
        virtual_loop().run(|| {
            let receiver = port_closed_ahead();
            let (own, seen) = (receiver.clone(), closed.clone());
            receiver.on_message(move |_| own.off_message());
            receiver.on_close(move || seen.set(true));
            set_timeout(Duration::from_millis(10), move || assert!(receiver.is_closed()));
        });
        assert!(closed.get());
    });
}

/// The notice of the close was given with the message before it, which no handler took.
#[test]
fn a_port_that_is_only_asked_for_messages_hears_of_a_close_from_ahead() {
    bounded(|| {
        for by_timeout in [false, true] {
            let closed = Rc::new(Cell::new(false));
            virtual_loop().run(|| {
                let receiver = port_closed_ahead();
                let seen = closed.clone();
                receiver.on_close(move || seen.set(true));
                let own = receiver.clone();
                set_timeout(Duration::from_millis(1), move || {
                    let message = match by_timeout {
                        true => own.recv_timeout(Duration::ZERO).ok(),
                        false => own.try_recv(),
                    };
                    assert_eq!(message, Some(1)); // To ask once more would be another way to hear.
                });
                set_timeout(Duration::from_millis(10), move || assert!(receiver.is_closed()));
            });
            assert!(closed.get());
        }
    });
}

/// The sender gives notice only to a queue that was seen empty, and this one was not.
#[test]
fn what_a_full_round_of_messages_leaves_comes_without_a_new_notice() {
    bounded(|| {
        let seen = Rc::new(Cell::new(0));
        run(|| {
            let (sender, receiver) = open_channel::<u32, ()>();
            (0..1000).for_each(|number| sender.post(number));
            let (seen, own, again) = (seen.clone(), receiver.clone(), sender.clone());
            receiver.on_message(move |number| {
                seen.set(seen.get() + 1);
                match number {
                    // Comes behind the thousand that fill the round.
                    500 => again.post(1000),
                    1000 => own.close(),
                    _ => {}
                }
            });
        });
        assert_eq!(seen.get(), 1001);
    });
}

/// What a round before had left comes first, and counts with what was posted since: Node prints the
/// same numbers.
#[test]
fn a_round_is_as_long_as_all_that_waits_when_it_begins() {
    bounded(|| {
        let seen = Rc::new(Cell::new(0));
        let at_checks = Rc::new(RefCell::new(Vec::new()));
        run(|| {
            let (sender, receiver) = open_channel::<u32, ()>();
            sender.post(0);
            let (count, checks, own) = (seen.clone(), at_checks.clone(), receiver.clone());
            receiver.on_message(move |number| {
                count.set(count.get() + 1);
                match number {
                    // Within the round of the first message: a thousand are delivered.
                    0 => (1..=2500).for_each(|number| sender.post(number)),
                    900 => {
                        let (count, checks) = (count.clone(), checks.clone());
                        let (sender, own) = (sender.clone(), own.clone());
                        set_immediate(move || {
                            checks.borrow_mut().push(count.get());
                            (0..700).for_each(|number| sender.post(10_000 + number));
                            set_immediate(move || {
                                checks.borrow_mut().push(count.get());
                                own.close();
                            });
                        });
                    }
                    _ => {}
                }
            });
        });
        assert_eq!(*at_checks.borrow(), [1000, 3201]);
        assert_eq!(seen.get(), 3201);
    });
}

// MP-12.
#[test]
fn a_port_sent_to_a_worker_that_is_terminated_at_once_tells_its_peer() {
    bounded(|| {
        block_on(async {
            for _ in 0..50 {
                let worker: Worker<PortEnd<u32, u32>, ()> = Worker::spawn(|port| {
                    port.on_message(|end: PortEnd<u32, u32>| end.open().on_message(|_| ()));
                })
                .unwrap();
                let (here, there) = channel::<u32, u32>();
                worker.post(there);
                let terminated = worker.terminate();
                let here = here.open();
                here.post(1);
                assert_eq!(here.recv().await, None);
                assert_eq!(terminated.await, 1);
            }
        });
    });
}

// MP-13.
#[test]
fn moved_payloads_keep_their_address_and_shared_ones_are_shared() {
    type Payload = (Vec<u8>, Arc<()>);
    bounded(|| {
        block_on(async {
            let worker: Worker<Payload, (Payload, usize)> = Worker::spawn(|port| {
                let replies = port.clone();
                port.on_message(move |payload: Payload| {
                    let address = payload.0.as_ptr() as usize;
                    replies.post((payload, address));
                    replies.off_message();
                });
            })
            .unwrap();
            let (bytes, shared) = (noise(13, 100_000), Arc::new(()));
            let (address, sum) = (bytes.as_ptr() as usize, checksum(&bytes));
            worker.post((bytes, shared.clone()));
            let ((bytes, shared_back), address_there) = worker.recv().await.unwrap();
            assert_eq!((bytes.as_ptr() as usize, address_there), (address, address));
            assert_eq!(checksum(&bytes), sum);
            assert!(Arc::ptr_eq(&shared, &shared_back));
        });
    });
}

// MP-15.
#[test]
fn a_message_that_is_never_received_drops_its_contents() {
    bounded(|| {
        let token = Arc::new(());
        let log = Trace::new();
        let (travelling, mut kept) = UnixStream::pair().unwrap();
        run(|| {
            let (sender, receiver) = open_channel::<(UnixStream, Arc<()>), ()>();
            sender.post((travelling, token.clone()));
            let (parcels, no_reader) = open_channel::<Parcel, Parcel>();
            let (nested, peer) = channel::<Parcel, Parcel>();
            let peer = peer.open();
            peer.on_close(log.says("the nested port's peer"));
            parcels.post(Parcel::End(nested));
            parcels.post(Parcel::Token(token.clone()));
            assert_eq!(Arc::strong_count(&token), 3);
            after_iterations(2, move || {
                receiver.close();
                drop(no_reader);
                after_iterations(2, move || drop((sender, parcels, peer)));
            });
        });
        assert_eq!(kept.read(&mut [0]).unwrap(), 0, "the socket inside was closed");
        assert_eq!(log.lines(), ["the nested port's peer"]);
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

// MP-15, for messages of a loop and of a worker that end.
#[test]
fn messages_left_at_the_end_of_a_loop_or_worker_are_dropped() {
    bounded(|| {
        let token = Arc::new(());
        run(|| {
            let (sender, _receiver) = open_channel::<Arc<()>, ()>();
            sender.post(token.clone());
        });
        assert_eq!(Arc::strong_count(&token), 1);
        block_on(async {
            let worker: Worker<Arc<()>, ()> = Worker::spawn(|_| ()).unwrap();
            (0..10).for_each(|_| worker.post(token.clone()));
            worker.join().await.unwrap();
            assert_eq!(Arc::strong_count(&token), 1);
        });
    });
}

// Z-02, for ports.
#[test]
fn a_port_may_outlive_its_loop() {
    bounded(|| {
        let log = Trace::new();
        let (left, end) = run(|| {
            let (left, end) = channel::<u32, u32>();
            let left = left.open();
            left.on_message(|_| panic!("its loop is gone"));
            left.unref();
            (left, end)
        });
        assert_eq!(left.try_post(1), Err(1));
        left.post(2);
        assert_eq!(left.try_recv(), None);
        left.close();
        run(|| {
            let end = end.open();
            end.on_close(log.says("closed"));
            end.on_message(|_| panic!("there is nobody"));
            end.post(3);
        });
        assert_eq!(log.lines(), ["closed"]);
    });
}
