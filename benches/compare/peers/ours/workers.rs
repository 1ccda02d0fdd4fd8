//! Workers: starting one, messages to and fro.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Figures, Stopwatch, system};
use windlass::Loop;
use windlass::worker::Worker;

/// From the call to the first message; the worker's end is not counted.
pub(crate) fn spawn(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    let mut nanos = 0;
    let stopwatch = Stopwatch::start();
    for _ in 0..items {
        event_loop.block_on(async {
            let start = Instant::now();
            let worker: Worker<(), ()> = Worker::spawn(|port| port.post(())).expect("a worker");
            worker.recv().await.expect("a message");
            nanos += start.elapsed().as_nanos();
            worker.join().await.expect("it ends by itself");
        });
    }
    stopwatch.stop(items).with("first", nanos as f64 / items as f64)
}

/// Sends `message` to a worker and back again, so many times. Both loops look for news for so long before
/// they sleep.
fn to_and_fro<M: Send + 'static>(items: u64, message: M, spin: Duration) -> Figures {
    system::pin_thread(0);
    let figures = Rc::new(Cell::new(None));
    let told = figures.clone();
    crate::loop_that_spins(spin).run(move || {
        let worker: Worker<M, M> = Worker::spawn(|port| {
            system::pin_thread(1);
            let reply = port.clone();
            port.on_message(move |message| reply.post(message));
        })
        .expect("a worker");
        let (own, mut left, mut stopwatch) = (worker.clone(), items, None);
        // The first answer says that the worker is up; from then on time counts.
        worker.on_message(move |message| {
            let begun = *stopwatch.get_or_insert_with(Stopwatch::start);
            if left == 0 {
                told.set(Some(begun.stop(items)));
                return drop(own.terminate());
            }
            left -= 1;
            own.post(message);
        });
        worker.post(message);
    });
    figures.take().expect("all round trips were made")
}

pub(crate) fn ping_pong(items: u64, spin: Duration) -> Figures {
    to_and_fro(items, 7_u64, spin)
}

pub(crate) fn move_buffer(items: u64, bytes: usize) -> Figures {
    to_and_fro(items, vec![7_u8; bytes], Duration::ZERO)
}

/// Messages one way, from a worker.
pub(crate) fn stream(items: u64) -> Figures {
    system::pin_thread(0);
    let count = Rc::new(Cell::new(0));
    let inner = count.clone();
    let figures = crate::timed(items, move || {
        let worker: Worker<(), u64> = Worker::spawn(move |port| {
            system::pin_thread(1);
            (0..items).for_each(|item| port.post(item));
        })
        .expect("a worker");
        worker.on_message(move |_| inner.set(inner.get() + 1));
    });
    assert_eq!(count.get(), items);
    figures
}
