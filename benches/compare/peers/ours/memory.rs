//! Memory that stays in use: a live timer, an idle worker.

use std::rc::Rc;

use common::inputs::{LONG, delays};
use common::{Figures, system};
use windlass::Loop;
use windlass::worker::Worker;

/// With a closure that holds one counted pointer.
pub(crate) fn live_timer(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    let shared = Rc::new(0);
    let before = system::resident_own();
    event_loop.enter(|| {
        for delay in delays(items, 100_000) {
            let shared = shared.clone();
            windlass::set_timeout(delay + LONG, move || drop(shared));
        }
    });
    let bytes = system::resident_own() - before;
    Figures::new().with("bytes", bytes as f64 / items as f64)
}

pub(crate) fn idle_worker(items: u64) -> Figures {
    system::raise_descriptor_limit();
    let event_loop = Loop::new().expect("a loop");
    let before = system::resident_own();
    let bytes = event_loop.block_on(async {
        let mut workers = Vec::new();
        for _ in 0..items {
            let worker: Worker<(), ()> = Worker::spawn(|port| {
                port.post(());
                port.on_message(|()| ());
            })
            .expect("a worker");
            worker.recv().await.expect("a message");
            workers.push(worker);
        }
        let bytes = system::resident_own() - before;
        for worker in workers {
            worker.terminate().await;
        }
        bytes
    });
    Figures::new().with("bytes", bytes as f64 / items as f64)
}
