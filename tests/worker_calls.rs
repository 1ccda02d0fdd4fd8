//! On top of messages: questions with answers, bounded channels, the blocking receive, direct messages.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::*;
use windlass::worker::{
    self, Bounded, Call, CallError, DirectError, Port, PortEnd, RecvTimeoutError, Reply,
    TryPostError, Worker, channel, channel_bounded,
};
use windlass::{CancelError, Loop, block_on, exit, run, set_immediate, spawn};

const LATE: Duration = Duration::from_secs(50);
const SOON: Duration = Duration::from_millis(5);

// ---- Calls ----

#[test]
fn answers_reach_their_own_questions_in_whatever_order_they_come() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<Call<u32, u32>, ()>::spawn(|port| {
                // Answers each ten in reverse.
                let mut waiting = Vec::new();
                port.on_message(move |call: Call<u32, u32>| {
                    waiting.push(call);
                    if waiting.len() == 10 {
                        for call in waiting.drain(..).rev() {
                            let square = call.message() * call.message();
                            call.reply(square);
                        }
                    }
                });
            })
            .unwrap();
            let requests: Vec<_> = (0..200).map(|number| worker.call(number)).collect();
            for (number, request) in (0..200).zip(requests) {
                assert_eq!(request.await, Ok(number * number));
            }
            worker.terminate().await;
        });
    });
}

#[test]
fn a_call_holds_the_loop_and_a_callback_gets_its_answer() {
    bounded(|| {
        let answer = Rc::new(Cell::new(None));
        let slot = answer.clone();
        run(move || {
            let worker = Worker::<Call<(), u8>, ()>::spawn(|port| {
                port.on_message(|call: Call<(), u8>| call.reply(9));
            })
            .unwrap();
            worker.unref();
            worker.call(()).on_complete(move |outcome| slot.set(outcome.ok()));
            assert!(Loop::current().why_alive().iter().any(|alive| alive.kind == "call"));
        });
        assert_eq!(answer.get(), Some(9));
    });
}

#[test]
fn a_call_fails_when_the_worker_dies_in_whatever_way() {
    type Question = Call<u8, ()>;
    bounded(|| {
        block_on(async {
            for way in 0..5_u8 {
                let worker = Worker::<Question, ()>::spawn(move |port| {
                    let own = port.clone();
                    port.on_message(move |call: Question| match way {
                        0 => panic!("a test's panic"),
                        1 => exit(3),
                        2 => own.close(),
                        3 => drop(call),
                        _ => std::mem::forget(own.clone()), // Never answers: terminated below.
                    });
                })
                .unwrap();
                worker.on_error(|_| ());
                let (first, second) = (worker.call(0), worker.call(1));
                if way >= 3 {
                    drop(worker.terminate());
                }
                assert_eq!(first.await, Err(CallError::NoReply), "way {way}");
                assert_eq!(second.await, Err(CallError::NoReply), "way {way}");
                worker.join().await.ok();
                assert_eq!(worker.call(2).await, Err(CallError::NoReply), "after the end");
            }
        });
    });
}

#[test]
fn a_call_can_be_cancelled_and_the_other_side_sees_that_nobody_waits() {
    bounded(|| {
        block_on(async {
            let (here, there) = channel::<Call<u8, u8>, ()>();
            let (here, there) = (here.open(), there.open());
            let request = here.call(1);
            let canceller = request.canceller();
            let (message, reply) = there.recv().await.unwrap().into_parts();
            assert!(reply.is_wanted());
            assert_eq!(request.cancel(), Ok(()));
            assert_eq!(request.await, Err(CallError::Cancelled));
            assert_eq!(canceller.cancel(), Err(CancelError::Done));
            assert!(!reply.is_wanted());
            reply.send(message);
            assert!(!Loop::current().why_alive().iter().any(|alive| alive.kind == "call"));
        });
    });
}

#[test]
fn a_reply_may_come_from_a_pool_thread_and_a_question_may_be_of_any_message_type() {
    enum Message {
        Sum(Vec<u64>, Reply<u64>),
        Other,
    }
    bounded(|| {
        block_on(async {
            let worker = Worker::<Message, ()>::spawn(|port| {
                port.on_message(|message| {
                    if let Message::Sum(numbers, reply) = message {
                        drop(windlass::queue_work(move || reply.send(numbers.iter().sum())));
                    }
                });
            })
            .unwrap();
            worker.post(Message::Other);
            let sum = worker.call_with(|reply| Message::Sum(vec![1, 2, 3], reply));
            assert_eq!(sum.await, Ok(6));
            worker.terminate().await;
        });
    });
}

#[test]
fn a_call_of_a_loop_that_ends_says_so() {
    bounded(|| {
        let (here, there) = channel::<Call<u8, u8>, ()>();
        let request = run(|| {
            let here = here.open();
            let request = here.call(1);
            exit(0);
            request
        });
        drop(there);
        assert_eq!(block_on(request), Err(CallError::ShutDown));
    });
}

// ---- Bounded channels ----

fn open_bounded(capacity: usize) -> (Port<u32, (), Bounded>, Port<(), u32, Bounded>) {
    let (one, other) = channel_bounded(capacity);
    (one.open(), other.open())
}

#[test]
fn a_full_channel_gives_the_message_back_and_has_room_when_one_is_taken() {
    bounded(|| {
        block_on(async {
            let (here, there) = open_bounded(2);
            assert_eq!(here.try_post(1), Ok(()));
            assert_eq!(here.try_post(2), Ok(()));
            assert_eq!(here.try_post(3), Err(TryPostError::Full(3)));
            assert_eq!(there.try_recv(), Some(1));
            assert_eq!(here.try_post(3), Ok(()));
            assert_eq!(there.queue_len(), 2);
            there.close();
            assert_eq!(here.try_post(4), Err(TryPostError::Closed(4)));
            assert_eq!(here.try_post(5).unwrap_err().into_message(), 5);
            assert_eq!(here.post_async(6).await, Err(6));
        });
    });
}

#[test]
fn those_who_wait_for_room_get_it_in_turn_and_nobody_overtakes_them() {
    bounded(|| {
        block_on(async {
            let (here, there) = open_bounded(1);
            assert_eq!(here.try_post(0), Ok(()));
            for number in 1..=20 {
                let here = here.clone();
                drop(spawn(async move { here.post_async(number).await.unwrap() }));
            }
            iterations(2).await;
            for number in 0..=20 {
                assert!(matches!(here.try_post(99), Err(TryPostError::Full(99))));
                assert_eq!(there.recv().await, Some(number));
            }
            assert_eq!(there.try_recv(), None);
            assert_eq!(here.try_post(21), Ok(()));
        });
    });
}

#[test]
fn a_permit_that_is_dropped_and_a_wait_that_is_given_up_free_their_place() {
    bounded(|| {
        block_on(async {
            let (waker, wakes) = Wakes::new();
            let (here, there) = open_bounded(1);
            let permit = here.reserve().await.unwrap();
            assert!(matches!(here.try_post(1), Err(TryPostError::Full(1))));
            let mut first = Box::pin(here.reserve());
            let mut second = Box::pin(here.reserve());
            assert!(poll_once(first.as_mut(), &waker).is_pending());
            assert!(poll_once(second.as_mut(), &waker).is_pending());
            drop(permit);
            assert_eq!(wakes.count(), 1, "the first in line");
            drop(first); // It had the place, which goes on to the next.
            assert_eq!(wakes.count(), 2);
            let Poll::Ready(Some(permit)) = poll_once(second.as_mut(), &waker) else { panic!() };
            assert_eq!(permit.post(7), Ok(()));
            assert_eq!(there.recv().await, Some(7));
        });
    });
}

#[test]
fn waiting_for_room_holds_the_loop_and_ends_with_the_channel() {
    bounded(|| {
        let outcome = Rc::new(RefCell::new(None));
        let slot = outcome.clone();
        run(move || {
            let (here, there) = open_bounded(1);
            assert_eq!(here.try_post(1), Ok(()));
            drop(spawn(async move {
                let sent = here.post_async(2).await;
                slot.replace(Some(sent));
            }));
            set_immediate(move || {
                let alive = Loop::current().why_alive();
                assert_eq!(alive.len(), 1, "{alive:?}");
                assert_eq!(alive[0].kind, "message port");
                there.close();
            });
        });
        assert_eq!(outcome.take(), Some(Err(2)));
    });
}

#[test]
fn a_slow_worker_slows_its_sender_down_and_memory_stays_bounded() {
    bounded(|| {
        static LIVE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        struct Counted(u32);
        impl Counted {
            fn new(number: u32) -> Counted {
                MOST.fetch_max(LIVE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                Counted(number)
            }
        }
        impl Drop for Counted {
            fn drop(&mut self) {
                LIVE.fetch_sub(1, Ordering::SeqCst);
            }
        }
        block_on(async {
            let (here, there) = channel_bounded::<Counted, ()>(8);
            let worker = Worker::<(), u64>::spawn(move |port| {
                let mut sum = 0;
                let (there, done) = (there.open(), port.clone());
                there.on_close({
                    let done = done.clone();
                    move || done.close()
                });
                there.on_message(move |counted: Counted| {
                    sum += u64::from(counted.0);
                    if counted.0 == 9_999 {
                        done.post(sum);
                    }
                });
                port.on_message(|()| ());
            })
            .unwrap();
            let here = here.open();
            for number in 0..10_000 {
                let permit = here.reserve().await.unwrap();
                assert!(permit.post(Counted::new(number)).is_ok());
            }
            assert_eq!(worker.recv().await, Some(49_995_000));
            here.close();
            worker.join().await.unwrap();
            assert!(
                MOST.load(Ordering::SeqCst) <= 10,
                "8 wait, one is in the handler, one is made"
            );
        });
    });
}

#[test]
fn a_bounded_port_travels_with_its_bound() {
    bounded(|| {
        block_on(async {
            let (here, there) = open_bounded(1);
            assert_eq!(here.try_post(1), Ok(()));
            let end: PortEnd<u32, (), Bounded> = here.detach();
            let here = std::thread::spawn(move || end).join().unwrap().open();
            assert!(matches!(here.try_post(2), Err(TryPostError::Full(2))));
            assert_eq!(there.recv().await, Some(1));
        });
    });
}

// ---- The blocking receive ----

#[test]
fn a_blocking_receive_gets_what_another_thread_posts_and_gives_up_in_time() {
    bounded(|| {
        run(|| {
            let (here, there) = channel::<u8, u8>();
            let here = here.open();
            let thread = std::thread::spawn(move || {
                block_on(async move {
                    let there = there.open();
                    let question = there.recv().await.unwrap();
                    there.post(question + 1);
                    there.recv().await
                })
            });
            here.post(1);
            assert_eq!(here.recv_timeout(LATE), Ok(2));
            assert_eq!(here.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
            here.post(5);
            assert_eq!(here.recv_timeout(LATE), Err(RecvTimeoutError::Closed));
            assert_eq!(thread.join().unwrap(), Some(5));
        });
    });
}

#[test]
fn a_blocking_receive_refuses_a_peer_on_its_own_thread() {
    bounded(|| {
        run(|| {
            let (here, there) = channel::<u8, u8>();
            let (here, there) = (here.open(), there.open());
            assert_eq!(here.recv_timeout(LATE), Err(RecvTimeoutError::WouldDeadlock));
            there.post(1);
            assert_eq!(here.recv_timeout(LATE), Ok(1), "what is there comes in any case");
            // Not open anywhere, it may yet be opened elsewhere.
            let end = there.detach();
            assert_eq!(here.recv_timeout(SOON), Err(RecvTimeoutError::Timeout));
            drop(end);
            assert_eq!(here.recv_timeout(LATE), Err(RecvTimeoutError::Closed));
            here.close();
            assert_eq!(here.recv_timeout(LATE), Err(RecvTimeoutError::Closed));
        });
        virtual_loop().run(|| {
            let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
            assert_eq!(worker.recv_timeout(LATE), Err(RecvTimeoutError::WouldDeadlock));
        });
    });
}

#[test]
fn a_worker_can_be_asked_synchronously() {
    bounded(|| {
        run(|| {
            let worker = Worker::<u8, u8>::spawn(|port| {
                let reply = port.clone();
                port.on_message(move |number| {
                    reply.post(number * 2);
                    reply.close();
                });
            })
            .unwrap();
            worker.post(21);
            assert_eq!(worker.recv_timeout(LATE), Ok(42));
            assert_eq!(worker.recv_timeout(LATE), Err(RecvTimeoutError::Closed));
            worker.on_exit(|code| assert_eq!(code, 0));
        });
    });
}

// ---- Direct messages. WK-23. ----

#[test]
fn a_direct_message_reaches_the_listener_of_its_type_with_its_senders_number() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let worker = Worker::<(), String>::spawn(|port| {
                let (numbers, texts) = (port.clone(), port.clone());
                worker::on_direct_message(move |from, number: u32| {
                    numbers.post(format!("{number} of {from}"));
                });
                worker::on_direct_message(move |from, text: String| {
                    texts.post(format!("{text} of {from}"));
                });
                port.post("ready".to_owned());
                port.on_message(|()| ());
            })
            .unwrap();
            assert_eq!(worker.recv().await.as_deref(), Some("ready"));
            let id = worker.id();
            assert_eq!(worker::post_direct(id, 5_u32, Some(LATE)).await, Ok(()));
            let other = Worker::<(), ()>::spawn(move |_| {
                worker::post_direct(id, "hello".to_owned(), None)
                    .on_complete(|outcome| assert_eq!(outcome, Ok(())));
            })
            .unwrap();
            assert_eq!(other.join().await, Ok(0));
            for _ in 0..2 {
                log.say(worker.recv().await.unwrap());
            }
            assert_eq!(log.lines(), ["5 of 0".to_owned(), format!("hello of {}", other.id())]);
            worker.terminate().await;
        });
    });
}

#[test]
fn what_goes_wrong_with_a_direct_message_is_told_apart() {
    bounded(|| {
        block_on(async {
            let send = |id: u64| worker::post_direct(id, 1_u8, Some(LATE));
            assert_eq!(send(worker::id()).await, Err(DirectError::OwnThread));
            assert_eq!(send(u64::MAX).await, Err(DirectError::NoWorker));
            let (gate, opened) = std::sync::mpsc::channel::<()>();
            let worker = Worker::<(), ()>::spawn(move |port| {
                worker::on_direct_message(|_, _: u16| panic!("a test's panic"));
                worker::on_direct_message(move |_, _: u32| opened.recv().unwrap());
                port.post(());
                port.on_message(|()| ());
            })
            .unwrap();
            worker.recv().await;
            let id = worker.id();
            assert_eq!(send(id).await, Err(DirectError::NoListener));
            let failed = worker::post_direct(id, 1_u16, None).await;
            assert_eq!(failed, Err(DirectError::ListenerPanicked("a test's panic".to_owned())));
            let late = worker::post_direct(id, 1_u32, Some(SOON)).await;
            assert_eq!(late, Err(DirectError::Timeout));
            gate.send(()).unwrap();
            // It goes on, and the listeners are still there.
            gate.send(()).unwrap();
            assert_eq!(worker::post_direct(id, 1_u32, None).await, Ok(()));
            worker.terminate().await;
            assert_eq!(send(id).await, Err(DirectError::NoWorker));
        });
        let request = run(|| {
            let worker = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
            let request = worker::post_direct(worker.id(), 1_u8, None);
            exit(0);
            request
        });
        assert_eq!(block_on(request), Err(DirectError::ShutDown));
    });
}

// ---- The order of things on these, in virtual time ----

#[test]
fn in_virtual_time_calls_and_bounded_channels_are_the_same_each_time() {
    let program = || {
        let log = Trace::new();
        let seen = log.clone();
        virtual_loop().block_on(async move {
            let began = windlass::now();
            let workers: Vec<_> = (0..3_u64)
                .map(|index| {
                    let (here, there) = channel_bounded::<u64, ()>(2);
                    let worker = Worker::<Call<u64, u64>, ()>::spawn(move |port| {
                        let there = Rc::new(there.open());
                        port.on_message(move |call: Call<u64, u64>| {
                            let there = there.clone();
                            drop(spawn(async move {
                                windlass::time::sleep(Duration::from_millis(index + 1)).await;
                                let sum = there.recv().await.unwrap() + call.message();
                                call.reply(sum);
                            }));
                        });
                    });
                    (worker.unwrap(), here.open())
                })
                .collect();
            for round in 0..5 {
                let asked: Vec<_> = workers.iter().map(|(worker, _)| worker.call(round)).collect();
                for (index, (_, port)) in workers.iter().enumerate() {
                    port.post_async(index as u64 * 100).await.unwrap();
                }
                for request in asked {
                    let answer = request.await.unwrap();
                    seen.say(format!("{answer} at {:?}", windlass::now() - began));
                }
            }
            for (worker, _) in &workers {
                worker.terminate().await;
            }
        });
        log.lines()
    };
    bounded(move || {
        let first = program();
        assert_eq!(first.len(), 15);
        for _ in 0..5 {
            assert_eq!(program(), first);
        }
    });
}

/// Nothing of a question is left behind.
#[test]
fn a_thousand_calls_leave_no_handle_open() {
    bounded(|| {
        block_on(async {
            let answered = Arc::new(AtomicUsize::new(0));
            let counter = answered.clone();
            let worker = Worker::<Call<(), ()>, ()>::spawn(move |port| {
                port.on_message(move |call: Call<(), ()>| {
                    counter.fetch_add(1, Ordering::SeqCst);
                    call.reply(());
                });
            })
            .unwrap();
            let before = Loop::current().handles().len();
            for _ in 0..1000 {
                assert_eq!(worker.call(()).await, Ok(()));
            }
            drop(worker.call(()));
            until(|| answered.load(Ordering::SeqCst) == 1001).await;
            until(|| Loop::current().handles().len() == before).await;
            worker.terminate().await;
        });
    });
}

#[test]
fn a_direct_message_to_a_worker_that_has_not_begun_waits_for_its_main_script() {
    bounded(|| {
        // In virtual time the worker does not begin before this loop waits.
        let virtual_loop = virtual_loop();
        virtual_loop.block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| {
                worker::on_direct_message(|_, number: u8| assert_eq!(number, 5));
                port.on_message(|()| ());
            });
            let worker = worker.unwrap();
            assert_eq!(worker::post_direct(worker.id(), 5_u8, None).await, Ok(()));
            drop(worker.terminate());
        });
    });
}

#[test]
fn a_direct_message_that_is_cancelled_says_so() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
            let request = worker::post_direct(worker.id(), 5_u8, None);
            assert_eq!(request.cancel(), Ok(()));
            assert_eq!(request.cancel(), Err(CancelError::Done));
            assert_eq!(request.await, Err(DirectError::Cancelled));
            drop(worker.terminate());
        });
    });
}
