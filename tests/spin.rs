//! Loops that may spin before they sleep. The limit is a minute in each test: a loop that missed what ends its
//! spin would hang. The tests take turns, for no loop spins when there are more loops than cores.

mod common;

use std::cell::{Cell, OnceCell};
use std::io::Write;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::*;
use windlass::Loop;
use windlass::handle::Notifier;
use windlass::net::TcpListener;
use windlass::worker::Worker;

fn spinning_loop() -> Loop {
    Loop::builder().spin(Duration::from_secs(60)).build().unwrap()
}

#[test]
fn loops_that_spin_answer_each_other() {
    let _guard = alone();
    const ROUNDS: u32 = 1000;
    let answers = Rc::new(Cell::new(0));
    let seen = answers.clone();
    spinning_loop().run(|| {
        let worker = Worker::<u32, u32>::spawn(|port| {
            let reply = port.clone();
            port.on_message(move |number| {
                reply.post(number + 1);
                if number + 1 == ROUNDS {
                    reply.close();
                }
            });
        });
        let worker = Rc::new(worker.unwrap());
        let own = worker.clone();
        worker.post(0);
        worker.on_message(move |number| {
            seen.set(number);
            if number < ROUNDS {
                own.post(number);
            }
        });
    });
    assert_eq!(answers.get(), ROUNDS);
}

#[test]
fn a_spin_ends_with_a_post_a_notice_and_a_stop_of_another_thread() {
    let _guard = alone();
    let event_loop = spinning_loop();
    let remote = event_loop.remote();
    let (sender, receiver) = mpsc::channel::<Notifier>();
    let thread = std::thread::spawn(move || {
        let notifier = receiver.recv().unwrap();
        remote.post(move || notifier.notify()).unwrap();
        remote
    });
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let remote = Rc::new(Cell::new(None));
    let there = remote.clone();
    event_loop.run(|| {
        let own = Rc::new(OnceCell::<Notifier>::new());
        let inner = own.clone();
        let notifier = Notifier::new(move || {
            count.set(count.get() + 1);
            inner.get().unwrap().unref();
        });
        sender.send(notifier.clone()).unwrap();
        there.set(Some((thread, own.clone())));
        own.set(notifier).unwrap();
    });
    assert_eq!(calls.get(), 1);

    let (thread, own) = remote.take().unwrap();
    own.get().unwrap().set_ref(true);
    let remote = thread.join().unwrap();
    let (ready, go) = mpsc::channel();
    let stopper = std::thread::spawn(move || {
        go.recv().unwrap();
        remote.stop();
    });
    event_loop.run(|| ready.send(()).unwrap());
    assert!(event_loop.is_alive(), "it was stopped, for the notifier holds it");
    stopper.join().unwrap();
    own.get().unwrap().close();
}

#[test]
fn a_spin_ends_with_the_next_timer_and_counts_as_idle() {
    let _guard = alone();
    let event_loop = spinning_loop();
    let begun = Instant::now();
    let delay = Duration::from_millis(20);
    event_loop.run(|| {
        windlass::set_timeout(delay, || ());
    });
    assert!(begun.elapsed() >= delay);
    let metrics = event_loop.metrics();
    assert!(metrics.idle_time >= delay / 2, "{metrics:?}");
}

#[test]
fn a_loop_that_spins_sees_its_sockets() {
    let _guard = alone();
    let connections = Rc::new(Cell::new(0));
    let count = connections.clone();
    spinning_loop().run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = listener.clone();
        listener.on_connection(move |connection| {
            count.set(count.get() + 1);
            drop(connection.unwrap());
            own.close();
        });
        std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            // The other end may be gone already.
            drop(stream.write_all(b"x"));
        });
    });
    assert_eq!(connections.get(), 1);
}

#[test]
fn a_spin_ends_with_the_result_of_a_job() {
    let _guard = alone();
    let done = Rc::new(Cell::new(0));
    let count = done.clone();
    fn next(left: u32, count: Rc<Cell<u32>>) {
        if left > 0 {
            windlass::queue_work(|| ()).on_complete(move |_| {
                count.set(count.get() + 1);
                next(left - 1, count);
            });
        }
    }
    spinning_loop().run(|| next(1000, count));
    assert_eq!(done.get(), 1000);
}

#[test]
fn a_timer_ends_a_spin_that_waits_for_a_job() {
    let _guard = alone();
    let (finish, wait) = mpsc::channel::<()>();
    let timers = Rc::new(Cell::new(0));
    let count = timers.clone();
    spinning_loop().run(move || {
        windlass::queue_work(move || wait.recv().unwrap_err()).on_complete(|_| ());
        let finish = Cell::new(Some(finish));
        windlass::set_interval(Duration::from_millis(1), move |timer| {
            count.set(count.get() + 1);
            if count.get() == 20 {
                timer.clear();
                drop(finish.take());
            }
        });
    });
    assert_eq!(timers.get(), 20);
}
