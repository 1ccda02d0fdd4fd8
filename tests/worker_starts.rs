//! A process that has nothing left to start a worker with. A binary of its own: it takes all descriptors.

mod common;

use std::fs::File;
use std::io;
use std::time::Duration;

use common::*;
use windlass::net::TcpListener;
use windlass::worker::{Worker, WorkerPool};
use windlass::{Loop, block_on};

// WK-17 and WK-18.
#[test]
fn a_worker_that_cannot_be_made_is_an_error_and_holds_nothing() {
    bounded(|| {
        block_on(async {
            let builder = Worker::<(), ()>::builder().stack_size(1 << 60);
            let started = builder.spawn(|_| panic!("it cannot start"));
            let error = started.expect_err("no address space is that large");
            assert!(error.raw_os_error().is_some(), "{error}");
            assert!(!Loop::current().is_alive());
            assert_eq!(Worker::<(), ()>::spawn(|_| ()).unwrap().join().await, Ok(0));
        });
    });
}

// A worker's loop takes its descriptors with its first source.
#[test]
fn a_worker_needs_no_descriptors_until_it_has_a_source() {
    bounded(|| {
        block_on(async {
            raise_descriptor_limit(256);
            let mut taken = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                taken.push(file);
            }
            let worker = Worker::<(), io::Result<()>>::spawn(|port| {
                let reply = port.clone();
                port.on_message(move |()| reply.post(TcpListener::bind("127.0.0.1:0").map(drop)));
            })
            .unwrap();
            let pool = WorkerPool::<u8, u8>::new(1, || |number| number + 1).unwrap();
            assert_eq!(pool.run(1).await.unwrap(), 2);
            worker.post(());
            let error = worker.recv().await.unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
            drop(taken);
            worker.post(());
            worker.recv().await.unwrap().expect("there are descriptors again");
            assert_eq!(worker.shutdown(Duration::from_secs(50)).await, Ok(0));
            drop(pool);
        });
    });
}
