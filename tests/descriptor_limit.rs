//! Life at the limit of open descriptors. A binary of its own: the limit is the process's.
#![allow(unsafe_code)] // The limit, for which std has no words.

mod support;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use support::*;
use windlass::net::TcpListener;
use windlass::{Loop, run, set_timeout};

/// One test at a time, for they share the limit.
static LIMIT: Mutex<()> = Mutex::new(());

/// Takes every descriptor that the process may still open, and gives them back when dropped.
struct NoDescriptors {
    limit: libc::rlimit,
    taken: Vec<File>,
}

impl NoDescriptors {
    fn new() -> NoDescriptors {
        let mut taken = Vec::with_capacity(256);
        // SAFETY: both calls get a live structure of the right type.
        let limit = unsafe {
            let mut limit: libc::rlimit = std::mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
            let low = libc::rlimit { rlim_cur: 256, rlim_max: limit.rlim_max };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &low), 0);
            limit
        };
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        NoDescriptors { limit, taken }
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        self.taken.clear();
        // SAFETY: the structure is alive and was filled in by the system.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.limit) }, 0);
    }
}

/// The system's code of an error, or of the one that it was made from.
fn os_code(error: &io::Error) -> Option<i32> {
    let source = || error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    error.raw_os_error().or_else(source)
}

#[test]
fn a_burst_of_connections_at_the_limit_is_shed_and_reported_once() {
    const WAITING: usize = 10;
    let _alone = LIMIT.lock();
    bounded(|| {
        let errors = Rc::new(RefCell::new(Vec::new()));
        let accepted = Rc::new(Cell::new(0));
        run_in_virtual_time(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..WAITING).map(|_| StdStream::connect(addr).unwrap()).collect();
            let mut limit = Some(NoDescriptors::new());
            let before = Loop::current().metrics().iterations;
            let (errors, accepted, closer) = (errors.clone(), accepted.clone(), listener.clone());
            listener.on_connection(move |connection| match connection {
                Err(error) => {
                    errors.borrow_mut().push(error.raw_os_error());
                    let mut limit = limit.take();
                    // Long enough to see whether the listener spins or reports again.
                    set_timeout(Duration::from_millis(50), move || {
                        let made = Loop::current().metrics().iterations - before;
                        assert!(made <= 20, "{made} iterations");
                        drop(limit.take());
                        StdStream::connect(addr).unwrap();
                    });
                }
                Ok(connection) => {
                    accepted.set(accepted.get() + 1);
                    let peer = connection.peer_addr().unwrap();
                    let is_waiting = |client: &StdStream| client.local_addr().unwrap() == peer;
                    if !clients.iter().any(is_waiting) {
                        closer.close();
                    }
                }
            });
        });
        assert_eq!(*errors.borrow(), [Some(libc::EMFILE)], "one report for the burst");
        assert!(accepted.get() >= 1, "the listener goes on when there are descriptors again");
    });
}

#[test]
fn a_loop_or_listener_that_cannot_be_made_is_an_error() {
    let _alone = LIMIT.lock();
    bounded(|| {
        run(|| {
            let limit = NoDescriptors::new();
            let failed = [Loop::new().err(), TcpListener::bind("127.0.0.1:0").err()];
            drop(limit);
            for error in failed {
                assert_eq!(error.and_then(|error| os_code(&error)), Some(libc::EMFILE));
            }
        });
    });
}
