//! Workers in sequence leave nothing. A binary of its own: it counts the process's threads.

mod support;

use support::*;
use windlass::block_on;
use windlass::worker::Worker;

/// How many threads and open descriptors the process has.
fn in_use() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

// WK-22.
#[test]
fn sixty_workers_in_sequence_leave_threads_and_descriptors_where_they_were() {
    bounded(|| {
        let mut before = None;
        for round in 0..60 {
            block_on(async {
                let worker: Worker<u32, u32> = Worker::spawn(|port| {
                    let replies = port.clone();
                    port.on_message(move |number| replies.post(number));
                })
                .unwrap();
                worker.post(round);
                assert_eq!(worker.recv().await, Some(round));
                assert_eq!(worker.terminate().await, 1);
            });
            // The first round pays for what the process has once.
            let now = in_use();
            assert_eq!(now, *before.get_or_insert(now), "in round {round}");
        }
    });
}
