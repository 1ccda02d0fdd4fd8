//! A process that has nothing left to start a worker with. A binary of its own: it takes all descriptors.

mod support;

use std::fs::File;
use std::time::Duration;

use support::*;
use windlass::worker::{Worker, WorkerPool};
use windlass::{Loop, block_on};

// WK-17.
#[test]
fn without_descriptors_starting_a_worker_is_an_error_with_the_systems_code() {
    bounded(|| {
        block_on(async {
            raise_descriptor_limit(256);
            let worker = Worker::<u8, u8>::spawn(|port| {
                let reply = port.clone();
                port.on_message(move |number| reply.post(number + 1));
            })
            .unwrap();
            let mut taken = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                taken.push(file);
            }
            let error = Worker::<(), ()>::spawn(|_| ()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
            let error = WorkerPool::<(), ()>::new(1, || |()| ()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
            drop(taken);
            // Those that there are go on, and new ones can be started again.
            worker.post(1);
            assert_eq!(worker.recv().await, Some(2));
            assert_eq!(worker.shutdown(Duration::from_secs(50)).await, Ok(0));
            assert_eq!(Worker::<(), ()>::spawn(|_| ()).unwrap().join().await, Ok(0));
            assert!(!Loop::current().is_alive());
        });
    });
}
