//! Several queued writes go out with one call, and each one's callback may do anything before the next one's
//! runs; rounds that stop at their limit go on in the next.
#![allow(unsafe_code)] // A pair of sockets that keep packets apart, which std has no words for.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::TcpStream as StdStream;
use std::os::fd::FromRawFd;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use common::*;
use windlass::net::TcpStream;
use windlass::{CancelError, run};

/// Writes dots until the kernel takes no more, so that what is written next waits and goes out together.
fn fill(stream: &TcpStream) {
    while stream.write_queue_size() == 0 {
        drop(stream.write(&[b'.'; 4096]));
    }
}

/// Reads all that arrives until the end, on a thread; what is no dot comes back.
fn collect(mut peer: StdStream) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut received = Vec::new();
        // A reset ends it too.
        if let Err(error) = peer.read_to_end(&mut received) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
        received.retain(|byte| *byte != b'.');
        String::from_utf8(received).unwrap()
    })
}

/// Fills a stream, queues the letters A to E as writes of one byte each, and calls `act` in A's completion, with the
/// names of the requests of B to E to cancel. What each was told is in the log. Returns what the peer got.
fn in_the_first_completion(
    log: &Trace,
    act: impl FnOnce(TcpStream, Vec<windlass::Canceller>) + 'static,
) -> String {
    let reader = Rc::new(Cell::new(None));
    let (kept, log) = (reader.clone(), log.clone());
    run(move || {
        windlass::on_uncaught(|_| {});
        with_peer(move |stream, peer| {
            fill(&stream);
            let first = stream.write(b"A");
            let mut cancellers = Vec::new();
            for letter in ["B", "C", "D", "E"] {
                let request = stream.write(letter.as_bytes());
                cancellers.push(request.canceller());
                let log = log.clone();
                request.on_complete(move |result| {
                    let end = if is_canceled(&result) { "canceled" } else { "written" };
                    assert!(end == "canceled" || result.is_ok(), "{result:?}");
                    log.say(format!("{letter} {end}"));
                });
            }
            first.on_complete(move |result| {
                result.unwrap();
                act(stream, cancellers);
            });
            kept.set(Some(collect(peer)));
        });
    });
    reader.take().unwrap().join().unwrap()
}

/// The letters that the log says were written.
fn written(log: &Trace) -> String {
    let lines = log.lines();
    lines.iter().filter_map(|line| line.strip_suffix(" written")).collect()
}

#[test]
fn a_write_that_is_cancelled_and_dropped_is_no_failure_of_its_stream() {
    bounded(|| {
        for has_reader in [false, true] {
            let log = Trace::new();
            let said = log.clone();
            run(move || {
                with_peer(move |stream, mut peer| {
                    let reads = said.clone();
                    if has_reader {
                        stream.read_start(move |_, chunk| match chunk {
                            Ok(bytes) => reads.say(format!("read {}", bytes.len())),
                            Err(error) => reads.say(error.to_string()),
                        });
                    }
                    fill(&stream);
                    let unwanted = stream.write(b"unwanted");
                    let canceller = unwanted.canceller();
                    drop(unwanted);
                    canceller.cancel().unwrap();
                    let other = stream.write(b"other");
                    other.cancel().unwrap();
                    drop(other);
                    let last = stream.write(b"last");
                    after_iterations(3, move || {
                        assert!(!stream.is_closing(), "{has_reader}");
                        peer.write_all(if has_reader { b"in" } else { b"" }).unwrap();
                        let reader = collect(peer);
                        last.on_complete(move |result| {
                            said.say(format!("{:?}", result.is_ok()));
                            stream.shutdown().on_complete(move |_| {
                                said.say(reader.join().unwrap());
                            });
                        });
                    });
                });
            });
            let mut lines = log.lines();
            lines.sort();
            let expected = ["last", "read 0", "read 2", "true"];
            let expected = expected.iter().filter(|line| has_reader || !line.starts_with("read"));
            assert!(lines.iter().eq(expected), "{has_reader}: {lines:?}");
        }
    });
}

#[test]
fn a_write_that_has_gone_with_the_one_before_it_can_no_longer_be_cancelled() {
    bounded(|| {
        let log = Trace::new();
        let said = log.clone();
        let received = in_the_first_completion(&log, move |stream, cancellers| {
            assert_eq!(stream.write_queue_size(), 0, "all went with one call");
            assert_eq!(cancellers[0].cancel(), Err(CancelError::Done));
            // As long as what was cancelled: none of its bytes may go astray.
            stream.write(b"F").on_complete(move |result| {
                result.unwrap();
                said.say("F written");
            });
        });
        assert_eq!(written(&log), "BCDEF", "in the order of the calls");
        assert_eq!(received, "ABCDEF");
    });
}

#[test]
fn writes_are_sent_once_also_when_a_completion_panics() {
    bounded(|| {
        let log = Trace::new();
        let said = log.clone();
        let received = in_the_first_completion(&log, move |stream, _| {
            // Behind the others, although they are told later.
            stream.write(b"F").on_complete(move |result| {
                result.unwrap();
                said.say("F written");
            });
            panic!("on purpose");
        });
        assert_eq!(written(&log), "BCDEF");
        assert_eq!(received, "ABCDEF");
    });
}

#[test]
fn a_close_in_a_completion_tells_writes_that_have_gone_that_they_have() {
    bounded(|| {
        let log = Trace::new();
        let received = in_the_first_completion(&log, |stream, _| stream.close());
        assert_eq!(log.lines(), ["B written", "C written", "D written", "E written"]);
        assert_eq!(received, "ABCDE");
    });
}

#[test]
fn a_shutdown_in_a_completion_comes_after_those_that_went_with_it() {
    bounded(|| {
        let log = Trace::new();
        let said = log.clone();
        let received = in_the_first_completion(&log, move |stream, _| {
            stream.shutdown().on_complete(move |result| {
                result.unwrap();
                said.say("shut down");
            });
        });
        assert_eq!(log.lines(), ["B written", "C written", "D written", "E written", "shut down"]);
        assert_eq!(received, "ABCDE");
    });
}

/// Each completion writes again while others still wait to be told: that must not hold the loop.
#[test]
fn completions_that_write_again_in_a_batch_do_not_hold_the_loop() {
    fn write_again(stream: TcpStream, going: Rc<Cell<bool>>) {
        if going.get() {
            let next = stream.clone();
            let request = stream.write(b"x");
            request.on_complete(move |_| write_again(next, going));
        }
    }
    bounded(|| {
        let log = Trace::new();
        in_the_first_completion(&log, |stream, _| {
            let going = Rc::new(Cell::new(true));
            for _ in 0..4 {
                write_again(stream.clone(), going.clone());
            }
            after_iterations(5, move || going.set(false));
        });
        assert_eq!(written(&log), "BCDE");
    });
}

/// A microtask of one completion runs before the next completion: it finds the same books.
#[test]
fn a_task_between_two_completions_finds_the_writes_gone() {
    bounded(|| {
        let log = Trace::new();
        let received = in_the_first_completion(&log, |stream, cancellers| {
            windlass::queue_microtask(move || {
                assert_eq!(stream.write_queue_size(), 0);
                let refused = cancellers.iter().all(|c| c.cancel() == Err(CancelError::Done));
                assert!(refused);
            });
        });
        assert_eq!(written(&log), "BCDE");
        assert_eq!(received, "ABCDE");
    });
}

/// When the loop ends in the middle, those that have gone and are awaited are told so.
#[test]
fn an_exit_in_a_completion_leaves_the_truth_for_those_who_await() {
    bounded(|| {
        let told = Rc::new(RefCell::new(Vec::new()));
        let (hand_over, reader) = mpsc::channel();
        let log = told.clone();
        run(move || {
            with_peer(move |stream, peer| {
                fill(&stream);
                let first = stream.write(b"A");
                let second = stream.write(b"B");
                // Kept outside of the loop, so that it can be asked after the end.
                log.borrow_mut().push(second);
                first.on_complete(|_| windlass::exit(0));
                hand_over.send(collect(peer)).unwrap();
            });
        });
        let second = told.borrow_mut().pop().unwrap();
        let (waker, _) = Wakes::new();
        match poll_once_and_drop(second, &waker) {
            std::task::Poll::Ready(Ok(())) => {}
            other => panic!("B has gone: {other:?}"),
        }
        assert_eq!(reader.recv().unwrap().join().unwrap(), "AB");
    });
}

// ---- Rounds that stop at their limit ----

/// A connected pair whose reads give one packet each, however large the buffer is.
fn packets() -> (StdStream, StdStream) {
    let mut pair = [0; 2];
    // SAFETY: the call fills the two descriptors, which nobody else has.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()), 0);
        (StdStream::from_raw_fd(pair[0]), StdStream::from_raw_fd(pair[1]))
    }
}

/// Nothing new arrives between two rounds, so the poller has nothing to report.
#[test]
fn a_read_round_that_stops_at_its_limit_goes_on_in_the_next_without_a_new_event() {
    const PACKETS: usize = 100;
    bounded(|| {
        let read = Rc::new(Cell::new(0));
        let count = read.clone();
        run(move || {
            let (stream, mut peer) = packets();
            for _ in 0..PACKETS {
                peer.write_all(b"x").unwrap();
            }
            drop(peer); // The end behind them has been reported too: a short read is not the last.
            let stream = TcpStream::from_std(stream).unwrap();
            let seen = count.clone();
            stream.read_start(move |_, chunk| seen.set(seen.get() + chunk.unwrap().len()));
            // A round has 8 reads: with twice the time it needs all must be there.
            after_iterations(PACKETS / 4, move || {
                assert_eq!(count.get(), PACKETS, "the loop has forgotten the rest");
                drop(stream);
            });
        });
        assert_eq!(read.get(), PACKETS);
    });
}

/// The end behind the bytes was reported with the first of them, before anybody asks for it.
#[test]
fn an_end_waits_for_all_rounds_of_a_reader_also_when_it_is_asked_for_in_the_first() {
    const PACKETS: usize = 100;
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (stream, mut peer) = packets();
            for _ in 0..PACKETS {
                peer.write_all(b"x").unwrap();
            }
            drop(peer);
            let (log, read) = (log.clone(), Cell::new(0));
            TcpStream::from_std(stream).unwrap().read_start(move |stream, chunk| {
                if read.get() == 0 {
                    stream.on_read_closed(log.says("read closed"));
                    stream.on_hang_up(log.says("hang-up"));
                }
                read.set(read.get() + chunk.as_ref().unwrap().len());
                if chunk.unwrap().is_empty() {
                    log.say(format!("the end behind {}", read.get()));
                }
            });
        });
        log.expect(&["the end behind 100", "read closed", "hang-up"]);
    });
}

/// As a server does that reads on only when it knows that the client will send no more.
#[test]
fn a_reader_that_begins_when_the_end_is_told_gets_all_bytes_before_the_hang_up() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (stream, mut peer) = packets();
            peer.write_all(b"left").unwrap();
            drop(peer);
            let stream = TcpStream::from_std(stream).unwrap();
            stream.on_hang_up(log.says("hang-up"));
            let (own, log) = (stream.clone(), log.clone());
            stream.on_read_closed(move || {
                own.read_start(move |_, chunk| {
                    log.say(String::from_utf8_lossy(chunk.unwrap()));
                });
            });
            let stays = windlass::Loop::current().keep_alive();
            stream.on_close(move || drop(stays));
        });
        log.expect(&["left", "", "hang-up"]);
    });
}

/// The kernel takes all that it is given, so the poller has nothing to report.
#[test]
fn a_write_round_that_stops_at_its_limit_goes_on_in_the_next_without_a_new_event() {
    // A round has 16 calls, and a call takes 32 writes.
    const WRITES: usize = 16 * 32 * 10;
    bounded(|| {
        let (hand_over, reader) = mpsc::channel();
        let done = Rc::new(Cell::new(0));
        let counted = done.clone();
        run(move || {
            with_peer(move |stream, peer| {
                fill(&stream);
                for _ in 0..WRITES {
                    let done = counted.clone();
                    stream.write(b"x").on_complete(move |result| {
                        result.unwrap();
                        done.set(done.get() + 1);
                    });
                }
                hand_over.send(collect(peer)).unwrap();
            });
        });
        assert_eq!(done.get(), WRITES);
        assert_eq!(reader.recv().unwrap().join().unwrap().len(), WRITES);
    });
}
