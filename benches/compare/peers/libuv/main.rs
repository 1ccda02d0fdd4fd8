//! The workloads on libuv, as a C program would use it: handles in memory of the program's own, callbacks
//! as plain functions, what belongs to a handle behind its `data`.
//!
//! libuv has no microtasks, ticks or immediates, and no messages: where a workload sends something with a
//! wake, it is in a vector behind a lock, which is what programs on libuv put beside their `uv_async_t`.

mod files;
mod net;
mod processes;
mod queues;
mod streams;
mod threads;
mod timers;
mod udp;
mod watching;

use std::mem::MaybeUninit;

use common::{Peer, Workload};
use libuv_sys2 as uv;

const WORKLOADS: &[(&str, Workload)] = &[
    ("loop_count", queues::loop_count),
    ("million_timers arm", timers::arm),
    ("million_timers clear", timers::clear),
    ("million_timers fire", timers::fire),
    ("timer_churn", timers::churn),
    ("async_ping_pong", threads::async_ping_pong),
    ("async_pummel", threads::async_pummel),
    ("queue_work 1 in flight", |items| threads::queue_work(items, 1)),
    ("queue_work 64 in flight", |items| threads::queue_work(items, 64)),
    ("queue_work 1,000 in flight", |items| threads::queue_work(items, 1000)),
    ("fs_stat 64 in flight", files::stat),
    ("fs_read 64 in flight", files::read),
    ("process_spawn", processes::spawn),
    ("fs_watch", watching::watch),
    ("worker_spawn to first message", threads::spawn),
    ("worker_ping_pong", threads::async_ping_pong),
    ("worker_stream", threads::async_pummel),
    ("memory live timer", timers::memory),
    ("memory idle worker", threads::idle_worker),
];

const SERVERS: &[(&str, fn())] = &[
    ("echo", net::echo),
    ("idle", net::echo),
    ("unix echo", streams::unix_echo),
    ("pipe", streams::copy),
    ("udp echo", udp::echo),
    ("udp sink", udp::sink),
    ("http", net::http),
];

fn main() {
    Peer { workloads: WORKLOADS, servers: SERVERS }.main();
}

/// A structure of libuv's before it is initialised, where it stays until the process ends.
fn leaked<T>() -> *mut T {
    Box::into_raw(Box::new(MaybeUninit::<T>::zeroed())).cast()
}

/// A loop of this thread's own.
fn new_loop() -> *mut uv::uv_loop_t {
    let event_loop = leaked();
    // SAFETY: there is room for a loop, and it is initialised once.
    assert_eq!(unsafe { uv::uv_loop_init(event_loop) }, 0);
    event_loop
}

/// Turns a loop until nothing is left on it.
fn run(event_loop: *mut uv::uv_loop_t) {
    // SAFETY: the loop came from `new_loop` on this thread.
    unsafe { uv::uv_run(event_loop, uv::uv_run_mode_UV_RUN_DEFAULT) };
}
