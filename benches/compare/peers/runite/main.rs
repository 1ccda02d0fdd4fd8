//! The workloads on runite, the nearest relative: a loop for each thread, with microtasks and macrotasks.

mod files;
mod net;
mod queues;
mod threads;
mod timers;

use common::{Figures, Peer, Stopwatch, Workload};

const WORKLOADS: &[(&str, Workload)] = &[
    ("microtask_batch", queues::microtask_batch),
    ("microtask_chain", queues::microtask_chain),
    ("loop_count", queues::loop_count),
    ("million_timers arm", timers::arm),
    ("million_timers clear", timers::clear),
    ("million_timers fire", timers::fire),
    ("timer_churn", timers::churn),
    ("spawn and finish a task", queues::spawn_task),
    ("async_ping_pong", threads::async_ping_pong),
    ("async_pummel", threads::async_pummel),
    ("queue_work 1 in flight", |items| threads::queue_work(items, 1)),
    ("queue_work 64 in flight", |items| threads::queue_work(items, 64)),
    ("queue_work 1,000 in flight", |items| threads::queue_work(items, 1000)),
    ("fs_stat 64 in flight", files::stat),
    ("fs_read 64 in flight", files::read),
    ("worker_spawn to first message", threads::spawn),
    ("worker_ping_pong", threads::worker_ping_pong),
    ("worker_stream", threads::worker_stream),
    ("worker_move 1 KiB", |items| threads::worker_move(items, 1 << 10)),
    ("worker_move 1 MiB", |items| threads::worker_move(items, 1 << 20)),
    ("memory live timer", timers::memory),
    ("memory idle worker", threads::idle_worker),
];

const SERVERS: &[(&str, fn())] = &[("echo", net::echo), ("idle", net::echo)];

fn main() {
    Peer { workloads: WORKLOADS, servers: SERVERS }.main();
}

/// The time that a program takes on this thread's loop, which has been started before.
fn timed(items: u64, program: impl FnOnce() + 'static) -> Figures {
    runite::block_on(async {});
    let stopwatch = Stopwatch::start();
    runite::queue_macrotask(program);
    runite::run();
    stopwatch.stop(items)
}

/// The same for a future.
fn timed_async(items: u64, program: impl Future<Output = ()>) -> Figures {
    runite::block_on(async {
        let stopwatch = Stopwatch::start();
        program.await;
        stopwatch.stop(items)
    })
}
