//! Workers leave nothing. A binary of its own: it counts the process's threads, descriptors and memory.

mod support;

use std::sync::{Mutex, PoisonError};

use support::*;
use windlass::block_on;
use windlass::worker::Worker;

/// The tests of this file count what the process has, so they run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// How many threads and open descriptors the process has.
fn in_use() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until the process has no more than these: the system lists a thread that was joined for a moment
/// longer. A test that leaks hangs here.
fn settles_at((threads_before, descriptors_before): (usize, usize)) {
    loop {
        let (threads, descriptors) = in_use();
        if threads <= threads_before && descriptors <= descriptors_before {
            return;
        }
        std::thread::yield_now();
    }
}

/// How much memory the process has in use, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs a test body while no other of this file runs.
fn alone(body: impl FnOnce() + Send + 'static) {
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    bounded(body);
    drop(guard);
}

fn echo() -> Worker<u32, u32> {
    Worker::spawn(|port| {
        let replies = port.clone();
        port.on_message(move |number| replies.post(number));
    })
    .unwrap()
}

// WK-22.
#[test]
fn sixty_workers_in_sequence_leave_threads_and_descriptors_where_they_were() {
    alone(|| {
        let mut before = None;
        for round in 0..60 {
            block_on(async {
                let worker = echo();
                worker.post(round);
                assert_eq!(worker.recv().await, Some(round));
                assert_eq!(worker.terminate().await, 1);
            });
            // The first round pays for what the process has once.
            settles_at(*before.get_or_insert_with(in_use));
        }
    });
}

// WK-22, more of it, on one loop, ending in turn in every way.
#[test]
fn a_thousand_workers_in_sequence_leave_memory_threads_and_descriptors_where_they_were() {
    alone(|| {
        block_on(async {
            let mut before = None;
            for round in 0..1000_u32 {
                let worker = echo();
                worker.on_error(|_| ());
                worker.post(round);
                assert_eq!(worker.recv().await, Some(round));
                if round % 2 == 0 {
                    assert_eq!(worker.terminate().await, 1);
                } else {
                    assert_eq!(worker.shutdown(std::time::Duration::from_secs(50)).await, Ok(0));
                }
                drop(worker);
                if round == 100 {
                    before = Some((in_use(), memory()));
                }
            }
            let (in_use_before, memory_before) = before.unwrap();
            settles_at(in_use_before);
            // 900 workers: 2 KiB kept of each would show.
            let grown = memory().saturating_sub(memory_before);
            assert!(grown < 1800, "{grown} KiB more than after 100 workers");
            assert_eq!(windlass::Loop::current().handles().len(), 0);
        });
    });
}

#[test]
fn two_hundred_workers_at_once_leave_memory_threads_and_descriptors_where_they_were() {
    raise_descriptor_limit(4096);
    alone(|| {
        block_on(async {
            let mut before = None;
            for round in 0..4 {
                let workers: Vec<_> = (0..200).map(|_| echo()).collect();
                workers.iter().for_each(|worker| worker.post(round));
                for worker in &workers {
                    assert_eq!(worker.recv().await, Some(round));
                }
                if round == 0 {
                    let (threads, _) = in_use();
                    assert!(threads > 200, "{threads} threads");
                }
                let ends: Vec<_> = workers.iter().map(Worker::terminate).collect();
                for end in ends {
                    assert_eq!(end.await, 1);
                }
                drop(workers);
                let now = (in_use(), memory());
                let (in_use_before, memory_before) = *before.get_or_insert(now);
                settles_at(in_use_before);
                let grown = now.1.saturating_sub(memory_before);
                assert!(grown < 4096, "{grown} KiB more in round {round}");
            }
        });
    });
}
