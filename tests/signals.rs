//! Signals on a loop. Each test has a signal of its own, for a signal belongs to the process.
#![allow(unsafe_code)] // Sending signals and asking for their dispositions, for which std has no words.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use common::*;
use windlass::handle::{Interest, Poll};
use windlass::signal::Signal;
use windlass::{Loop, block_on, next_tick, queue_microtask, queue_work, run, set_immediate};

/// The real-time signal that belongs to the test with this number.
fn signal_of_test(number: i32) -> i32 {
    let signum = libc::SIGRTMIN() + number;
    assert!(signum <= libc::SIGRTMAX());
    ignore(signum);
    signum
}

/// Lets the process ignore a signal that nobody watches, as one may still be on its way to some
/// thread when its last watcher stops.
fn ignore(signum: i32) {
    // SAFETY: ignoring a signal runs no code.
    assert_ne!(unsafe { libc::signal(signum, libc::SIG_IGN) }, libc::SIG_ERR);
}

/// Sends a signal to the calling thread; its handler has run when this returns.
fn raise(signum: i32) {
    // SAFETY: the test watches the signal, so the handler is the library's.
    assert_eq!(unsafe { libc::raise(signum) }, 0);
}

/// Sends a signal to the process; any thread may get it.
fn kill(signum: i32) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signum) }, 0);
}

/// What the process does on the signal, as a number to compare.
fn disposition(signum: i32) -> usize {
    // SAFETY: asking only, into a live structure.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signum, std::ptr::null(), &mut action), 0);
        action.sa_sigaction
    }
}

/// Watches a signal and counts the calls.
fn count(signum: i32) -> (Signal, Rc<Cell<usize>>) {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let signal = Signal::start(signum, move || count.set(count.get() + 1)).unwrap();
    (signal, calls)
}

// S-07: a watcher that is active is not started again; another one takes its place.
#[test]
fn a_watcher_that_takes_the_place_of_another_gets_the_signal_that_is_on_its_way() {
    bounded(|| {
        block_on(async {
            let signum = signal_of_test(24);
            let (first, before) = count(signum);
            raise(signum);
            let (second, after) = count(signum);
            first.stop();
            until(|| after.get() > 0).await;
            iterations(3).await;
            assert_eq!((before.get(), after.get()), (0, 1));
            second.stop();
        });
    });
}

// S-01 and S-12.
#[test]
fn the_callback_runs_on_the_loop_thread_at_least_once_after_the_last_of_many_signals() {
    bounded(|| {
        ignore(libc::SIGUSR1);
        block_on(async {
            for signum in [libc::SIGUSR1, signal_of_test(1)] {
                let here = thread::current().id();
                let calls = Rc::new(Cell::new(0));
                let count = calls.clone();
                let signal = Signal::start(signum, move || {
                    assert_eq!(thread::current().id(), here);
                    count.set(count.get() + 1);
                })
                .unwrap();
                for _ in 0..1000 {
                    raise(signum);
                }
                assert_eq!(calls.get(), 0, "never from inside the signal handler");
                until(|| calls.get() > 0).await;
                iterations(3).await;
                let before = calls.get();
                let sender = thread::spawn(move || kill(signum));
                until(|| calls.get() > before).await;
                sender.join().unwrap();
                signal.stop();
            }
        });
    });
}

// The account of the iteration says so.
#[test]
fn what_wakes_a_loop_for_a_signal_is_a_source() {
    bounded(|| {
        let event_loop = real_loop();
        let (wakes, signum) = (Rc::new(RefCell::new(Vec::new())), signal_of_test(0));
        let told = wakes.clone();
        event_loop.on_iteration(move |it| told.borrow_mut().push((it.woken_by, it.callbacks)));
        event_loop.run(|| {
            let signal = windlass::signal::Signal::once(signum, || ()).unwrap();
            let sender = thread::spawn(move || kill(signum));
            drop(signal);
            windlass::on_exit(move |_| sender.join().unwrap());
        });
        assert!(wakes.borrow().contains(&(windlass::observe::Wake::Source, 1)));
    });
}

// S-02.
#[test]
fn every_watcher_of_a_signal_is_called_on_one_loop_and_on_several() {
    const LOOPS: usize = 3;
    bounded(|| {
        let signum = signal_of_test(2);
        let watching = Arc::new(Barrier::new(LOOPS + 1));
        let all_called = Arc::new(Barrier::new(LOOPS));
        let threads = [(); LOOPS].map(|()| {
            let (watching, all_called) = (watching.clone(), all_called.clone());
            thread::spawn(move || {
                block_on(async {
                    let watchers = [(); 3].map(|()| count(signum));
                    watching.wait();
                    until(|| watchers.iter().all(|(_, calls)| calls.get() > 0)).await;
                    all_called.wait();
                    assert!(
                        watchers.iter().all(|(_, calls)| calls.get() == 1),
                        "one signal, one call"
                    );
                    watchers.iter().for_each(|(signal, _)| signal.stop());
                });
            })
        });
        watching.wait();
        kill(signum);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

// S-03.
#[test]
fn a_listener_for_one_signal_is_called_once_and_leaves_the_others_exact() {
    bounded(|| {
        block_on(async {
            let signum = signal_of_test(20);
            let once = || {
                let calls = Rc::new(Cell::new(0));
                let count = calls.clone();
                let signal = Signal::once(signum, move || count.set(count.get() + 1)).unwrap();
                (signal, calls)
            };
            let (all, first, stopped, second) = (count(signum), once(), once(), once());
            let ends = count(signum);
            let counts = || [&all, &first, &stopped, &second, &ends].map(|one| one.1.get());
            stopped.0.stop();
            assert!(format!("{:?}", first.0).contains("active: true"));
            raise(signum);
            until(|| all.1.get() == 1).await;
            assert_eq!(counts(), [1, 1, 0, 1, 1]);
            assert!(format!("{:?}", first.0).contains("active: false"));
            ends.0.stop();
            raise(signum);
            until(|| all.1.get() == 2).await;
            assert_eq!(counts(), [2, 1, 0, 1, 1]);
            all.0.stop();
        });
    });
}

#[test]
fn a_listener_for_one_signal_belongs_to_the_loop_until_it_is_called_and_may_start_another() {
    bounded(|| {
        let signum = signal_of_test(21);
        let (trace, dropped) = (Trace::new(), Counter::new());
        run(|| {
            let (told, captured) = (trace.clone(), dropped.on_drop());
            let first = Signal::once(signum, move || {
                captured.touch();
                told.say("first");
                next_tick(told.clone().says("tick"));
                let told = told.clone();
                Signal::once(signum, move || told.say("second")).unwrap();
                raise(signum);
            });
            drop(first.unwrap());
            raise(signum);
        });
        trace.expect(&["first", "tick", "second"]);
        assert_eq!(dropped.get(), 1);
        assert_eq!(disposition(signum), libc::SIG_IGN, "as it was before");
    });
}

#[test]
fn a_signal_without_a_callback_is_kept_for_the_next_task_that_waits() {
    bounded(|| {
        block_on(async {
            let signum = signal_of_test(22);
            let signal = Signal::watch(signum).unwrap();
            raise(signum);
            raise(signum);
            signal.recv().await;
            let (waker, wakes) = Wakes::new();
            {
                let mut next = std::pin::pin!(signal.recv());
                assert!(poll_once(next.as_mut(), &waker).is_pending(), "two signals have merged");
                raise(signum);
                until(|| wakes.count() == 1).await;
            }
            // The future was dropped: the signal is still there.
            signal.recv().await;
            // Of two tasks that wait, each signal comes to one.
            let woken = Rc::new(Cell::new(0));
            for _ in 0..2 {
                let (signal, woken) = (signal.clone(), woken.clone());
                windlass::spawn(async move {
                    signal.recv().await;
                    woken.set(woken.get() + 1);
                });
            }
            iterations(1).await;
            raise(signum);
            until(|| woken.get() == 1).await;
            iterations(3).await;
            assert_eq!(woken.get(), 1);
            raise(signum);
            until(|| woken.get() == 2).await;
        });
    });
}

#[test]
fn a_signal_that_has_a_callback_comes_to_the_tasks_behind_it_also_the_one_of_once() {
    bounded(|| {
        let signum = signal_of_test(25);
        let trace = Trace::new();
        run(|| {
            for (signal, name) in [
                (Signal::start(signum, trace.says("start")).unwrap(), "start's task"),
                (Signal::once(signum, trace.says("once")).unwrap(), "once's task"),
            ] {
                let told = trace.clone();
                drop(windlass::spawn(async move {
                    signal.recv().await;
                    told.say(name);
                    signal.stop();
                    let (waker, _) = Wakes::new();
                    let again = poll_once_and_drop(signal.recv(), &waker);
                    assert!(again.is_pending(), "nothing comes any more");
                }));
            }
            set_immediate(move || raise(signum));
        });
        trace.expect(&["start", "start's task", "once", "once's task"]);
    });
}

#[test]
fn a_signal_without_a_callback_holds_the_loop_only_while_a_task_waits() {
    bounded(|| {
        let signum = signal_of_test(23);
        run(|| {
            let event_loop = Loop::current();
            let signal = Signal::watch(signum).unwrap();
            assert!(!event_loop.is_alive());
            let (waker, _) = Wakes::new();
            {
                let mut next = std::pin::pin!(signal.recv());
                assert!(poll_once(next.as_mut(), &waker).is_pending());
                assert!(event_loop.is_alive());
                signal.unref();
                assert!(!event_loop.is_alive());
                signal.set_ref(true);
                assert!(event_loop.is_alive());
            }
            assert!(!event_loop.is_alive(), "dropping the future gives up");
            let mut next = std::pin::pin!(signal.recv());
            assert!(poll_once(next.as_mut(), &waker).is_pending());
            signal.stop();
            assert!(!event_loop.is_alive());
            let other = signal.clone();
            drop(other);
        });
        assert_eq!(disposition(signum), libc::SIG_IGN, "nobody watches any more");
        // The last clone stops it.
        run(|| {
            let signal = Signal::watch(signum).unwrap();
            let other = signal.clone();
            drop(signal);
            assert_ne!(disposition(signum), libc::SIG_IGN);
            drop(other);
            assert_eq!(disposition(signum), libc::SIG_IGN);
        });
    });
}

// S-04.
#[test]
fn stopping_one_watcher_or_dropping_one_loop_starves_no_other() {
    bounded(|| {
        let signum = signal_of_test(3);
        block_on(async {
            let (first, first_calls) = count(signum);
            let (second, second_calls) = count(signum);
            first.stop();
            first.stop();
            raise(signum);
            until(|| second_calls.get() == 1).await;
            let other = thread::spawn(move || {
                let other_loop = Loop::new().unwrap();
                other_loop.enter(|| drop(count(signum)));
                drop(other_loop);
                run(|| drop(count(signum).0.unref().clone()));
            });
            other.join().unwrap();
            raise(signum);
            until(|| second_calls.get() == 2).await;
            assert_eq!(first_calls.get(), 0);
            second.stop();
        });
    });
}

// S-05.
#[test]
fn after_the_last_watcher_the_disposition_is_what_it_was_before() {
    bounded(|| {
        let signum = signal_of_test(4);
        for before in [libc::SIG_DFL, libc::SIG_IGN] {
            // SAFETY: neither disposition runs code.
            assert_ne!(unsafe { libc::signal(signum, before) }, libc::SIG_ERR);
            run(|| {
                let (first, _) = count(signum);
                let (second, _) = count(signum);
                assert_ne!(disposition(signum), before);
                first.stop();
                assert_ne!(disposition(signum), before, "one is left");
                second.stop();
            });
            assert_eq!(disposition(signum), before);
        }
    });
}

// S-06, in the form that this interface gives it.
#[test]
fn a_signal_can_be_watched_again_after_its_watcher_was_stopped() {
    bounded(|| {
        let signum = signal_of_test(5);
        block_on(async {
            for _ in 0..10 {
                let (signal, calls) = count(signum);
                raise(signum);
                until(|| calls.get() == 1).await;
                signal.stop();
            }
        });
    });
}

// S-08.
#[test]
fn numbers_that_cannot_be_watched_are_refused() {
    bounded(|| {
        run(|| {
            let impossible =
                [0, -1, i32::MIN, libc::SIGRTMAX() + 1, i32::MAX, libc::SIGKILL, libc::SIGSTOP];
            for signum in impossible {
                let refused = Signal::start(signum, || panic!("refused")).err();
                assert_eq!(
                    refused.map(|error| error.kind()),
                    Some(ErrorKind::InvalidInput),
                    "{signum}"
                );
            }
        });
    });
}

// S-09.
#[test]
fn a_watcher_stopped_with_a_signal_on_its_way_is_not_called() {
    bounded(|| {
        let signum = signal_of_test(6);
        let token = Rc::new(());
        let held = token.clone();
        run(|| {
            let signal =
                Signal::start(signum, move || panic!("stopped, and holding {held:?}")).unwrap();
            raise(signum);
            signal.stop();
        });
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

// S-09, with the stop in the very batch that delivers the signal.
#[test]
fn of_two_watchers_that_stop_each_other_one_is_called() {
    bounded(|| {
        let signum = signal_of_test(7);
        let calls = Rc::new(Cell::new(0));
        run(|| {
            let signals: Rc<RefCell<Vec<Signal>>> = Rc::default();
            for _ in 0..2 {
                let (all, calls) = (signals.clone(), calls.clone());
                let signal = Signal::start(signum, move || {
                    calls.set(calls.get() + 1);
                    all.borrow().iter().for_each(Signal::stop);
                });
                signals.borrow_mut().push(signal.unwrap());
            }
            raise(signum);
        });
        assert_eq!(calls.get(), 1);
    });
}

// S-10.
#[test]
fn an_unreferenced_watcher_does_not_hold_the_loop_but_is_called_while_it_runs() {
    bounded(|| {
        let signum = signal_of_test(8);
        let calls = run(|| {
            let (signal, calls) = count(signum);
            assert!(signal.has_ref());
            signal.unref();
            assert!(!signal.has_ref());
            raise(signum);
            after_iterations(10, || {});
            calls
        });
        assert_eq!(calls.get(), 1);
        run(|| {
            count(signum).0.unref();
        });
    });
}

// S-11.
#[test]
fn a_signal_is_dispatched_after_the_io_callbacks_of_its_batch() {
    bounded(|| {
        let signum = signal_of_test(9);
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            let (reader, mut writer) = io::pipe().unwrap();
            let poll = Poll::new(reader);
            let slot: Rc<RefCell<Option<Signal>>> = Rc::default();
            let (said, stopper) = (log.clone(), slot.clone());
            let signal = Signal::start(signum, move || {
                said.say("signal");
                stopper.take().unwrap().stop();
            });
            slot.replace(Some(signal.unwrap()));
            let closer = poll.clone();
            poll.start(Interest::READABLE, move |_| {
                log.say("pipe");
                closer.close();
            })
            .unwrap();
            // Both are there when the next poll looks.
            set_immediate(move || {
                raise(signum);
                writer.write_all(b"x").unwrap();
            });
        });
        assert_eq!(log.lines(), ["pipe", "signal"]);
    });
}

// O-30 of the guide.
#[test]
fn a_signal_is_dispatched_after_the_posts_of_its_batch() {
    bounded(|| {
        let signum = signal_of_test(13);
        let posted = Arc::new(AtomicBool::new(false));
        let checked = Rc::new(Cell::new(false));
        run(|| {
            let slot: Rc<RefCell<Option<Signal>>> = Rc::default();
            let (ran, done, stopper) = (posted.clone(), checked.clone(), slot.clone());
            let signal = Signal::start(signum, move || {
                assert!(ran.load(Ordering::SeqCst), "the post came before");
                done.set(true);
                stopper.take().unwrap().stop();
            });
            slot.replace(Some(signal.unwrap()));
            // Both are there when the next poll looks.
            set_immediate(move || {
                raise(signum);
                let post = move || posted.store(true, Ordering::SeqCst);
                Loop::current().remote().post(post).unwrap();
            });
        });
        assert!(checked.get());
    });
}

// O-13 of the guide.
#[test]
fn the_drain_follows_every_signal() {
    bounded(|| {
        let signum = signal_of_test(12);
        let log = Trace::new();
        run(|| {
            for label in ["watcher 1", "watcher 2"] {
                let slot: Rc<RefCell<Option<Signal>>> = Rc::default();
                let (said, stopper) = (log.clone(), slot.clone());
                let signal = Signal::start(signum, move || {
                    said.say(label);
                    queue_microtask(said.says("microtask"));
                    next_tick(said.says("tick"));
                    stopper.take().unwrap().stop();
                });
                slot.replace(Some(signal.unwrap()));
            }
            raise(signum);
        });
        let expected = ["watcher 1", "tick", "microtask", "watcher 2", "tick", "microtask"];
        assert_eq!(log.lines(), expected);
    });
}

// S-13.
#[test]
fn signals_cause_no_errors_in_blocking_reads_of_pool_threads() {
    bounded(|| {
        let signum = signal_of_test(10);
        block_on(async {
            let (signal, calls) = count(signum);
            let mut writers = Vec::new();
            let mut reads = Vec::new();
            for _ in 0..3 {
                let (reader, writer) = io::pipe().unwrap();
                let (tell, started) = mpsc::channel();
                writers.push(writer);
                reads.push(queue_work(move || {
                    let mut byte = 0u8;
                    tell.send(()).unwrap();
                    // A plain read, for std would try again after an interruption.
                    // SAFETY: the buffer is one live byte, and so is the length.
                    let len = unsafe { libc::read(reader.as_raw_fd(), (&raw mut byte).cast(), 1) };
                    (len, io::Error::last_os_error().kind())
                }));
                started.recv().unwrap();
            }
            for round in 0..200 {
                kill(signum);
                until(|| calls.get() > round).await;
            }
            for mut writer in writers {
                writer.write_all(b"x").unwrap();
            }
            for read in reads {
                let (len, kind) = read.await.unwrap();
                assert_eq!(len, 1, "{kind}");
            }
            signal.stop();
        });
    });
}

// S-14.
#[test]
fn loops_come_and_go_while_signals_arrive_from_a_thread_that_blocks_them_all() {
    bounded(|| {
        let signum = signal_of_test(11);
        let done = Arc::new(AtomicBool::new(false));
        let sending = done.clone();
        // The watcher out here sees whether the others coming and going disturbs it.
        block_on(async {
            let (signal, calls) = count(signum);
            let sender = thread::spawn(move || {
                // SAFETY: the set is a live value that the first call fills in.
                unsafe {
                    let mut all = std::mem::zeroed();
                    libc::sigfillset(&mut all);
                    libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
                }
                while !sending.load(Ordering::SeqCst) {
                    kill(signum);
                    thread::yield_now();
                }
            });
            let loops = [(); 2].map(|()| {
                thread::spawn(move || {
                    for _ in 0..50 {
                        block_on(async {
                            let (signal, calls) = count(signum);
                            until(|| calls.get() > 0).await;
                            signal.stop();
                        });
                    }
                })
            });
            until(|| loops.iter().all(|thread| thread.is_finished())).await;
            loops.into_iter().for_each(|thread| thread.join().unwrap());
            done.store(true, Ordering::SeqCst);
            sender.join().unwrap();
            let before = calls.get();
            raise(signum);
            until(|| calls.get() > before).await;
            signal.stop();
        });
    });
}

/// Installs a handler as C programs do, and what was there before.
fn install(signum: i32, handler: usize, flags: i32) -> libc::sigaction {
    // SAFETY: the handlers of these tests only touch atomics; both structures are live.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        restore(signum, &action)
    }
}

/// Puts an action back that the system gave, and what was there before.
fn restore(signum: i32, action: &libc::sigaction) -> libc::sigaction {
    // SAFETY: as above.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signum, action, &mut before), 0);
        before
    }
}

/// Defines a handler that counts its calls, and the count.
macro_rules! counting {
    ($name:ident, $calls:ident) => {
        static $calls: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn $name(_signum: libc::c_int) {
            $calls.fetch_add(1, Ordering::SeqCst);
        }
    };
}

/// Raises the signal, and waits until a watcher has been called once more; by then it is over for all.
async fn raise_and_hear(signum: i32, calls: &Cell<usize>) {
    let before = calls.get();
    raise(signum);
    until(|| calls.get() > before).await;
    iterations(3).await;
    assert_eq!(calls.get(), before + 1, "one signal, one call");
}

/// A handler of signal-hook that counts its calls.
fn hook(signum: i32) -> (signal_hook::SigId, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let add = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    // SAFETY: it adds to an atomic.
    (unsafe { signal_hook::low_level::register(signum, add) }.unwrap(), calls)
}

#[test]
fn an_earlier_handler_is_called_while_the_signal_is_watched_and_afterwards() {
    counting!(plain, PLAIN);
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn informed(signum: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the system gives a live one with this flag.
        let said = unsafe { (*info).si_signo };
        TOLD.fetch_add(usize::from(said == signum), Ordering::SeqCst);
    }
    bounded(|| {
        let signum = signal_of_test(14);
        let informed: extern "C" fn(_, _, _) = informed;
        let plain: extern "C" fn(_) = plain;
        let cases = [
            (plain as usize, libc::SA_RESTART, &PLAIN),
            (informed as usize, libc::SA_RESTART | libc::SA_SIGINFO | libc::SA_ONSTACK, &TOLD),
        ];
        for (handler, flags, told) in cases {
            install(signum, handler, flags);
            for round in 0..3 {
                block_on(async {
                    let (signal, calls) = count(signum);
                    let (other, other_calls) = count(signum);
                    raise_and_hear(signum, &calls).await;
                    other.stop();
                    raise_and_hear(signum, &calls).await;
                    signal.stop();
                    assert_eq!((calls.get(), other_calls.get()), (2, 1));
                });
                assert_eq!(disposition(signum), handler);
                raise(signum);
                assert_eq!(told.load(Ordering::SeqCst), 3 * (round + 1));
            }
        }
        ignore(signum);
    });
}

#[test]
fn handlers_of_signal_hook_and_watchers_share_a_signal_in_every_order() {
    bounded(|| {
        block_on(async {
            // Theirs first.
            let signum = signal_of_test(15);
            let (id, theirs) = hook(signum);
            let hooked = disposition(signum);
            let (signal, ours) = count(signum);
            raise_and_hear(signum, &ours).await;
            assert_eq!(theirs.load(Ordering::SeqCst), 1);
            signal.stop();
            assert_eq!(disposition(signum), hooked);
            raise(signum);
            assert_eq!((theirs.load(Ordering::SeqCst), ours.get()), (2, 1));
            // Theirs goes while ours is there.
            let (signal, ours) = count(signum);
            assert!(signal_hook::low_level::unregister(id));
            raise_and_hear(signum, &ours).await;
            signal.stop();

            // Ours first, again and again under theirs.
            let signum = signal_of_test(16);
            let (signal, ours) = count(signum);
            let (id, theirs) = hook(signum);
            raise_and_hear(signum, &ours).await;
            assert_eq!(theirs.load(Ordering::SeqCst), 1);
            signal.stop();
            raise(signum);
            assert_eq!((theirs.load(Ordering::SeqCst), ours.get()), (2, 1), "only theirs is left");
            for round in 0..20 {
                let (signal, ours) = count(signum);
                raise_and_hear(signum, &ours).await;
                signal.stop();
                raise(signum);
                assert_eq!(theirs.load(Ordering::SeqCst), 2 * round + 4);
                assert_eq!(ours.get(), 1);
            }
            let (signal, ours) = count(signum);
            assert!(signal_hook::low_level::unregister(id));
            raise_and_hear(signum, &ours).await;
            signal.stop();
            // signal-hook's handler stays for ever, and nobody is killed.
            raise(signum);
        });
    });
}

// As ctrlc installs its own.
#[test]
fn a_handler_over_ours_that_calls_nobody_is_called_once_we_watch_again() {
    counting!(above, ABOVE);
    bounded(|| {
        let signum = signal_of_test(17);
        let above: extern "C" fn(_) = above;
        block_on(async {
            let (first, first_calls) = count(signum);
            install(signum, above as usize, libc::SA_RESTART);
            raise(signum);
            iterations(3).await;
            assert_eq!((ABOVE.load(Ordering::SeqCst), first_calls.get()), (1, 0), "silenced");
            // Whoever starts to watch is heard of, and so are those who did before.
            let (second, second_calls) = count(signum);
            raise_and_hear(signum, &second_calls).await;
            assert_eq!((ABOVE.load(Ordering::SeqCst), first_calls.get()), (2, 1));
            second.stop();
            first.stop();
            assert_eq!(disposition(signum), above as usize);
            let (third, third_calls) = count(signum);
            raise_and_hear(signum, &third_calls).await;
            assert_eq!(ABOVE.load(Ordering::SeqCst), 3);
            third.stop();
        });
        assert_eq!(disposition(signum), above as usize);
        ignore(signum);
    });
}

// As system(3) does it with SIGINT and SIGQUIT.
#[test]
fn our_handler_put_back_after_the_last_watcher_gives_the_signal_back() {
    counting!(below, BELOW);
    bounded(|| {
        let signum = signal_of_test(18);
        let below: extern "C" fn(_) = below;
        for before in [below as usize, libc::SIG_DFL, libc::SIG_IGN] {
            // The default action of this one is to do nothing, and so it can be looked at.
            let signum = if before == libc::SIG_DFL { libc::SIGURG } else { signum };
            install(signum, before, 0);
            block_on(async {
                let (signal, calls) = count(signum);
                let saved = install(signum, libc::SIG_IGN, 0);
                signal.stop();
                assert_eq!(disposition(signum), libc::SIG_IGN, "somebody else's");
                restore(signum, &saved);
                raise(signum);
                assert_eq!(disposition(signum), before);
                assert_eq!(calls.get(), 0);

                // Put back while there is a watcher again, it serves that one.
                let (signal, _) = count(signum);
                let saved = install(signum, libc::SIG_IGN, 0);
                signal.stop();
                let (signal, calls) = count(signum);
                restore(signum, &saved);
                raise_and_hear(signum, &calls).await;
                signal.stop();
                assert_eq!(disposition(signum), before);
            });
        }
        assert_eq!(BELOW.load(Ordering::SeqCst), 2);
        ignore(signum);
    });
}

// The process of this test is killed, so it is another one.
#[test]
fn a_signal_that_nobody_watches_any_more_ends_the_process_again() {
    const CHILD: &str = "WINDLASS_TEST_SIGNAL_CHILD";
    let name = "a_signal_that_nobody_watches_any_more_ends_the_process_again";
    let Ok(way) = std::env::var(CHILD) else {
        for way in ["stopped", "put back"] {
            let child = test_as_a_process(name).env(CHILD, way).output().unwrap();
            assert_eq!(child.status.signal(), Some(libc::SIGTERM), "{way}: {child:?}");
        }
        return;
    };
    run(|| {
        let (signal, _) = count(libc::SIGTERM);
        let saved = (way == "put back").then(|| install(libc::SIGTERM, libc::SIG_IGN, 0));
        signal.stop();
        if let Some(saved) = saved {
            restore(libc::SIGTERM, &saved);
        }
        raise(libc::SIGTERM);
        panic!("this is not reached");
    });
}
