//! What reaches a loop from other threads: notifiers, posted closures and wakers. Section A of the
//! list of behaviours.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Check, Idle, Notifier};
use windlass::net::TcpListener;
use windlass::{Loop, RunMode, next_tick, set_immediate, set_timeout, spawn};

/// A notifier that closes itself when it has been heard `times` times, and what it counts with.
fn notifier_for(times: usize) -> (Notifier, Counter) {
    let (slot, heard) = (Slot::new(), Counter::new());
    let notifier = Notifier::new({
        let (slot, heard) = (slot.clone(), heard.clone());
        move || {
            if heard.add() == times {
                let notifier: &Notifier = slot.get();
                notifier.close();
            }
        }
    });
    slot.put(notifier.clone());
    (notifier, heard)
}

//
#[test]
fn a_wake_from_another_thread_ends_a_poll_without_timeout_on_the_loop_thread() {
    let event_loop = real_loop();
    let called_on: Rc<Cell<Option<ThreadId>>> = Rc::default();
    event_loop.enter(|| {
        let slot = Slot::new();
        let notifier = Notifier::new({
            let (called_on, slot) = (Rc::clone(&called_on), slot.clone());
            move || {
                called_on.set(Some(thread::current().id()));
                let notifier: &Notifier = slot.get();
                notifier.close();
            }
        });
        slot.put(notifier.clone());
        thread::spawn(move || notifier.notify());
    });
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(called_on.get(), Some(thread::current().id()));
}

//
#[test]
fn wakes_coalesce_but_none_is_lost() {
    bounded(|| {
        const THREADS: usize = 4;
        const EACH: usize = 2_000;
        let event_loop = real_loop();
        let sent = Arc::new(AtomicUsize::new(0));
        let calls = Counter::new();
        event_loop.enter(|| {
            let slot = Slot::new();
            let notifier = Notifier::new({
                let (sent, calls, slot) = (Arc::clone(&sent), calls.clone(), slot.clone());
                move || {
                    calls.add();
                    // The callback that follows the last wake must see all that was sent.
                    if sent.load(Ordering::SeqCst) == THREADS * EACH {
                        let notifier: &Notifier = slot.get();
                        notifier.close();
                    }
                }
            });
            slot.put(notifier.clone());
            for _ in 0..THREADS {
                let (notifier, sent) = (notifier.clone(), Arc::clone(&sent));
                thread::spawn(move || {
                    for _ in 0..EACH {
                        sent.fetch_add(1, Ordering::SeqCst);
                        notifier.notify();
                    }
                });
            }
        });
        assert!(!event_loop.turn(RunMode::Default));
        assert!((1..=THREADS * EACH).contains(&calls.get()), "{} calls", calls.get());
    });
}

//
#[test]
fn wakes_before_the_loop_turns_give_one_callback() {
    let event_loop = real_loop();
    let (notifier, heard) = event_loop.enter(|| notifier_for(usize::MAX));
    for _ in 0..100 {
        notifier.notify();
    }
    assert!(event_loop.turn(RunMode::NoWait));
    assert_eq!(heard.get(), 1);
    assert!(event_loop.turn(RunMode::NoWait));
    assert_eq!(heard.get(), 1);
    notifier.close();
}

//
#[test]
fn a_wake_sent_after_the_callback_has_begun_gives_another_callback() {
    bounded(|| {
        const ROUNDS: usize = 500;
        let event_loop = real_loop();
        let (ask, asked) = mpsc::channel::<()>();
        let (answer, answered) = mpsc::channel::<()>();
        let calls = Counter::new();
        event_loop.enter(|| {
            let slot = Slot::new();
            let notifier = Notifier::new({
                let (calls, slot) = (calls.clone(), slot.clone());
                move || {
                    if calls.add() == ROUNDS {
                        let notifier: &Notifier = slot.get();
                        notifier.close();
                        return;
                    }
                    // The other thread notifies while this callback runs.
                    ask.send(()).expect("the other thread listens");
                    answered.recv().expect("the other thread answers");
                }
            });
            slot.put(notifier.clone());
            notifier.notify();
            thread::spawn(move || {
                while asked.recv().is_ok() {
                    notifier.notify();
                    answer.send(()).expect("the loop listens");
                }
            });
        });
        assert!(!event_loop.turn(RunMode::Default));
        assert_eq!(calls.get(), ROUNDS);
    });
}

//
#[test]
fn a_wake_from_a_callback_of_the_loop_itself_is_delivered_later() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| {
            let slot = Slot::new();
            let calls = Counter::new();
            let notifier = Notifier::new({
                let (trace, slot) = (trace.clone(), slot.clone());
                move || {
                    let notifier: &Notifier = slot.get();
                    trace.say("begin");
                    if calls.add() == 2 {
                        notifier.close();
                    } else {
                        notifier.notify();
                        next_tick(trace.says("tick"));
                    }
                    trace.say("end");
                }
            });
            slot.put(notifier.clone());
            let trace = trace.clone();
            set_immediate(move || {
                notifier.notify();
                trace.say("notified");
            });
        });
        trace.expect(&["notified", "begin", "end", "tick", "begin", "end"]);
    });
}

//
#[test]
fn an_open_notifier_keeps_the_loop_alive_unless_it_is_unref() {
    let event_loop = real_loop();
    let (notifier, _) = event_loop.enter(|| notifier_for(1));
    assert!(event_loop.is_alive());
    notifier.unref();
    assert!(!event_loop.is_alive());
    assert!(!event_loop.turn(RunMode::Default));
    notifier.close();
}

//
#[test]
fn a_wake_sent_before_the_loop_first_runs_is_delivered_in_its_first_turn() {
    for mode in [RunMode::Once, RunMode::NoWait] {
        let event_loop = real_loop();
        let (notifier, heard) = event_loop.enter(|| notifier_for(1));
        let clone = notifier.clone();
        thread::spawn(move || clone.notify()).join().expect("the other thread");
        event_loop.turn(mode);
        assert_eq!(heard.get(), 1, "in {mode:?}");
    }
}

//
#[test]
fn waking_a_closed_notifier_does_nothing() {
    let event_loop = real_loop();
    let (notifier, heard) = event_loop.enter(|| notifier_for(usize::MAX));
    notifier.notify();
    notifier.close();
    notifier.notify();
    notifier.close();
    assert!(!event_loop.turn(RunMode::Default));
    notifier.notify();
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(heard.get(), 0, "no callback comes after the close");
    drop(event_loop);
    notifier.notify();
}

//
#[test]
fn threads_may_wake_a_notifier_while_it_closes() {
    let go_on = AtomicBool::new(true);
    let event_loop = real_loop();
    let rounds = Counter::new();
    thread::scope(|scope| {
        for _ in 0..50 {
            let heard = Counter::new();
            let closed = Rc::new(Cell::new(false));
            let notifier = event_loop.enter(|| {
                let (heard, closed) = (heard.clone(), Rc::clone(&closed));
                Notifier::new(move || {
                    assert!(!closed.get(), "a callback after the close");
                    heard.add();
                })
            });
            let (ready, is_ready) = mpsc::channel();
            let clone = notifier.clone();
            let go_on = &go_on;
            let thread = scope.spawn(move || {
                clone.notify();
                ready.send(()).expect("the loop waits for this");
                for _ in 0..200 {
                    if go_on.load(Ordering::Relaxed) {
                        clone.notify();
                    }
                }
            });
            is_ready.recv().expect("the thread is awake");
            event_loop.turn(RunMode::NoWait);
            notifier.close();
            closed.set(true);
            assert!(!event_loop.turn(RunMode::Default));
            thread.join().expect("the waking thread");
            assert!(!event_loop.turn(RunMode::NoWait));
            assert!(heard.get() >= 1);
            rounds.add();
        }
    });
    go_on.store(false, Ordering::Relaxed);
    assert_eq!(rounds.get(), 50);
}

//
#[test]
fn a_wake_that_has_nothing_to_say_still_ends_the_poll() {
    let event_loop = real_loop();
    let checks = Counter::new();
    event_loop.enter(|| {
        set_timeout(HOUR, || {});
        Check::start(checks.adds());
    });
    let remote = event_loop.remote();
    thread::spawn(move || remote.post(|| {}).expect("the loop lives"));
    assert!(event_loop.turn(RunMode::Once));
    assert_eq!(checks.get(), 1);
}

//
#[test]
fn the_source_is_quiet_after_a_wake_was_handled() {
    let event_loop = real_loop();
    let heard = event_loop.enter(|| {
        let (notifier, heard) = notifier_for(usize::MAX);
        notifier.notify();
        set_timeout(ms(30), move || notifier.close());
        heard
    });
    event_loop.turn(RunMode::Default);
    assert_eq!(heard.get(), 1);
    let turns = event_loop.metrics().iterations;
    assert!(turns <= 6, "the loop spun: {turns} turns");
}

//
#[test]
fn a_notifier_whose_last_clone_is_dropped_elsewhere_lets_the_loop_end() {
    let event_loop = real_loop();
    let heard = Counter::new();
    event_loop.enter(|| {
        let notifier = Notifier::new(heard.adds());
        thread::spawn(move || {
            let clone = notifier.clone();
            drop(notifier);
            clone.notify();
        });
    });
    assert!(!event_loop.turn(RunMode::Default), "nothing is left to wait for");
    assert_eq!(heard.get(), 1, "the wake that came before the end was delivered");
    let turns = event_loop.metrics().iterations;
    assert!(turns <= 6, "the loop spun: {turns} turns");
}

// In virtual time a job runs on the loop's own thread, and is elsewhere all the same.
#[test]
fn a_notifier_that_a_job_closes_or_drops_lets_go_of_its_callback_on_the_loop() {
    type End = fn(Notifier);
    let ends: [End; 2] = [|notifier| notifier.close(), drop];
    for event_loop in [real_loop(), virtual_loop()] {
        for end in ends {
            let dropped = Counter::new();
            event_loop.run(|| {
                let adds = dropped.clone();
                let held = OnDrop::new(move || windlass::next_tick(adds.adds()));
                let notifier = Notifier::new(move || held.touch());
                let job = windlass::queue_work(move || end(notifier));
                job.on_complete(|outcome| outcome.expect("the job is done"));
            });
            assert_eq!(dropped.get(), 1, "its destructor finds the loop current");
        }
    }
}

// on the loop's own thread, and in its own callback.
#[test]
fn dropping_the_last_clone_of_a_notifier_closes_it() {
    bounded(|| {
        let dropped = Counter::new();
        let event_loop = real_loop();
        event_loop.run(|| {
            let guard = dropped.on_drop();
            drop(Notifier::new(move || guard.touch()));
            let own = Rc::new(RefCell::new(None));
            let (taken, guard) = (Rc::clone(&own), dropped.on_drop());
            own.replace(Some(Notifier::new(move || {
                guard.touch();
                drop(taken.take());
            })));
            own.borrow().as_ref().expect("just made").notify();
        });
        assert!(!event_loop.is_alive());
        assert_eq!(dropped.get(), 2);
    });
}

//
#[test]
fn a_long_chain_of_notifiers_in_the_callbacks_of_others_is_dropped_without_a_deep_stack() {
    const LENGTH: usize = 20_000;
    /// A chain of notifiers, made from the first on: each is held by the callback of the one before.
    fn chain(held: &Arc<()>) -> Notifier {
        let mut places = Vec::new();
        let mut make = || {
            let (place, held) = (Rc::new(RefCell::new(None::<Notifier>)), held.clone());
            places.push(Rc::clone(&place));
            Notifier::new(move || assert!(place.borrow().is_some() && Arc::strong_count(&held) > 0))
        };
        let mut all: Vec<_> = (0..LENGTH).map(|_| make()).collect();
        let links = all.drain(1..).zip(places);
        links.for_each(|(next, place)| drop(place.replace(Some(next))));
        all.remove(0)
    }
    let token = Arc::new(());
    let held = token.clone();
    let drop_all = move || {
        windlass::run(|| drop(chain(&held)));
        drop(windlass::block_on(async { chain(&held) })); // Dropped with the loop.
    };
    // A small stack, so that it shows.
    thread::Builder::new().stack_size(256 << 10).spawn(drop_all).unwrap().join().unwrap();
    assert_eq!(Arc::strong_count(&token), 1, "nothing is left");
}

//
#[test]
fn a_long_remote_queue_is_worked_off_without_a_second_wake() {
    for count in [1, 1_024, 1_025, 5_000] {
        let event_loop = real_loop();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let remote = event_loop.remote();
        let thread = thread::spawn({
            let arrived = Arc::clone(&arrived);
            move || {
                for number in 0..count {
                    let arrived = Arc::clone(&arrived);
                    remote.post(move || arrived.lock().unwrap().push(number)).expect("it lives");
                }
            }
        });
        thread.join().expect("the posting thread");
        assert!(event_loop.is_alive(), "an undelivered post counts as alive");
        assert!(!event_loop.turn(RunMode::Default));
        assert!(arrived.lock().unwrap().iter().copied().eq(0..count), "in order, once each");
    }
}

//
#[test]
fn a_post_that_posts_again_starves_neither_timers_nor_immediates() {
    bounded(|| {
        fn again(remote: windlass::Remote, end: Arc<AtomicUsize>) {
            let next = remote.clone();
            let post = move || {
                if end.load(Ordering::Relaxed) < 2 {
                    again(next, end);
                }
            };
            remote.post(post).expect("the loop lives");
        }
        let end = Arc::new(AtomicUsize::new(0));
        windlass::run(|| {
            again(Loop::current().remote(), Arc::clone(&end));
            for timer in [true, false] {
                let end = Arc::clone(&end);
                let count = move || {
                    end.fetch_add(1, Ordering::Relaxed);
                };
                if timer {
                    set_timeout(ms(1), count);
                } else {
                    set_immediate(count);
                }
            }
        });
        assert_eq!(end.load(Ordering::Relaxed), 2);
    });
}

//
#[test]
fn waking_a_loop_that_does_not_turn_never_blocks_nor_fails() {
    let event_loop = real_loop();
    let (notifier, heard) = event_loop.enter(|| notifier_for(1));
    let remote = event_loop.remote();
    thread::spawn(move || {
        for _ in 0..200_000 {
            notifier.notify();
        }
        for _ in 0..20_000 {
            remote.post(|| {}).expect("the loop lives");
        }
    })
    .join()
    .expect("the waking thread");
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(heard.get(), 1);
}

// M-16
#[test]
fn a_posted_closure_wakes_the_poll_and_runs_on_the_loop_thread_with_its_loop_current() {
    bounded(|| {
        let event_loop = real_loop();
        let ran_on = Arc::new(Mutex::new(None));
        let keep_alive = event_loop.keep_alive();
        let slot = Rc::new(RefCell::new(Some(keep_alive)));
        event_loop.enter(|| {
            // Lets the loop go once the closure has run.
            let (slot, ran_on) = (Rc::clone(&slot), Arc::clone(&ran_on));
            Check::start(move || {
                if ran_on.lock().unwrap().is_some() {
                    slot.take();
                }
            })
            .unref();
        });
        let remote = event_loop.remote();
        thread::spawn({
            let ran_on = Arc::clone(&ran_on);
            move || {
                remote
                    .post(move || {
                        set_timeout(ms(1), || {});
                        *ran_on.lock().unwrap() = Some(thread::current().id());
                    })
                    .expect("the loop lives");
            }
        });
        assert!(!event_loop.turn(RunMode::Default));
        assert_eq!(*ran_on.lock().unwrap(), Some(thread::current().id()));
    });
}

// M-16: posts of one thread keep their order, and a callback's post comes later.
#[test]
fn a_post_from_a_callback_of_the_loop_itself_runs_later() {
    let order = Arc::new(Mutex::new(Vec::new()));
    windlass::run(|| {
        let push = |label: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(label)
        };
        let remote = Loop::current().remote();
        remote.post(push("first")).expect("the loop lives");
        remote.post(push("second")).expect("the loop lives");
        push("main")();
    });
    assert_eq!(*order.lock().unwrap(), ["main", "first", "second"]);
}

// A-06 for remotes, and the error they give.
#[test]
fn posting_to_a_loop_that_is_gone_is_an_error() {
    let event_loop = real_loop();
    let remote = event_loop.remote();
    drop(event_loop);
    let gone = remote.post(|| unreachable!("there is no loop")).expect_err("the loop is gone");
    assert!(!gone.to_string().is_empty());
    remote.stop();

    let remote = windlass::run(|| Loop::current().remote());
    assert!(remote.post(|| unreachable!("there is no loop")).is_err());

    let event_loop = real_loop();
    let remote = event_loop.remote();
    event_loop.close().expect("nothing is open");
    assert!(remote.post(|| unreachable!("the loop is closed")).is_err());
}

// What was posted too late is dropped, uncalled, once.
#[test]
fn an_undelivered_post_is_dropped_with_its_loop() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let event_loop = real_loop();
    for _ in 0..10 {
        let bomb = Bomb(Arc::clone(&dropped));
        event_loop
            .remote()
            .post(move || {
                let _bomb = &bomb;
                unreachable!("the loop never turns")
            })
            .expect("the loop lives");
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(event_loop);
    assert_eq!(dropped.load(Ordering::SeqCst), 10);
}

// L-09 from another thread.
#[test]
fn a_remote_stop_ends_a_run_that_waits() {
    let event_loop = real_loop();
    event_loop.enter(|| set_timeout(HOUR, || {}));
    let remote = event_loop.remote();
    thread::spawn(move || remote.stop());
    assert!(event_loop.turn(RunMode::Default), "stopped, and still alive");
}

/// A future that hands its waker out and is ready after the flag was set.
fn woken_by(give: impl Fn(Waker) + 'static, flag: Arc<AtomicBool>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        if flag.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        give(cx.waker().clone());
        Poll::Pending
    })
}

// A-01, for the wakers of tasks.
#[test]
fn a_waker_moved_to_another_thread_resumes_its_task_on_the_loop() {
    bounded(|| {
        let event_loop = real_loop();
        let resumed = Counter::new();
        event_loop.enter(|| {
            let flag = Arc::new(AtomicBool::new(false));
            let future = woken_by(
                {
                    let flag = Arc::clone(&flag);
                    move |waker| {
                        let flag = Arc::clone(&flag);
                        thread::spawn(move || {
                            flag.store(true, Ordering::SeqCst);
                            waker.wake();
                        });
                    }
                },
                flag,
            );
            let (resumed, keep_alive) = (resumed.clone(), event_loop.keep_alive());
            spawn(async move {
                future.await;
                resumed.add();
                drop(keep_alive);
            });
        });
        assert!(!event_loop.turn(RunMode::Default));
        assert_eq!(resumed.get(), 1);
    });
}

// A-02, for wakers: thousands of wakes from several threads, none lost.
#[test]
fn no_wake_of_a_task_is_lost() {
    const ROUNDS: usize = 1_000;
    let (wakers, to_wake) = mpsc::channel::<Waker>();
    let thread = thread::spawn(move || {
        for waker in to_wake {
            waker.wake_by_ref();
            waker.wake();
        }
    });
    let polls = Counter::new();
    real_loop().block_on({
        let polls = polls.clone();
        poll_fn(move |cx| {
            if polls.add() > ROUNDS {
                return Poll::Ready(());
            }
            wakers.send(cx.waker().clone()).expect("the other thread listens");
            Poll::Pending
        })
    });
    thread.join().expect("the waking thread");
    assert_eq!(polls.get(), ROUNDS + 1);
}

/// What the thread of [`race`] writes before a wake, and what the loop has seen of it. On cache lines of their own.
#[derive(Default)]
struct Seen {
    written: OwnLine,
    seen: OwnLine,
    over: OwnLine,
}

#[derive(Default)]
#[repr(align(128))]
struct OwnLine(AtomicUsize);

/// Wakes, writes a number, wakes again and waits until the loop has seen the number: over and over for a while, so
/// that the second wake meets the loop in every step of following the first. Whether all numbers were seen.
fn race(shared: &Seen, wake: impl Fn()) -> bool {
    let (began, mut all_seen, mut round) = (Instant::now(), true, 0);
    while all_seen && began.elapsed() < ms(300) {
        round += 1;
        wake();
        (0..round % 199).for_each(|_| std::hint::spin_loop());
        shared.written.0.store(round, Ordering::Release);
        wake();
        let written = Instant::now();
        while all_seen && shared.seen.0.load(Ordering::Acquire) != round {
            thread::yield_now();
            all_seen = written.elapsed() < Duration::from_secs(10);
        }
    }
    shared.over.0.store(1, Ordering::Release);
    wake();
    all_seen
}

// who writes first and then wakes is heard, although a wake is on its way already.
#[test]
fn what_is_written_before_a_wake_is_seen_by_the_poll_that_follows() {
    let shared = Arc::new(Seen::default());
    let (send, waker) = mpsc::channel::<Waker>();
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        let waker = waker.recv().expect("the task was polled");
        race(&other, || waker.wake_by_ref())
    });
    let event_loop = real_loop();
    // Awake all the time, so that no lock of the mailbox orders anything.
    let idle = event_loop.enter(|| Idle::start(|| ()));
    event_loop.block_on(async move {
        let mut send = Some(send);
        poll_fn(move |cx| {
            if let Some(send) = send.take() {
                send.send(cx.waker().clone()).expect("the thread waits for it");
            }
            let written = shared.written.0.load(Ordering::Acquire);
            shared.seen.0.store(written, Ordering::Release);
            if shared.over.0.load(Ordering::Acquire) == 1 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        idle.stop();
    });
    assert!(thread.join().expect("the waking thread"), "a number was never seen");
}

// A-02, for notifiers.
#[test]
fn what_is_written_before_a_notice_is_seen_by_the_callback_that_follows() {
    let shared = Arc::new(Seen::default());
    let (own, other) = (Arc::clone(&shared), Arc::clone(&shared));
    let event_loop = real_loop();
    let (notifier, slot) = event_loop.enter(|| {
        let slot = Slot::<(Notifier, Idle)>::new();
        let inner = slot.clone();
        let notifier = Notifier::new(move || {
            own.seen.0.store(own.written.0.load(Ordering::Acquire), Ordering::Release);
            if own.over.0.load(Ordering::Acquire) == 1 {
                let (notifier, idle) = inner.get();
                notifier.close();
                idle.stop();
            }
        });
        (notifier, slot)
    });
    let idle = event_loop.enter(|| Idle::start(|| ()));
    slot.put((notifier.clone(), idle));
    let thread = thread::spawn(move || race(&other, || notifier.notify()));
    event_loop.turn(RunMode::Default);
    assert!(thread.join().expect("the waking thread"), "a number was never seen");
}

// waking costs nothing when there is nothing to wake.
#[test]
fn a_waker_that_outlives_its_task_and_its_loop_does_nothing() {
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let event_loop = real_loop();
    event_loop.enter(|| {
        let kept = Rc::clone(&kept);
        spawn(poll_fn(move |cx| {
            kept.replace(Some(cx.waker().clone()));
            Poll::Ready(())
        }));
    });
    event_loop.turn(RunMode::Default);
    let waker = kept.take().expect("the task was polled");
    waker.wake_by_ref();
    assert!(!event_loop.turn(RunMode::Default));
    drop(event_loop);
    waker.wake_by_ref();
    thread::spawn(move || waker.wake()).join().expect("the other thread");
}

// A-01, when the wake races with the loop falling asleep.
#[test]
fn a_wake_that_races_with_the_loop_falling_asleep_is_heard() {
    let begin = Instant::now();
    for _ in 0..300 {
        let event_loop = real_loop();
        let (notifier, heard) = event_loop.enter(|| notifier_for(1));
        // The last name that goes on another thread is told to the loop by a post, which it may
        // find at the end of its turn.
        let _kept = notifier.clone();
        let thread = thread::spawn(move || notifier.notify());
        assert!(!event_loop.turn(RunMode::Default));
        assert_eq!(heard.get(), 1);
        thread.join().expect("the waking thread");
    }
    assert!(begin.elapsed() < Duration::from_secs(60));
}

/// A loop that something holds, and that has a source of events or none.
fn held_loop(with_source: bool) -> (Loop, impl Sized) {
    let event_loop = real_loop();
    let holds = event_loop.keep_alive();
    let listen = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let source = event_loop.enter(|| with_source.then(listen));
    (event_loop, (holds, source))
}

// a loop with sources sleeps in its poller, one without does not.
#[test]
fn loops_with_and_without_sources_wake_each_other() {
    const ROUNDS: usize = 500;
    for with_source in [false, true] {
        let (event_loop, held) = held_loop(false);
        let (tell, told) = mpsc::channel();
        let other = thread::spawn(move || {
            let (event_loop, _held) = held_loop(with_source);
            tell.send(event_loop.remote()).expect("the first thread");
            event_loop.turn(RunMode::Default)
        });
        let there = told.recv().expect("the second thread");
        let heard = Arc::new(AtomicUsize::new(0));
        for round in 1..=ROUNDS {
            let (back, counter) = (event_loop.remote(), Arc::clone(&heard));
            let answer = move || {
                counter.fetch_add(1, Ordering::SeqCst);
                Loop::current().stop();
            };
            there
                .post(move || back.post(answer).expect("the first loop"))
                .expect("the second loop");
            assert!(event_loop.turn(RunMode::Default), "stopped, and still held");
            assert_eq!(heard.load(Ordering::SeqCst), round);
        }
        there.stop();
        assert!(other.join().expect("the second thread"), "stopped, and still held");
        drop(held);
    }
}

//
#[test]
fn a_loop_that_gets_a_source_while_it_waits_hears_it_and_loses_no_wake() {
    const ROUNDS: usize = 20;
    let (event_loop, held) = held_loop(false);
    let remote = event_loop.remote();
    let outside = thread::spawn(move || {
        for _ in 0..ROUNDS {
            let (tell, told) = mpsc::channel();
            let (accept, accepted) = mpsc::channel();
            let begin = move || {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
                let own = listener.clone();
                listener.on_connection(move |_| {
                    own.close(); // Without sources again.
                    accept.send(()).expect("the client");
                });
                tell.send(listener.local_addr().expect("an address")).expect("the client");
            };
            remote.post(begin).expect("the loop");
            let address = told.recv().expect("the loop listens");
            let _client = std::net::TcpStream::connect(address).expect("a connection");
            accepted.recv().expect("the loop has accepted it");
        }
        remote.stop();
    });
    assert!(event_loop.turn(RunMode::Default), "stopped, and still held");
    outside.join().expect("all connections were accepted");
    drop(held);
}
