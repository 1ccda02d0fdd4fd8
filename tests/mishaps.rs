//! Panics, destructors and odd moments: what goes wrong in one callback costs no other anything.

mod common;

use std::cell::Cell;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Idle, Interest, Poll};
use windlass::net::{TcpListener, TcpStream};
use windlass::signal::Signal;
use windlass::worker::{Worker, WorkerPool};
use windlass::{Loop, next_tick, on_uncaught, set_immediate, set_timeout};

/// Makes a closure capture what it would not need.
fn hold<T>(_value: &T) {}

// E-07, Z-01.
#[test]
fn a_destructor_that_panics_at_teardown_costs_no_other_callback() {
    bounded(|| {
        let drops = Counter::new();
        let event_loop = Loop::new().unwrap();
        event_loop.enter(|| {
            for _ in 0..2 {
                let (bomb, counted) = (PanicsInDrop, drops.on_drop());
                Idle::start(move || hold(&(&bomb, &counted)));
                let (bomb, counted) = (PanicsInDrop, drops.on_drop());
                next_tick(move || drop((bomb, counted)));
                let bomb = PanicsInDrop;
                event_loop.remote().post(move || drop(bomb)).unwrap();
            }
        });
        drop(event_loop);
        assert_eq!(drops.get(), 4);
    });
}

// E-06, S-04.
#[test]
fn a_destructor_may_stop_a_signal_watcher_at_teardown() {
    struct StopsIt(Signal);
    impl Drop for StopsIt {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        event_loop.enter(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stops = StopsIt(Signal::start(libc::SIGUSR2, || ()).unwrap());
            listener.on_connection(move |_| hold(&stops));
        });
        drop(event_loop);
        // The post that the loop had is free for the next one.
        windlass::run(|| Signal::start(libc::SIGUSR2, || ()).unwrap().stop());
    });
}

// E-04, TCP-16.
#[test]
fn a_tick_that_panics_between_two_connections_costs_none() {
    const CLIENTS: u32 = 3;
    bounded(|| {
        let accepted = Rc::new(Cell::new(0));
        let count = accepted.clone();
        windlass::run(move || {
            on_uncaught(|_| ());
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let clients: Vec<_> =
                (0..CLIENTS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
            let own = listener.clone();
            listener.on_connection(move |_| {
                count.set(count.get() + 1);
                if count.get() == clients.len() as u32 {
                    own.close();
                }
                next_tick(|| panic!("a tick panics, as the test wants it"));
            });
        });
        assert_eq!(accepted.get(), CLIENTS);
    });
}

// E-04, TCP-41: more data than one read takes is there when the tick panics.
#[test]
fn a_tick_that_panics_between_two_reads_costs_no_byte() {
    const BYTES: usize = 200_000;
    bounded(|| {
        let seen = Rc::new(Cell::new(0));
        let count = seen.clone();
        windlass::run(move || {
            on_uncaught(|_| ());
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let stream = TcpStream::from_std(listener.accept().unwrap().0).unwrap();
            peer.write_all(&vec![1; BYTES]).unwrap();
            stream.read_start(move |stream, chunk| {
                count.set(count.get() + chunk.unwrap().len());
                if count.get() == BYTES {
                    stream.close();
                    hold(&peer);
                }
                next_tick(|| panic!("a tick panics, as the test wants it"));
            });
        });
        assert_eq!(seen.get(), BYTES);
    });
}

// Z-01: a callback that holds a name of its own loop does not keep a panicked program's callbacks.
#[test]
fn a_panic_that_leaves_run_still_tears_the_loop_down() {
    static DROPPED: AtomicBool = AtomicBool::new(false);
    struct Tells;
    impl Drop for Tells {
        fn drop(&mut self) {
            DROPPED.store(true, Ordering::SeqCst);
        }
    }
    let outcome = panic::catch_unwind(|| {
        windlass::run(|| {
            let held = (Loop::current(), Tells);
            set_timeout(Duration::from_secs(60), move || drop(held));
            set_immediate(|| panic!("as the test wants it"));
        });
    });
    assert!(outcome.is_err());
    assert!(DROPPED.load(Ordering::SeqCst));
}

// E-01: the name is being resolved when the loop ends.
#[test]
fn a_connect_by_name_resolves_with_a_shut_down_error_when_its_loop_ends() {
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        let connect = event_loop.enter(|| TcpStream::connect("localhost:9"));
        drop(event_loop);
        let error = windlass::block_on(connect).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<windlass::LoopGone>()), "{error}");
    });
}

// L-12.
#[test]
fn a_loop_closes_when_nothing_is_left_and_not_before() {
    let event_loop = Loop::new().unwrap();
    event_loop.enter(|| {
        let timer = set_timeout(Duration::from_secs(3600), || ());
        timer.unref();
        timer.clear();
    });
    let other = Loop::new().unwrap();
    other.enter(|| next_tick(|| ()));
    assert!(other.close().is_err(), "a tick is left");
    let posted = Loop::new().unwrap();
    posted.remote().post(|| ()).unwrap();
    assert!(posted.close().is_err(), "a closure that was accepted is left");
    event_loop.close().unwrap();
}

// E-03.
#[test]
fn a_before_exit_hook_that_panics_is_called_again_in_a_further_run() {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let event_loop = Loop::new().unwrap();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        event_loop.run(|| {
            windlass::on_before_exit(move || {
                count.set(count.get() + 1);
                assert!(count.get() > 1, "the first time it panics, as the test wants it");
            });
        });
    }));
    assert!(outcome.is_err());
    event_loop.run(|| ());
    assert_eq!(calls.get(), 2);
}

// F-08: all of them are closed by the first callback of the round.
#[test]
fn thousands_of_watchers_that_close_in_one_round_are_no_matter() {
    bounded(|| {
        windlass::run(|| {
            let (reader, writer) = std::io::pipe().unwrap();
            (&writer).write_all(b"x").unwrap();
            let all = Rc::new(std::cell::RefCell::new(Vec::new()));
            for _ in 0..800 {
                let watcher = Poll::new(reader.try_clone().unwrap());
                let others = all.clone();
                let close = move |_| others.take().iter().for_each(Poll::close);
                watcher.start(Interest::READABLE, close).unwrap();
                all.borrow_mut().push(watcher);
            }
            drop(writer);
        });
    });
}

// P-09 for workers.
#[test]
fn a_worker_of_a_pool_that_panics_costs_its_own_job_only() {
    bounded(|| {
        windlass::block_on(async {
            let pool = WorkerPool::new(1, || {
                |n: u32| {
                    assert_ne!(n, 0, "as the test wants it");
                    n + 1
                }
            })
            .unwrap();
            let (bad, good) = (pool.run(0), pool.run(1));
            assert!(bad.await.is_err());
            assert_eq!(good.await, Ok(2));
            assert_eq!(pool.run(2).await, Ok(3));
        });
    });
}

// WK-13: the time that a loop gives its workers runs for all at once.
#[test]
fn workers_that_do_not_return_are_waited_for_a_second_in_all() {
    let start = Instant::now();
    let mut held = Vec::new();
    windlass::run(|| {
        for _ in 0..40 {
            let (hold, held_back) = mpsc::channel::<()>();
            let (running, runs) = mpsc::channel::<()>();
            let main = move |_| {
                running.send(()).unwrap();
                // Returns when the test is over.
                held_back.recv().unwrap_or_default();
            };
            Worker::<(), ()>::spawn(main).unwrap().unref();
            runs.recv().unwrap();
            held.push(hold);
        }
    });
    assert!(start.elapsed() >= Duration::from_millis(900), "they do not return");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

// WK-05.
#[test]
fn a_handler_that_comes_after_a_workers_exit_gets_what_was_left() {
    bounded(|| {
        let seen = Rc::new(Cell::new(0));
        let late = seen.clone();
        windlass::run(move || {
            let worker: Worker<(), u32> = Worker::spawn(|port| port.post(5)).unwrap();
            let own = worker.clone();
            worker.on_exit(move |_| own.on_message(move |number| late.set(number)));
        });
        assert_eq!(seen.get(), 5);
    });
}

// A later task takes the place of the one that waited; that one's end must not take it away again.
#[test]
fn a_waiter_that_was_displaced_leaves_its_successor_alone() {
    bounded(|| {
        windlass::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (one, two) = (listener.clone(), listener.clone());
            let first = windlass::spawn(async move { one.accept().await.map(drop) });
            windlass::yield_now().await;
            let second = windlass::spawn(async move { two.accept().await.map(drop) });
            windlass::yield_now().await;
            first.abort();
            let _client = std::net::TcpStream::connect(address).unwrap();
            second.await.unwrap().unwrap();
        });
    });
}
