//! The workloads on tokio's current-thread runtime, with a `LocalSet` where tasks are spawned: what a user
//! with state that is not `Send` would take.

mod files;
mod http;
mod net;
mod processes;
mod queues;
mod threads;
mod timers;
mod udp;

use common::{Peer, Workload};
use tokio::runtime::{Builder, Runtime};

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
    ("process_spawn", processes::spawn),
    ("fs_watch", files::watch),
    ("worker_spawn to first message", threads::spawn),
    ("worker_ping_pong", threads::worker_ping_pong),
    ("worker_stream", threads::worker_stream),
    ("worker_move 1 KiB", |items| threads::worker_move(items, 1 << 10)),
    ("worker_move 1 MiB", |items| threads::worker_move(items, 1 << 20)),
    ("memory live timer", timers::memory),
    ("memory idle worker", threads::idle_worker),
];

const SERVERS: &[(&str, fn())] = &[
    ("echo", net::echo),
    ("idle", net::idle),
    ("unix echo", net::unix_echo),
    ("pipe", net::pipe),
    ("udp echo", udp::echo),
    ("udp sink", udp::sink),
    ("http", http::serve),
    ("golden", http::serve),
];

fn main() {
    Peer { workloads: WORKLOADS, servers: SERVERS }.main();
}

/// A runtime whose pool for blocking calls has as many threads as libuv's, Node's and ours: four. (Its default
/// of 512 makes a thread for each call in flight, which takes ten times as long here.)
fn runtime() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(4).enable_all().build().expect("a runtime")
}
