//! What workers use, and their memory limits, with the allocator that counts.

mod common;

use std::hint::black_box;
use std::sync::mpsc;
use std::time::Duration;

use common::*;
use windlass::alloc;
use windlass::fs;
use windlass::worker::{self, Port, Worker, WorkerError, channel};
use windlass::{Loop, block_on, on_uncaught, queue_microtask, run, set_immediate};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting::new();

const MIB: usize = 1 << 20;

#[test]
fn the_allocator_counts_what_this_thread_has() {
    assert!(alloc::is_counting());
    let before = alloc::allocated();
    let mut bytes = black_box(Vec::<u8>::with_capacity(1000));
    assert_eq!(alloc::allocated() - before, 1000);
    bytes.reserve_exact(3000);
    assert_eq!(alloc::allocated() - before, 3000);
    let zeroes = black_box(vec![0_u8; 500]);
    assert_eq!(alloc::allocated() - before, 3500);
    drop((bytes, zeroes));
    assert_eq!(alloc::allocated(), before);
}

#[test]
fn what_another_thread_frees_leaves_its_count_unless_it_is_rebooked() {
    let block = black_box(vec![0_u8; 10_000]);
    let thread = std::thread::spawn(move || {
        let before = alloc::allocated();
        drop(block);
        assert_eq!(alloc::allocated() - before, -10_000);
        alloc::received(10_000);
        assert_eq!(alloc::allocated(), before);
    });
    thread.join().unwrap();
    let before = alloc::allocated();
    alloc::sent(10_000);
    assert_eq!(alloc::allocated() - before, -10_000);
}

/// A worker that keeps a MiB for each message, and posts how many it has.
fn hoarder(limit: usize) -> Worker<(), usize> {
    let builder = Worker::builder().memory_limit(limit);
    let spawned = builder.spawn(|port: Port<usize, ()>| {
        let mut hoard = Vec::new();
        let reply = port.clone();
        port.on_message(move |()| {
            hoard.push(black_box(vec![1_u8; MIB]));
            reply.post(hoard.len());
        });
    });
    spawned.unwrap()
}

#[test]
fn a_worker_over_its_limit_ends_with_a_coded_error_while_others_go_on() {
    bounded(|| {
        block_on(async {
            let (small, large) = (hoarder(4 * MIB), hoarder(400 * MIB));
            for _ in 0..10 {
                small.post(());
                large.post(());
            }
            let error = small.join().await.unwrap_err();
            let WorkerError::OutOfMemory { limit, allocated } = error else { panic!("{error}") };
            assert_eq!(limit, 4 * MIB);
            assert!((4 * MIB..6 * MIB).contains(&allocated), "{allocated}");
            assert_eq!(error.code(), "ERR_WORKER_OUT_OF_MEMORY");
            assert!(error.to_string().contains("bytes of memory"), "{error}");
            for count in 1..=4 {
                assert_eq!(small.recv().await, Some(count), "what it posted before still comes");
            }
            assert_eq!(small.recv().await, None);
            for count in 1..=10 {
                assert_eq!(large.recv().await, Some(count));
            }
            large.terminate().await;
        });
    });
}

// What the loop sets aside for a small file is freed on the loop, whatever becomes of the read.
#[test]
fn reads_that_fail_do_not_add_up_in_the_count_of_their_thread() {
    const ROUNDS: u64 = 300;
    let latin1 = std::env::temp_dir().join(format!("windlass-latin1-{}", std::process::id()));
    std::fs::write(&latin1, b"gr\xfc\xdfe").unwrap();
    bounded(move || {
        block_on(async {
            let mut before = None;
            for _ in 0..ROUNDS {
                assert!(fs::read("/not/there").await.is_err());
                assert!(fs::read_to_string("/not/there").await.is_err());
                let error = fs::read_to_string(&latin1).await.unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
                assert_eq!(fs::read(&latin1).await.unwrap().len(), 5);
                before.get_or_insert_with(alloc::allocated);
            }
            // Errors are made on one thread and dropped on the other: some hundred bytes each.
            let grown = alloc::allocated() - before.unwrap();
            assert!(grown.unsigned_abs() < ROUNDS * 1024, "{grown} bytes");
            std::fs::remove_file(&latin1).unwrap();
        });
    });
}

#[test]
fn the_limit_holds_in_a_chain_of_microtasks_and_at_checkpoints() {
    fn chain(mut hoard: Vec<Vec<u8>>) {
        hoard.push(black_box(vec![1_u8; MIB]));
        queue_microtask(move || chain(hoard));
    }
    bounded(|| {
        block_on(async {
            let limited = || Worker::<(), ()>::builder().memory_limit(2 * MIB);
            let chained = limited().spawn(|_| chain(Vec::new())).unwrap();
            let outcome = chained.join().await;
            assert!(matches!(outcome, Err(WorkerError::OutOfMemory { .. })), "{outcome:?}");
            let computing = limited().spawn(|_| {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1_u8; MIB]));
                    worker::checkpoint();
                }
            });
            let outcome = computing.unwrap().join().await;
            assert!(matches!(outcome, Err(WorkerError::OutOfMemory { .. })), "{outcome:?}");
        });
    });
}

// The current loop is not always the worker's own.
#[test]
fn a_checkpoint_inside_another_loop_ends_the_worker_and_not_that_loop() {
    bounded(|| {
        block_on(async {
            let limited = Worker::<(), &str>::builder().memory_limit(2 * MIB);
            let worker = limited.spawn(|port: Port<&str, ()>| {
                let other = Loop::new().unwrap();
                let hoard = black_box(vec![1_u8; 3 * MIB]);
                other.enter(worker::checkpoint);
                drop(hoard);
                port.post("it went on");
            });
            let worker = worker.unwrap();
            let outcome = worker.join().await;
            assert!(matches!(outcome, Err(WorkerError::OutOfMemory { .. })), "{outcome:?}");
            assert_eq!(worker.recv().await, None);
        });
    });
}

#[test]
fn nobody_to_hear_it_makes_the_excess_uncaught_at_the_parent() {
    bounded(|| {
        run(|| {
            on_uncaught(|uncaught| assert!(uncaught.message().contains("bytes of memory")));
            let worker = hoarder(MIB);
            worker.post(());
            worker.on_exit(|code| assert_eq!(code, 1));
        });
    });
}

#[test]
fn what_is_freed_before_the_callback_ends_does_not_count() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::builder().memory_limit(2 * MIB).spawn(|_| {
                for _ in 0..10 {
                    drop(black_box(vec![1_u8; 10 * MIB]));
                    set_immediate(|| ());
                }
            });
            assert_eq!(worker.unwrap().join().await, Ok(0));
        });
    });
}

#[test]
fn the_usage_of_a_worker_tells_memory_queues_iterations_and_cpu_time() {
    bounded(|| {
        block_on(async {
            let worker: Worker<u32, u32> = Worker::spawn(|port: Port<u32, u32>| {
                let hoard = black_box(vec![1_u8; 8 * MIB]);
                let mut sum = 0_u64;
                for number in 0..3_000_000_u64 {
                    sum = black_box(sum.wrapping_mul(31).wrapping_add(number));
                }
                // In the next iteration, so that the count has been looked at.
                set_immediate(move || {
                    set_immediate(move || {
                        port.post(1);
                        port.post(2);
                        let reply = port.clone();
                        port.on_message(move |number| {
                            reply.post(number + hoard.len() as u32);
                            reply.close();
                        });
                    });
                });
            })
            .unwrap();
            assert_eq!(worker.recv().await, Some(1));
            until(|| worker.usage().from_worker == 1).await;
            let usage = worker.usage();
            assert!(usage.allocated.unwrap() >= 8 * MIB as i64, "{usage:?}");
            assert!(usage.metrics.iterations >= 2, "{usage:?}");
            assert!(usage.cpu_time.unwrap() > Duration::ZERO, "{usage:?}");
            assert_eq!((usage.to_worker, usage.from_worker), (0, 1), "{usage:?}");
            assert!(usage.metrics.utilization() > 0.0);
            assert_eq!(worker.recv().await, Some(2));
            worker.post(5);
            assert_eq!(worker.recv().await, Some(5 + 8 * MIB as u32));
            assert_eq!(worker.join().await, Ok(0));
            let after = worker.usage();
            assert!(after.cpu_time.unwrap() >= usage.cpu_time.unwrap(), "the whole thread's");
            assert_eq!((after.allocated, after.metrics.iterations), (None, 0));
        });
    });
}

#[test]
fn a_port_gives_the_memory_of_a_burst_back_once_its_messages_are_delivered() {
    bounded(|| {
        run(|| {
            let (sender, receiver) = channel::<u64, ()>();
            let (sender, receiver) = (sender.open(), receiver.open());
            let (before, own) = (alloc::allocated(), receiver.clone());
            receiver.on_message(move |number| {
                if number == 0 {
                    own.close();
                    let kept = alloc::allocated() - before;
                    assert!(kept < MIB as i64, "{kept} bytes are kept");
                }
            });
            (0..1_000_000).rev().for_each(|number| sender.post(number));
            assert!(alloc::allocated() - before >= 8_000_000);
        });
    });
}

#[test]
fn messages_fetched_but_not_delivered_are_on_their_way() {
    bounded(|| {
        block_on(async {
            let (go_on, wait) = mpsc::channel::<()>();
            let worker: Worker<u32, u32> = Worker::spawn(move |port| {
                // Not before all are there.
                assert_eq!(port.recv_timeout(Duration::MAX), Ok(0));
                wait.recv().unwrap();
                let reply = port.clone();
                port.on_message(move |number| {
                    reply.post(number);
                    wait.recv().unwrap();
                    if number == 4 {
                        reply.close();
                    }
                });
            })
            .unwrap();
            (0..5).for_each(|number| worker.post(number));
            for number in 1..5_u32 {
                go_on.send(()).unwrap();
                assert_eq!(worker.recv().await, Some(number));
                assert_eq!(worker.usage().to_worker, 4 - number as usize);
            }
            go_on.send(()).unwrap();
            assert_eq!(worker.join().await, Ok(0));
        });
    });
}

#[test]
fn a_job_that_takes_too_much_fails_with_the_same_error_and_the_pool_goes_on() {
    bounded(|| {
        block_on(async {
            let builder = worker::WorkerPool::<usize, usize>::builder(1).memory_limit(2 * MIB);
            let pool = builder.build(|| {
                let mut hoard = Vec::new();
                move |bytes| {
                    hoard.push(black_box(vec![1_u8; bytes]));
                    worker::checkpoint();
                    bytes
                }
            });
            let pool = pool.unwrap();
            assert_eq!(pool.run(10).await, Ok(10));
            let outcome = pool.run(3 * MIB).await;
            assert!(matches!(outcome, Err(WorkerError::OutOfMemory { .. })), "{outcome:?}");
            assert_eq!(pool.run(11).await, Ok(11));
            assert_eq!(pool.metrics().failed, 1);
        });
    });
}

#[test]
fn a_job_given_to_a_worker_that_has_too_much_and_is_ending_goes_to_another_one() {
    bounded(|| {
        block_on(async {
            let builder = worker::WorkerPool::<usize, usize>::builder(2).memory_limit(2 * MIB);
            let pool = builder.build(|| {
                let mut hoard = Vec::new();
                // Without a checkpoint: it is too much when the job has its answer.
                move |number| {
                    hoard.push(black_box(vec![1_u8; MIB - 1024]));
                    number
                }
            });
            let pool = pool.unwrap();
            let jobs: Vec<_> = (0..40).map(|number| pool.run(number)).collect();
            for (number, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.await, Ok(number));
            }
            assert_eq!(pool.metrics().failed, 0);
        });
    });
}
