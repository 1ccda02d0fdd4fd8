//! The workloads on this crate.

mod files;
mod memory;
mod net;
mod processes;
mod queues;
mod streams;
mod threads;
mod timers;
mod udp;
mod workers;

use std::time::Duration;

use common::{Figures, Peer, Stopwatch, Workload};
use windlass::Loop;

/// How long a loop looks before it sleeps, in the rows that allow it.
const SPIN: Duration = Duration::from_micros(50);

const WORKLOADS: &[(&str, Workload)] = &[
    ("microtask_batch", queues::microtask_batch),
    ("microtask_chain", queues::microtask_chain),
    ("tick_batch", queues::tick_batch),
    ("tick_chain", queues::tick_chain),
    ("tick_chain recorded", queues::tick_chain_recorded),
    ("recorder: an event", queues::recorded_event),
    ("loop_count", queues::loop_count),
    ("loop_count recorded", queues::loop_count_recorded),
    ("loop_count with a source", queues::loop_count_with_source),
    ("million_timers arm", timers::arm),
    ("million_timers clear", timers::clear),
    ("million_timers fire", timers::fire),
    ("timer_churn", timers::churn),
    ("timers among 100", |items| timers::among(items, 100)),
    ("timers among 1,000", |items| timers::among(items, 1_000)),
    ("timers among 10,000", |items| timers::among(items, 10_000)),
    ("timers among 100,000", |items| timers::among(items, 100_000)),
    ("timers among 1,000,000", |items| timers::among(items, 1_000_000)),
    ("spawn and finish a task", queues::spawn_task),
    ("async_ping_pong", |items| threads::async_ping_pong(items, Duration::ZERO)),
    ("async_ping_pong spinning", |items| threads::async_ping_pong(items, SPIN)),
    ("async_pummel", threads::async_pummel),
    ("queue_work 1 in flight", |items| threads::queue_work(items, 1, Duration::ZERO)),
    ("queue_work 1 in flight, spinning", |items| threads::queue_work(items, 1, SPIN)),
    ("queue_work 64 in flight", |items| threads::queue_work(items, 64, Duration::ZERO)),
    ("queue_work 1,000 in flight", |items| threads::queue_work(items, 1000, Duration::ZERO)),
    ("fs_stat 64 in flight", files::stat),
    ("fs_read 64 in flight", files::read),
    ("process_spawn", processes::spawn),
    ("fs_watch", files::watch),
    ("worker_spawn to first message", workers::spawn),
    ("worker_ping_pong", |items| workers::ping_pong(items, Duration::ZERO)),
    ("worker_ping_pong spinning", |items| workers::ping_pong(items, SPIN)),
    ("worker_stream", workers::stream),
    ("worker_move 1 KiB", |items| workers::move_buffer(items, 1 << 10)),
    ("worker_move 1 MiB", |items| workers::move_buffer(items, 1 << 20)),
    ("memory live timer", memory::live_timer),
    ("memory idle worker", memory::idle_worker),
];

const SERVERS: &[(&str, fn())] = &[
    ("echo", net::echo),
    ("idle", net::echo),
    ("unix echo", net::unix_echo),
    ("pipe", streams::copy),
    ("udp echo", udp::echo),
    ("udp sink", udp::sink),
];

fn main() {
    // The crate counts the cores when the first loop is made, and the workloads bind their threads to one.
    drop(Loop::new().expect("a loop"));
    Peer { workloads: WORKLOADS, servers: SERVERS }.main();
}

fn loop_that_spins(limit: Duration) -> Loop {
    Loop::builder().spin(limit).build().expect("a loop")
}

/// The time that a program takes on a loop of its own, less the making of the loop.
fn timed(items: u64, program: impl FnOnce()) -> Figures {
    timed_on(&Loop::new().expect("a loop"), items, program)
}

fn timed_on(event_loop: &Loop, items: u64, program: impl FnOnce()) -> Figures {
    let stopwatch = Stopwatch::start();
    event_loop.run(program);
    stopwatch.stop(items)
}
