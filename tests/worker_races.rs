//! Workers and ports under races: seeded, many rounds, and every promise checked in each.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::*;
use windlass::worker::{BroadcastChannel, Call, Port, PortEnd, Worker, WorkerError, channel};
use windlass::{block_on, exit, run, set_immediate};

/// Takes some time, from none to a few microseconds, that differs from round to round.
fn dawdle(dice: &mut Dice) {
    for _ in 0..dice.roll(400) {
        std::hint::spin_loop();
    }
}

/// What a round's other thread does with its end of a channel.
struct Round {
    seed: u64,
    end: PortEnd<u64, u64>,
    messages: u64,
}

/// Posts numbers in random bursts, then closes.
fn post_numbers(port: Port<u64, u64>, mut dice: Dice, next: u64, messages: u64) {
    let burst = dice.roll(8) + 1;
    let until = (next + burst).min(messages);
    dawdle(&mut dice);
    (next..until).for_each(|number| port.post(number));
    if until == messages {
        port.close();
    } else {
        set_immediate(move || post_numbers(port, dice, until, messages));
    }
}

// MP-01, MP-04 and MP-05, ten thousand rounds between two loops.
#[test]
fn in_ten_thousand_random_rounds_all_messages_come_in_order_before_the_close() {
    const ROUNDS: u64 = 10_000;
    bounded(|| {
        block_on(async {
            let worker = Worker::<Round, ()>::spawn(|port| {
                port.on_message(|round: Round| {
                    let dice = Dice::new(round.seed);
                    post_numbers(round.end.open(), dice, 0, round.messages);
                });
            })
            .unwrap();
            let mut dice = Dice::new(4);
            for seed in 0..ROUNDS {
                let (here, end) = channel::<u64, u64>();
                let messages = dice.roll(30) + 1;
                worker.post(Round { seed, end, messages });
                dawdle(&mut dice);
                let here = here.open();
                // With a handler or with receives, by chance, and now and then from both.
                let mut expected = 0;
                if dice.roll(2) == 0 {
                    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
                    let closed = std::rc::Rc::new(std::cell::Cell::new(false));
                    let (counter, flag) = (seen.clone(), closed.clone());
                    here.on_message(move |number| {
                        assert_eq!(number, counter.get(), "seed {seed}");
                        counter.set(number + 1);
                    });
                    here.on_close(move || flag.set(true));
                    until(|| closed.get()).await;
                    expected = seen.get();
                } else {
                    while let Some(number) = here.recv().await {
                        assert_eq!(number, expected, "seed {seed}");
                        expected += 1;
                    }
                }
                assert_eq!(expected, messages, "seed {seed}");
            }
            worker.terminate().await;
        });
    });
}

#[test]
fn a_million_messages_come_in_order_and_their_memory_stays_bounded() {
    const MESSAGES: u64 = 1_000_000;
    /// At most so many are on their way.
    const WINDOW: u64 = 10_000;
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Counted(u64);
    impl Drop for Counted {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, Ordering::Relaxed);
        }
    }
    bounded(|| {
        block_on(async {
            let worker = Worker::<Counted, u64>::spawn(|port| {
                let (mut next, replies) = (0, port.clone());
                port.on_message(move |counted: Counted| {
                    assert_eq!(counted.0, next);
                    next += 1;
                    if next % (WINDOW / 2) == 0 {
                        replies.post(next);
                    }
                });
            })
            .unwrap();
            let (mut sent, mut seen) = (0, 0);
            while seen < MESSAGES {
                while sent < (seen + WINDOW).min(MESSAGES) {
                    LIVE.fetch_add(1, Ordering::Relaxed);
                    worker.post(Counted(sent));
                    sent += 1;
                }
                let live = LIVE.load(Ordering::Relaxed) as u64;
                assert!(live <= WINDOW + 1, "{live} are alive, one of them in the handler");
                seen = worker.recv().await.unwrap();
            }
            worker.terminate().await;
            assert_eq!(LIVE.load(Ordering::Relaxed), 0, "a message is dropped once it is received");
        });
    });
}

// ---- Terminating at odd moments: 10,000 times in all, each of which must end. ----

const ROUNDS: u64 = 2_500;

/// Ends a worker at a random moment, with its termination awaited or dropped.
async fn end<In: Send + 'static, Out: Send + 'static>(
    worker: Worker<In, Out>,
    dice: &mut Dice,
) -> Result<i32, WorkerError> {
    if dice.roll(4) == 0 {
        windlass::yield_now().await;
    }
    dawdle(dice);
    let request = worker.terminate();
    if dice.roll(2) == 0 {
        let code = request.await;
        assert!((0..=9).contains(&code), "{code}");
    } else {
        drop(request);
    }
    worker.join().await
}

#[test]
fn terminate_raced_against_posts_ends_every_time() {
    bounded(|| {
        block_on(async {
            let mut dice = Dice::new(1);
            let alive = Arc::new(());
            for round in 0..ROUNDS {
                let worker = Worker::<Arc<()>, Arc<()>>::spawn(|port| {
                    let replies = port.clone();
                    port.on_message(move |message| replies.post(message));
                })
                .unwrap();
                (0..dice.roll(20)).for_each(|_| worker.post(alive.clone()));
                let outcome = end(worker.clone(), &mut dice).await;
                assert_eq!(outcome, Err(WorkerError::Terminated), "round {round}");
                worker.post(alive.clone());
                while worker.recv().await.is_some() {}
                assert_eq!(Arc::strong_count(&alive), 1, "round {round}: none is left behind");
            }
        });
    });
}

#[test]
fn terminate_raced_against_exit_ends_every_time() {
    bounded(|| {
        block_on(async {
            let mut dice = Dice::new(2);
            for round in 0..ROUNDS {
                let mut inner = Dice::new(round);
                let worker = Worker::<(), ()>::spawn(move |_| {
                    dawdle(&mut inner);
                    match round % 3 {
                        0 => exit(7),
                        1 => {
                            set_immediate(|| exit(7));
                        }
                        _ => {} // Nothing is alive.
                    }
                })
                .unwrap();
                match end(worker, &mut dice).await {
                    Ok(7) if round % 3 < 2 => {}
                    Ok(0) if round % 3 == 2 => {}
                    Err(WorkerError::Terminated) => {}
                    other => panic!("round {round}: {other:?}"),
                }
            }
        });
    });
}

#[test]
fn terminate_raced_against_a_panic_ends_every_time() {
    bounded(|| {
        block_on(async {
            let mut dice = Dice::new(3);
            for round in 0..ROUNDS {
                let mut inner = Dice::new(round);
                let worker = Worker::<Call<(), ()>, ()>::spawn(move |port| {
                    dawdle(&mut inner);
                    // As a panic, but without its message on the screen 2,500 times.
                    port.on_message(|_| std::panic::resume_unwind(Box::new("a test's panic")));
                })
                .unwrap();
                worker.on_error(|error| {
                    assert_eq!(error, WorkerError::Panicked("a test's panic".to_owned()));
                });
                let call = worker.call(());
                match end(worker, &mut dice).await {
                    Err(WorkerError::Terminated | WorkerError::Panicked(_)) => {}
                    other => panic!("round {round}: {other:?}"),
                }
                assert!(call.await.is_err());
            }
        });
    });
}

#[test]
fn terminate_raced_against_spawns_of_nested_workers_ends_every_time() {
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    fn nest(depth: u64) {
        let spawned = Worker::<(), ()>::spawn(move |port| {
            LIVE.fetch_add(1, Ordering::SeqCst);
            let counts = Counts;
            if depth > 0 {
                nest(depth - 1);
            }
            port.on_message(move |()| {
                let _kept = &counts;
            });
        });
        drop(spawned.unwrap());
    }
    bounded(|| {
        block_on(async {
            let mut dice = Dice::new(5);
            for round in 0..ROUNDS {
                let depth = dice.roll(3);
                let worker = Worker::<(), ()>::spawn(move |_| nest(depth)).unwrap();
                let outcome = end(worker, &mut dice).await;
                assert_eq!(outcome, Err(WorkerError::Terminated), "round {round}");
                assert_eq!(
                    LIVE.load(Ordering::SeqCst),
                    0,
                    "round {round}: none outlives its parent"
                );
            }
        });
    });
}

/// Posts numbers, one in each iteration, then closes.
fn broadcast(channel: BroadcastChannel<(u64, u64)>, item: (u64, u64), left: u64) {
    channel.post(item);
    if left == 0 {
        return channel.close();
    }
    set_immediate(move || broadcast(channel, (item.0, item.1 + 1), left - 1));
}

// Channels of several loops that come and go while others post: nothing hangs, and each receiver sees
// increasing numbers of each sender.
#[test]
fn broadcasts_raced_against_opening_and_closing_keep_their_order() {
    const THREADS: u64 = 4;
    bounded(|| {
        let threads: Vec<_> = (0..THREADS)
            .map(|own| {
                thread::spawn(move || {
                    let mut dice = Dice::new(own + 10);
                    for round in 0..150_u64 {
                        run(|| {
                            let channel = BroadcastChannel::<(u64, u64)>::new("races");
                            let mut last = [0; THREADS as usize];
                            channel.on_message(move |(sender, number)| {
                                assert_ne!(sender, own, "never its own");
                                assert!(number > last[sender as usize]);
                                last[sender as usize] = number;
                            });
                            let left = dice.roll(10) + 1;
                            broadcast(channel, (own, round * 1000 + 1), left);
                        });
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
