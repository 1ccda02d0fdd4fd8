//! What crosses threads: `Notify`, channels, `spawn_blocking`; a worker is a thread with a runtime.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use common::{Figures, Stopwatch, system};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_blocking};

use crate::queues::measure_async;
use crate::runtime;

/// Two runtimes on two threads wake each other; an item is a round trip.
pub(crate) fn async_ping_pong(items: u64) -> Figures {
    let (here, there) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (to_here, at_there) = (here.clone(), there.clone());
    let (up, is_up) = oneshot::channel();
    let other = thread::spawn(move || {
        system::pin_thread(1);
        runtime().block_on(async {
            up.send(()).expect("the first thread");
            for _ in 0..items {
                at_there.notified().await;
                to_here.notify_one();
            }
        });
    });
    system::pin_thread(0);
    let figures = runtime().block_on(async {
        is_up.await.expect("the second thread");
        measure_async(items, async {
            for _ in 0..items {
                there.notify_one();
                here.notified().await;
            }
        })
        .await
    });
    other.join().expect("the second thread");
    figures
}

/// Messages from another thread, each received by itself.
pub(crate) fn async_pummel(items: u64) -> Figures {
    let (to, mut from) = unbounded_channel::<u64>();
    system::pin_thread(0);
    let begun = Stopwatch::start();
    let sender = thread::spawn(move || {
        system::pin_thread(1);
        (0..items).for_each(|item| to.send(item).expect("a receiver"));
    });
    let mut count = 0;
    runtime().block_on(async {
        while from.recv().await.is_some() {
            count += 1;
        }
    });
    let figures = begun.stop(items);
    assert_eq!(count, items);
    sender.join().expect("the sender");
    figures
}

pub(crate) fn worker_stream(items: u64) -> Figures {
    async_pummel(items)
}

/// Tasks that await one job after another.
pub(crate) fn queue_work(items: u64, in_flight: u64) -> Figures {
    let runtime = runtime();
    let tasks = LocalSet::new();
    let left = Rc::new(Cell::new(items));
    let stopwatch = Stopwatch::start();
    for _ in 0..in_flight {
        let left = left.clone();
        tasks.spawn_local(async move {
            while left.get() > 0 {
                left.set(left.get() - 1);
                spawn_blocking(|| ()).await.expect("no panics");
            }
        });
    }
    runtime.block_on(tasks);
    stopwatch.stop(items)
}

/// A thread with a runtime that does `main`.
fn start_worker<F: Future<Output = ()>>(
    main: impl FnOnce() -> F + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || LocalSet::new().block_on(&runtime(), async { main().await }))
}

pub(crate) fn spawn(items: u64) -> Figures {
    let runtime = runtime();
    let mut nanos = 0;
    let stopwatch = Stopwatch::start();
    for _ in 0..items {
        runtime.block_on(async {
            let start = Instant::now();
            let (to, mut from) = unbounded_channel();
            let worker = start_worker(async move || to.send(()).expect("a receiver"));
            from.recv().await.expect("a message");
            nanos += start.elapsed().as_nanos();
            worker.join().expect("the worker");
        });
    }
    stopwatch.stop(items).with("first", nanos as f64 / items as f64)
}

type Both<M> = (UnboundedSender<M>, UnboundedReceiver<M>);

/// Sends `message` to a worker and back again, so many times.
fn to_and_fro<M: Send + 'static>(items: u64, mut message: M) -> Figures {
    system::pin_thread(0);
    let (to, mut at_worker): Both<M> = unbounded_channel();
    let (reply, mut from): Both<M> = unbounded_channel();
    let worker = start_worker(async move || {
        system::pin_thread(1);
        while let Some(message) = at_worker.recv().await {
            reply.send(message).expect("the first thread");
        }
    });
    let figures = runtime().block_on(async {
        to.send(message).expect("the worker");
        message = from.recv().await.expect("a message");
        let stopwatch = Stopwatch::start();
        for _ in 0..items {
            to.send(message).expect("the worker");
            message = from.recv().await.expect("a message");
        }
        stopwatch.stop(items)
    });
    drop(to);
    worker.join().expect("the worker");
    figures
}

pub(crate) fn worker_ping_pong(items: u64) -> Figures {
    to_and_fro(items, 7_u64)
}

pub(crate) fn worker_move(items: u64, bytes: usize) -> Figures {
    to_and_fro(items, vec![7_u8; bytes])
}

pub(crate) fn idle_worker(items: u64) -> Figures {
    system::raise_descriptor_limit();
    let runtime = runtime();
    let before = system::resident_own();
    let mut workers = Vec::new();
    let bytes = runtime.block_on(async {
        for _ in 0..items {
            let (to, mut from) = unbounded_channel::<()>();
            let (up, is_up) = oneshot::channel();
            let worker = start_worker(async move || {
                up.send(()).expect("the first thread");
                while from.recv().await.is_some() {}
            });
            is_up.await.expect("the worker");
            workers.push((to, worker));
        }
        system::resident_own() - before
    });
    for (to, worker) in workers {
        drop(to);
        worker.join().expect("the worker");
    }
    Figures::new().with("bytes", bytes as f64 / items as f64)
}
