//! What crosses threads: macrotasks on another thread's loop, channels, the pool, workers.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use common::{Figures, Stopwatch, system};
use runite::channel::mpsc::{UnboundedSender, unbounded_channel};
use runite::{ThreadHandle, WorkerHandle};

use crate::timed_async;

/// Starts a worker that does `main` on the second core.
fn start_worker<F: Future<Output = ()> + 'static>(
    main: impl FnOnce() -> F + Send + 'static,
) -> WorkerHandle {
    let begin = move || {
        system::pin_thread(1);
        drop(runite::spawn(async move { main().await }));
    };
    runite::spawn_worker(begin, || ())
}

/// One side of the ping-pong: what it sends to the other says how to go on here.
#[derive(Clone)]
struct Sides {
    here: ThreadHandle,
    there: ThreadHandle,
    over: UnboundedSender<()>,
}

fn ping(sides: Sides, left: u64) {
    if left == 0 {
        return sides.over.send(()).expect("someone waits");
    }
    let there = sides.there.clone();
    let pong = move || {
        let here = sides.here.clone();
        here.queue_macrotask(move || ping(sides, left - 1)).expect("the first loop");
    };
    there.queue_macrotask(pong).expect("the second loop");
}

/// Two loops queue macrotasks on each other; an item is a round trip.
pub(crate) fn async_ping_pong(items: u64) -> Figures {
    system::pin_thread(0);
    runite::block_on(async move {
        let (stay, mut stayed) = unbounded_channel::<()>();
        let (up, mut is_up) = unbounded_channel();
        let worker = start_worker(async move || {
            up.send(()).expect("the first loop");
            stayed.recv().await;
        });
        is_up.recv().await.expect("the worker");
        let (over, mut is_over) = unbounded_channel();
        let (here, there) = (runite::current_thread_handle(), worker.thread());
        let stopwatch = Stopwatch::start();
        ping(Sides { here, there, over }, items);
        is_over.recv().await.expect("all round trips");
        let figures = stopwatch.stop(items);
        drop(stay);
        worker.join().await.expect("the worker ends by itself");
        figures
    })
}

thread_local! {
    static POSTED: Cell<u64> = const { Cell::new(0) };
}

/// Closures queued on this loop by a worker. The queue has a limit: the sender tries again when it is full.
pub(crate) fn async_pummel(items: u64) -> Figures {
    system::pin_thread(0);
    let to = runite::current_thread_handle();
    let (over, mut is_over) = unbounded_channel();
    let queue = move |to: &ThreadHandle, over: &UnboundedSender<()>, last: bool| {
        let over = last.then(|| over.clone());
        to.queue_macrotask(move || {
            POSTED.set(POSTED.get() + 1);
            if let Some(over) = over {
                over.send(()).expect("someone waits");
            }
        })
    };
    let send = move || {
        for item in 1..=items {
            while queue(&to, &over, item == items).is_err() {
                std::thread::yield_now();
            }
        }
    };
    let figures = stream(items, send, async move || is_over.recv().await.expect("the last one"));
    assert_eq!(POSTED.get(), items);
    figures
}

/// Messages from a worker, each received by itself.
pub(crate) fn worker_stream(items: u64) -> Figures {
    system::pin_thread(0);
    let (to, mut from) = unbounded_channel::<u64>();
    let send = move || (0..items).for_each(|item| to.send(item).expect("a receiver"));
    let receive = async move || {
        let mut count = 0;
        while from.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, items);
    };
    stream(items, send, receive)
}

/// Lets a worker do `send` while this loop does `receive`.
fn stream(
    items: u64,
    send: impl FnOnce() + Send + 'static,
    receive: impl AsyncFnOnce(),
) -> Figures {
    timed_async(items, async {
        let worker = start_worker(async move || send());
        receive().await;
        worker.join().await.expect("the worker ends by itself");
    })
}

/// Tasks that await one job after another.
pub(crate) fn queue_work(items: u64, in_flight: u64) -> Figures {
    let left = Rc::new(Cell::new(items));
    timed_async(items, async move {
        let tasks: Vec<_> = (0..in_flight)
            .map(|_| {
                let left = left.clone();
                runite::spawn(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        let job = runite::spawn_blocking(|| ()).expect("room in the queue");
                        job.await.expect("no panics");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
    })
}

pub(crate) fn spawn(items: u64) -> Figures {
    let mut nanos = 0;
    let figures = timed_async(items, async {
        for _ in 0..items {
            let start = Instant::now();
            let (to, mut from) = unbounded_channel();
            let begin = move || to.send(()).expect("a receiver");
            let worker = runite::spawn_worker(begin, || ());
            from.recv().await.expect("a message");
            nanos += start.elapsed().as_nanos();
            worker.join().await.expect("the worker ends by itself");
        }
    });
    figures.with("first", nanos as f64 / items as f64)
}

/// Sends `message` to a worker and back again, so many times.
fn to_and_fro<M: Send + std::fmt::Debug + 'static>(items: u64, mut message: M) -> Figures {
    system::pin_thread(0);
    runite::block_on(async {
        let (to, mut at_worker) = unbounded_channel::<M>();
        let (reply, mut from) = unbounded_channel::<M>();
        let worker = start_worker(async move || {
            while let Some(message) = at_worker.recv().await {
                reply.send(message).expect("the first loop");
            }
        });
        to.send(message).expect("the worker");
        message = from.recv().await.expect("a message");
        let stopwatch = Stopwatch::start();
        for _ in 0..items {
            to.send(message).expect("the worker");
            message = from.recv().await.expect("a message");
        }
        let figures = stopwatch.stop(items);
        drop(to);
        worker.join().await.expect("the worker ends by itself");
        figures
    })
}

pub(crate) fn worker_ping_pong(items: u64) -> Figures {
    to_and_fro(items, 7_u64)
}

pub(crate) fn worker_move(items: u64, bytes: usize) -> Figures {
    to_and_fro(items, vec![7_u8; bytes])
}

pub(crate) fn idle_worker(items: u64) -> Figures {
    system::raise_descriptor_limit();
    runite::block_on(async {
        let before = system::resident_own();
        let mut workers = Vec::new();
        for _ in 0..items {
            let (stay, mut stayed) = unbounded_channel::<()>();
            let (up, mut is_up) = unbounded_channel();
            let worker = start_worker(async move || {
                up.send(()).expect("the first loop");
                stayed.recv().await;
            });
            is_up.recv().await.expect("the worker");
            workers.push((stay, worker));
        }
        let bytes = system::resident_own() - before;
        for (stay, worker) in workers {
            drop(stay);
            worker.join().await.expect("the worker ends by itself");
        }
        Figures::new().with("bytes", bytes as f64 / items as f64)
    })
}
