//! TCP through callbacks: connecting, accepting, reading, writing and every way of ending.
#![allow(unsafe_code)] // Signal masks, which std has no words for.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::*;
use windlass::net::{TcpListener, TcpStream};
use windlass::{CancelError, Loop, on_unhandled, run, set_immediate, set_timeout};

/// Enough for the kernel to leave a part of it to the loop when nobody reads at the other end.
const MORE_THAN_FITS: usize = 24 << 20;

/// Sends back whatever a connection says, and never closes it.
fn echo(connection: io::Result<TcpStream>) {
    connection.unwrap().read_start(|connection, chunk| {
        let chunk = chunk.unwrap();
        if !chunk.is_empty() {
            drop(connection.write(chunk));
        }
    });
}

/// How many iterations the current loop has made.
fn iterations_made() -> u64 {
    Loop::current().metrics().iterations
}

// ---- Connecting and accepting ----

// TCP-01.
#[test]
fn both_ends_report_crosswise_equal_addresses() {
    bounded(|| {
        for addr in loopbacks() {
            let checked = Rc::new(Cell::new(false));
            run(|| {
                let listener = TcpListener::bind(addr).unwrap();
                let bound = listener.local_addr().unwrap();
                assert_ne!(bound.port(), 0, "the real port is known after bind");
                let accepted = Rc::new(Cell::new(None));
                let (slot, closer) = (accepted.clone(), listener.clone());
                listener.on_connection(move |connection| {
                    let connection = connection.unwrap();
                    slot.set(Some((
                        connection.local_addr().unwrap(),
                        connection.peer_addr().unwrap(),
                    )));
                    closer.close();
                });
                let checked = checked.clone();
                TcpStream::connect(bound).on_complete(move |client| {
                    let client = client.unwrap();
                    let ends = (client.peer_addr().unwrap(), client.local_addr().unwrap());
                    assert_eq!(ends.0, bound);
                    after_iterations(3, move || {
                        assert_eq!(accepted.get(), Some(ends));
                        checked.set(true);
                    });
                });
            });
            assert!(checked.get());
        }
    });
}

// TCP-02.
#[test]
fn a_thousand_ping_pongs_lose_and_double_nothing() {
    const ROUNDS: u32 = 1000;
    fn message(round: u32) -> String {
        format!("ping {round:06}\n")
    }
    fn send(client: &TcpStream, round: u32, vectored: bool) {
        let message = message(round);
        let (head, tail) = message.as_bytes().split_at(5);
        if vectored {
            drop(client.write_vectored(&[
                IoSlice::new(head),
                IoSlice::new(&[]),
                IoSlice::new(tail),
            ]));
        } else {
            drop(client.write(message.as_bytes()));
        }
    }
    bounded(|| {
        for addr in loopbacks() {
            for vectored in [false, true] {
                let finished = Rc::new(Cell::new(0));
                run(|| {
                    let listener = TcpListener::bind(addr).unwrap();
                    let closer = listener.clone();
                    listener.on_connection(move |connection| {
                        echo(connection);
                        closer.close();
                    });
                    let finished = finished.clone();
                    TcpStream::connect(listener.local_addr().unwrap()).on_complete(move |client| {
                        let client = client.unwrap();
                        let mut received = String::new();
                        send(&client, 0, vectored);
                        client.read_start(move |client, chunk| {
                            received.push_str(std::str::from_utf8(chunk.unwrap()).unwrap());
                            let round = finished.get();
                            if received.len() < message(round).len() {
                                return;
                            }
                            assert_eq!(received, message(round));
                            received.clear();
                            finished.set(round + 1);
                            match round + 1 {
                                ROUNDS => client.close(),
                                next => send(client, next, vectored),
                            }
                        });
                    });
                });
                assert_eq!(finished.get(), ROUNDS, "{addr}, vectored: {vectored}");
            }
        }
    });
}

// TCP-03 and TCP-04.
#[test]
fn a_refused_connect_completes_once_and_later() {
    bounded(|| {
        let log = Trace::new();
        let (_socket, addr) = refusing_address();
        run(|| {
            let said = log.clone();
            TcpStream::connect(addr).on_complete(move |stream| {
                said.say(format!("{:?}", stream.err().map(|error| error.kind())));
            });
            log.say("connect has returned");
        });
        assert_eq!(log.lines(), ["connect has returned", "Some(ConnectionRefused)"]);
    });
}

/// Whether a socket of this system still tries to connect to `port`.
fn is_connecting_to(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        let remote = fields.next().unwrap();
        remote.ends_with(&format!(":{port:04X}")) && fields.next() == Some("02")
    })
}

// TCP-04 and TCP-05.
#[test]
fn a_connect_without_an_answer_leaves_the_loop_free_and_can_be_canceled() {
    bounded(|| {
        let log = Trace::new();
        let silent = SilentAddress::new();
        let port = silent.addr.port();
        virtual_loop().run(|| {
            let request = TcpStream::connect(silent.addr);
            let canceller = request.canceller();
            let said = log.clone();
            request.on_complete(move |stream| {
                assert!(is_canceled(&stream), "{:?}", stream.err());
                assert!(!is_connecting_to(port), "the socket is freed");
                said.say("completed");
            });
            let said = log.clone();
            set_timeout(Duration::from_millis(5), move || {
                assert!(is_connecting_to(port));
                canceller.cancel().unwrap();
                said.say("canceled");
                assert_eq!(canceller.cancel(), Err(CancelError::Done));
            });
        });
        assert_eq!(log.lines(), ["canceled", "completed"]);
    });
}

// TCP-09.
#[test]
fn connecting_to_an_unspecified_address_reaches_the_local_host() {
    bounded(|| {
        for addr in loopbacks() {
            let connected = Rc::new(Cell::new(false));
            run(|| {
                let listener = std::net::TcpListener::bind(addr).unwrap();
                let local = listener.local_addr().unwrap();
                let unspecified = if local.is_ipv4() { "0.0.0.0" } else { "[::]" };
                let connected = connected.clone();
                TcpStream::connect(format!("{unspecified}:{}", local.port())).on_complete(
                    move |stream| {
                        assert_eq!(stream.unwrap().peer_addr().unwrap(), local);
                        drop(listener);
                        connected.set(true);
                    },
                );
            });
            assert!(connected.get());
        }
    });
}

// TCP-10 and TCP-11.
#[test]
fn bind_reports_an_address_in_use_and_one_that_is_not_local() {
    bounded(|| {
        run(|| {
            let first = TcpListener::bind("127.0.0.1:0").unwrap();
            let taken = TcpListener::bind(first.local_addr().unwrap());
            assert_eq!(taken.err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
            let foreign = TcpListener::bind("192.0.2.1:0");
            assert_eq!(foreign.err().map(|error| error.kind()), Some(ErrorKind::AddrNotAvailable));
        });
    });
}

#[test]
fn bind_refuses_names_and_connect_refuses_nonsense() {
    bounded(|| {
        let kinds = Trace::new();
        run(|| {
            assert!(
                TcpListener::bind("localhost:0").is_err(),
                "bind would have to block to resolve"
            );
            assert!(TcpListener::bind("127.0.0.1:65536").is_err());
            for nonsense in ["", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:port"] {
                let kinds = kinds.clone();
                TcpStream::connect(nonsense).on_complete(move |stream| {
                    assert!(!stream.err().unwrap().to_string().is_empty());
                    kinds.say(nonsense);
                });
            }
            assert_eq!(kinds.lines().len(), 0, "errors come later, too");
        });
        assert_eq!(kinds.lines().len(), 4);
    });
}

// TCP-16.
#[test]
fn five_hundred_connects_in_one_edge_are_all_accepted() {
    const CLIENTS: usize = 500;
    raise_descriptor_limit(20_000);
    bounded(|| {
        let accepted = Rc::new(Cell::new(0));
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            // A backlog that is too short shows as a connect that is not answered.
            let connect = |_| StdStream::connect_timeout(&addr, Duration::from_secs(5)).unwrap();
            let clients: Vec<_> = (0..CLIENTS).map(connect).collect();
            let (accepted, closer) = (accepted.clone(), listener.clone());
            listener.on_connection(move |connection| {
                drop(connection.unwrap());
                accepted.set(accepted.get() + 1);
                if accepted.get() == clients.len() {
                    closer.close();
                }
            });
        });
        assert_eq!(accepted.get(), CLIENTS);
    });
}

// TCP-17. Every accept makes the next connect, so the backlog is never empty.
#[test]
fn a_flood_of_connections_does_not_starve_timers_or_other_sockets() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            drop(StdStream::connect(addr).unwrap());
            listener.on_connection(move |connection| {
                drop(connection);
                drop(StdStream::connect(addr).unwrap());
            });
            let log = log.clone();
            with_peer(move |stream, mut peer| {
                peer.write_all(b"x").unwrap();
                stream.read_start(move |stream, chunk| {
                    assert_eq!(chunk.unwrap(), b"x");
                    stream.close();
                    log.say("socket");
                    let (log, listener) = (log.clone(), listener.clone());
                    set_timeout(Duration::from_millis(1), move || {
                        log.say("timer");
                        listener.close();
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["socket", "timer"]);
    });
}

// TCP-18.
#[test]
fn sockets_are_non_blocking_and_closed_on_exec() {
    bounded(|| {
        let accepted = Rc::new(Cell::new(false));
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            assert_eq!(descriptor_flags(listener.as_raw_fd()), (true, true));
            let (accepted, closer) = (accepted.clone(), listener.clone());
            listener.on_connection(move |connection| {
                assert_eq!(descriptor_flags(connection.unwrap().as_raw_fd()), (true, true));
                accepted.set(true);
                closer.close();
            });
            TcpStream::connect(listener.local_addr().unwrap()).on_complete(|client| {
                assert_eq!(descriptor_flags(client.unwrap().as_raw_fd()), (true, true));
            });
        });
        assert!(accepted.get());
    });
}

// TCP-38, as far as there are handles without a socket.
#[test]
fn sockets_of_the_standard_library_can_be_adopted() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let std_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = StdStream::connect(std_listener.local_addr().unwrap()).unwrap();
            let connected = StdStream::connect(std_listener.local_addr().unwrap()).unwrap();
            let connected = TcpStream::from_std(connected).unwrap();
            assert_eq!(descriptor_flags(connected.as_raw_fd()), (true, true));
            drop(connected);
            client.write_all(b"hello").unwrap();
            let listener = TcpListener::from_std(std_listener).unwrap();
            assert_eq!(descriptor_flags(listener.as_raw_fd()), (true, true));
            let (log, closer) = (log.clone(), listener.clone());
            listener.on_connection(move |connection| {
                let connection = connection.unwrap();
                if connection.peer_addr().ok() != client.local_addr().ok() {
                    return closer.close(); // The one that was dropped.
                }
                let log = log.clone();
                connection.read_start(move |connection, chunk| {
                    log.say(String::from_utf8_lossy(chunk.unwrap()));
                    connection.close();
                });
            });
        });
        assert_eq!(log.lines(), ["hello"]);
    });
}

#[test]
fn a_closed_listener_accepts_nothing_more_and_frees_its_port() {
    bounded(|| {
        let closed = Trace::new();
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let _waiting = StdStream::connect(addr).unwrap();
            listener.on_connection(|_| panic!("accepted after close"));
            listener.on_close(closed.says("closed"));
            listener.close();
            listener.close();
            assert!(listener.is_closing());
            assert_eq!(closed.lines().len(), 0, "a close completion never runs inside close");
            let refused = move || {
                assert_eq!(
                    StdStream::connect(addr).unwrap_err().kind(),
                    ErrorKind::ConnectionRefused
                );
            };
            after_iterations(3, refused);
        });
        assert_eq!(closed.count("closed"), 1);
    });
}

#[test]
fn an_unreferenced_listener_does_not_hold_the_loop() {
    bounded(|| {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.on_connection(|_| panic!("nobody connects"));
            assert!(listener.has_ref());
            listener.unref();
            listener.unref();
            assert!(!listener.has_ref());
        });
    });
}

#[test]
fn an_unreferenced_stream_does_not_hold_the_loop_but_its_pending_write_does() {
    bounded(|| {
        let log = Trace::new();
        let (go, told) = mpsc::channel();
        let mut reader = None;
        run(|| {
            let log = log.clone();
            let (hand_over, peer) = mpsc::channel::<StdStream>();
            reader = Some(thread::spawn(move || {
                let mut peer = peer.recv().unwrap();
                told.recv().unwrap();
                let mut bytes = vec![0; MORE_THAN_FITS];
                peer.read_exact(&mut bytes).unwrap();
                peer
            }));
            with_peer(move |stream, peer| {
                hand_over.send(peer).unwrap();
                stream.read_start(|_, _| panic!("the peer says nothing"));
                stream.unref();
                let stream_after = stream.clone();
                stream.write_owned(vec![7; MORE_THAN_FITS]).on_complete(move |result| {
                    result.unwrap();
                    assert_eq!(stream_after.write_queue_size(), 0);
                    log.say("written");
                });
                go.send(()).unwrap();
            });
        });
        assert_eq!(log.lines(), ["written"]);
        drop(reader.unwrap().join().unwrap());
    });
}

// ---- Writing ----

// TCP-19.
#[test]
fn writes_complete_in_submission_order_and_bytes_arrive_in_that_order() {
    const WRITES: usize = 600;
    const LEN: usize = 80_000;
    bounded(|| {
        let completed = Rc::new(RefCell::new(Vec::new()));
        let (hand_over, peer) = mpsc::channel::<StdStream>();
        let reader = thread::spawn(move || {
            let mut peer = peer.recv().unwrap();
            let mut chunk = vec![0; LEN];
            for number in 0..WRITES {
                peer.read_exact(&mut chunk).unwrap();
                assert_eq!(chunk, vec![number as u8; LEN], "write {number}");
            }
            assert_eq!(peer.read(&mut chunk).unwrap(), 0);
        });
        run(|| {
            let completed = completed.clone();
            with_peer(move |stream, peer| {
                for number in 0..WRITES {
                    let chunk = vec![number as u8; LEN];
                    let request = match number % 3 {
                        0 => stream.write(&chunk),
                        1 => stream.write_owned(chunk),
                        _ => {
                            let (head, tail) = chunk.split_at(number);
                            stream.write_vectored(&[IoSlice::new(head), IoSlice::new(tail)])
                        }
                    };
                    let completed = completed.clone();
                    request.on_complete(move |result| {
                        result.unwrap();
                        completed.borrow_mut().push(number);
                    });
                }
                assert!(stream.write_queue_size() > 0, "the test is about a queue");
                assert!(completed.borrow().is_empty(), "nothing completes inside write");
                hand_over.send(peer).unwrap();
            });
        });
        let completed = completed.borrow();
        assert_eq!(completed.len(), WRITES);
        assert!(completed.is_sorted(), "write {} came first", completed[0]);
        reader.join().unwrap();
    });
}

// TCP-21.
#[test]
fn the_queue_size_counts_exactly_the_bytes_the_kernel_has_not_taken() {
    bounded(|| {
        let (hand_over, taken) = mpsc::channel();
        run(|| {
            with_peer(move |stream, mut peer| {
                assert_eq!(stream.write_queue_size(), 0);
                drop(stream.write_owned(vec![1; MORE_THAN_FITS]));
                let stuck = stream.write_queue_size();
                assert!(stuck > 0 && stuck < MORE_THAN_FITS);
                drop(stream.write(b"x"));
                assert_eq!(stream.write_queue_size(), stuck + 1);
                drop(stream.write(b""));
                assert_eq!(stream.write_queue_size(), stuck + 1);
                // The close throws the queue away, so the peer gets the rest and no more.
                stream.close();
                let reader = thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
                hand_over.send((reader, MORE_THAN_FITS - stuck)).unwrap();
            });
        });
        let (reader, taken_by_the_kernel) = taken.recv().unwrap();
        assert_eq!(reader.join().unwrap(), taken_by_the_kernel);
    });
}

/// A pair of sockets that keep the borders between packets: a read takes one, however large its buffer.
fn packet_pair() -> (StdStream, OwnedFd) {
    let mut pair = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the pair has room for the two descriptors, which are nobody else's.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()), 0);
        (StdStream::from_raw_fd(pair[0]), OwnedFd::from_raw_fd(pair[1]))
    }
}

/// All is there before the loop looks, so the poller has one thing to report. Packets make a round full
/// with few bytes.
#[test]
fn what_a_full_round_of_reads_leaves_comes_without_a_new_event() {
    bounded(|| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        run(|| {
            let (ours, theirs) = packet_pair();
            let mut peer = StdStream::from(theirs);
            (1..=30_u8).for_each(|number| peer.write_all(&[number]).unwrap());
            drop(peer);
            let seen = seen.clone();
            TcpStream::from_std(ours).unwrap().read_start(move |_, chunk| {
                seen.borrow_mut().extend_from_slice(chunk.unwrap());
            });
        });
        assert_eq!(*seen.borrow(), (1..=30).collect::<Vec<u8>>());
    });
}

/// The peer takes all at once, so the poller has one thing to report; the small writes are more than one
/// round sends.
#[test]
fn what_a_full_round_of_writes_leaves_goes_without_a_new_event() {
    const SMALL: usize = 5000;
    bounded(|| {
        let (hand_over, reader) = mpsc::channel();
        let told = Rc::new(Cell::new(0));
        run(|| {
            let told = told.clone();
            with_peer(move |stream, mut peer| {
                drop(stream.write_owned(vec![0; MORE_THAN_FITS]));
                for _ in 0..SMALL {
                    let told = told.clone();
                    stream.write(b"x").on_complete(move |result| {
                        result.unwrap();
                        told.set(told.get() + 1);
                    });
                }
                drop(stream.shutdown());
                let read = move || peer.read_to_end(&mut Vec::new()).unwrap();
                hand_over.send(thread::spawn(read)).unwrap();
            });
        });
        assert_eq!(told.get(), SMALL);
        assert_eq!(reader.recv().unwrap().join().unwrap(), MORE_THAN_FITS + SMALL);
    });
}

// TCP-22.
#[test]
fn closing_with_queued_writes_cancels_them_in_order_before_the_close_completion() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                let said = log.clone();
                stream.on_close(move || {
                    said.say("closed");
                    drop(peer);
                });
                let small = log.clone();
                stream.write(b"gone at once").on_complete(move |result| {
                    small.say(format!("small {}", result.is_ok()));
                });
                for number in 0..4 {
                    let log = log.clone();
                    stream.write_owned(vec![0; MORE_THAN_FITS / 2]).on_complete(move |result| {
                        assert!(is_canceled(&result), "write {number}: {result:?}");
                        log.say(format!("canceled {number}"));
                    });
                }
                assert!(stream.write_queue_size() > MORE_THAN_FITS / 2);
                stream.close();
                assert!(stream.is_closing());
                assert!(!stream.is_readable() && !stream.is_writable());
                log.say("close has returned");
            });
        });
        let lines = log.lines();
        assert_eq!(lines[0], "close has returned");
        assert_eq!(log.count("small true"), 1);
        let cancels: Vec<_> = lines.iter().filter(|line| line.starts_with("canceled")).collect();
        // As the first of the big writes may not fit, all four are queued, at least in part.
        assert_eq!(cancels, ["canceled 0", "canceled 1", "canceled 2", "canceled 3"]);
        assert_eq!(lines.last().unwrap(), "closed");
        assert_eq!(lines.len(), 7);
    });
}

// TCP-23. A blocked signal stays pending, also when it is ignored.
#[test]
fn writing_to_a_peer_that_is_gone_is_an_error_and_raises_no_signal() {
    fn write_until_error(stream: TcpStream, form: u8, log: Trace) {
        let request = match form {
            0 => stream.write(b"anybody there?"),
            1 => stream.write_owned("anybody there?"),
            _ => stream.write_vectored(&[IoSlice::new(b"anybody"), IoSlice::new(b" there?")]),
        };
        request.on_complete(move |result| match result {
            Ok(()) => {
                set_immediate(move || write_until_error(stream, form, log));
            }
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                    "{error}"
                );
                assert_eq!(stream.write_queue_size(), 0);
                log.say("failed");
            }
        });
    }
    bounded(|| {
        // SAFETY: the sets are live values that the calls fill in.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::sigemptyset(&mut mask);
            libc::sigaddset(&mut mask, libc::SIGPIPE);
            assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &mask, std::ptr::null_mut()), 0);
        }
        let log = Trace::new();
        for form in 0..3 {
            run(|| {
                let log = log.clone();
                with_peer(move |stream, peer| {
                    drop(peer);
                    write_until_error(stream, form, log);
                });
            });
        }
        assert_eq!(log.count("failed"), 3);
        // SAFETY: as above.
        let raised = unsafe {
            let mut pending = std::mem::zeroed();
            assert_eq!(libc::sigpending(&mut pending), 0);
            libc::sigismember(&pending, libc::SIGPIPE)
        };
        assert_eq!(raised, 0, "no pipe signal was sent");
    });
}

#[test]
fn the_error_of_a_dropped_write_closes_a_stream_that_nobody_reads() {
    fn write_until_closed(stream: TcpStream) {
        if !stream.is_closing() {
            drop(stream.write(b"anybody there?"));
            set_immediate(move || write_until_closed(stream));
        }
    }
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let closed = log.says("closed");
            with_peer(move |stream, peer| {
                stream.on_close(closed);
                reset_on_drop(&peer);
                drop(peer);
                write_until_closed(stream);
            });
        });
        assert_eq!(log.lines(), ["closed"]);
    });
}

#[test]
fn a_queued_write_can_be_canceled_and_a_begun_one_cannot() {
    bounded(|| {
        let log = Trace::new();
        let (hand_over, peer) = mpsc::channel::<StdStream>();
        let reader = thread::spawn(move || {
            let mut peer = peer.recv().unwrap();
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received
        });
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                let begun = stream.write_owned(vec![b'a'; MORE_THAN_FITS]);
                let unwanted = stream.write_owned(vec![b'b'; 1000]);
                let last = stream.write_owned(vec![b'c'; 1000]);
                let queued = stream.write_queue_size();
                assert_eq!(begun.cancel(), Err(CancelError::Busy));
                assert_eq!(unwanted.cancel(), Ok(()));
                assert_eq!(stream.write_queue_size(), queued - 1000);
                assert_eq!(unwanted.cancel(), Err(CancelError::Done));
                for (name, request) in [("begun", begun), ("unwanted", unwanted), ("last", last)] {
                    let log = log.clone();
                    request.on_complete(move |result| {
                        let end = if is_canceled(&result) { "canceled" } else { "written" };
                        assert!(end == "canceled" || result.is_ok(), "{result:?}");
                        log.say(format!("{name} {end}"));
                    });
                }
                assert!(log.lines().is_empty(), "also a cancel completes later");
                hand_over.send(peer).unwrap();
            });
        });
        let mut lines = log.lines();
        lines.sort();
        assert_eq!(lines, ["begun written", "last written", "unwanted canceled"]);
        let received = reader.join().unwrap();
        let of = |wanted| received.iter().filter(|byte| **byte == wanted).count();
        assert_eq!((of(b'a'), of(b'b'), of(b'c')), (MORE_THAN_FITS, 0, 1000));
    });
}

// TCP-42.
#[test]
fn a_completion_that_writes_again_a_hundred_thousand_times_does_not_grow_the_stack() {
    const WRITES: u32 = 100_000;
    fn write_again(stream: TcpStream, left: u32, deepest: Rc<Cell<usize>>) {
        let here = &raw const left as usize;
        let first = if deepest.get() == 0 { here } else { deepest.get() };
        deepest.set(first);
        assert!(first.abs_diff(here) < 4096, "the stack grows");
        if left == 0 {
            return;
        }
        stream.clone().write(b"x").on_complete(move |result| {
            result.unwrap();
            write_again(stream, left - 1, deepest);
        });
    }
    bounded(|| {
        let (hand_over, peer) = mpsc::channel::<StdStream>();
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.recv().unwrap().read_to_end(&mut received).unwrap();
            received.len()
        });
        run(|| {
            with_peer(move |stream, peer| {
                hand_over.send(peer).unwrap();
                let start = Rc::new(Cell::new(0));
                set_immediate(move || {
                    stream.clone().write(b"x").on_complete(move |result| {
                        result.unwrap();
                        write_again(stream, WRITES - 1, start);
                    });
                });
            });
        });
        assert_eq!(reader.join().unwrap(), WRITES as usize);
    });
}

#[test]
fn dropping_the_last_clone_lets_queued_writes_and_a_shutdown_finish() {
    bounded(|| {
        for with_shutdown in [false, true] {
            let (hand_over, peer) = mpsc::channel::<StdStream>();
            let reader = thread::spawn(move || {
                let mut received = Vec::new();
                peer.recv().unwrap().read_to_end(&mut received).unwrap();
                checksum(&received)
            });
            let sent = noise(19, MORE_THAN_FITS);
            let expected = checksum(&sent);
            run(|| {
                with_peer(move |stream, peer| {
                    drop(stream.write_owned(sent));
                    if with_shutdown {
                        drop(stream.shutdown());
                    }
                    assert!(stream.write_queue_size() > 0);
                    drop(stream);
                    hand_over.send(peer).unwrap();
                });
            });
            assert_eq!(reader.join().unwrap(), expected);
        }
    });
}

// TCP-39, as far as there are options.
#[test]
fn nodelay_can_be_switched_on_and_off() {
    bounded(|| {
        run(|| {
            with_peer(|stream, _peer| {
                let nodelay =
                    || socket_option(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY);
                stream.set_nodelay(true).unwrap();
                assert_ne!(nodelay(), 0);
                stream.set_nodelay(false).unwrap();
                assert_eq!(nodelay(), 0);
            });
        });
    });
}

// ---- Reading ----

// TCP-25.
#[test]
fn starting_to_read_again_replaces_the_callback() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, mut peer| {
                peer.write_all(b"1").unwrap();
                stream.read_start(|_, _| panic!("replaced before anything came"));
                stream.read_start(move |stream, chunk| {
                    assert_eq!(chunk.unwrap(), b"1");
                    log.say("first");
                    let log = log.clone();
                    stream.read_start(move |stream, chunk| {
                        assert_eq!(chunk.unwrap(), b"2");
                        log.say("second");
                        stream.close();
                    });
                    peer.write_all(b"2").unwrap();
                });
            });
        });
        assert_eq!(log.lines(), ["first", "second"]);
    });
}

// TCP-26.
#[test]
fn reading_stopped_in_the_callback_goes_on_later_without_new_bytes() {
    const LEN: usize = 96 * 1024;
    bounded(|| {
        let received = Rc::new(Cell::new(0));
        run(|| {
            let received = received.clone();
            with_peer(move |stream, mut peer| {
                peer.write_all(&noise(26, LEN)).unwrap();
                let first = received.clone();
                stream.read_start(move |stream, chunk| {
                    assert_eq!(first.get(), 0, "called again after read_stop");
                    first.set(chunk.unwrap().len());
                    assert!(first.get() < LEN, "the test needs a remainder");
                    stream.read_stop();
                    let (stream, first, rest) = (stream.clone(), first.get(), received.clone());
                    let mut peer = Some(peer.try_clone().unwrap());
                    after_iterations(3, move || {
                        assert_eq!(rest.get(), first);
                        stream.read_start(move |stream, chunk| {
                            rest.set(rest.get() + chunk.unwrap().len());
                            if rest.get() == LEN {
                                stream.close();
                                drop(peer.take());
                            }
                        });
                    });
                });
            });
        });
        assert_eq!(received.get(), LEN);
    });
}

// TCP-27.
#[test]
fn data_for_a_stream_that_does_not_read_does_not_make_the_loop_spin() {
    bounded(|| {
        let checked = Rc::new(Cell::new(0));
        for stop_after_start in [false, true] {
            virtual_loop().run(|| {
                let checked = checked.clone();
                with_peer(move |stream, mut peer| {
                    if stop_after_start {
                        stream.read_start(|_, _| panic!("reading was stopped"));
                        stream.read_stop();
                    }
                    peer.write_all(&[0; 1000]).unwrap();
                    let before = iterations_made();
                    set_timeout(Duration::from_millis(200), move || {
                        let made = iterations_made() - before;
                        assert!(made <= 20, "{made} iterations");
                        checked.set(checked.get() + 1);
                        drop((stream, peer));
                    });
                });
            });
        }
        assert_eq!(checked.get(), 2);
    });
}

// TCP-28.
#[test]
fn after_a_half_close_all_data_comes_then_the_end_once_and_writing_still_works() {
    bounded(|| {
        let log = Trace::new();
        let received = Rc::new(RefCell::new(Vec::new()));
        let sent = noise(28, 300_000);
        let (hand_over, handed) = mpsc::channel();
        virtual_loop().run(|| {
            let (log, received, sent) = (log.clone(), received.clone(), sent.clone());
            with_peer(move |stream, peer| {
                let writer = thread::spawn(move || {
                    let mut peer = peer;
                    peer.write_all(&sent).unwrap();
                    peer.shutdown(Shutdown::Write).unwrap();
                    let mut answer = String::new();
                    peer.read_to_string(&mut answer).unwrap();
                    answer
                });
                hand_over.send(writer).unwrap();
                let closed = log.says("closed");
                stream.on_close(closed);
                let writing = stream.clone();
                stream.read_start(move |stream, chunk| {
                    let chunk = chunk.unwrap();
                    received.borrow_mut().extend_from_slice(chunk);
                    if !chunk.is_empty() {
                        return;
                    }
                    log.say("end");
                    assert!(stream.is_readable() && stream.is_writable() && !stream.is_closing());
                    let (log, writing, before) = (log.clone(), writing.clone(), iterations_made());
                    set_timeout(Duration::from_millis(100), move || {
                        let made = iterations_made() - before;
                        assert!(made <= 20, "{made} iterations after the end");
                        assert!(!writing.is_closing(), "it does not close itself");
                        log.say("answer");
                        writing.write(b"still here").on_complete(move |result| {
                            result.unwrap();
                            writing.close();
                        });
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["end", "answer", "closed"]);
        assert_eq!(handed.recv().unwrap().join().unwrap(), "still here");
        assert_eq!(checksum(&received.borrow()), checksum(&sent));
    });
}

// TCP-29.
#[test]
fn reading_again_after_the_end_gives_the_end_again_once() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                peer.shutdown(Shutdown::Write).unwrap();
                let again = stream.clone();
                stream.read_start(move |_, chunk| {
                    assert_eq!(chunk.unwrap(), b"");
                    log.say("end");
                    let (again, log, peer) =
                        (again.clone(), log.clone(), peer.try_clone().unwrap());
                    after_iterations(2, move || {
                        let said = log.clone();
                        again.read_start(move |_, chunk| {
                            assert_eq!(chunk.unwrap(), b"");
                            said.say("end again");
                        });
                        after_iterations(5, move || {
                            assert!(again.is_readable() && again.is_writable());
                            again.close();
                            assert!(!again.is_readable() && !again.is_writable());
                            drop(peer);
                        });
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["end", "end again"]);
    });
}

// TCP-30.
#[test]
fn a_reset_is_delivered_once_and_then_the_stream_is_neither_readable_nor_writable() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                let kept = stream.clone();
                let said = log.clone();
                stream.read_start(move |_, chunk| {
                    said.say(format!("{:?}", chunk.err().map(|error| error.kind())));
                    let (kept, log) = (kept.clone(), log.clone());
                    after_iterations(5, move || {
                        assert!(!kept.is_readable() && !kept.is_writable());
                        log.say("later");
                        kept.close();
                    });
                });
                reset_on_drop(&peer);
                drop(peer);
            });
        });
        assert_eq!(log.lines(), ["Some(ConnectionReset)", "later"]);
    });
}

// TCP-37.
#[test]
fn closing_in_the_read_callback_ends_reading_at_once_and_closes_once() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, mut peer| {
                peer.write_all(&[0; 96 * 1024]).unwrap();
                peer.shutdown(Shutdown::Write).unwrap();
                stream.on_close(log.says("closed"));
                stream.read_start(move |stream, _| {
                    let _held = &peer;
                    log.say("read");
                    stream.close();
                    stream.close();
                });
            });
        });
        assert_eq!(log.lines(), ["read", "closed"]);
    });
}

// TCP-41. The callback feeds its own connection, so a read never meets would-block.
#[test]
fn a_connection_that_always_has_data_does_not_hold_the_loop() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |greedy, mut feeder| {
                feeder.set_nonblocking(true).unwrap();
                feeder.write_all(&[0; 64 * 1024]).unwrap();
                greedy.read_start(move |_, chunk| {
                    // A full buffer is as good: then there is more to read than was taken.
                    drop(feeder.write(chunk.unwrap()));
                });
                with_peer(move |modest, mut peer| {
                    peer.write_all(b"x").unwrap();
                    modest.read_start(move |modest, _| {
                        let _held = &peer;
                        log.say("the other socket");
                        modest.close();
                        let (greedy, log) = (greedy.clone(), log.clone());
                        set_timeout(Duration::from_millis(1), move || {
                            log.say("timer");
                            greedy.close();
                        });
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["the other socket", "timer"]);
    });
}

// ---- Ending ----

// TCP-31.
#[test]
fn shutdown_waits_for_queued_writes_and_completes_after_the_last_of_them() {
    bounded(|| {
        let log = Trace::new();
        let (hand_over, peer) = mpsc::channel::<StdStream>();
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            let mut peer = peer.recv().unwrap();
            peer.read_to_end(&mut received).unwrap();
            received.len()
        });
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                for name in ["first", "second"] {
                    let log = log.clone();
                    stream.write_owned(vec![0; MORE_THAN_FITS / 2]).on_complete(move |result| {
                        result.unwrap();
                        log.say(name);
                    });
                }
                let done = stream.clone();
                stream.shutdown().on_complete(move |result| {
                    result.unwrap();
                    assert_eq!(done.write_queue_size(), 0);
                    log.say("shutdown");
                });
                hand_over.send(peer).unwrap();
            });
        });
        assert_eq!(log.lines(), ["first", "second", "shutdown"]);
        assert_eq!(reader.join().unwrap(), MORE_THAN_FITS);
    });
}

// TCP-32.
#[test]
fn a_second_shutdown_fails_and_the_first_still_completes_once() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                for name in ["first", "second"] {
                    let (log, peer) = (log.clone(), peer.try_clone().unwrap());
                    stream.shutdown().on_complete(move |result| {
                        let _held = peer;
                        let kind = result.map_err(|error| error.kind());
                        log.say(format!("{name} {kind:?}"));
                    });
                }
            });
        });
        let mut lines = log.lines();
        lines.sort();
        assert_eq!(lines, ["first Ok(())", "second Err(NotConnected)"]);
    });
}

// TCP-33.
#[test]
fn a_shutdown_completes_before_the_close_that_follows_it_at_once() {
    bounded(|| {
        for queued in [0, MORE_THAN_FITS] {
            let log = Trace::new();
            run(|| {
                let log = log.clone();
                with_peer(move |stream, peer| {
                    let closed = log.clone();
                    stream.on_close(move || {
                        drop(peer);
                        closed.say("closed");
                    });
                    drop(stream.write_owned(vec![0; queued]));
                    stream.shutdown().on_complete(move |result| {
                        assert!(result.is_ok() || is_canceled(&result), "{result:?}");
                        log.say("shutdown");
                    });
                    stream.close();
                });
            });
            assert_eq!(log.lines(), ["shutdown", "closed"]);
        }
    });
}

// TCP-34.
#[test]
fn once_shutdown_is_requested_writes_fail_and_reading_goes_on() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, mut peer| {
                let (said, writer) = (log.clone(), log.clone());
                assert!(stream.is_writable());
                stream
                    .shutdown()
                    .on_complete(move |result| said.say(format!("shutdown {result:?}")));
                assert!(!stream.is_writable());
                assert!(stream.is_readable());
                stream.write(b"too late").on_complete(move |result| {
                    writer.say(format!("write {:?}", result.unwrap_err().kind()));
                });
                let answer = thread::spawn(move || {
                    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the peer sees the end");
                    peer.write_all(b"still reading").unwrap();
                });
                let mut answer = Some(answer);
                stream.read_start(move |stream, chunk| {
                    log.say(String::from_utf8_lossy(chunk.unwrap()));
                    answer.take().unwrap().join().unwrap();
                    stream.close();
                });
            });
        });
        let mut lines = log.lines();
        assert_eq!(lines.pop().unwrap(), "still reading");
        lines.sort();
        assert_eq!(lines, ["shutdown Ok(())", "write BrokenPipe"]);
    });
}

// TCP-35.
#[test]
fn both_sides_shutting_down_at_once_ends_with_one_end_and_one_completion_each() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            fn finish(name: &'static str, stream: &TcpStream, log: &Trace) {
                let (reading, log) = (log.clone(), log.clone());
                stream.read_start(move |_, chunk| {
                    assert_eq!(chunk.unwrap(), b"");
                    reading.say(format!("{name} end"));
                });
                stream.shutdown().on_complete(move |result| {
                    result.unwrap();
                    log.say(format!("{name} shutdown"));
                });
            }
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (closer, server) = (listener.clone(), log.clone());
            listener.on_connection(move |connection| {
                finish("server", &connection.unwrap(), &server);
                closer.close();
            });
            let log = log.clone();
            TcpStream::connect(listener.local_addr().unwrap())
                .on_complete(move |client| finish("client", &client.unwrap(), &log));
        });
        let mut lines = log.lines();
        lines.sort();
        assert_eq!(lines, ["client end", "client shutdown", "server end", "server shutdown"]);
    });
}

// TCP-36.
#[test]
fn a_resetting_close_cancels_writes_first_and_the_peer_sees_a_reset() {
    bounded(|| {
        let log = Trace::new();
        let (hand_over, peer) = mpsc::channel::<StdStream>();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                stream.on_close(log.says("closed"));
                stream.write_owned(vec![0; MORE_THAN_FITS]).on_complete(move |result| {
                    assert!(is_canceled(&result), "{result:?}");
                    log.say("canceled");
                });
                stream.close_reset().unwrap();
                assert!(stream.is_closing());
                hand_over.send(peer).unwrap();
            });
        });
        assert_eq!(log.lines(), ["canceled", "closed"]);
        let end = peer.recv().unwrap().read_to_end(&mut Vec::new());
        assert_eq!(end.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    });
}

// TCP-36.
#[test]
fn a_resetting_close_is_refused_while_a_shutdown_is_pending() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                drop(stream.write_owned(vec![0; MORE_THAN_FITS]));
                let shutdown = stream.shutdown();
                let refused = stream.close_reset().unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InvalidInput);
                assert!(!stream.is_closing());
                shutdown.on_complete(move |result| {
                    assert!(is_canceled(&result), "{result:?}");
                    log.say("canceled by the close");
                    drop(peer);
                });
                stream.close();
            });
        });
        assert_eq!(log.lines(), ["canceled by the close"]);
    });
}

#[test]
fn an_echo_server_that_never_closes_lets_finished_connections_go() {
    const CLIENTS: usize = 20;
    bounded(|| {
        let token = Rc::new(());
        let listener_addr = mpsc::channel();
        let clients = thread::spawn(move || {
            let addr = listener_addr.1.recv().unwrap();
            for number in 0..CLIENTS {
                let mut client = StdStream::connect::<std::net::SocketAddr>(addr).unwrap();
                let sent = noise(number as u64, 50_000);
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                let mut received = Vec::new();
                client.read_to_end(&mut received).unwrap();
                assert!(received == sent);
            }
        });
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener_addr.0.send(listener.local_addr().unwrap()).unwrap();
            let (token, closer, mut left) = (token.clone(), listener.clone(), CLIENTS);
            listener.on_connection(move |connection| {
                let token = token.clone();
                connection.unwrap().read_start(move |connection, chunk| {
                    let _held = &token;
                    drop(connection.write(chunk.unwrap()));
                });
                left -= 1;
                if left == 0 {
                    closer.close();
                }
            });
        });
        // The run has ended by itself, and nothing of the connections is left.
        assert_eq!(Rc::strong_count(&token), 1);
        clients.join().unwrap();
    });
}

// Z-03, for streams.
#[test]
fn a_read_callback_that_holds_its_own_stream_is_released_at_the_close() {
    bounded(|| {
        let token = Rc::new(());
        run(|| {
            let token = token.clone();
            with_peer(move |stream, peer| {
                let myself = stream.clone();
                stream.read_start(move |_, _| drop((myself.clone(), token.clone())));
                set_immediate(move || {
                    stream.close();
                    drop(peer);
                });
            });
        });
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

// ---- Urgent bytes ----

/// Sends one urgent byte, which stands outside of the stream that a plain read gives.
fn send_urgent(peer: &StdStream, byte: u8) {
    // SAFETY: the descriptor is open, and the byte lives across the call.
    let sent = unsafe { libc::send(peer.as_raw_fd(), (&raw const byte).cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
}

/// What a peer does: bytes of the stream, or an urgent one.
enum Sent {
    Plain(usize),
    Urgent,
}

#[test]
fn an_urgent_byte_does_not_hide_what_comes_behind_it() {
    use Sent::{Plain, Urgent};
    let scripts: [&[Sent]; 6] = [
        &[Plain(3), Urgent, Plain(3)],
        &[Urgent, Plain(3)],
        &[Plain(3), Urgent],
        &[Plain(3), Urgent, Plain(3), Urgent, Plain(3)],
        // At the edge of the read buffer, and one byte to each side of it.
        &[Plain(65_536), Urgent, Plain(3)],
        &[Plain(65_535), Urgent, Plain(65_537)],
    ];
    fn play(peer: &mut StdStream, script: &[Sent]) -> usize {
        let mut total = 0;
        for sent in script {
            match sent {
                Plain(len) => {
                    peer.write_all(&vec![b'x'; *len]).unwrap();
                    total += len;
                }
                Urgent => send_urgent(peer, b'!'),
            }
        }
        total
    }
    bounded(move || {
        for script in scripts {
            // All is there before the loop looks.
            run(|| {
                with_peer(move |stream, mut peer| {
                    let total = play(&mut peer, script);
                    let mut got = 0;
                    stream.read_start(move |stream, chunk| {
                        // The second of two urgent bytes puts the first back into the stream.
                        got += chunk.unwrap().iter().filter(|byte| **byte == b'x').count();
                        if got == total {
                            let _open = &peer;
                            stream.close();
                        }
                    });
                });
            });
            // The same for a task, which waits before anything comes.
            windlass::block_on(async {
                let (stream, mut peer) = connected().await;
                let reader = windlass::spawn(async move {
                    let mut got = 0;
                    let mut buffer = vec![0; 65_536];
                    loop {
                        let count = stream.read(&mut buffer).await.unwrap();
                        got += buffer[..count].iter().filter(|byte| **byte == b'x').count();
                        if count == 0 {
                            return got;
                        }
                    }
                });
                iterations(2).await;
                let total = play(&mut peer, script);
                iterations(2).await;
                peer.shutdown(Shutdown::Write).unwrap();
                assert_eq!(reader.await.unwrap(), total);
            });
        }
    });
}

// ---- Errors of writes that nobody waits for ----

/// Resets the connection behind `bytes`, and has a write fail on it whose request is dropped.
fn fail_a_write_behind(bytes: &[u8], stream: &TcpStream, mut peer: StdStream) {
    peer.write_all(bytes).unwrap();
    reset_on_drop(&peer);
    drop(peer);
    drop(stream.write(b"for nobody"));
}

#[test]
fn a_paused_reader_gets_what_had_arrived_and_then_the_error_of_a_dropped_write() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                stream.read_start(|_, _| unreachable!("it pauses first"));
                stream.read_stop();
                fail_a_write_behind(b"arrived", &stream, peer);
                after_iterations(3, move || {
                    assert!(!stream.is_closing());
                    let said = log.clone();
                    stream.clone().read_start(move |stream, chunk| match chunk {
                        Ok(bytes) => said.say(String::from_utf8_lossy(bytes)),
                        Err(error) => {
                            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                            assert!(gone.contains(&error.kind()), "{error}");
                            said.say("error");
                            assert!(!stream.is_closing(), "it is the callback's until it returns");
                        }
                    });
                    after_iterations(3, move || {
                        assert!(!stream.is_readable() && !stream.is_writable());
                        log.say("broken");
                    });
                });
            });
        });
        assert_eq!(log.lines(), ["arrived", "error", "broken"]);
    });
}

#[test]
fn a_reader_too_gets_what_had_arrived_before_the_error_of_a_dropped_write() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                let said = log.clone();
                stream.read_start(move |_, chunk| match chunk {
                    Ok(bytes) => said.say(String::from_utf8_lossy(bytes)),
                    Err(_) => said.say("error"),
                });
                fail_a_write_behind(b"arrived", &stream, peer);
            });
        });
        assert_eq!(log.lines(), ["arrived", "error"]);
    });
}

#[test]
fn a_read_gets_what_had_arrived_and_then_the_error_of_a_dropped_write() {
    bounded(|| {
        windlass::block_on(async {
            let (stream, mut peer) = connected().await;
            let mut buffer = [0; 32];
            peer.write_all(b"first").unwrap();
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 5);
            fail_a_write_behind(b"arrived", &stream, peer);
            iterations(3).await;
            // It travels with the connection.
            let stream = stream.detach().unwrap().open().unwrap();
            let count = stream.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], b"arrived");
            let error = stream.read(&mut buffer).await.unwrap_err();
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{error}");
        });
    });
}

#[test]
fn a_reset_that_a_write_is_told_of_first_is_no_end_for_the_reader() {
    bounded(|| {
        for dropped in [false, true] {
            let log = Trace::new();
            let unheard = log.clone();
            run(|| {
                on_unhandled(move |lost| unheard.say(format!("unhandled: {}", lost.error)));
                let log = log.clone();
                with_peer(move |stream, mut peer| {
                    peer.write_all(b"arrived").unwrap();
                    reset_on_drop(&peer);
                    drop(peer);
                    // The system tells the reset once, and from then on that the stream has ended.
                    let write = stream.write(b"too late");
                    if dropped {
                        drop(write);
                    } else {
                        write.on_complete(|outcome| {
                            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
                        });
                    }
                    stream.read_start(move |_, chunk| match chunk {
                        Ok(bytes) => log.say(String::from_utf8_lossy(bytes)),
                        Err(error) => log.say(format!("{:?}", error.kind())),
                    });
                });
            });
            assert_eq!(log.lines(), ["arrived", "ConnectionReset"], "dropped: {dropped}");
        }
    });
}

#[test]
fn a_reset_that_a_write_was_told_of_travels_with_the_stream_and_comes_before_what_follows_from_it()
{
    bounded(|| {
        windlass::block_on(async {
            let reset = async || {
                let (stream, peer) = connected().await;
                reset_on_drop(&peer);
                drop(peer);
                assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::ConnectionReset);
                stream
            };
            let mut buffer = [0; 32];
            let moved = reset().await.detach().unwrap().open().unwrap();
            let error = moved.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);

            let stream = reset().await;
            drop(stream.write(b"the system says of this one that the pipe is broken"));
            let error = stream.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the first counts");
        });
    });
}

#[test]
fn a_task_that_reads_is_told_of_a_reset_that_a_write_was_told_of() {
    bounded(|| {
        windlass::block_on(async {
            let (stream, mut peer) = connected().await;
            peer.write_all(b"arrived").unwrap();
            reset_on_drop(&peer);
            drop(peer);
            assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::ConnectionReset);
            let mut buffer = [0; 32];
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 7);
            let error = stream.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(!stream.is_readable() && !stream.is_writable());
        });
    });
}

#[test]
fn a_paused_reader_given_up_closes_the_connection_also_when_it_keeps_an_error() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                stream.on_close(log.says("closed"));
                stream.read_start(|_, _| unreachable!("it pauses first"));
                stream.read_stop();
                fail_a_write_behind(b"arrived", &stream, peer);
                after_iterations(3, move || drop(stream));
            });
        });
        assert_eq!(log.lines(), ["closed"]);
    });
}

#[test]
fn a_vectored_write_with_thousands_of_empty_buffers_sends_all_bytes() {
    bounded(|| {
        windlass::block_on(async {
            let (stream, mut peer) = connected().await;
            let mut buffers = vec![IoSlice::new(&[]); 3000];
            buffers.push(IoSlice::new(b"hel"));
            buffers.extend(vec![IoSlice::new(&[]); 3000]);
            buffers.push(IoSlice::new(b"lo"));
            stream.write_vectored(&buffers).await.unwrap();
            let mut received = [0; 5];
            peer.read_exact(&mut received).unwrap();
            assert_eq!(&received, b"hello");
        });
    });
}

#[test]
fn a_panic_behind_a_task_that_accepts_does_not_lose_connections_for_the_callback() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            windlass::on_uncaught(|_| {});
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            // A waker of a user's, whose wake queues a microtask that panics.
            struct Panics;
            impl std::task::Wake for Panics {
                fn wake(self: std::sync::Arc<Self>) {
                    windlass::queue_microtask(|| panic!("on purpose"));
                }
            }
            let waker = std::task::Waker::from(std::sync::Arc::new(Panics));
            let polled = listener.poll_accept(&mut std::task::Context::from_waker(&waker));
            assert!(polled.is_pending());
            let (said, own) = (log.clone(), listener.clone());
            listener.on_connection(move |connection| {
                drop(connection.unwrap());
                said.say("accepted");
                own.close();
            });
            drop(StdStream::connect(addr).unwrap());
        });
        assert_eq!(log.lines(), ["accepted"]);
    });
}

// TCP-24.
#[test]
fn try_write_takes_what_fits_and_queues_nothing() {
    bounded(|| {
        run(|| {
            with_peer(|stream, peer| {
                assert_eq!(stream.try_write(b"").unwrap(), 0);
                assert_eq!(stream.try_write(b"hello").unwrap(), 5);
                let taken = stream.try_write(&vec![0; MORE_THAN_FITS]).unwrap();
                assert!(taken > 0 && taken < MORE_THAN_FITS, "what fits");
                let full = stream.try_write(b"x").unwrap_err();
                assert_eq!(full.kind(), ErrorKind::WouldBlock);
                drop(stream.write(b"queued"));
                let behind = stream.try_write(b"x").unwrap_err();
                assert_eq!((behind.kind(), stream.write_queue_size()), (ErrorKind::WouldBlock, 6));
                stream.close();
                assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
                drop(peer);
            });
        });
    });
}

// TCP-24.
#[test]
fn try_write_to_a_peer_that_is_gone_is_an_error_and_leaves_nothing_queued() {
    bounded(|| {
        windlass::block_on(async {
            let (stream, peer) = connected().await;
            reset_on_drop(&peer);
            drop(peer);
            assert!(stream.read(&mut [0; 8]).await.is_err());
            let error = stream.try_write(b"x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert_eq!(stream.write_queue_size(), 0);
        });
    });
}

// TCP-39.
#[test]
fn keepalive_is_switched_on_with_its_time_and_off_and_zero_is_refused() {
    bounded(|| {
        windlass::block_on(async {
            let (stream, _peer) = connected().await;
            let option = |level, name| socket_option(stream.as_raw_fd(), level, name);
            let is_on = || option(libc::SOL_SOCKET, libc::SO_KEEPALIVE) == 1;
            assert!(!is_on());
            stream.set_keepalive(Some(Duration::from_secs(77))).unwrap();
            assert!(is_on());
            assert_eq!(option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), 77);
            stream.set_keepalive(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(option(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), 1);
            let error = stream.set_keepalive(Some(Duration::ZERO)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            stream.set_keepalive(None).unwrap();
            assert!(!is_on());
        });
    });
}

// TCP-38.
#[test]
fn a_connection_given_back_to_std_blocks_and_its_clones_are_closed() {
    bounded(|| {
        windlass::block_on(async {
            let (stream, mut peer) = connected().await;
            let waits = stream.write(&vec![0; MORE_THAN_FITS]);
            let error = stream.clone().into_std().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            let reader = thread::spawn(move || {
                peer.read_exact(&mut vec![0; MORE_THAN_FITS]).unwrap();
                peer
            });
            waits.await.unwrap();
            let other = stream.clone();
            let mut back = stream.into_std().unwrap();
            assert!(other.is_closing() && !descriptor_flags(back.as_raw_fd()).0);
            reader.join().unwrap().write_all(b"hello").unwrap();
            back.read_exact(&mut [0; 5]).unwrap();
        });
    });
}

// TCP-11, TCP-40.
#[test]
fn a_listener_is_built_with_a_shared_port_a_backlog_and_ipv6_only() {
    run(|| {
        let shared = TcpListener::builder().reuse_port(true).backlog(1);
        let first = shared.clone().bind("127.0.0.1:0").unwrap();
        let second = shared.bind(first.local_addr().unwrap()).unwrap();
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
        let error = TcpListener::bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::builder().only_v6(true).bind("127.0.0.1:0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        if let Ok(six) = TcpListener::builder().only_v6(true).bind("[::]:0") {
            let port = six.local_addr().unwrap().port();
            TcpListener::bind(format!("0.0.0.0:{port}")).expect("IPv4 is left to others");
        }
    });
}
