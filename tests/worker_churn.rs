//! Workers leave nothing. A binary of its own: it counts the process's threads, descriptors and memory.

mod common;

use common::*;
use windlass::block_on;
use windlass::worker::Worker;

/// Waits until the process has no more than these: the end of a worker may be told a moment before its
/// thread and what that holds are gone. A test that leaks hangs here.
fn settles_at(before: Footprint) {
    wait_until(|| {
        let now = Footprint::now();
        now.threads <= before.threads && now.descriptors <= before.descriptors
    });
}

/// Runs a test body while no other of this file runs.
fn in_turn(body: impl FnOnce() + Send + 'static) {
    let _guard = alone();
    bounded(body);
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
fn sixty_workers_in_sequence_leave_no_thread_and_no_descriptor() {
    in_turn(|| {
        let mut before = None;
        for round in 0..60 {
            block_on(async {
                let worker = echo();
                worker.post(round);
                assert_eq!(worker.recv().await, Some(round));
                assert_eq!(worker.terminate().await, 1);
            });
            // The first round pays for what the process has once.
            settles_at(*before.get_or_insert_with(Footprint::now));
        }
    });
}

// WK-22, more of it, on one loop, ending in turn in every way.
#[test]
fn a_thousand_workers_in_sequence_leave_nothing_behind() {
    in_turn(|| {
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
                    before = Some(Footprint::now());
                }
            }
            let before: Footprint = before.unwrap();
            settles_at(before);
            // 900 workers: 2 KiB kept of each would show.
            let grown = Footprint::now().resident_kb.saturating_sub(before.resident_kb);
            assert!(grown < 1800, "{grown} KiB more than after 100 workers");
            assert_eq!(windlass::Loop::current().handles().len(), 0);
        });
    });
}

#[test]
fn two_hundred_workers_at_once_leave_nothing_behind() {
    raise_descriptor_limit(4096);
    in_turn(|| {
        block_on(async {
            let mut before = None;
            for round in 0..4 {
                let workers: Vec<_> = (0..200).map(|_| echo()).collect();
                workers.iter().for_each(|worker| worker.post(round));
                for worker in &workers {
                    assert_eq!(worker.recv().await, Some(round));
                }
                if round == 0 {
                    let threads = Footprint::now().threads;
                    assert!(threads >= 200, "{threads} threads");
                }
                let ends: Vec<_> = workers.iter().map(Worker::terminate).collect();
                for end in ends {
                    assert_eq!(end.await, 1);
                }
                drop(workers);
                let now = Footprint::now();
                let before = *before.get_or_insert(now);
                settles_at(before);
                let grown = now.resident_kb.saturating_sub(before.resident_kb);
                assert!(grown < 4096, "{grown} KiB more in round {round}");
            }
        });
    });
}
