//! A plain baseline, written by hand for each workload, straight on std and libc: no loop to speak
//! of, no error
//! paths, nothing that a user could build on. It is no lower bound: what is cleverer than plain can
//! be faster.

mod files;
mod net;
mod processes;
mod queues;
mod threads;
mod timers;
mod udp;

use common::{Peer, Workload};

const WORKLOADS: &[(&str, Workload)] = &[
    ("microtask_batch", queues::batch),
    ("microtask_chain", queues::chain),
    ("tick_batch", queues::batch),
    ("tick_chain", queues::chain),
    ("loop_count", queues::loop_count),
    ("loop_count with a source", queues::loop_count),
    ("million_timers arm", timers::arm),
    ("million_timers clear", timers::clear),
    ("million_timers fire", timers::fire),
    ("timer_churn", timers::churn),
    ("async_ping_pong", threads::ping_pong_blocking),
    ("async_ping_pong spinning", threads::ping_pong_spinning),
    ("async_pummel", threads::pummel),
    ("queue_work 1 in flight", |items| threads::queue_work(items, 1)),
    ("queue_work 1 in flight, spinning", |items| threads::queue_work(items, 1)),
    ("queue_work 64 in flight", |items| threads::queue_work(items, 64)),
    ("queue_work 1,000 in flight", |items| threads::queue_work(items, 1000)),
    ("fs_stat 64 in flight", files::stat),
    ("fs_read 64 in flight", files::read),
    ("process_spawn", processes::spawn),
    ("fs_watch", files::watch),
    ("worker_spawn to first message", threads::spawn),
    ("worker_ping_pong", threads::ping_pong_blocking),
    ("worker_ping_pong spinning", threads::ping_pong_spinning),
    ("worker_stream", threads::pummel),
    ("memory idle worker", threads::idle_thread),
];

const SERVERS: &[(&str, fn())] = &[
    ("echo", net::echo),
    ("idle", net::echo),
    ("unix echo", net::unix_echo),
    ("pipe", net::pipe),
    ("udp echo", udp::echo),
    ("udp sink", udp::sink),
    ("http", net::http),
];

fn main() {
    Peer { workloads: WORKLOADS, servers: SERVERS }.main();
}
