//! Watching raw descriptors: pipes, socket pairs and whatever else can be polled.
#![allow(unsafe_code)] // Out-of-band data and a descriptor that is not open, for both std has no words.

mod common;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::TcpListener as StdListener;
use std::net::TcpStream as StdStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::handle::{Interest, Poll, Readiness};
use windlass::{Loop, block_on, queue_work, run, set_interval, set_timeout};

/// A pipe whose ends can be watched and used at the same time.
fn pipe() -> (Rc<PipeReader>, Rc<PipeWriter>) {
    let (reader, writer) = io::pipe().unwrap();
    (Rc::new(reader), Rc::new(writer))
}

/// Makes a descriptor non-blocking, as a program that reads until would-block does.
fn set_nonblocking(fd: &impl AsRawFd) {
    // SAFETY: changing the flags of an open descriptor touches no memory of this process.
    unsafe {
        let flags = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
        assert_eq!(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK), 0);
    }
}

// F-01.
#[test]
fn a_callback_that_reads_nothing_or_a_part_is_called_again() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (reader, writer) = pipe();
            (&*writer).write_all(b"ab").unwrap();
            let poll = Poll::new(reader.clone());
            let (poll_inside, log, mut calls) = (poll.clone(), log.clone(), 0);
            poll.start(Interest::READABLE, move |ready| {
                let _held = &writer;
                assert!(ready.is_readable());
                calls += 1;
                let mut one = [0];
                match calls {
                    1..=3 => log.say("read nothing"),
                    4 | 5 => {
                        (&*reader).read_exact(&mut one).unwrap();
                        log.say(char::from(one[0]));
                    }
                    _ => panic!("the pipe is empty"),
                }
                if calls == 5 {
                    let poll = poll_inside.clone();
                    after_iterations(5, move || poll.close());
                }
            })
            .unwrap();
        });
        assert_eq!(log.lines(), ["read nothing", "read nothing", "read nothing", "a", "b"]);
    });
}

// F-01, with the loop making one call per iteration and giving the others their turn.
#[test]
fn a_callback_that_reads_nothing_does_not_starve_timers() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        run(|| {
            let (reader, writer) = pipe();
            (&*writer).write_all(b"x").unwrap();
            let poll = Poll::new(reader);
            let count = calls.clone();
            poll.start(Interest::READABLE, move |_| count.set(count.get() + 1)).unwrap();
            // Without timers the test would not end.
            let (count, mut writer) = (calls.clone(), Some(writer));
            set_interval(Duration::from_millis(1), move |timer| {
                if count.get() > 1 {
                    poll.close();
                    drop(writer.take());
                    timer.clear();
                }
            });
        });
    });
}

// F-02.
#[test]
fn only_what_was_asked_for_is_reported() {
    bounded(|| {
        let log = Trace::new();
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"x").unwrap();
        run(|| {
            let poll = Poll::new(near);
            let (inside, said) = (poll.clone(), log.clone());
            poll.start(Interest::READABLE, move |ready| {
                assert!(ready.is_readable() && !ready.is_writable());
                said.say("readable");
                let (again, said) = (inside.clone(), said.clone());
                let started = inside.start(Interest::WRITABLE, move |ready| {
                    assert!(ready.is_writable() && !ready.is_readable());
                    said.say("writable");
                    let (closer, said) = (again.clone(), said.clone());
                    let started =
                        again.start(Interest::READABLE | Interest::WRITABLE, move |ready| {
                            assert!(ready.is_readable() && ready.is_writable());
                            said.say("both");
                            closer.close();
                        });
                    started.unwrap();
                });
                started.unwrap();
            })
            .unwrap();
        });
        assert_eq!(log.lines(), ["readable", "writable", "both"]);
    });
}

// F-03.
#[test]
fn another_interest_replaces_the_old_one_and_sees_what_is_already_there() {
    bounded(|| {
        let log = Trace::new();
        block_on(async {
            let (near, mut far) = UnixStream::pair().unwrap();
            far.write_all(b"x").unwrap();
            let poll = Poll::new(near);
            let said = log.clone();
            poll.start(Interest::WRITABLE, move |_| said.say("writable")).unwrap();
            until(|| log.count("writable") >= 2).await;
            let said = log.clone();
            // No new byte is sent: the one from the beginning must be reported.
            poll.start(Interest::READABLE, move |ready| {
                assert!(!ready.is_writable());
                said.say("readable");
            })
            .unwrap();
            let writable = log.count("writable");
            until(|| log.count("readable") >= 2).await;
            assert_eq!(log.count("writable"), writable, "the old callback is gone");
            poll.close();
        });
    });
}

// F-04.
#[test]
fn a_stopped_watcher_is_not_called_even_for_an_event_of_the_same_batch() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        run(|| {
            let polls: Rc<RefCell<Vec<Poll<Rc<PipeReader>>>>> = Rc::default();
            for _ in 0..2 {
                let (reader, writer) = pipe();
                (&*writer).write_all(b"x").unwrap();
                let poll = Poll::new(reader);
                let (all, calls) = (polls.clone(), calls.clone());
                poll.start(Interest::READABLE, move |_| {
                    let _held = &writer;
                    calls.set(calls.get() + 1);
                    for poll in all.borrow().iter() {
                        poll.stop();
                        assert!(!poll.is_active());
                    }
                })
                .unwrap();
                assert!(poll.is_active());
                polls.borrow_mut().push(poll);
            }
        });
        assert_eq!(calls.get(), 1);
    });
}

/// A job in virtual time is run when it is called, and its turn is after all watchers. It takes the place of a
/// watcher that is closed, whose event is in the list already.
#[test]
fn an_event_for_a_watcher_that_closed_never_reaches_what_has_its_place() {
    bounded(|| {
        let log = Trace::new();
        virtual_loop().run(|| {
            let polls: Rc<RefCell<Vec<Poll<Rc<PipeReader>>>>> = Rc::default();
            for number in 0..3 {
                let (reader, writer) = pipe();
                (&*writer).write_all(b"x").unwrap();
                let poll = Poll::new(reader);
                let (all, log) = (polls.clone(), log.clone());
                poll.start(Interest::READABLE, move |_| {
                    let _held = &writer;
                    if log.lines().is_empty() {
                        all.borrow()[(number + 1) % 3].close();
                        let done = log.clone();
                        queue_work(|| ()).on_complete(move |_| done.say("done"));
                    }
                    log.say("watcher");
                    all.borrow()[number].close();
                })
                .unwrap();
                polls.borrow_mut().push(poll);
            }
        });
        assert_eq!(log.lines(), ["watcher", "watcher", "done"]);
    });
}

// F-04.
#[test]
fn after_stop_and_start_what_is_ready_is_reported_again() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        block_on(async {
            let (reader, writer) = pipe();
            (&*writer).write_all(b"x").unwrap();
            let poll = Poll::new(reader);
            for round in 1..=3 {
                let (count, stopper) = (calls.clone(), poll.clone());
                poll.start(Interest::READABLE, move |_| {
                    count.set(count.get() + 1);
                    stopper.stop();
                })
                .unwrap();
                until(|| calls.get() == round).await;
                iterations(5).await;
                assert_eq!(calls.get(), round);
            }
        });
    });
}

// F-05.
#[test]
fn a_second_active_watcher_of_a_descriptor_is_refused_until_the_first_is_stopped() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        run(|| {
            let (reader, writer) = pipe();
            (&*writer).write_all(b"x").unwrap();
            let first = Poll::new(reader.clone());
            let second = Poll::new(reader);
            first.start(Interest::READABLE, |_| panic!("stopped before the loop turned")).unwrap();
            let refused = second.start(Interest::READABLE, |_| panic!("refused")).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EEXIST));
            assert!(first.is_active() && !second.is_active());
            first.stop();
            let (count, closer) = (calls.clone(), second.clone());
            let started = second.start(Interest::READABLE, move |_| {
                let _held = &writer;
                count.set(count.get() + 1);
                closer.close();
            });
            started.unwrap();
        });
        assert_eq!(calls.get(), 1);
    });
}

// F-06.
#[test]
fn files_and_directories_are_refused_and_handed_back() {
    bounded(|| {
        run(|| {
            for path in [std::env::current_exe().unwrap(), std::env::temp_dir()] {
                let poll = Poll::new(File::open(path).unwrap());
                let refused = poll.start(Interest::READABLE, |_| panic!("refused")).unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
                assert!(!poll.is_active());
                let file = poll.into_inner().expect("the file comes back");
                file.metadata().expect("and is open");
            }
        });
    });
}

// F-07.
#[test]
fn a_descriptor_that_is_not_open_fails_cleanly() {
    bounded(|| {
        run(|| {
            // SAFETY: the number lies above every limit, so it is nobody's descriptor.
            let nobody = unsafe { BorrowedFd::borrow_raw(i32::MAX - 7) };
            let poll = Poll::new(nobody);
            for _ in 0..2 {
                let error = poll.start(Interest::READABLE, |_| panic!("refused")).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EBADF));
                assert!(!poll.is_active());
            }
            poll.close();
        });
    });
}

// F-08.
#[test]
fn watchers_closed_at_once_see_no_events() {
    bounded(|| {
        let token = Rc::new(());
        run(|| {
            for _ in 0..64 {
                let (near, mut far) = UnixStream::pair().unwrap();
                far.write_all(b"x").unwrap();
                let poll = Poll::new(near);
                let token = token.clone();
                poll.start(Interest::READABLE | Interest::WRITABLE, move |_| {
                    panic!("closed, and holding {token:?}")
                })
                .unwrap();
                poll.close();
                assert!(!poll.is_active());
                poll.close();
            }
        });
        assert_eq!(Rc::strong_count(&token), 1, "each callback was dropped");
    });
}

/// Whether a socket pair's other end has been closed.
fn is_at_end(stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match { stream }.read(&mut [0]) {
        Ok(0) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        other => panic!("{other:?}"),
    }
}

// F-09.
#[test]
fn an_owning_watcher_closes_its_descriptor_and_a_borrowing_one_does_not() {
    bounded(|| {
        let (near, owned_far) = UnixStream::pair().unwrap();
        let shared = UnixStream::pair().unwrap();
        let (shared, shared_far) = (Rc::new(OwnedFd::from(shared.0)), shared.1);
        run(|| {
            let owning = Poll::new(near);
            let borrowing = Poll::new(shared.clone());
            owning.start(Interest::READABLE, |_| panic!("nothing was sent")).unwrap();
            borrowing.start(Interest::READABLE, |_| panic!("nothing was sent")).unwrap();
            assert!(!is_at_end(&owned_far) && !is_at_end(&shared_far));
            owning.close();
            borrowing.close();
        });
        assert!(is_at_end(&owned_far));
        assert!(!is_at_end(&shared_far));
        assert_eq!(Rc::strong_count(&shared), 1, "the watcher has let go");
    });
}

// F-09.
#[test]
fn the_object_taken_back_is_open_and_can_be_watched_again() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        run(|| {
            let (near, mut far) = UnixStream::pair().unwrap();
            let poll = Poll::new(near);
            poll.start(Interest::READABLE, |_| panic!("taken back before")).unwrap();
            let clone = poll.clone();
            assert!(clone.into_inner().is_none(), "another name is left");
            let near = poll.into_inner().expect("the last name gives the object back");
            assert!(!is_at_end(&far));
            far.set_nonblocking(false).unwrap();
            far.write_all(b"x").unwrap();
            let poll = Poll::new(near);
            let (count, closer) = (calls.clone(), poll.clone());
            let started = poll.start(Interest::READABLE, move |_| {
                let _held = &far;
                count.set(count.get() + 1);
                closer.close();
            });
            started.unwrap();
        });
        assert_eq!(calls.get(), 1);
        run(|| {
            let poll = Poll::new(UnixStream::pair().unwrap().0);
            poll.close();
            assert!(poll.into_inner().is_none(), "closed means gone");
        });
    });
}

// F-10.
#[test]
fn a_disconnect_is_reported_once() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        virtual_loop().run(|| {
            let (near, far) = UnixStream::pair().unwrap();
            let poll = Poll::new(near);
            let count = calls.clone();
            poll.start(Interest::DISCONNECT, move |ready| {
                assert!(ready.is_disconnected());
                count.set(count.get() + 1);
            })
            .unwrap();
            after_iterations(3, || drop(far));
            set_timeout(Duration::from_millis(30), move || poll.close());
        });
        assert_eq!(calls.get(), 1);
    });
}

/// A pipe that nobody reads has an error and no other word for it; so has a socket that was reset, for who asks for
/// urgent bytes. In virtual time a watcher that is called again and again would keep the clock from moving.
#[test]
fn an_error_that_no_read_or_write_takes_away_is_reported_once() {
    bounded(|| {
        let log = Trace::new();
        virtual_loop().run(|| {
            let (reader, writer) = pipe();
            let (watcher, said) = (Poll::new(writer), log.clone());
            let tells = move |ready: Readiness| {
                said.say(format!("{} {}", ready.is_disconnected(), ready.is_priority()));
            };
            watcher.start(Interest::DISCONNECT, tells.clone()).unwrap();
            let (own, again) = (watcher.clone(), tells.clone());
            set_timeout(ms(10), move || own.start(Interest::DISCONNECT, again).unwrap());
            after_iterations(3, || drop(reader));
            set_timeout(ms(20), move || watcher.close());
        });
        log.expect(&["true false", "true false"]); // Once for each start.

        for interest in [Interest::PRIORITY, Interest::PRIORITY | Interest::DISCONNECT] {
            virtual_loop().run(|| {
                let listener = StdListener::bind("127.0.0.1:0").unwrap();
                let peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
                let (ours, _) = listener.accept().unwrap();
                reset_on_drop(&peer);
                drop(peer);
                let (watcher, said) = (Poll::new(ours), log.clone());
                let tells = move |ready: Readiness| {
                    said.say(format!("{} {}", ready.is_disconnected(), ready.is_priority()));
                };
                watcher.start(interest, tells).unwrap();
                set_timeout(ms(20), move || watcher.close());
            });
            let told = if interest == Interest::PRIORITY { "false false" } else { "true false" };
            log.expect(&[told]);
        }
    });
}

// F-11.
#[test]
fn out_of_band_data_is_reported_as_priority_beside_normal_reading() {
    bounded(|| {
        let log = Trace::new();
        block_on(async {
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            let mut sender = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let (receiver, _) = listener.accept().unwrap();
            let receiver = Rc::new(receiver);
            let poll = Poll::new(receiver.clone());
            let (said, socket) = (log.clone(), receiver.clone());
            poll.start(Interest::READABLE | Interest::PRIORITY, move |ready| {
                if ready.is_priority() && log_is_new(&said, "priority") {
                    let mut urgent = 0u8;
                    // SAFETY: the buffer is one live byte, and so is the length.
                    let len = unsafe {
                        libc::recv(socket.as_raw_fd(), (&raw mut urgent).cast(), 1, libc::MSG_OOB)
                    };
                    assert_eq!((len, urgent), (1, b'!'));
                }
                if ready.is_readable() {
                    let mut buffer = [0; 16];
                    socket.set_nonblocking(true).unwrap();
                    if let Ok(len) = (&*socket).read(&mut buffer) {
                        said.say(String::from_utf8_lossy(&buffer[..len]));
                    }
                }
            })
            .unwrap();
            sender.write_all(b"before").unwrap();
            until(|| log.count("before") == 1).await;
            assert_eq!(log.count("priority"), 0);
            // SAFETY: the buffer is one live byte, and so is the length.
            let sent =
                unsafe { libc::send(sender.as_raw_fd(), c"!".as_ptr().cast(), 1, libc::MSG_OOB) };
            assert_eq!(sent, 1);
            until(|| log.count("priority") == 1).await;
            sender.write_all(b"after").unwrap();
            until(|| log.count("after") == 1).await;
            poll.close();
        });
    });
}

/// Says `line` unless it has been said.
fn log_is_new(log: &Trace, line: &str) -> bool {
    let is_new = log.count(line) == 0;
    if is_new {
        log.say(line);
    }
    is_new
}

// F-12.
#[test]
fn a_hang_up_of_an_empty_pipe_is_readable_so_that_the_read_finds_the_end() {
    bounded(|| {
        for closed_before_start in [true, false] {
            let log = Trace::new();
            run(|| {
                let (reader, writer) = pipe();
                let mut writer = Some(writer);
                if closed_before_start {
                    writer = None;
                }
                let poll = Poll::new(reader.clone());
                let (closer, log) = (poll.clone(), log.clone());
                poll.start(Interest::READABLE, move |ready| {
                    assert!(ready.is_readable());
                    assert_eq!((&*reader).read(&mut [0]).unwrap(), 0);
                    log.say("end");
                    closer.close();
                })
                .unwrap();
                after_iterations(3, move || drop(writer));
            });
            assert_eq!(log.lines(), ["end"]);
        }
    });
}

// F-13.
#[test]
fn the_error_of_a_full_pipe_without_reader_is_writable_so_that_the_write_fails() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (reader, writer) = pipe();
            set_nonblocking(&*writer);
            let full = loop {
                if let Err(error) = (&*writer).write(&[0; 4096]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::WouldBlock);
            let poll = Poll::new(writer.clone());
            let (closer, log) = (poll.clone(), log.clone());
            poll.start(Interest::WRITABLE, move |ready| {
                assert!(ready.is_writable());
                let error = (&*writer).write(&[0; 4096]).unwrap_err();
                log.say(format!("{:?}", error.kind()));
                closer.close();
            })
            .unwrap();
            after_iterations(3, move || drop(reader));
        });
        assert_eq!(log.lines(), ["BrokenPipe"]);
    });
}

// F-14.
#[test]
fn a_closed_watcher_is_quiet_although_its_file_is_open_elsewhere() {
    bounded(|| {
        let checked = Rc::new(Cell::new(false));
        run(|| {
            let (near, mut far) = UnixStream::pair().unwrap();
            let duplicate = near.as_fd().try_clone_to_owned().unwrap();
            let poll = Poll::new(near);
            poll.start(Interest::READABLE, |_| panic!("closed before anything came")).unwrap();
            let checked = checked.clone();
            after_iterations(2, move || {
                poll.close();
                far.write_all(b"x").unwrap();
                // On the real clock: a poll that an event of nobody's ends again and again is seen there only.
                let before = Loop::current().metrics().iterations;
                set_timeout(Duration::from_millis(100), move || {
                    let made = Loop::current().metrics().iterations - before;
                    assert!(made <= 20, "{made} iterations");
                    drop((duplicate, far));
                    checked.set(true);
                });
            });
        });
        assert!(checked.get());
    });
}

// F-15.
#[test]
fn after_a_would_block_the_watcher_waits_for_the_next_data_without_spinning() {
    bounded(|| {
        let log = Trace::new();
        virtual_loop().run(|| {
            let (reader, writer) = pipe();
            set_nonblocking(&*reader);
            (&*writer).write_all(b"one").unwrap();
            let poll = Poll::new(reader.clone());
            let (closer, said) = (poll.clone(), log.clone());
            poll.start(Interest::READABLE, move |_| {
                let mut buffer = [0; 16];
                loop {
                    match (&*reader).read(&mut buffer) {
                        Ok(0) => break, // The writer has gone.
                        Ok(len) => said.say(String::from_utf8_lossy(&buffer[..len])),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                if said.count("two") == 1 {
                    closer.close();
                }
            })
            .unwrap();
            let before = Loop::current().metrics().iterations;
            set_timeout(Duration::from_millis(100), move || {
                let made = Loop::current().metrics().iterations - before;
                assert!(made <= 20, "{made} iterations");
                (&*writer).write_all(b"two").unwrap();
            });
        });
        assert_eq!(log.lines(), ["one", "two"]);
    });
}

#[test]
fn an_unreferenced_watcher_does_not_hold_the_loop_but_is_called_while_it_runs() {
    bounded(|| {
        let calls = Rc::new(Cell::new(0));
        virtual_loop().run(|| {
            let (reader, writer) = pipe();
            let poll = Poll::new(reader);
            let (count, stopper) = (calls.clone(), poll.clone());
            poll.start(Interest::READABLE, move |_| {
                count.set(count.get() + 1);
                stopper.set_ref(true);
                stopper.close();
            })
            .unwrap();
            poll.unref();
            poll.unref();
            assert!(!poll.has_ref());
            set_timeout(Duration::from_millis(20), || {});
            after_iterations(2, move || (&*writer).write_all(b"x").unwrap());
        });
        assert_eq!(calls.get(), 1);
        run(|| {
            let (near, far) = UnixStream::pair().unwrap();
            let poll = Poll::new(near);
            poll.start(Interest::READABLE, move |_| panic!("{far:?} sends nothing")).unwrap();
            poll.unref();
        });
    });
}

// E-01 and Z-01, for watchers.
#[test]
fn a_watcher_left_at_the_end_drops_its_callback_once_and_closes_its_descriptor() {
    bounded(|| {
        let token = Rc::new(());
        let (near, far) = UnixStream::pair().unwrap();
        let held = token.clone();
        run(|| {
            let poll = Poll::new(near);
            poll.start(Interest::READABLE, move |_| panic!("{held:?}")).unwrap();
            poll.unref();
        });
        assert_eq!(Rc::strong_count(&token), 1);
        assert!(is_at_end(&far));
    });
}

#[test]
fn a_task_waits_until_it_can_read_and_finds_what_is_there_already() {
    bounded(|| {
        block_on(async {
            let (reader, writer) = pipe();
            let watcher = Poll::new(reader.clone());
            let other = writer.clone();
            set_timeout(ms(1), move || (&*other).write_all(b"one").unwrap());
            watcher.readable().await.unwrap();
            let mut bytes = [0; 3];
            (&*reader).read_exact(&mut bytes).unwrap();
            (&*writer).write_all(b"two").unwrap();
            watcher.readable().await.unwrap();
            (&*reader).read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"two");
            drop(writer);
            watcher.readable().await.unwrap();
            assert_eq!((&*reader).read(&mut bytes).unwrap(), 0, "the end is something to read");
        });
    });
}

#[test]
fn a_task_that_waits_to_write_goes_on_when_there_is_room_again() {
    bounded(|| {
        block_on(async {
            let (reader, writer) = pipe();
            set_nonblocking(&*writer);
            let watcher = Poll::new(writer.clone());
            watcher.writable().await.unwrap();
            while (&*writer).write(&[0; 4096]).is_ok() {}
            let (waker, _) = Wakes::new();
            assert!(poll_once_and_drop(watcher.writable(), &waker).is_pending());
            let other = reader.clone();
            set_timeout(ms(1), move || (&*other).read_exact(&mut [0; 8192]).unwrap());
            watcher.writable().await.unwrap();
            (&*writer).write_all(b"x").unwrap();
        });
    });
}

#[test]
fn a_task_that_waits_again_and_again_on_what_is_ready_lets_the_loop_go_on() {
    bounded(|| {
        let (reader, writer) = pipe();
        (&*writer).write_all(b"never read").unwrap();
        let passed = Rc::new(Cell::new(0));
        let told = passed.clone();
        run(move || {
            let watcher = Poll::new(reader);
            let closer = watcher.clone();
            drop(windlass::spawn(async move {
                while watcher.readable().await.is_ok() {
                    told.set(told.get() + 1);
                }
            }));
            set_timeout(ms(5), move || closer.close());
        });
        assert!(passed.get() > 0, "the timer came, and the close was heard of");
    });
}

#[test]
fn tasks_and_a_callback_wait_side_by_side_and_none_takes_anothers_call() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (reader, writer) = pipe();
            let watcher = Poll::new(reader.clone());
            for name in ["one task", "another"] {
                let (watcher, log) = (watcher.clone(), log.clone());
                drop(windlass::spawn(async move {
                    watcher.readable().await.unwrap();
                    log.say(name);
                }));
            }
            let (own, heard) = (watcher.clone(), log.clone());
            watcher
                .start(Interest::READABLE, move |_| {
                    heard.say("callback");
                    own.stop();
                })
                .unwrap();
            set_timeout(ms(1), move || (&*writer).write_all(b"x").unwrap());
        });
        log.expect(&["one task", "another", "callback"]);
    });
}

#[test]
fn a_task_that_waits_holds_the_loop_and_hears_of_a_close_and_of_what_cannot_be_polled() {
    bounded(|| {
        let error = Rc::new(Cell::new(None));
        let told = error.clone();
        run(move || {
            let (reader, writer) = pipe();
            let watcher = Poll::new(reader);
            let (closer, own) = (watcher.clone(), watcher.clone());
            drop(windlass::spawn(async move {
                told.set(own.readable().await.err().map(|error| error.kind()));
            }));
            // Referenced by the wait alone.
            set_timeout(ms(1), move || closer.close()).unref();
            windlass::next_tick(move || std::mem::forget(writer));
        });
        assert_eq!(error.get(), Some(ErrorKind::InvalidInput));
        block_on(async {
            let file = Poll::new(File::open("Cargo.toml").unwrap());
            let error = file.readable().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        });
    });
}

// U-19.
#[test]
fn a_socket_for_datagrams_that_is_full_can_be_written_again_when_some_were_received() {
    bounded(|| {
        block_on(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            one.set_nonblocking(true).unwrap();
            let one = Rc::new(one);
            let error = std::iter::repeat_with(|| one.send(&[0; 1000])).find_map(Result::err);
            assert_eq!(error.unwrap().kind(), ErrorKind::WouldBlock);
            let watcher = Poll::new(one.clone());
            let mut writable = std::pin::pin!(watcher.writable());
            let (waker, wakes) = Wakes::new();
            assert!(poll_once(writable.as_mut(), &waker).is_pending());
            iterations(3).await;
            assert_eq!(wakes.count(), 0, "there is no room");
            // Linux tells once most of the sender's own room is free.
            other.set_nonblocking(true).unwrap();
            while other.recv(&mut [0; 1000]).is_ok() {}
            writable.await.unwrap();
            assert_eq!(one.send(b"one more").unwrap(), 8);
        });
    });
}

/// A source whose `as_fd` does something.
struct Asked {
    end: UnixStream,
    act: Box<dyn Fn()>,
}

impl AsFd for Asked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (self.act)();
        self.end.as_fd()
    }
}

// Else a source that panics or calls back would meet a borrow, or cost the watcher an edge.
#[test]
fn a_source_is_asked_for_its_descriptor_when_watching_begins_and_then_no_more() {
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let asked = Counter::new();
            let asks = asked.clone();
            let act = Box::new(move || assert!(asks.add() < 4, "asked once more"));
            let watcher = Poll::new(Asked { end: ours, act });
            let calls = Counter::new();
            for begun in 1..=2 {
                watcher.start(Interest::READABLE, calls_of(&calls)).unwrap();
                let both = Interest::READABLE | Interest::WRITABLE;
                watcher.start(both, calls_of(&calls)).unwrap();
                let before = calls.get();
                until(|| calls.get() > before).await;
                (&theirs).write_all(b"x").unwrap();
                watcher.readable().await.unwrap();
                watcher.stop();
                assert_eq!(asked.get(), begun);
            }
            watcher.writable().await.unwrap();
            assert!(watcher.into_inner().is_some() && asked.get() == 3);
        });
    });
}

/// A callback that counts its calls.
fn calls_of(calls: &Counter) -> impl FnMut(Readiness) + 'static {
    let mut adds = calls.adds();
    move |_| adds()
}

#[test]
fn a_source_may_close_its_watcher_or_panic_when_it_is_asked_and_nothing_is_left_behind() {
    bounded(|| {
        block_on(async {
            let (ours, _theirs) = UnixStream::pair().unwrap();
            let copy = ours.try_clone().unwrap();
            let own: Rc<RefCell<Option<Poll<Asked>>>> = Rc::default();
            let inside = own.clone();
            let act = Box::new(move || {
                if let Some(watcher) = inside.take() {
                    watcher.close();
                }
            });
            let watcher = Poll::new(Asked { end: ours, act });
            own.replace(Some(watcher.clone()));
            let error = watcher.start(Interest::WRITABLE, |_| unreachable!("closed")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            drop(watcher);
            // Its descriptor is not in the poller any more.
            let panics = Rc::new(Cell::new(true));
            let still = panics.clone();
            let act = Box::new(move || assert!(!still.get(), "as_fd"));
            let watcher = Poll::new(Asked { end: copy, act });
            let start = || watcher.start(Interest::WRITABLE, |_| ());
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(start));
            assert!(caught.is_err() && !watcher.is_active());
            panics.set(false);
            watcher.start(Interest::WRITABLE, |_| ()).unwrap();
            panics.set(true);
            watcher.writable().await.unwrap();
            watcher.stop();
        });
    });
}

#[test]
fn a_task_that_polls_waits_for_each_direction_and_tries_what_it_watches() {
    windlass::block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let watcher = Poll::new(ours);
        let read = |watcher: &Poll<UnixStream>| {
            watcher.try_io(|mut source| {
                let mut byte = [0];
                source.read(&mut byte).map(|_| byte[0])
            })
        };
        assert_eq!(read(&watcher).unwrap_err().kind(), ErrorKind::WouldBlock);
        poll_fn(|cx| watcher.poll_writable(cx)).await.unwrap();
        assert!(!watcher.is_active(), "a wait that is over holds nothing");
        windlass::set_immediate(move || theirs.write_all(&[7, 8]).unwrap());
        for expected in [7, 8] {
            poll_fn(|cx| watcher.poll_readable(cx)).await.unwrap();
            assert_eq!(read(&watcher).unwrap(), expected);
        }
        // The end, for their side is dropped.
        poll_fn(|cx| watcher.poll_readable(cx)).await.unwrap();
        watcher.close();
        assert_eq!(read(&watcher).unwrap_err().kind(), ErrorKind::InvalidInput);
        let closed = poll_fn(|cx| watcher.poll_readable(cx)).await;
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_watcher_whose_last_name_goes_while_a_task_polls_is_closed() {
    bounded(|| {
        block_on(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            let watcher = Poll::new(ours);
            // As the loser of two futures that were raced.
            let waits =
                poll_fn(|cx| std::task::Poll::Ready(watcher.poll_readable(cx).is_pending()));
            assert!(waits.await);
            drop(watcher);
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "the descriptor is closed");
        });
    });
}

#[test]
fn a_task_that_polled_holds_the_loop_while_it_waits_and_no_longer() {
    bounded(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        run(move || {
            let watcher = Poll::new(ours);
            windlass::spawn_detached(async move {
                // Asked once, and given up.
                poll_fn(|cx| {
                    assert!(watcher.poll_readable(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                std::future::pending::<()>().await;
            });
        });

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let told = Rc::new(Cell::new(false));
        let tells = told.clone();
        let writer = std::thread::spawn(move || theirs.write_all(b"x").unwrap());
        run(move || {
            let watcher = Poll::new(ours);
            windlass::spawn_detached(async move {
                poll_fn(|cx| watcher.poll_readable(cx)).await.unwrap();
                tells.set(true);
            });
        });
        writer.join().unwrap();
        assert!(told.get());
    });
}
