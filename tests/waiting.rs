//! Several futures that wait for one source: none of them takes the place of another, or takes it along.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::*;
use windlass::fs::File;
use windlass::fs::stream::ReadStream;
use windlass::handle::{Check, Idle};
use windlass::net::UnixStream;
use windlass::time::sleep;
use windlass::worker::{
    BroadcastChannel, Port, RecvTimeoutError, Worker, WorkerError, channel, channel_bounded,
};
use windlass::{Loop, RunMode, block_on, spawn};

/// A worker that sends back what it gets.
async fn echo(port: Port<u8, u8>) {
    while let Some(message) = port.recv().await {
        port.post(message);
    }
}

/// Three futures of one task wait for the same thing, all but the one with the number `kept` are given up,
/// and what they waited for comes. The output of the one that was kept: it is polled when the task is woken,
/// not before.
async fn all_but_one_give_up<F: Future>(
    kept: usize,
    make: impl Fn() -> F,
    provoke: impl FnOnce(),
) -> F::Output {
    let mut futures: Vec<_> = (0..3).map(|_| Box::pin(make())).collect();
    let mut provoke = Some(provoke);
    let mut left: Option<Pin<Box<F>>> = None;
    poll_fn(move |cx| {
        if let Some(future) = &mut left {
            return future.as_mut().poll(cx);
        }
        for future in &mut futures {
            assert!(future.as_mut().poll(cx).is_pending(), "nothing is there yet");
        }
        left = Some(futures.swap_remove(kept));
        futures.clear();
        provoke.take().unwrap()();
        Poll::Pending
    })
    .await
}

// FS streams: the futures have one waker, so it cannot say which of them goes.
#[test]
fn a_wait_for_a_chunk_that_is_given_up_leaves_the_others_of_its_task() {
    bounded(|| {
        for kept in 0..3 {
            block_on(async {
                let (reader, mut writer) = std::io::pipe().unwrap();
                let file = std::fs::File::from(OwnedFd::from(reader));
                let stream = ReadStream::new(File::from_std(file));
                let write = move || writer.write_all(b"chunk").unwrap();
                let chunk = all_but_one_give_up(kept, || stream.next(), write).await;
                assert_eq!(chunk.unwrap().unwrap(), b"chunk");
            });
        }
    });
}

#[test]
fn a_receive_that_is_given_up_leaves_the_others_of_its_task() {
    bounded(|| {
        for kept in 0..3 {
            block_on(async {
                let (here, there) = open_channel::<u8, u8>();
                let received = all_but_one_give_up(kept, || there.recv(), || here.post(1)).await;
                assert_eq!(received, Some(1));

                let (here, there) = channel_bounded::<u8, u8>(1);
                let (here, there) = (here.open(), there.open());
                let post = || here.try_post(1).unwrap();
                assert_eq!(all_but_one_give_up(kept, || there.recv(), post).await, Some(1));

                let (here, there) =
                    (BroadcastChannel::new("waits"), BroadcastChannel::new("waits"));
                let post = || here.post(1);
                assert_eq!(all_but_one_give_up(kept, || there.recv(), post).await, Some(1));

                let worker = Worker::<u8, u8>::spawn_async(echo).unwrap();
                let post = || worker.post(1);
                assert_eq!(all_but_one_give_up(kept, || worker.recv(), post).await, Some(1));
                let terminate = || drop(worker.terminate());
                let joined = all_but_one_give_up(kept, || worker.join(), terminate).await;
                assert_eq!(joined, Err(WorkerError::Terminated));
            });
        }
    });
}

#[test]
fn a_wait_for_room_that_is_given_up_leaves_the_others_of_its_task() {
    bounded(|| {
        for kept in 0..3 {
            block_on(async {
                let (here, there) = channel_bounded::<u8, u8>(1);
                let (here, there) = (here.open(), there.open());
                here.try_post(1).unwrap();
                let make_room = || assert_eq!(there.try_recv(), Some(1));
                let permit = all_but_one_give_up(kept, || here.reserve(), make_room).await;
                assert_eq!(permit.unwrap().post(2), Ok(()));
            });
        }
    });
}

#[test]
fn of_several_receives_the_one_that_has_waited_longest_gets_the_oldest_message() {
    bounded(|| {
        block_on(async {
            let (here, there) = open_channel::<u32, ()>();
            let there = Rc::new(there);
            let log = Trace::new();
            for name in ["one", "two", "three"] {
                let (there, log) = (there.clone(), log.clone());
                drop(spawn(async move {
                    for _ in 0..2 {
                        let message = there.recv().await;
                        log.say(format!("{name} {message:?}"));
                    }
                }));
            }
            iterations(1).await;
            for number in 0..3 {
                here.post(number);
                until(|| log.lines().len() > number as usize).await;
            }
            // Each of those who have had one waits behind those who have not.
            assert_eq!(log.lines(), ["one Some(0)", "two Some(1)", "three Some(2)"]);
            (3..5).for_each(|number| here.post(number));
            here.close();
            until(|| log.lines().len() == 6).await;
            assert_eq!(log.lines()[3..], ["one Some(3)", "two Some(4)", "three None"]);
        });
    });
}

/// Lets an hour of virtual time pass: how many iterations that takes. `act` runs in each of them.
fn iterations_in_an_hour(prepare: impl FnOnce(), act: impl FnMut() + 'static) -> u64 {
    let event_loop = virtual_loop();
    event_loop.block_on(async {
        prepare();
        let check = Check::start(act);
        let before = event_loop.metrics().iterations;
        sleep(Duration::from_secs(3600)).await;
        check.stop();
        event_loop.metrics().iterations - before
    })
}

#[test]
fn a_receive_beside_a_handler_lets_the_loop_sleep() {
    bounded(|| {
        fn wait<T>(recv: impl Future<Output = Option<T>> + 'static) {
            drop(spawn(async move { assert!(recv.await.is_none(), "nobody posts") }));
        }
        let port = || {
            let (here, there) = open_channel::<u8, u8>();
            let (own, keeper) = (there.clone(), there.clone());
            there.on_message(move |_| unreachable!("nobody posts, so it stays with {own:?}"));
            wait(async move { (keeper.recv().await, here).0 });
        };
        let broadcast = || {
            let channel = BroadcastChannel::<u8>::new("rests");
            channel.on_message(|_| unreachable!("nobody posts"));
            wait(async move { channel.recv().await });
        };
        let worker = || {
            let worker = Worker::<u8, u8>::spawn_async(echo).unwrap();
            worker.on_message(|_| unreachable!("nobody posts"));
            wait(async move { worker.recv().await });
        };
        for prepare in [Box::new(port) as Box<dyn FnOnce()>, Box::new(broadcast), Box::new(worker)]
        {
            let count = iterations_in_an_hour(prepare, || ());
            assert!(count < 10, "{count} iterations");
        }
    });
}

#[test]
fn asking_for_a_message_in_each_iteration_lets_the_loop_sleep() {
    bounded(|| {
        let (here, there) = channel::<u8, u8>();
        let ports = Rc::new(RefCell::new(None));
        let (open, asked) = (ports.clone(), ports.clone());
        let prepare = move || {
            let (here, there) = (here.open(), there.open());
            there.on_message(|_| unreachable!("nobody posts"));
            open.replace(Some((here, there)));
        };
        let count = iterations_in_an_hour(prepare, move || {
            let ports = asked.borrow();
            let (_, there) = ports.as_ref().unwrap();
            assert_eq!(there.try_recv(), None);
            assert!(there.recv_timeout(Duration::ZERO).is_err());
            let (waker, _) = Wakes::new();
            assert!(poll_once_and_drop(there.recv(), &waker).is_pending());
        });
        assert!(count < 10, "{count} iterations");

        let workers = Rc::new(RefCell::new(None));
        let (spawned, asked) = (workers.clone(), workers.clone());
        let prepare = move || {
            let worker = Worker::<u8, u8>::spawn_async(echo).unwrap();
            worker.on_message(|_| unreachable!("nobody posts"));
            spawned.replace(Some(worker));
        };
        let count = iterations_in_an_hour(prepare, move || {
            let worker = asked.borrow();
            let worker = worker.as_ref().unwrap();
            assert!(worker.recv_timeout(Duration::ZERO).is_err());
            let (waker, _) = Wakes::new();
            assert!(poll_once_and_drop(worker.recv(), &waker).is_pending());
        });
        assert!(count < 10, "{count} iterations");
    });
}

#[test]
fn a_message_goes_to_who_waits_before_it_goes_to_the_handler() {
    bounded(|| {
        block_on(async {
            let (here, there) = open_channel::<u32, ()>();
            let log = Trace::new();
            let said = log.clone();
            there.on_message(move |message| said.say(format!("handler {message}")));
            let there = Rc::new(there);
            for name in ["one", "two"] {
                let (there, log) = (there.clone(), log.clone());
                drop(spawn(async move {
                    let message = there.recv().await.unwrap();
                    log.say(format!("{name} {message}"));
                }));
            }
            iterations(1).await;
            (0..4).for_each(|number| here.post(number));
            until(|| log.lines().len() == 4).await;
            assert_eq!(log.lines(), ["one 0", "two 1", "handler 2", "handler 3"]);
        });
    });
}

// It found the queue empty in the middle of a round of delivery, which goes on with a message that was posted then.
#[test]
fn a_receive_that_begins_in_a_handler_comes_before_the_handler_too() {
    bounded(|| {
        block_on(async {
            let (here, there) = open_channel::<u32, ()>();
            let (here, there) = (Rc::new(here), Rc::new(there));
            let log = Trace::new();
            let (said, receiver, sender) = (log.clone(), there.clone(), here.clone());
            there.on_message(move |message| {
                said.say(format!("handler {message}"));
                if message == 0 {
                    let (said, receiver, sender) = (said.clone(), receiver.clone(), sender.clone());
                    drop(spawn(async move {
                        let message = receiver.recv().await.unwrap();
                        said.say(format!("recv {message}"));
                    }));
                    windlass::queue_microtask(move || (1..3).for_each(|n| sender.post(n)));
                }
            });
            here.post(0);
            until(|| log.lines().len() == 3).await;
            assert_eq!(log.lines(), ["handler 0", "recv 1", "handler 2"]);
            there.close();
        });
    });
}

// 32,000 that each searched the whole line would take seconds, whichever end they begin at.
#[test]
fn many_that_wait_may_give_up_in_any_order() {
    const MANY: usize = 32_000;
    bounded(|| {
        block_on(async {
            let (waker, _) = Wakes::new();
            let (here, there) = channel_bounded::<usize, ()>(1);
            let (here, there) = (here.open(), there.open());
            let worker = Worker::<u8, u8>::spawn_async(echo).unwrap();
            here.try_post(0).unwrap();
            for order in 0..3 {
                let mut places: Vec<_> = (0..MANY).map(|_| Box::pin(here.reserve())).collect();
                let mut receives: Vec<_> = (0..MANY).map(|_| Box::pin(worker.recv())).collect();
                let mut joins: Vec<_> = (0..MANY).map(|_| Box::pin(worker.join())).collect();
                places
                    .iter_mut()
                    .for_each(|it| assert!(poll_once(it.as_mut(), &waker).is_pending()));
                receives
                    .iter_mut()
                    .for_each(|it| assert!(poll_once(it.as_mut(), &waker).is_pending()));
                joins
                    .iter_mut()
                    .for_each(|it| assert!(poll_once(it.as_mut(), &waker).is_pending()));
                let mut kept =
                    (places.swap_remove(MANY / 2), receives.swap_remove(7), joins.remove(0));
                match order {
                    0 => drop((places, receives, joins)),
                    1 => {
                        while places.pop().is_some() {}
                        while receives.pop().is_some() {}
                        while joins.pop().is_some() {}
                    }
                    _ => {
                        let mut dice = Dice(7);
                        while !places.is_empty() {
                            let index = dice.roll(places.len() as u64) as usize;
                            places.swap_remove(index);
                            receives.swap_remove(index);
                            joins.swap_remove(index);
                        }
                    }
                }
                assert_eq!(there.recv().await, Some(order));
                let permit = kept.0.as_mut().await.unwrap();
                assert_eq!(permit.post(order + 1), Ok(()));
                worker.post(1);
                assert_eq!(kept.1.await, Some(1));
                if order == 2 {
                    drop(worker.terminate());
                    assert_eq!(kept.2.as_mut().await, Err(WorkerError::Terminated));
                }
            }
        });
    });
}

#[test]
fn of_many_that_wait_by_functions_that_poll_few_are_asked_in_each_iteration() {
    const MANY: u64 = 1000;
    let (polls, iterations) = bounded(|| {
        let (polls, iterations) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (count, end) = (polls.clone(), iterations.clone());
        windlass::run(move || {
            let wait = |_| {
                let ((here, there), count) = (open_channel::<u8, u8>(), count.clone());
                drop(spawn(poll_fn(move |cx| {
                    count.set(count.get() + 1);
                    here.poll_recv(cx)
                })));
                there
            };
            let others: Vec<_> = (0..MANY).map(wait).collect();
            // Sockets: before each byte the loop has nothing to do and would wait.
            let (here, there) = UnixStream::pair().unwrap();
            drop(spawn(async move {
                let mut byte = [0];
                while poll_fn(|cx| there.poll_read(cx, &mut byte)).await.unwrap() > 0 {
                    there.write(&byte).await.unwrap();
                }
            }));
            drop(spawn(async move {
                for round in 0..500 {
                    here.write(&[round as u8]).await.unwrap();
                    let mut byte = [0];
                    assert_eq!(poll_fn(|cx| here.poll_read(cx, &mut byte)).await.unwrap(), 1);
                    assert_eq!(byte, [round as u8]);
                }
                end.set(Loop::current().metrics().iterations);
                drop((here, others));
            }));
        });
        (polls.get(), iterations.get())
    });
    assert!(iterations >= 500, "each byte takes an iteration: {iterations}");
    // At the beginning and at the end all are polled, and in between as many as may be asked.
    assert!(polls <= 3 * MANY + 16 * iterations, "{polls} polls in {iterations} iterations");
}

#[test]
fn a_loop_ends_when_many_that_waited_by_functions_that_poll_have_turned_to_something_else() {
    bounded(|| {
        windlass::run(|| {
            let ends: Vec<_> = (0..1000).map(|_| open_channel::<u8, u8>()).collect();
            drop(spawn(async move {
                for (here, _there) in &ends {
                    let waits = poll_fn(|cx| Poll::Ready(here.poll_recv(cx).is_pending())).await;
                    assert!(waits);
                }
                std::future::pending::<()>().await;
            }));
        })
    });
}

#[test]
fn what_is_unreferenced_and_comes_again_and_again_holds_no_loop_with_a_task_that_has_turned_away() {
    let busy: [fn(); 2] = [
        || {
            Idle::start(|| ()).unref();
        },
        || {
            let (here, there) = open_channel::<(), ()>();
            here.post(());
            there.on_message(move |()| here.post(()));
            there.unref();
        },
    ];
    for keeps_busy in busy {
        bounded(move || {
            windlass::run(|| {
                keeps_busy();
                drop(spawn(async {
                    let (here, _there) = open_channel::<u8, u8>();
                    let waits = poll_fn(|cx| Poll::Ready(here.poll_recv(cx).is_pending())).await;
                    assert!(waits);
                    std::future::pending::<()>().await;
                }));
            })
        });
    }
}

#[test]
fn a_loop_sleeps_although_a_task_that_was_asked_has_turned_to_what_holds_the_loop() {
    type Hold = fn() -> Pin<Box<dyn Future<Output = ()>>>;
    let holds: [Hold; 2] = [
        || Box::pin(sleep(ms(20))),
        || {
            let (tell, told) = open_channel::<(), ()>();
            windlass::set_timeout(ms(20), move || tell.post(())).unref();
            Box::pin(async move { assert!(told.recv().await.is_some()) })
        },
    ];
    for hold in holds {
        for event_loop in [real_loop(), virtual_loop()] {
            event_loop.enter(|| {
                drop(spawn(async move {
                    let (here, _there) = open_channel::<u8, u8>();
                    let (mut polls, mut instead) = (0, None);
                    poll_fn(|cx| {
                        polls += 1;
                        match polls {
                            1 => here.poll_recv(cx).map(drop),
                            // It is asked whether it waits, and turns to something else.
                            _ => instead.get_or_insert_with(hold).as_mut().poll(cx),
                        }
                    })
                    .await;
                }));
            });
            let mut turns = 0;
            while event_loop.turn(RunMode::Once) {
                turns += 1;
                assert!(turns < 20, "the loop spins");
            }
        }
    }
}

#[test]
fn a_wait_for_room_that_has_ended_keeps_no_place() {
    bounded(|| {
        block_on(async {
            let (waker, wakes) = Wakes::new();
            let (here, there) = channel_bounded::<u8, u8>(1);
            let (here, there) = (here.open(), there.open());
            here.try_post(1).unwrap();
            let again = here.clone();
            let mut ended = Box::pin(again.reserve());
            assert!(poll_once(ended.as_mut(), &waker).is_pending());
            // It goes on a journey: nothing can be sent from here any more.
            let end = here.detach();
            assert_eq!(wakes.count(), 1);
            assert!(matches!(poll_once(ended.as_mut(), &waker), Poll::Ready(None)));
            let here = end.open();
            assert_eq!(there.recv().await, Some(1));
            assert_eq!(here.try_post(2), Ok(()), "nobody waits for the place");
            assert!(format!("{ended:?}").contains("waiting: false"));
            drop(ended);

            // The same when the receiver has gone, which this port has not heard yet: nothing holds it.
            let mut ended = Box::pin(here.reserve());
            assert!(poll_once(ended.as_mut(), &waker).is_pending());
            drop(there.detach());
            assert!(matches!(poll_once(ended.as_mut(), &waker), Poll::Ready(None)));
            assert!(format!("{ended:?}").contains("waiting: false"));
        });
    });
}

#[test]
fn a_blocking_receive_from_a_worker_refuses_a_port_that_has_come_to_its_own_thread() {
    bounded(|| {
        block_on(async {
            let (give, take) = std::sync::mpsc::channel();
            let worker = Worker::<u8, u8>::spawn_async(|port| async move {
                give.send(port.detach()).unwrap();
                std::future::pending().await
            })
            .unwrap();
            let end = take.recv().unwrap();
            assert!(worker.is_peer(&end));
            let port = end.open();
            let limit = Duration::from_secs(3600);
            assert_eq!(worker.recv_timeout(limit), Err(RecvTimeoutError::WouldDeadlock));
            port.post(1);
            assert_eq!(worker.recv_timeout(limit), Ok(1), "what is there comes in any case");
            assert_eq!(worker.terminate().await, 1);
        });
    });
}
