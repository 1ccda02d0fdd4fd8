//! Broadcast channels, on one loop and across threads. Section BC of the list of behaviours.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use windlass::worker::{BroadcastChannel, Port, Worker};
use windlass::{Loop, block_on, run};

/// A list that a handler fills.
fn collect<T: Clone + Send + 'static>(channel: &BroadcastChannel<T>) -> Rc<RefCell<Vec<T>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let list = seen.clone();
    channel.on_message(move |message| list.borrow_mut().push(message));
    seen
}

// BC-01.
#[test]
fn a_message_reaches_all_others_of_its_name_and_type_and_never_its_sender() {
    bounded(|| {
        block_on(async {
            let open = || BroadcastChannel::<u8>::new("bc-01");
            let (sender, one, two) = (open(), open(), open());
            let other_name = BroadcastChannel::<u8>::new("bc-01 and more");
            let other_type = BroadcastChannel::<u16>::new("bc-01");
            let lists = [&sender, &one, &two, &other_name].map(collect);
            let of_other_type = collect(&other_type);
            sender.post(7);
            assert!(lists.iter().all(|list| list.borrow().is_empty()), "never inside the post");
            iterations(3).await;
            let seen = lists.map(|list| list.borrow().clone());
            assert_eq!(seen, [vec![], vec![7], vec![7], vec![]]);
            assert!(of_other_type.borrow().is_empty());
            for channel in [sender, one, two, other_name] {
                channel.close();
            }
            other_type.close();
        });
    });
}

// BC-01 and BC-02, across threads: each receiver has each sender's messages in order.
#[test]
fn every_receiver_sees_every_senders_messages_in_posting_order() {
    const WORKERS: usize = 4;
    const MESSAGES: usize = 500;
    type Item = (usize, usize);
    bounded(|| {
        block_on(async {
            let workers: Vec<Worker<(), Vec<Item>>> = (0..WORKERS)
                .map(|own| {
                    let spawned = Worker::spawn(move |port: Port<Vec<Item>, ()>| {
                        let channel = BroadcastChannel::<Item>::new("bc-02");
                        let (mut seen, receiver) = (Vec::new(), channel.clone());
                        let done = port.clone();
                        channel.on_message(move |item| {
                            seen.push(item);
                            if seen.len() == (WORKERS - 1) * MESSAGES {
                                done.post(std::mem::take(&mut seen));
                                receiver.close();
                                done.close();
                            }
                        });
                        port.post(Vec::new());
                        port.on_message(move |()| {
                            (0..MESSAGES).for_each(|number| channel.post((own, number)));
                        });
                    });
                    spawned.unwrap()
                })
                .collect();
            for worker in &workers {
                assert_eq!(worker.recv().await, Some(Vec::new()), "its channel is open");
            }
            workers.iter().for_each(|worker| worker.post(()));
            for (own, worker) in workers.iter().enumerate() {
                let seen = worker.recv().await.unwrap();
                for sender in (0..WORKERS).filter(|sender| *sender != own) {
                    let of_one = seen.iter().filter(|item| item.0 == sender).map(|item| item.1);
                    assert!(of_one.eq(0..MESSAGES), "worker {own} of sender {sender}");
                }
                assert_eq!(worker.join().await, Ok(0));
            }
        });
    });
}

// BC-03 and BC-04.
#[test]
fn a_closed_channel_gets_nothing_and_posts_nothing() {
    bounded(|| {
        block_on(async {
            let (here, there) = (BroadcastChannel::new("bc-03"), BroadcastChannel::new("bc-03"));
            let seen = collect(&there);
            here.post(1);
            there.close();
            there.close();
            iterations(3).await;
            assert!(seen.borrow().is_empty(), "not even what waited");
            assert_eq!(there.try_post(2), Err(2));
            there.post(3);
            assert!(there.is_closed());
            assert_eq!(there.recv().await, None);
            here.close();
        });
    });
}

// BC-05.
#[test]
fn closing_in_the_handler_drops_the_rest_for_that_channel_only() {
    bounded(|| {
        block_on(async {
            let open = || BroadcastChannel::<u8>::new("bc-05");
            let (sender, leaver, stayer) = (open(), open(), open());
            let (count, own) = (Rc::new(Cell::new(0)), leaver.clone());
            let counter = count.clone();
            leaver.on_message(move |_| {
                counter.set(counter.get() + 1);
                own.close();
            });
            let seen = collect(&stayer);
            (0..5).for_each(|number| sender.post(number));
            until(|| seen.borrow().len() == 5).await;
            iterations(2).await;
            assert_eq!(count.get(), 1);
            sender.close();
            stayer.close();
        });
    });
}

// BC-06.
#[test]
fn a_channel_made_in_a_handler_gets_later_messages_only() {
    bounded(|| {
        block_on(async {
            let (sender, first) = (BroadcastChannel::new("bc-06"), BroadcastChannel::new("bc-06"));
            let made = Rc::new(RefCell::new(None));
            let slot = made.clone();
            first.on_message(move |number: u8| {
                if number == 0 {
                    let second = BroadcastChannel::<u8>::new("bc-06");
                    let seen = collect(&second);
                    slot.replace(Some((second, seen)));
                }
            });
            sender.post(0);
            sender.post(1);
            until(|| made.borrow().is_some()).await;
            sender.post(2);
            let (second, seen) = made.take().unwrap();
            until(|| !seen.borrow().is_empty()).await;
            assert_eq!(*seen.borrow(), [2]);
            for channel in [sender, first, second] {
                channel.close();
            }
        });
    });
}

/// Counts its clones, and panics in the one that it is told.
struct Fragile {
    clones: Arc<AtomicUsize>,
    panics_in: usize,
}

impl Clone for Fragile {
    fn clone(&self) -> Fragile {
        let number = self.clones.fetch_add(1, Ordering::SeqCst);
        assert_ne!(number, self.panics_in, "a test's panic");
        Fragile { clones: self.clones.clone(), panics_in: self.panics_in }
    }
}

// BC-07 and MP-14.
#[test]
fn a_panic_in_one_clone_is_a_message_error_of_that_receiver_alone() {
    bounded(|| {
        block_on(async {
            let open = || BroadcastChannel::<Fragile>::new("bc-07");
            let (sender, receivers) = (open(), [open(), open(), open()]);
            let log = Trace::new();
            for (index, receiver) in receivers.iter().enumerate() {
                let (good, bad) = (log.clone(), log.clone());
                receiver.on_message(move |_| good.say(format!("message at {index}")));
                receiver.on_message_error(move |error| {
                    assert!(error.to_string().contains("a test's panic"), "{error}");
                    bad.say(format!("error at {index}"));
                });
            }
            let clones = Arc::new(AtomicUsize::new(0));
            sender.post(Fragile { clones: clones.clone(), panics_in: 1 });
            assert_eq!(clones.load(Ordering::SeqCst), 3, "one for each receiver");
            sender.post(Fragile { clones: clones.clone(), panics_in: usize::MAX });
            until(|| log.lines().len() == 6).await;
            let expected = [
                "message at 0",
                "message at 0",
                "error at 1",
                "message at 1",
                "message at 2",
                "message at 2",
            ];
            assert_eq!(log.lines(), expected);
            sender.close();
            receivers.iter().for_each(BroadcastChannel::close);
        });
    });
}

// BC-08.
#[test]
fn a_channel_holds_its_loop_until_it_is_closed_or_unreferenced() {
    bounded(|| {
        run(|| {
            let channel = BroadcastChannel::<()>::new("bc-08");
            let event_loop = Loop::current();
            assert!(event_loop.is_alive());
            assert_eq!(event_loop.why_alive()[0].kind, "broadcast channel");
            channel.unref();
            assert!(!event_loop.is_alive());
            channel.set_ref(true);
            assert!(channel.has_ref() && event_loop.is_alive());
            // With the last clone a channel without a handler closes.
            let clone = channel.clone();
            drop(channel);
            assert!(event_loop.is_alive());
            drop(clone);
            assert!(!event_loop.is_alive());
        });
        // With a handler it belongs to its loop, and an unref'd one is closed with that.
        run(|| {
            let channel = BroadcastChannel::<()>::new("bc-08");
            channel.on_message(|()| ());
            channel.unref();
        });
        block_on(async {
            let alone = BroadcastChannel::<Arc<()>>::new("bc-08");
            let message = Arc::new(());
            alone.post(message.clone());
            assert_eq!(Arc::strong_count(&message), 1, "nobody is left to get it");
        });
    });
}

// BC-09.
#[test]
fn the_exit_of_a_worker_closes_its_channels_and_the_others_go_on() {
    bounded(|| {
        block_on(async {
            let (here, other) = (BroadcastChannel::new("bc-09"), BroadcastChannel::new("bc-09"));
            let seen = collect(&other);
            let worker: Worker<(), ()> = Worker::spawn(|port: Port<(), ()>| {
                let channel = BroadcastChannel::<Arc<i32>>::new("bc-09");
                let port_of_handler = port.clone();
                channel.on_message(move |_| port_of_handler.post(()));
            })
            .unwrap();
            until(|| {
                here.post(Arc::new(1));
                worker.usage().from_worker > 0
            })
            .await;
            worker.terminate().await;
            seen.borrow_mut().clear();
            let message = Arc::new(2);
            here.post(message.clone());
            until(|| seen.borrow().iter().any(|seen: &Arc<i32>| **seen == 2)).await;
            seen.borrow_mut().clear();
            assert_eq!(Arc::strong_count(&message), 1, "the worker's channel took none");
            here.close();
            other.close();
        });
    });
}

#[test]
fn a_channel_can_be_awaited_and_its_messages_wait_for_the_first_receive() {
    bounded(|| {
        block_on(async {
            let (here, there) = (BroadcastChannel::new("recv"), BroadcastChannel::new("recv"));
            assert_eq!(there.name(), "recv");
            here.post(1);
            here.post(2);
            assert_eq!(there.recv().await, Some(1));
            let seen = collect(&there);
            until(|| *seen.borrow() == [2]).await;
            there.off_message();
            here.post(3);
            assert_eq!(there.recv().await, Some(3));
        });
    });
}

#[test]
fn a_channel_may_outlive_its_loop() {
    bounded(|| {
        let (one, other) = run(|| {
            let one = BroadcastChannel::<u8>::new("outlives");
            let other = one.clone();
            one.on_message(|_| ());
            one.unref();
            (one, other)
        });
        assert!(one.is_closed());
        assert_eq!(one.try_post(1), Err(1));
        one.on_message(|_| unreachable!("it is closed"));
        one.close();
        drop((one, other));
    });
}

// The same to the last callback, each time.
#[test]
fn in_virtual_time_broadcasts_of_workers_come_in_one_order() {
    let program = || {
        let log = Trace::new();
        virtual_loop().run(|| {
            let channel = BroadcastChannel::<(u8, u8)>::new("virtual");
            let (seen, own, mut left) = (log.clone(), channel.clone(), 30);
            channel.on_message(move |item| {
                seen.say(format!("{item:?}"));
                left -= 1;
                if left == 0 {
                    own.close();
                }
            });
            for worker in 0..3 {
                let spawned = Worker::<(), ()>::spawn(move |_| {
                    let channel = BroadcastChannel::<(u8, u8)>::new("virtual");
                    let mut number = 0;
                    let delay = std::time::Duration::from_millis(u64::from(worker) + 2);
                    windlass::set_interval(delay, move |timer| {
                        channel.post((worker, number));
                        number += 1;
                        if number == 10 {
                            timer.clear();
                            channel.close();
                        }
                    });
                });
                spawned.unwrap();
            }
        });
        log.lines()
    };
    bounded(move || {
        let first = program();
        assert_eq!(first.len(), 30);
        for _ in 0..5 {
            assert_eq!(program(), first);
        }
    });
}

#[test]
fn a_message_can_be_taken_directly_past_those_that_were_not_cloned() {
    /// Its clones panic if it says so.
    #[derive(Debug, PartialEq)]
    struct Message(u32, bool);
    impl Clone for Message {
        fn clone(&self) -> Message {
            assert!(!self.1, "on purpose");
            Message(self.0, false)
        }
    }
    bounded(|| {
        run(|| {
            let (here, there) = (BroadcastChannel::new("try"), BroadcastChannel::new("try"));
            let errors = Rc::new(Cell::new(0));
            let count = errors.clone();
            there.on_message_error(move |_| count.set(count.get() + 1));
            assert_eq!(there.try_recv(), None);
            here.post(Message(1, false));
            here.post(Message(2, true));
            here.post(Message(3, false));
            assert_eq!(there.try_recv(), Some(Message(1, false)));
            assert_eq!(there.try_recv(), Some(Message(3, false)));
            assert_eq!((there.try_recv(), errors.get()), (None, 1));
            here.post(Message(4, false));
            there.close();
            assert_eq!(there.try_recv(), None);
            here.close();
        });
    });
}
