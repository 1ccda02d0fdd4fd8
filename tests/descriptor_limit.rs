//! Life at the limit of open descriptors. A binary of its own: the limit is the process's.
#![allow(unsafe_code)] // The limit, for which std has no words.

mod common;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::net::TcpStream as StdStream;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::net::TcpListener;
use windlass::{Loop, run, set_timeout};

/// The system's code of an error, or of the one that it was made from.
fn os_code(error: &io::Error) -> Option<i32> {
    let source = || error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    error.raw_os_error().or_else(source)
}

#[test]
fn a_burst_of_connections_at_the_limit_is_shed_and_reported_once() {
    const WAITING: usize = 10;
    let _guard = alone();
    bounded(|| {
        let errors = Rc::new(RefCell::new(Vec::new()));
        let accepted = Rc::new(Cell::new(0));
        virtual_loop().run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..WAITING).map(|_| StdStream::connect(addr).unwrap()).collect();
            let mut limit = Some(FewDescriptors::new(0));
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
fn a_connection_that_takes_the_last_descriptor_is_no_lack_of_them() {
    let _guard = alone();
    bounded(|| {
        let told = Rc::new(RefCell::new(Vec::new()));
        let seen = told.clone();
        run(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let mut limit = Some(FewDescriptors::new(1));
            let own = listener.clone();
            listener.on_connection(move |connection| {
                told.borrow_mut().push(connection.as_ref().err().map(io::Error::kind));
                // It is open when the listener looks for the next one.
                let (limit, own, _held) = (limit.take(), own.clone(), &client);
                windlass::set_immediate(move || {
                    drop(limit);
                    own.close();
                });
                if let Ok(connection) = connection {
                    connection.read_start(|_, _| ());
                }
            });
        });
        assert_eq!(*seen.borrow(), [None], "one connection, and nobody else waited");
    });
}

#[test]
fn a_loop_or_listener_that_cannot_be_made_is_an_error() {
    let _guard = alone();
    bounded(|| {
        run(|| {
            let limit = FewDescriptors::new(0);
            let failed = [Loop::new().err(), TcpListener::bind("127.0.0.1:0").err()];
            drop(limit);
            for error in failed {
                assert_eq!(error.and_then(|error| os_code(&error)), Some(libc::EMFILE));
            }
        });
    });
}

/// As many as of accepted ones, so that others have their turn.
#[test]
fn a_poll_phase_sheds_no_more_connections_than_it_would_accept() {
    const WAITING: usize = 150;
    const PER_PHASE: usize = 64;
    let _guard = alone();
    bounded(|| {
        let longest = Rc::new(Cell::new(0));
        let seen = longest.clone();
        run(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..WAITING)
                .map(|_| {
                    let client = StdStream::connect(addr).unwrap();
                    client.set_nonblocking(true).unwrap();
                    client
                })
                .collect();
            let limit = FewDescriptors::new(0);
            listener.on_connection(|connection| assert!(connection.is_err()));
            // Once an iteration: how many clients have been closed since.
            fn count(clients: Vec<StdStream>, before: usize, longest: Rc<Cell<usize>>) {
                let closed = |client: &&StdStream| !matches!(client.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
                let now = clients.iter().filter(closed).count();
                longest.set(longest.get().max(now - before));
                if now == WAITING {
                    return windlass::exit(0);
                }
                windlass::set_immediate(move || count(clients, now, longest));
            }
            windlass::set_immediate(move || {
                let _limit = &limit;
                count(clients, 0, seen);
                // The limit lasts for as long as the loop.
                set_timeout(Duration::from_secs(3600), move || drop(limit)).unref();
            });
        });
        assert!(longest.get() > 0 && longest.get() <= PER_PHASE, "{} in a phase", longest.get());
    });
}

/// The task's side has the same limit.
#[test]
fn a_task_sheds_no_more_connections_in_an_iteration_than_it_would_accept() {
    const WAITING: usize = 150;
    let _guard = alone();
    bounded(|| {
        windlass::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let clients: Vec<_> = (0..WAITING).map(|_| StdStream::connect(addr).unwrap()).collect();
            let limit = FewDescriptors::new(0);
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            let before = Loop::current().metrics().iterations;
            let accept = windlass::spawn(async move { listener.accept().await.map(drop) });
            for client in &clients {
                client.set_nonblocking(true).unwrap();
            }
            let closed = |client: &StdStream| !matches!(client.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            until(|| clients.iter().all(closed)).await;
            let made = Loop::current().metrics().iterations - before;
            assert!(made >= 2, "{WAITING} connections in {made} iterations");
            drop(limit);
            drop(StdStream::connect(addr).unwrap());
            accept.await.unwrap().unwrap();
        });
    });
}

#[test]
fn a_listener_can_be_made_with_the_last_descriptor() {
    let _guard = alone();
    bounded(|| {
        run(|| {
            // The loop's poller needs descriptors of its own.
            let first = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut limit = FewDescriptors::new(0);
            limit.give_one_back();
            let listener = TcpListener::bind("127.0.0.1:0");
            drop(limit);
            let listener = listener.unwrap();
            let own = listener.clone();
            let _client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            listener.on_connection(move |connection| {
                drop(connection.unwrap());
                own.close();
            });
            first.close();
        });
    });
}

/// In a directory tree without `/dev`, as a server that has changed its root sees it.
#[test]
fn a_listener_needs_no_file() {
    let _guard = alone();
    let root = std::env::temp_dir().join(format!("windlass-no-dev-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let path = std::ffi::CString::new(root.to_str().unwrap()).unwrap();
    bounded(move || {
        // SAFETY: the path lives across the call. This thread gets a root directory of its own, and ends
        // with the test.
        let changed =
            unsafe { libc::unshare(libc::CLONE_FS) == 0 && libc::chroot(path.as_ptr()) == 0 };
        if changed {
            assert!(File::open("/dev/null").is_err());
            run(|| drop(TcpListener::bind("127.0.0.1:0").unwrap()));
        } else {
            // Only root may: the test above, with one descriptor left, says the most of it.
            eprintln!("the root directory cannot be changed: {}", io::Error::last_os_error());
        }
    });
    std::fs::remove_dir(&root).unwrap();
}

#[test]
fn an_error_that_lasts_is_reported_with_a_pause_between() {
    let _guard = alone();
    bounded(|| {
        let listener_errors = Rc::new(RefCell::new(Vec::new()));
        let reported = listener_errors.clone();
        virtual_loop().run(move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let own = listener.clone();
            listener.on_connection(move |connection| {
                let error = connection.expect_err("a socket that does not listen any more");
                reported.borrow_mut().push((error.raw_os_error(), windlass::now()));
                if reported.borrow().len() == 3 {
                    own.close();
                }
            });
            // As another process may, that has the socket too.
            // SAFETY: the listener owns its descriptor, and is open.
            let failed = unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) };
            assert_eq!(failed, 0);
        });
        let errors = listener_errors.borrow();
        assert!(errors.iter().all(|(error, _)| *error == Some(libc::EINVAL)), "{errors:?}");
        let times: Vec<_> = errors.iter().map(|(_, time)| *time).collect();
        assert!(times.is_sorted_by(|before, after| *after >= *before + ms(50)), "{times:?}");
    });
}
