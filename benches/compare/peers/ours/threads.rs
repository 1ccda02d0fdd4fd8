//! What crosses threads: wake-ups, posts, jobs of the pool.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Figures, Stopwatch, system};
use windlass::Loop;
use windlass::handle::Notifier;

use crate::timed_on;

/// Two loops on two threads wake each other by notifiers; an item is a round trip. They look for news for so
/// long before they sleep.
pub(crate) fn async_ping_pong(items: u64, spin: Duration) -> Figures {
    let (to_other, from_main) = mpsc::channel::<Notifier>();
    let (to_main, from_other) = mpsc::channel::<Notifier>();
    let other = thread::spawn(move || {
        system::pin_thread(1);
        crate::loop_that_spins(spin).run(|| {
            let main = from_main.recv().expect("the main loop's notifier");
            to_main.send(Notifier::new(move || main.notify())).expect("the main loop");
        });
    });
    system::pin_thread(0);
    let figures = Rc::new(Cell::new(None));
    let told = figures.clone();
    crate::loop_that_spins(spin).run(move || {
        let other = Rc::new(OnceCell::<(Notifier, Stopwatch)>::new());
        let (left, to) = (Cell::new(items), other.clone());
        let main = Notifier::new(move || {
            let (other, stopwatch) = to.get().expect("set before the first call");
            left.set(left.get() - 1);
            if left.get() > 0 {
                return other.notify();
            }
            told.set(Some(stopwatch.stop(items)));
            // With it goes the other thread's hold on this loop's notifier.
            other.close();
        });
        to_other.send(main).expect("the other loop");
        let other = other.get_or_init(|| {
            (from_other.recv().expect("the other loop's notifier"), Stopwatch::start())
        });
        other.0.notify();
    });
    other.join().expect("the other loop ends by itself");
    figures.take().expect("all round trips were made")
}

thread_local! {
    static POSTED: Cell<u64> = const { Cell::new(0) };
}

/// Closures posted by another thread.
pub(crate) fn async_pummel(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    let remote = event_loop.remote();
    let held = event_loop.keep_alive();
    system::pin_thread(0);
    let begun = Stopwatch::start();
    let sender = thread::spawn(move || {
        system::pin_thread(1);
        for _ in 0..items {
            remote.post(|| POSTED.set(POSTED.get() + 1)).expect("the loop is there");
        }
        remote.post(|| Loop::current().stop()).expect("the loop is there");
    });
    event_loop.turn(windlass::RunMode::Default);
    let figures = begun.stop(items);
    drop(held);
    assert_eq!(POSTED.get(), items);
    sender.join().expect("the sender");
    figures
}

/// Jobs that do nothing, so many at a time, on a loop that looks for results for so long before it sleeps.
pub(crate) fn queue_work(items: u64, in_flight: u64, spin: Duration) -> Figures {
    fn next(left: Rc<Cell<u64>>) {
        if left.get() > 0 {
            left.set(left.get() - 1);
            windlass::queue_work(|| ()).on_complete(move |_| next(left));
        }
    }
    timed_on(&crate::loop_that_spins(spin), items, || {
        let left = Rc::new(Cell::new(items));
        (0..in_flight).for_each(|_| next(left.clone()));
    })
}
