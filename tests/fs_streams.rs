//! Files in pieces: back-pressure, order, ends and errors of file streams.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use common::*;
use windlass::fs::stream::{
    ReadOptions, ReadStream, Sink, Source, WriteOptions, WriteStream, feed, pipe,
};
use windlass::fs::{self, File, PathError};
use windlass::net::UnixStream;
use windlass::{CancelError, Loop, LoopGone, block_on, run, spawn};

const MARK: usize = 64 * 1024;

/// A file with `len` bytes of noise, and the bytes.
fn noisy(test: &str, len: usize) -> (PathBuf, Vec<u8>) {
    let path = directory(test).join("noise");
    let bytes = noise(len as u64, len);
    std::fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

#[test]
fn a_file_comes_in_chunks_in_order_and_its_end_once() {
    bounded(|| {
        let (path, bytes) = noisy("chunks", 10 * MARK + 5);
        let seen = Rc::new(RefCell::new((Vec::new(), 0)));
        let inner = seen.clone();
        run(|| {
            ReadStream::open(&path).on_data(move |stream, chunk| {
                let chunk = chunk.unwrap();
                assert!(chunk.len() <= MARK && stream.buffered() <= 2 * MARK);
                let mut seen = inner.borrow_mut();
                assert_eq!(seen.1, 0, "nothing comes after the end");
                seen.1 += u32::from(chunk.is_empty());
                seen.0.extend(chunk);
            });
        });
        assert_eq!(seen.borrow().1, 1);
        assert!(seen.borrow().0 == bytes);
        // Released with the end: the callback held the other.
        assert_eq!(Rc::strong_count(&seen), 1);
    });
}

#[test]
fn a_stream_can_be_awaited_and_stays_at_its_end() {
    bounded(|| {
        let (path, bytes) = noisy("awaited", 3 * MARK);
        block_on(async {
            let stream = ReadStream::open(&path);
            let mut all = Vec::new();
            while let Some(chunk) = stream.next().await.unwrap() {
                all.extend(chunk);
            }
            assert!(all == bytes);
            assert!(stream.next().await.unwrap().is_none());
            let told = Rc::new(Cell::new(false));
            let inner = told.clone();
            stream.on_data(move |_, chunk| inner.set(chunk.unwrap().is_empty()));
            assert!(!told.get(), "not from inside the call");
            until(|| told.get()).await;
        });
    });
}

#[test]
fn a_paused_stream_reads_no_further_than_its_mark_and_does_not_hold_the_loop() {
    bounded(|| {
        let (path, bytes) = noisy("paused", 20 * MARK);
        let event_loop = Loop::new().unwrap();
        let (kept, got) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
        let (inner, count) = (kept.clone(), got.clone());
        event_loop.run(|| {
            let stream = ReadStream::open(&path);
            stream.on_data(move |stream, chunk| {
                count.set(count.get() + chunk.unwrap().len());
                stream.pause();
            });
            inner.replace(Some(stream));
        });
        // The run has ended although 19 chunks are left.
        assert_eq!(got.get(), MARK);
        let stream = kept.take().unwrap();
        assert!(stream.buffered() <= 2 * MARK, "{}", stream.buffered());
        assert!(!stream.is_flowing());
        // Each resume gives one chunk more, for the callback pauses again.
        for round in 2..=20 {
            event_loop.enter(|| stream.resume());
            assert_eq!(got.get(), (round - 1) * MARK, "not from inside the call");
            event_loop.run(|| ());
            assert_eq!(got.get(), round * MARK);
        }
        event_loop.enter(|| stream.resume());
        event_loop.run(|| ());
        assert_eq!(got.get(), bytes.len());
    });
}

#[test]
fn a_stream_reads_nothing_before_somebody_wants_it() {
    bounded(|| {
        let (path, bytes) = noisy("unread", 10 * MARK);
        let event_loop = Loop::new().unwrap();
        let stream = event_loop.run(|| ReadStream::open(&path));
        assert_eq!(stream.buffered(), 0);
        let next = event_loop.block_on(async { stream.next().await });
        assert!(next.unwrap().unwrap() == bytes[..MARK]);
    });
}

#[test]
fn a_mark_beyond_all_memory_takes_what_there_is() {
    bounded(|| {
        let (path, bytes) = noisy("no-mark", 20 << 20);
        block_on(async {
            let stream = ReadOptions::new().high_water_mark(usize::MAX).open(&path);
            assert!(stream.next().await.unwrap().unwrap() == bytes);
        });
    });
}

#[test]
fn random_pauses_and_resumes_lose_nothing_and_repeat_nothing() {
    bounded(|| {
        let (path, bytes) = noisy("random", 300_000);
        for (seed, virtual_time) in (1..=8).zip([false, true].into_iter().cycle()) {
            let mark = Dice(seed).roll(20_000) as usize + 1_000;
            let event_loop = Loop::builder().virtual_time(virtual_time).build().unwrap();
            let (seen, ends) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
            let (all, ended) = (seen.clone(), ends.clone());
            let stream = event_loop.enter(|| ReadOptions::new().high_water_mark(mark).open(&path));
            let mut dice = Dice(seed);
            let whim = move |stream: &ReadStream| match dice.roll(4) {
                0 => stream.pause(),
                1 => stream.resume(),
                2 => {
                    stream.pause();
                    stream.resume();
                }
                _ => {}
            };
            let mut inside = whim.clone();
            event_loop.enter(|| {
                stream.on_data(move |stream, chunk| {
                    let chunk = chunk.unwrap();
                    ended.set(ended.get() + u32::from(chunk.is_empty()));
                    all.borrow_mut().extend(chunk);
                    inside(stream);
                });
            });
            let mut outside = whim;
            while ends.get() == 0 {
                event_loop.enter(|| outside(&stream));
                event_loop.turn(windlass::RunMode::NoWait);
                assert!(stream.buffered() < 2 * mark);
            }
            event_loop.run(|| ());
            assert_eq!(ends.get(), 1, "{seed}");
            assert!(*seen.borrow() == bytes, "{seed}");
        }
    });
}

#[test]
fn a_pipe_may_be_cancelled_at_any_moment() {
    bounded(|| {
        let (path, bytes) = noisy("any-moment", 10 * MARK);
        let target = path.with_extension("copy");
        let mut done = false;
        for moment in 0.. {
            let event_loop = virtual_loop();
            let (result, answer) = event_loop.block_on(async {
                let piping = ReadStream::open(&path).pipe(WriteStream::create(&target));
                iterations(moment).await;
                let answer = piping.cancel();
                (piping.await, answer)
            });
            event_loop.run(|| ());
            let written = std::fs::read(&target).unwrap_or_default();
            match answer {
                Ok(()) => assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED)),
                Err(error) => {
                    assert_eq!(error, CancelError::Done);
                    assert_eq!(result.unwrap(), bytes.len() as u64);
                    assert_eq!(written.len(), bytes.len());
                    done = true;
                }
            }
            assert!(bytes.starts_with(&written), "{moment}");
            if done {
                break;
            }
        }
    });
}

#[test]
fn start_and_length_choose_a_part_and_leave_the_files_offset() {
    bounded(|| {
        let (path, bytes) = noisy("part", 3 * MARK);
        block_on(async {
            let file = File::open(&path).await.unwrap();
            for (start, len) in
                [(0, 0), (5, 1), (100, 2 * MARK), (2 * MARK, 5 * MARK), (9 * MARK, 1)]
            {
                let options = ReadOptions::new().start(start as u64).len(len as u64);
                let stream = options.high_water_mark(10_000).stream(file.clone());
                let mut all = Vec::new();
                while let Some(chunk) = stream.next().await.unwrap() {
                    assert!(chunk.len() <= 10_000);
                    all.extend(chunk);
                }
                let end = bytes.len().min(start + len);
                assert!(all == bytes[start.min(end)..end], "from {start}, {len} long");
            }
            assert_eq!(file.read(3).await.unwrap(), bytes[..3]);
        });
    });
}

// FS-02 and one error path.
#[test]
fn an_error_of_the_opening_or_of_a_read_is_told_once_where_the_data_would_be() {
    bounded(|| {
        let dir = directory("errors");
        let missing = dir.join("missing");
        let told = Rc::new(Cell::new(0));
        let inner = told.clone();
        run(|| {
            let path = missing.clone();
            ReadStream::open(&missing).on_data(move |_, chunk| {
                let error = chunk.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert_eq!(PathError::of(&error).unwrap().path(), path);
                inner.set(inner.get() + 1);
            });
        });
        assert_eq!((told.get(), Rc::strong_count(&told)), (1, 1));
        block_on(async {
            let stream = ReadStream::open(&dir);
            assert_eq!(stream.next().await.unwrap_err().kind(), ErrorKind::IsADirectory);
            assert!(stream.next().await.unwrap().is_none());
        });
    });
}

#[test]
fn a_write_stream_says_when_to_wait_and_when_there_is_room() {
    bounded(|| {
        let path = directory("room").join("file");
        block_on(async {
            let stream = WriteOptions::new().high_water_mark(10).create(&path);
            assert!(stream.write("12345"));
            assert!(!stream.write("67890"));
            assert!(!stream.write("over"), "taken all the same");
            assert_eq!(stream.queued(), 14);
            let drained = stream.drain();
            drained.await.unwrap();
            assert!(stream.queued() < 10);
            assert!(stream.write("!"));
            stream.finish().await.unwrap();
            assert_eq!(stream.written(), 15);
            assert_eq!(std::fs::read(&path).unwrap(), b"1234567890over!");
            assert!(!stream.write("late"));
            assert!(stream.finish().await.is_err(), "a second finish");
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"1234567890over!");
    });
}

#[test]
fn chunks_are_written_in_order_and_a_dropped_stream_writes_what_is_left() {
    bounded(|| {
        let path = directory("left").join("file");
        let mut expected = String::new();
        run(|| {
            let stream = WriteStream::create(&path);
            for number in 0..5_000 {
                let chunk = format!("{number} ");
                expected.push_str(&chunk);
                stream.write(chunk);
            }
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        run(|| {
            WriteStream::append(&path).write("appended");
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected.clone() + "appended");
        block_on(async {
            let file = fs::OpenOptions::new().write(true).open(&path).await.unwrap();
            let stream = WriteOptions::new().start(2).stream(file);
            stream.write("AB");
            stream.write("C");
            stream.finish().await.unwrap();
        });
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("0 ABC"));
    });
}

#[test]
fn the_error_of_a_write_stream_is_told_to_all_who_ask() {
    bounded(|| {
        block_on(async {
            let full = Path::new("/dev/full");
            let stream = WriteOptions::new().high_water_mark(4).create(full);
            assert!(!stream.write("does not fit"));
            let waits = stream.drain();
            let finish = stream.finish();
            for result in [waits.await, finish.await, stream.drain().await, stream.finish().await] {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                let inner = PathError::of(&error).unwrap();
                assert_eq!((inner.path(), inner.raw_os_error()), (full, Some(libc::ENOSPC)));
            }
            assert!(!stream.write("no more"));
            assert_eq!(stream.queued(), 0, "what waited is dropped");

            let stream = WriteStream::create("/no/such/folder/file");
            stream.write("x");
            assert_eq!(stream.finish().await.unwrap_err().kind(), ErrorKind::NotFound);
        });
    });
}

#[test]
fn closing_a_write_stream_throws_away_what_waits_and_cancels_who_waits() {
    bounded(|| {
        let path = directory("thrown").join("file");
        block_on(async {
            let stream = WriteOptions::new().high_water_mark(1).create(&path);
            stream.write("never written");
            let drain = stream.drain();
            let finish = stream.finish();
            stream.close();
            stream.close();
            assert!(is_canceled(&drain.await));
            assert!(is_canceled(&finish.await));
            assert_eq!(stream.queued(), 0);
            // The opening goes on all the same.
            until(|| path.exists()).await;
            iterations(3).await;
        });
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    });
}

#[test]
fn a_file_goes_through_a_socket_into_another_file() {
    bounded(|| {
        let (path, bytes) = noisy("socket", 5_000_001);
        let copy = path.with_extension("copy");
        block_on(async {
            let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let sender = windlass::net::TcpStream::connect(address).await.unwrap();
            let receiver = listener.accept().await.unwrap();
            let sent = ReadStream::open(&path).pipe(sender);
            let received = pipe(receiver, WriteStream::create(&copy));
            assert_eq!(sent.await.unwrap(), bytes.len() as u64);
            assert_eq!(received.await.unwrap(), bytes.len() as u64);
        });
        assert!(std::fs::read(&copy).unwrap() == bytes);
    });
}

#[test]
fn a_peer_that_does_not_read_stops_the_file_and_the_loop_may_still_cancel() {
    bounded(|| {
        let (path, _) = noisy("stopped", 40_000_000);
        block_on(async {
            let (socket, mut peer) = connected().await;
            let stream = ReadStream::open(&path);
            let piping = stream.clone().pipe(socket.clone());
            // The kernel's buffers are full when something has waited for a while.
            let mut still = 0;
            let mut before = 0;
            while still < 1_000 {
                let now = (socket.write_queue_size(), stream.buffered());
                assert!(now.0 <= MARK && now.1 < 2 * MARK, "{now:?}");
                still = if now.0 > 0 && now.0 == before { still + 1 } else { 0 };
                before = now.0;
                windlass::yield_now().await;
            }
            let canceller = piping.canceller();
            assert_eq!(canceller.cancel(), Ok(()));
            assert_eq!(canceller.cancel(), Err(CancelError::Done));
            assert!(is_canceled(&piping.await));
            stream.close();
            socket.close();
            peer.set_nonblocking(false).unwrap();
            let arrived = thread::spawn(move || {
                let mut all = Vec::new();
                // Perhaps a reset: what waited was thrown away.
                peer.read_to_end(&mut all).ok();
                all.len()
            });
            assert!(arrived.join().unwrap() < 40_000_000);
        });
    });
}

#[test]
fn a_pipe_tells_the_error_of_its_source_or_its_sink() {
    bounded(|| {
        let (path, _) = noisy("pipe-errors", 1_000_000);
        block_on(async {
            let target = path.with_extension("target");
            let missing = ReadStream::open("/no/such/file").pipe(WriteStream::create(&target));
            assert_eq!(missing.await.unwrap_err().kind(), ErrorKind::NotFound);
            let full = ReadStream::open(&path).pipe(WriteStream::create("/dev/full"));
            assert_eq!(full.await.unwrap_err().kind(), ErrorKind::StorageFull);
            let (socket, peer) = connected().await;
            drop(peer);
            let gone = ReadStream::open(&path).pipe(socket).await.unwrap_err();
            assert!(
                matches!(gone.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                "{gone}"
            );
        });
    });
}

#[test]
fn several_files_are_fed_into_one_sink() {
    bounded(|| {
        let dir = directory("fed");
        block_on(async {
            let sink = WriteStream::create(dir.join("all"));
            for name in ["a", "b"] {
                fs::write(dir.join(name), name.repeat(100_000)).await.unwrap();
                assert_eq!(
                    feed(ReadStream::open(dir.join(name)), sink.clone()).await.unwrap(),
                    100_000
                );
            }
            sink.finish().await.unwrap();
            let all = fs::read(dir.join("all")).await.unwrap();
            assert!(all == ["a".repeat(100_000), "b".repeat(100_000)].concat().into_bytes());
        });
    });
}

// As `cat` does it.
#[test]
fn pipes_of_the_system_are_streams_too() {
    bounded(|| {
        let (reader, mut feeder) = os_pipe();
        let (mut drain, writer) = os_pipe();
        let bytes = noise(3, 1_000_000);
        let (given, expected) = (bytes.clone(), bytes);
        let feeding = thread::spawn(move || feeder.write_all(&given).unwrap());
        let draining = thread::spawn(move || {
            let mut all = Vec::new();
            drain.read_to_end(&mut all).unwrap();
            all
        });
        let count = block_on(async {
            let source = ReadStream::new(File::from_std(reader));
            source.pipe(WriteStream::new(File::from_std(writer))).await.unwrap()
        });
        assert_eq!(count, expected.len() as u64);
        feeding.join().unwrap();
        assert!(draining.join().unwrap() == expected);
    });
}

/// A sink that counts, and is slow: it takes a chunk in the next iteration.
#[derive(Clone, Default)]
struct Slow(Rc<Cell<usize>>, Rc<Cell<bool>>);

impl Sink for Slow {
    async fn write_chunk(&self, chunk: Vec<u8>) -> io::Result<()> {
        windlass::yield_now().await;
        self.0.set(self.0.get() + chunk.len());
        Ok(())
    }

    async fn end(&self) -> io::Result<()> {
        self.1.set(true);
        Ok(())
    }
}

/// So many chunks of one byte.
struct Ones(Cell<usize>);

impl Source for Ones {
    async fn read_chunk(&self, _spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        Ok((left > 0).then(|| vec![1]))
    }
}

#[test]
fn anything_with_the_traits_can_be_piped() {
    bounded(|| {
        let (path, bytes) = noisy("traits", 300_000);
        block_on(async {
            let slow = Slow::default();
            let stream = ReadStream::open(&path);
            let watched = stream.clone();
            let piping = stream.pipe(slow.clone());
            let watcher = spawn(async move {
                let mut most = 0;
                for _ in 0..20 {
                    most = most.max(watched.buffered());
                    windlass::yield_now().await;
                }
                most
            });
            assert_eq!(piping.await.unwrap(), bytes.len() as u64);
            assert_eq!((slow.0.get(), slow.1.get()), (bytes.len(), true));
            assert!(watcher.await.unwrap() < 2 * MARK);
            let slow = Slow::default();
            assert_eq!(feed(Ones(Cell::new(5)), slow.clone()).await.unwrap(), 5);
            assert_eq!((slow.0.get(), slow.1.get()), (5, false));
        });
    });
}

/// A source that fails as no source should.
struct Broken;

impl Source for Broken {
    async fn read_chunk(&self, _spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        std::panic::resume_unwind(Box::new("an accident"))
    }
}

// E-01.
#[test]
fn a_source_that_panics_ends_its_pipe_with_an_error_and_is_uncaught() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let said = log.clone();
            windlass::on_uncaught(move |uncaught| said.say(uncaught.message()));
            let said = log.clone();
            pipe(Broken, Slow::default()).on_complete(move |result| {
                assert!(result.is_err());
                said.say("an error");
            });
        });
        let mut lines = log.lines();
        lines.sort();
        assert_eq!(lines, ["an accident", "an error"]);
    });
}

// E-06 and Z-03.
#[test]
fn anything_may_be_asked_of_a_stream_in_its_own_callback() {
    bounded(|| {
        let (path, bytes) = noisy("inside", 5 * MARK);
        let held = Rc::new(Cell::new(0));
        for act in 0..5 {
            let inner = held.clone();
            let (again, len) = (path.clone(), bytes.len());
            run(|| {
                let stream = ReadStream::open(&path);
                let own = stream.clone();
                stream.on_data(move |stream, chunk| {
                    inner.set(inner.get() + chunk.unwrap().len());
                    match act {
                        0 => own.close(),
                        1 => {
                            stream.pause();
                            stream.resume();
                        }
                        2 => {
                            // Replaces the callback that runs, which is dropped with its captures.
                            let (count, held) = (inner.clone(), own.clone());
                            stream.on_data(move |_, chunk| {
                                assert!(held.buffered() <= 2 * MARK);
                                count.set(count.get() + chunk.unwrap().len());
                            });
                        }
                        3 => drop(ReadStream::open(&again)),
                        _ => own.pause(),
                    }
                });
            });
            let expected = if act == 0 || act == 4 { MARK } else { len };
            assert_eq!(held.replace(0), expected, "act {act}");
            assert_eq!(Rc::strong_count(&held), 1, "act {act}");
        }
    });
}

// E-03.
#[test]
fn a_panic_in_the_callback_loses_no_chunk_behind_it() {
    bounded(|| {
        let (path, bytes) = noisy("panic", 5 * MARK);
        let got = Rc::new(Cell::new((0, 0)));
        let inner = got.clone();
        run(|| {
            let caught = got.clone();
            windlass::on_uncaught(move |_| caught.set((caught.get().0, caught.get().1 + 1)));
            ReadStream::open(&path).on_data(move |_, chunk| {
                let len = chunk.unwrap().len();
                inner.set((inner.get().0 + len, inner.get().1));
                std::panic::resume_unwind(Box::new("an accident"));
            });
        });
        // Five chunks and the end.
        assert_eq!(got.get(), (bytes.len(), 6));
    });
}

// Z-01 and Z-02.
#[test]
fn streams_that_outlive_their_loop_do_nothing_and_their_callbacks_are_dropped() {
    bounded(|| {
        let (path, _) = noisy("outlives", 10 * MARK);
        let token = Rc::new(());
        let event_loop = Loop::new().unwrap();
        let (stream, waits, writer, finish) = event_loop.enter(|| {
            let stream = ReadStream::open(&path);
            // A circle: the stream holds the callback that holds the stream.
            let held = (token.clone(), stream.clone());
            stream.on_data(move |_, _| drop(held.clone()));
            let writer = WriteStream::create(path.with_extension("other"));
            writer.write("x");
            let finish = writer.finish();
            (stream, ReadStream::open(&path), writer, finish)
        });
        drop(event_loop);
        assert_eq!(Rc::strong_count(&token), 1);
        let (waker, _) = Wakes::new();
        let gone = |error: io::Error| error.get_ref().is_some_and(|inner| inner.is::<LoopGone>());
        match poll_once_and_drop(waits.next(), &waker) {
            Poll::Ready(Err(error)) => assert!(gone(error)),
            other => panic!("{other:?}"),
        }
        match poll_once_and_drop(finish, &waker) {
            Poll::Ready(Err(error)) => assert!(gone(error)),
            other => panic!("{other:?}"),
        }
        stream.resume();
        stream.pause();
        stream.on_data(|_, _| ());
        assert!(!writer.write("y"));
        assert!(matches!(poll_once_and_drop(writer.drain(), &waker), Poll::Ready(Err(_))));
        let copying = stream.pipe(writer.clone());
        assert!(matches!(poll_once_and_drop(copying, &waker), Poll::Ready(Err(_))));
    });
}

#[test]
fn in_virtual_time_streams_work_as_they_do_in_real_time() {
    bounded(|| {
        let (path, bytes) = noisy("virtual", 5 * MARK + 1);
        let copy = path.with_extension("copy");
        let event_loop = virtual_loop();
        let count = event_loop.block_on(async {
            ReadStream::open(&path).pipe(WriteStream::create(&copy)).await.unwrap()
        });
        assert_eq!(count, bytes.len() as u64);
        assert!(std::fs::read(&copy).unwrap() == bytes);
    });
}

/// What is dropped when a pipe ends is the user's, and may do anything.
#[test]
fn a_pipe_is_answered_also_when_its_source_panics_as_it_is_dropped() {
    struct Panics(Cell<u32>);
    impl Source for Panics {
        async fn read_chunk(&self, _spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
            match self.0.replace(self.0.get() + 1) {
                0 => Ok(Some(b"one chunk".to_vec())),
                1 => Ok(None),
                _ => std::future::pending().await,
            }
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    bounded(|| {
        let path = directory("panicking_source").join("file");
        block_on(async {
            windlass::on_uncaught(|_| {});
            let done = pipe(Panics(Cell::new(0)), WriteStream::create(&path)).await;
            assert_eq!(done.unwrap(), 9);
            let endless = pipe(Panics(Cell::new(2)), WriteStream::create(&path));
            windlass::yield_now().await;
            let canceller = endless.canceller();
            let cancelled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                canceller.cancel().unwrap();
            }));
            assert!(cancelled.is_err(), "the destructor's panic is the caller's");
            assert_eq!(endless.await.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        });
    });
}

/// Moves everything, by [`pipe`] or by [`feed`].
fn transfer(ends: bool, source: impl Source + 'static, sink: WriteStream) -> Moving {
    if ends { pipe(source, sink) } else { feed(source, sink) }
}

type Moving = windlass::Request<io::Result<u64>>;

#[test]
fn a_pipe_or_feed_into_a_sink_that_is_closed_or_finished_is_an_error() {
    bounded(|| {
        let (path, bytes) = noisy("sink-over", 3_000_000);
        block_on(async {
            for (ends, close) in [(true, true), (true, false), (false, true), (false, false)] {
                let target = path.with_extension("target");
                // Over before: one is closed while it is opened, another long after.
                let early = WriteStream::create(&target);
                early.close();
                let error = transfer(ends, ReadStream::open(&path), early).await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
                let sink = WriteStream::create(&target);
                if close {
                    fs::write(&target, "").await.unwrap();
                    sink.close();
                } else {
                    sink.finish().await.unwrap();
                }
                let late = transfer(ends, ReadStream::open(&path), sink.clone()).await;
                let late = late.unwrap_err();
                let told = if close {
                    late.raw_os_error() == Some(libc::EBADF)
                } else {
                    late.kind() == ErrorKind::BrokenPipe
                };
                assert!(told, "{late}");
                assert_eq!(sink.written(), 0);

                // Over on the way.
                let sink = WriteStream::create(&target);
                let moving = transfer(ends, ReadStream::open(&path), sink.clone());
                until(|| sink.written() > 0).await;
                if close {
                    sink.close()
                } else {
                    drop(sink.finish())
                }
                let error = moving.await.unwrap_err();
                assert!(sink.written() < bytes.len() as u64, "{error}");
            }
        });
    });
}

/// One chunk; then it acts, and is at its end.
struct ThenActs<F>(Cell<Option<F>>, Cell<bool>);

impl<F: FnOnce()> Source for ThenActs<F> {
    async fn read_chunk(&self, _spare: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        if !self.1.replace(true) {
            return Ok(Some(b"last".to_vec()));
        }
        if let Some(act) = self.0.take() {
            act();
        }
        Ok(None)
    }
}

// What was taken and then thrown away has not gone.
#[test]
fn a_feed_whose_last_chunk_is_thrown_away_or_fails_is_an_error() {
    bounded(|| {
        let target = directory("last-chunk").join("target");
        block_on(async {
            let feed_and = |sink: &WriteStream, act: fn(WriteStream)| {
                let other = sink.clone();
                let source = ThenActs(Cell::new(Some(move || act(other))), Cell::new(false));
                feed(source, sink.clone())
            };
            let sink = WriteStream::create(&target);
            let error = feed_and(&sink, |sink| sink.close()).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
            let full = WriteStream::create("/dev/full");
            let error = feed_and(&full, drop).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            let nowhere = WriteStream::create("/no/such/folder/file");
            let error = feed_and(&nowhere, drop).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            // What is finished by another name meanwhile goes all the same.
            let sink = WriteStream::create(&target);
            assert_eq!(feed_and(&sink, |sink| drop(sink.finish())).await.unwrap(), 4);
            assert_eq!(sink.written(), 4);
        });
    });
}

#[test]
fn a_pipe_or_feed_from_a_source_that_is_closed_or_has_failed_is_an_error() {
    bounded(|| {
        let (path, bytes) = noisy("source-over", 3_000_000);
        block_on(async {
            for ends in [true, false] {
                let target = || WriteStream::create(path.with_extension("target"));
                let source = ReadStream::open(&path);
                source.close();
                let error = transfer(ends, source, target()).await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");

                let (source, sink) = (ReadStream::open(&path), target());
                let moving = transfer(ends, source.clone(), sink.clone());
                until(|| sink.written() > 0).await;
                source.close();
                let error = moving.await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
                assert!(sink.written() < bytes.len() as u64);

                // Somebody else was told of the error.
                let source = ReadStream::open("/no/such/file");
                assert!(source.next().await.is_err());
                assert!(transfer(ends, source, target()).await.is_err());
                let (source, peer) = connected().await;
                reset_on_drop(&peer);
                drop(peer);
                assert!(source.read(&mut [0; 8]).await.is_err());
                assert!(transfer(ends, source, target()).await.is_err());
                // One that was read to its end has nothing to lose.
                let source = ReadStream::open(&path);
                while source.next().await.unwrap().is_some() {}
                source.close();
                assert_eq!(transfer(ends, source, target()).await.unwrap(), 0);
                let (source, peer) = connected().await;
                drop(peer);
                assert_eq!(source.read(&mut [0; 8]).await.unwrap(), 0);
                assert_eq!(transfer(ends, source, target()).await.unwrap(), 0);
            }
        });
    });
}

#[test]
fn a_closed_read_stream_is_no_stream_at_its_end() {
    bounded(|| {
        let (path, _) = noisy("closed", 3 * MARK);
        block_on(async {
            let closed = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::EBADF));
            let stream = ReadStream::open(&path);
            let waiting = windlass::spawn({
                let stream = stream.clone();
                async move { stream.next().await }
            });
            iterations(1).await;
            stream.close();
            closed(waiting.await.unwrap().unwrap_err());
            closed(stream.next().await.unwrap_err());
            let told = Rc::new(Cell::new(false));
            let inner = told.clone();
            stream.on_data(move |_, chunk| {
                closed(chunk.unwrap_err());
                inner.set(true);
            });
            until(|| told.get()).await;
        });
    });
}

#[test]
fn a_drain_of_a_write_stream_that_is_over_promises_no_room() {
    bounded(|| {
        let path = directory("drain-over").join("file");
        block_on(async {
            let stream = WriteStream::create(&path);
            stream.finish().await.unwrap();
            assert!(!stream.write("late"));
            assert_eq!(stream.drain().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            stream.close();
            assert_eq!(stream.finish().await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let stream = WriteStream::create(&path);
            stream.close();
            assert!(!stream.write("late"));
            for late in [stream.drain(), stream.finish()] {
                assert_eq!(late.await.unwrap_err().raw_os_error(), Some(libc::EBADF));
            }
        });
    });
}

/// The error of a pipe or feed whose source falls silent behind a chunk, and then `act` is done.
async fn told_in_silence(ends: bool, sink: impl Sink + 'static, act: impl FnOnce()) -> io::Error {
    let (source, silent) = UnixStream::pair().unwrap();
    silent.write(b"a chunk").await.unwrap();
    let moving = if ends { pipe(source.clone(), sink) } else { feed(source.clone(), sink) };
    iterations(5).await;
    act();
    let error = moving.await.unwrap_err();
    assert!(!source.is_closing() && !silent.is_closing());
    error
}

// As Node's pipeline does.
#[test]
fn a_pipe_or_feed_hears_of_its_sinks_failure_or_close_while_the_source_is_silent() {
    bounded(|| {
        let target = directory("silence").join("target");
        block_on(async {
            for ends in [true, false] {
                let (sink, other) = connected().await;
                let reset = move || {
                    reset_on_drop(&other);
                    drop(other);
                };
                let error = told_in_silence(ends, sink, reset).await;
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
                let (sink, _other) = connected().await;
                let own = sink.clone();
                let error = told_in_silence(ends, sink, move || own.close()).await;
                assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");

                let (sink, other) = UnixStream::pair().unwrap();
                let error = told_in_silence(ends, sink, move || other.close()).await;
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
                let (sink, reader) = windlass::pipe::pipe().unwrap();
                let error = told_in_silence(ends, sink, move || reader.close()).await;
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");

                let sink = WriteStream::create(&target);
                let own = sink.clone();
                let error = told_in_silence(ends, sink, move || own.close()).await;
                assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
                let full = WriteStream::create("/dev/full");
                let error = told_in_silence(ends, full, || ()).await;
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            }
        });
    });
}

// Two pipes into one sink wait beside each other, and beside what else waits there.
#[test]
fn all_that_feed_one_sink_hear_of_its_close_and_one_that_ends_takes_no_others_place() {
    bounded(|| {
        block_on(async {
            let (sink, reader) = UnixStream::pair().unwrap();
            let (one, first) = UnixStream::pair().unwrap();
            let (other, _second) = UnixStream::pair().unwrap();
            let (done, left) = (feed(one, sink.clone()), feed(other, sink.clone()));
            iterations(3).await;
            drop(first.write(b"all"));
            drop(first);
            assert_eq!(done.await.unwrap(), 3);
            reader.close();
            assert_eq!(left.await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}
