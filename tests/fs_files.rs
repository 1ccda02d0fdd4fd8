//! Open files: the order of their operations, their end, and what travels.
#![allow(unsafe_code)] // A pipe is made non-blocking, for which std has no word.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, SeekFrom};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use common::*;
use windlass::fs::stream::ReadOptions;
use windlass::fs::{self, File, FileTime, OpenOptions, PathError};
use windlass::worker::Worker;
use windlass::{CancelError, Loop, LoopGone, Pool, block_on, run};

// FS-03.
#[test]
fn positional_reads_and_writes_leave_the_offset_and_others_move_it() {
    bounded(|| {
        let path = directory("offset").join("file");
        block_on(async {
            let file = File::create_new(&path).await.unwrap();
            assert_eq!(file.write("0123456789").await.unwrap(), 10);
            assert_eq!(file.write_at("ab", 2).await.unwrap(), 2);
            assert_eq!(file.read_at(4, 1).await.unwrap(), b"1ab4");
            assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 10, "as the write left it");
            assert_eq!(file.seek(SeekFrom::Start(8)).await.unwrap(), 8);
            assert_eq!(file.read(1).await.unwrap(), b"8");
            assert_eq!(file.read(5).await.unwrap(), b"9");
            // Vectored ones likewise.
            let at = file.read_vectored_at(&[1, 2], 0).await.unwrap();
            assert_eq!(at, [b"0".to_vec(), b"1a".to_vec()]);
            file.write_vectored_at(vec![b"x".to_vec(), b"y".to_vec()], 0).await.unwrap();
            assert_eq!(file.seek(SeekFrom::End(0)).await.unwrap(), 10);
            assert_eq!(fs::read(&path).await.unwrap(), b"xyab456789");
            assert_eq!(file.seek(SeekFrom::Start(4)).await.unwrap(), 4);
            assert_eq!(file.read_to_end().await.unwrap(), b"456789");
        });
    });
}

// FS-03.
#[test]
fn append_always_writes_at_the_end() {
    bounded(|| {
        let path = directory("append").join("file");
        block_on(async {
            fs::write(&path, "one,").await.unwrap();
            let file = OpenOptions::new().append(true).read(true).open(&path).await.unwrap();
            file.seek(SeekFrom::Start(0)).await.unwrap();
            file.write("two,").await.unwrap();
            fs::append(&path, "three,").await.unwrap();
            file.write("four").await.unwrap();
            assert_eq!(fs::read(&path).await.unwrap(), b"one,two,three,four");
        });
    });
}

// FS-04.
#[test]
fn a_vectored_write_of_54321_buffers_writes_them_all() {
    const COUNT: usize = 54_321;
    bounded(|| {
        let path = directory("vectored").join("file");
        block_on(async {
            // Empty ones among them.
            let buffers: Vec<_> =
                (0..COUNT).map(|number| noise(number as u64, number % 4)).collect();
            let all = buffers.concat();
            let file = File::create(&path).await.unwrap();
            assert_eq!(file.write_vectored(buffers).await.unwrap(), all.len());
            assert!(fs::read(&path).await.unwrap() == all);
        });
    });
}

// FS-04.
#[test]
fn a_vectored_read_may_give_fewer_and_an_empty_list_is_invalid() {
    bounded(|| {
        let path = directory("vectored-read").join("file");
        block_on(async {
            fs::write(&path, "12345").await.unwrap();
            let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
            let buffers = file.read_vectored(&[2, 4, 3]).await.unwrap();
            assert_eq!(buffers, [b"12".to_vec(), b"345".to_vec(), Vec::new()]);
            assert_eq!(file.read_vectored(&[3]).await.unwrap(), [[0; 0]]);
            let none = file.read_vectored(&[]).await.map(drop);
            for error in [none, file.write_vectored(Vec::new()).await.map(drop)] {
                let error = error.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert_eq!(PathError::of(&error).unwrap().path(), path);
            }
            assert_eq!(file.write("").await.unwrap(), 0);
            assert_eq!(file.write_vectored(vec![Vec::new()]).await.unwrap(), 0);
            assert_eq!(file.metadata().await.unwrap().len(), 5);
        });
    });
}

// FS-05. Ten times what a pipe holds, and also when somebody has made it non-blocking.
#[test]
fn a_write_through_a_pipe_goes_on_until_everything_is_written() {
    bounded(|| {
        for nonblocking in [false, true] {
            let (mut reader, writer) = os_pipe();
            if nonblocking {
                // SAFETY: changing the flags of an open descriptor touches no memory.
                let set =
                    unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
                assert_eq!(set, 0);
            }
            let bytes = noise(5, 10 * 65_536 + 7);
            let expected = bytes.clone();
            let reading = thread::spawn(move || {
                let mut all = Vec::new();
                let mut piece = [0; 4_097];
                loop {
                    match reader.read(&mut piece).unwrap() {
                        0 => return all,
                        count => all.extend_from_slice(&piece[..count]),
                    }
                }
            });
            let written = block_on(async move {
                let file = File::from_std(writer);
                let written = file.write(bytes).await.unwrap();
                file.close().await.unwrap();
                written
            });
            assert_eq!(written, expected.len());
            assert!(reading.join().unwrap() == expected);
        }
    });
}

#[test]
fn a_read_from_a_pipe_gives_what_is_there() {
    bounded(|| {
        let (reader, writer) = os_pipe();
        block_on(async {
            let (reader, writer) = (File::from_std(reader), File::from_std(writer));
            writer.write("some").await.unwrap();
            assert_eq!(reader.read(1_000).await.unwrap(), b"some");
            // It waits on a pool thread, and the loop can do what ends the wait.
            let waits = reader.read(1_000);
            writer.write("more").await.unwrap();
            assert_eq!(waits.await.unwrap(), b"more");
            writer.close().await.unwrap();
            assert_eq!(reader.read(1_000).await.unwrap(), b"");
        });
    });
}

// FS-06.
#[test]
fn reading_at_or_past_the_end_gives_nothing() {
    bounded(|| {
        let path = directory("end").join("file");
        block_on(async {
            fs::write(&path, "123").await.unwrap();
            let file = File::open(&path).await.unwrap();
            assert_eq!(file.read_at(5, 3).await.unwrap(), b"");
            assert_eq!(file.read_at(5, 1 << 40).await.unwrap(), b"");
            assert_eq!(file.read(3).await.unwrap(), b"123");
            assert_eq!(file.read(3).await.unwrap(), b"");
            assert_eq!(file.read_to_end().await.unwrap(), b"");
            // FS-21: what the kernel does not know is refused, not wrapped.
            assert_eq!(
                file.read_at(5, u64::MAX).await.unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        });
    });
}

#[test]
fn operations_on_one_file_run_one_at_a_time_in_the_order_they_were_asked_for() {
    bounded(|| {
        let path = directory("order").join("file");
        let done = Rc::new(RefCell::new(Vec::new()));
        let inner = done.clone();
        with_pool(4).run(|| {
            File::create(&path).on_complete(move |file| {
                let file = file.unwrap();
                for number in 0..500_u32 {
                    let done = inner.clone();
                    file.write(format!("{number},")).on_complete(move |result| {
                        result.unwrap();
                        done.borrow_mut().push(number);
                    });
                }
            });
        });
        let expected: Vec<u32> = (0..500).collect();
        assert_eq!(*done.borrow(), expected);
        let text: String = expected.iter().map(|number| format!("{number},")).collect();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    });
}

#[test]
fn operations_on_different_files_do_not_wait_for_each_other() {
    bounded(|| {
        let path = directory("apart").join("file");
        with_pool(2).block_on(async {
            let (reader, writer) = os_pipe();
            let (reader, writer) = (File::from_std(reader), File::from_std(writer));
            let stuck = reader.read(5);
            fs::write(&path, "through").await.unwrap();
            writer.write("later").await.unwrap();
            assert_eq!(stuck.await.unwrap(), b"later");
        });
    });
}

// P-02, for operations that wait for their file.
#[test]
fn an_operation_that_waits_can_be_cancelled_and_those_behind_it_move_up() {
    bounded(|| {
        let path = directory("cancel").join("file");
        with_pool(1).block_on(async {
            let file = File::create(&path).await.unwrap();
            let (blocked, release) = block_a_thread();
            let first = file.write("one,");
            let second = file.write("two,");
            let third = file.write("three");
            assert_eq!(second.cancel(), Ok(()));
            assert_eq!(second.cancel(), Err(CancelError::Done));
            // This one is with the pool, but no thread has it.
            assert_eq!(first.cancel(), Ok(()));
            let canceller = third.canceller();
            assert!(is_canceled(&first.await));
            assert!(is_canceled(&second.await));
            drop(release);
            blocked.await.unwrap();
            assert_eq!(third.await.unwrap(), 5);
            assert_eq!(canceller.cancel(), Err(CancelError::Done));
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
    });
}

#[test]
fn of_very_many_operations_that_wait_each_is_cancelled_at_once() {
    bounded(|| {
        // Where each is looked for from one end, this takes minutes.
        const OPERATIONS: u32 = 200_000;
        let path = directory("cancel_many").join("file");
        with_pool(1).block_on(async {
            let file = File::create(&path).await.unwrap();
            let (blocked, release) = block_a_thread();
            let first = file.write("first");
            let waiting: Vec<_> = (0..OPERATIONS).map(|_| file.sync_data()).collect();
            let (odd, even): (Vec<_>, Vec<_>) =
                waiting.iter().enumerate().partition(|(number, _)| number % 2 == 1);
            for (_, request) in odd.into_iter().chain(even.into_iter().rev()) {
                assert_eq!(request.cancel(), Ok(()));
            }
            for request in waiting {
                assert!(is_canceled(&request.await));
            }
            drop(release);
            blocked.await.unwrap();
            assert_eq!(first.await.unwrap(), 5);
        });
    });
}

// E-01: each operation completes once, as its cancel was answered, and what is in the file is what was
// not cancelled, in order.
#[test]
fn random_operations_with_random_cancels_keep_their_order_and_their_word() {
    bounded(|| {
        let path = directory("random").join("file");
        for (seed, virtual_time) in (1..=20).zip([false, true].into_iter().cycle()) {
            let event_loop = Loop::builder().virtual_time(virtual_time).build().unwrap();
            event_loop.block_on(async {
                let mut dice = Dice(seed);
                let file = File::create(&path).await.unwrap();
                let (mut open, mut expected) = (Vec::new(), Vec::new());
                for number in 0..500_u32 {
                    let text = format!("{number};");
                    open.push((file.write(text.clone()), text, None));
                    let index = dice.roll(open.len() as u64) as usize;
                    if dice.roll(3) == 0 {
                        let (request, _, answer) = &mut open[index];
                        let again = request.cancel();
                        if *answer == Some(Ok(())) {
                            assert_eq!(again, Err(CancelError::Done));
                        } else {
                            *answer = Some(again);
                        }
                    }
                    if dice.roll(10) == 0 {
                        iterations(1).await;
                    }
                }
                let total = open.len();
                for (request, text, answer) in open {
                    let result = request.await;
                    if answer == Some(Ok(())) {
                        assert!(is_canceled(&result), "{seed}: {text} {result:?}");
                    } else {
                        assert_eq!(result.unwrap(), text.len(), "{seed}: {text} {answer:?}");
                        expected.extend(text.into_bytes());
                    }
                }
                assert!(expected.len() > total, "some were written");
                file.close().await.unwrap();
                assert!(std::fs::read(&path).unwrap() == expected, "{seed}");
            });
        }
    });
}

// E-01, Z-01, Z-03: by exit, and by the loop's own end.
#[test]
fn a_loop_may_end_at_any_moment_of_its_file_work_and_drops_each_callback_once() {
    const LEN: usize = 17 << 20; // Three jobs.
    bounded(|| {
        let dir = directory("any-moment");
        let path = dir.join("file");
        let bytes = noise(3, LEN);
        std::fs::write(&path, &bytes).unwrap();
        for moment in 0.. {
            let (held, called) = (Rc::new(()), Rc::new(Cell::new(0)));
            let count = || {
                let (held, called) = (held.clone(), called.clone());
                move || {
                    drop(held);
                    called.set(called.get() + 1);
                }
            };
            virtual_loop().run(|| {
                let counts = [(); 8].map(|()| count());
                let [opened, read, waits, copied, listed, streamed, closed, awaited] = counts;
                let (entries, bytes) = (dir.clone(), bytes.clone());
                File::open(&path).on_complete(move |file| {
                    let file = file.unwrap();
                    let own = file.clone();
                    file.read_to_end().on_complete(move |data| {
                        assert_eq!(data.unwrap().len(), LEN);
                        drop(own); // It holds its own file.
                        read();
                    });
                    file.metadata().on_complete(move |_| waits());
                    file.close().on_complete(move |_| closed());
                    opened();
                });
                fs::copy(&path, dir.join("copy")).on_complete(move |_| copied());
                fs::read_dir(&entries).on_complete(move |entries| {
                    entries.unwrap().next_batch().on_complete(move |_| listed());
                });
                let stream = ReadOptions::new().high_water_mark(1 << 20).open(&path);
                let mut streamed = Some(streamed);
                let own = stream.clone();
                stream.on_data(move |_, chunk| {
                    if chunk.unwrap().is_empty() {
                        own.close(); // It has ended.
                        streamed.take().unwrap()();
                    }
                });
                drop(windlass::spawn(async move {
                    fs::write(entries.join("written"), bytes).await.unwrap();
                    awaited();
                }));
                after_iterations(moment, || windlass::exit(0));
            });
            assert_eq!(Rc::strong_count(&held), 1, "{moment}: callbacks are left");
            assert!(called.get() <= 8);
            if called.get() == 8 {
                return; // All were done before the exit.
            }
        }
    });
}

#[test]
fn an_operation_that_has_begun_cannot_be_cancelled() {
    bounded(|| {
        with_pool(2).block_on(async {
            let pool = Loop::current().pool();
            let (reader, writer) = os_pipe();
            let (reader, writer) = (File::from_std(reader), File::from_std(writer));
            let reading = reader.read(1);
            until(|| pool.metrics().busy == 1).await;
            assert_eq!(reading.cancel(), Err(CancelError::Busy));
            writer.write("x").await.unwrap();
            assert_eq!(reading.await.unwrap(), b"x");
        });
    });
}

#[test]
fn a_file_dropped_with_operations_in_flight_completes_them() {
    bounded(|| {
        let path = directory("dropped").join("file");
        run(|| {
            let path = path.clone();
            File::create(&path).on_complete(move |file| {
                let file = file.unwrap();
                for piece in ["a", "b", "c"] {
                    drop(file.write(piece));
                }
            });
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    });
}

// FS-16.
#[test]
fn descriptors_are_closed_on_exec() {
    bounded(|| {
        let dir = directory("cloexec");
        block_on(async {
            let made = File::create(dir.join("file")).await.unwrap();
            let opened = File::open(dir.join("file")).await.unwrap();
            let copied = opened.try_clone().await.unwrap();
            let temporary = fs::create_temp_file(dir.join("t-XXXXXX")).await.unwrap();
            for file in [&made, &opened, &copied, &temporary] {
                assert!(descriptor_flags(file.as_raw_fd()).1, "{file:?}");
            }
            assert_ne!(opened.as_raw_fd(), copied.as_raw_fd());
        });
    });
}

#[test]
fn a_closed_file_refuses_everything_with_a_clear_error() {
    bounded(|| {
        let path = directory("closed").join("file");
        block_on(async {
            let file = File::create(&path).await.unwrap();
            let other_name = file.clone();
            drop(file.write("kept"));
            file.close().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"kept");
            assert_eq!(file.as_raw_fd(), -1);
            let error = other_name.write("lost").await.unwrap_err();
            let inner = PathError::of(&error).expect("it was opened by a path");
            assert_eq!(inner.raw_os_error(), Some(libc::EBADF));
            assert_eq!(inner.path(), path);
            assert!(other_name.close().await.is_err());
            assert!(other_name.clone().into_std().await.is_err());
            assert!(other_name.try_into_std().is_err());
        });
    });
}

// E-09 and Z-02.
#[test]
fn a_file_that_outlives_its_loop_gives_shut_down_errors_and_can_still_be_taken_out() {
    bounded(|| {
        let path = directory("outlives").join("file");
        let event_loop = Loop::new().unwrap();
        let (file, other) = event_loop.block_on(async {
            (File::create(&path).await.unwrap(), File::create(&path).await.unwrap())
        });
        drop(event_loop);
        let (waker, _) = Wakes::new();
        match poll_once_and_drop(file.write("x"), &waker) {
            Poll::Ready(Err(error)) => {
                assert!(error.get_ref().is_some_and(|inner| inner.is::<LoopGone>()), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(file.try_into_std().unwrap().metadata().unwrap().len(), 0);
        assert!(matches!(poll_once_and_drop(other.into_std(), &waker), Poll::Ready(Ok(_))));
    });
}

// E-01 and Z-02.
#[test]
fn operations_that_wait_when_the_loop_ends_are_told_that_it_has_shut_down() {
    bounded(|| {
        let (reader, writer) = os_pipe();
        let event_loop = with_pool(1);
        let requests = event_loop.enter(|| {
            let file = File::from_std(reader);
            [file.read(1), file.read(1), file.read_at(1, 0)]
        });
        let called = Rc::new(Cell::new(false));
        let inner = called.clone();
        event_loop.enter(|| {
            let file = File::from_std(writer.try_clone().unwrap());
            file.write("x").on_complete(move |_| inner.set(true));
        });
        drop(event_loop);
        let (waker, _) = Wakes::new();
        for request in requests {
            match poll_once_and_drop(request, &waker) {
                Poll::Ready(Err(error)) => assert!(error.get_ref().unwrap().is::<LoopGone>()),
                other => panic!("{other:?}"),
            }
        }
        assert!(!called.get(), "callbacks are dropped uncalled");
        assert_eq!(Rc::strong_count(&called), 1, "and dropped they are");
        drop(writer); // Lets the job that reads end.
    });
}

#[test]
fn an_open_file_does_not_hold_the_loop_and_its_operations_do() {
    bounded(|| {
        let path = directory("alive").join("file");
        let event_loop = Loop::new().unwrap();
        let kept = Rc::new(RefCell::new(None));
        let inner = kept.clone();
        event_loop.run(|| {
            File::create(&path).on_complete(move |file| {
                inner.replace(Some(file.unwrap()));
            });
        });
        assert!(!event_loop.is_alive());
        event_loop.enter(|| drop(kept.borrow().as_ref().unwrap().write("x")));
        assert!(event_loop.is_alive());
        assert_eq!(event_loop.why_alive()[0].kind, "file request");
        event_loop.run(|| ());
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
    });
}

#[test]
fn an_open_file_travels_to_a_worker_after_what_was_asked_before() {
    bounded(|| {
        let path = directory("travels").join("file");
        block_on(async {
            let file = File::create_new(&path).await.unwrap();
            drop(file.write("from here, "));
            let std = file.into_std().await.unwrap();
            let worker: Worker<std::fs::File, std::fs::File> =
                Worker::spawn_async(|port| async move {
                    let file = File::from_std(port.recv().await.unwrap());
                    drop(file.write("from there"));
                    port.post(file.into_std().await.unwrap());
                })
                .unwrap();
            worker.post(std);
            let file = File::from_std(worker.recv().await.unwrap());
            assert_eq!(file.read_at(100, 0).await.unwrap(), b"from here, from there");
            worker.join().await.unwrap();
        });
    });
}

// FS-15.
#[test]
fn copying_a_part_honours_offset_and_length_and_gives_0_at_the_end() {
    bounded(|| {
        let dir = directory("part");
        let bytes = noise(15, 300_000);
        block_on(async {
            fs::write(dir.join("from"), bytes.clone()).await.unwrap();
            let source = File::open(dir.join("from")).await.unwrap();
            let target = File::create(dir.join("to")).await.unwrap();
            assert_eq!(target.copy_from(&source, 1_000, 200_000).await.unwrap(), 200_000);
            assert_eq!(target.copy_from(&source, 299_000, 200_000).await.unwrap(), 1_000);
            assert_eq!(target.copy_from(&source, 300_000, 1).await.unwrap(), 0);
            assert_eq!(source.read(3).await.unwrap(), bytes[..3], "its offset has stayed");
            let expected = [&bytes[1_000..201_000], &bytes[299_000..]].concat();
            assert!(fs::read(dir.join("to")).await.unwrap() == expected);
        });
    });
}

// FS-21.
#[test]
fn a_big_read_or_write_is_split_into_jobs_and_a_small_one_is_one_job() {
    const MIB: usize = 1024 * 1024;
    bounded(|| {
        let path = directory("split").join("file");
        let event_loop = with_pool(1);
        let pool = event_loop.pool();
        let jobs = |since: u64| pool.metrics().completed - since;
        event_loop.block_on(async {
            fs::write(&path, "small").await.unwrap();
            assert_eq!(jobs(0), 1);
            assert_eq!(fs::read(&path).await.unwrap(), b"small");
            assert_eq!(jobs(1), 1, "open, stat, read and close");

            let bytes = noise(21, 20 * MIB);
            let before = pool.metrics().completed;
            fs::write(&path, bytes.clone()).await.unwrap();
            assert_eq!(jobs(before), 3);
            let before = pool.metrics().completed;
            assert!(fs::read(&path).await.unwrap() == bytes);
            assert_eq!(jobs(before), 3);

            let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
            let before = pool.metrics().completed;
            assert!(file.read(100 * MIB).await.unwrap() == bytes);
            assert_eq!(jobs(before), 3);
            let before = pool.metrics().completed;
            assert_eq!(file.write_at(bytes.clone(), 3).await.unwrap(), bytes.len());
            assert_eq!(jobs(before), 3);
            // Others have their turn between two jobs.
            let order = Rc::new(RefCell::new(Vec::new()));
            let (big, little) = (order.clone(), order.clone());
            let reading = fs::read(&path);
            let stat = fs::metadata(&path);
            reading.on_complete(move |_| big.borrow_mut().push("big"));
            stat.on_complete(move |_| little.borrow_mut().push("little"));
            until(|| order.borrow().len() == 2).await;
            assert_eq!(*order.borrow(), ["little", "big"]);
        });
    });
}

// FS-21. A sparse file of 2 GiB, of which more is asked for than there can be.
#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_gives_what_is_there() {
    const MIB: usize = 1 << 20;
    bounded(|| {
        let path = directory("changes").join("file");
        // A read of 20 MiB takes three jobs, in virtual time one in each iteration: the file changes after
        // the first, and what was read already stays.
        for len in [30 * MIB, 20 * MIB + 1, 20 * MIB, 17 * MIB, 9 * MIB, 8 * MIB, MIB] {
            let bytes = noise(20, 20 * MIB);
            std::fs::write(&path, &bytes).unwrap();
            let change = || {
                let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(len as u64).unwrap();
            };
            let pool = Pool::new(1).unwrap();
            let event_loop = Loop::builder().virtual_time(true).pool(pool.clone()).build();
            event_loop.unwrap().block_on(async {
                let file = File::open(&path).await.unwrap();
                let reads = [fs::read(&path), file.read_to_end(), file.read_at(25 * MIB, 0)];
                // The opening, and the first job of two of them.
                until(|| pool.metrics().completed >= 3).await;
                assert_eq!(pool.metrics().completed, 3);
                change();
                let [whole, to_end, part] = reads;
                let seen = len.max(8 * MIB);
                for (read, seen) in [(whole, seen), (to_end, seen), (part, len.min(25 * MIB))] {
                    let read = read.await.unwrap();
                    assert_eq!(read.len(), seen, "cut to {len}");
                    let kept = seen.min(20 * MIB);
                    assert!(read[..kept] == bytes[..kept] && read[kept..].iter().all(|b| *b == 0));
                }
            });
        }
    });
}

#[test]
fn a_length_beyond_all_memory_gives_what_there_is_and_never_wraps() {
    bounded(|| {
        let path = directory("huge").join("file");
        block_on(async {
            let file = File::create_new(&path).await.unwrap();
            file.set_len(1 << 31).await.unwrap();
            assert_eq!(file.read_at(usize::MAX, (1 << 31) - 3).await.unwrap(), [0; 3]);
            assert_eq!(file.metadata().await.unwrap().len(), 1 << 31);
            // Also of what fills more than one job.
            file.set_len(20 << 20).await.unwrap();
            for len in [usize::MAX, 1 << 45, 21 << 20] {
                assert_eq!(file.read_at(len, 0).await.unwrap().len(), 20 << 20);
            }
            file.set_len(0).await.unwrap();
        });
    });
}

// FS-11.
#[test]
fn an_open_file_whose_name_is_removed_stays_usable() {
    bounded(|| {
        let path = directory("removed").join("file");
        block_on(async {
            let file = File::create_new(&path).await.unwrap();
            fs::remove_file(&path).await.unwrap();
            file.write("still here").await.unwrap();
            assert_eq!(file.read_at(100, 0).await.unwrap(), b"still here");
            assert!(!fs::exists(&path).await.unwrap());
        });
    });
}

#[test]
fn an_open_file_is_cut_synced_and_given_times_and_modes() {
    use std::os::unix::fs::PermissionsExt;
    bounded(|| {
        let path = directory("attributes").join("file");
        block_on(async {
            let file = OpenOptions::new();
            let mut options = file.clone();
            let file = options.write(true).create_new(true).mode(0o600).open(&path).await.unwrap();
            assert_eq!(file.metadata().await.unwrap().permissions().mode() & 0o777, 0o600);
            file.write("12345").await.unwrap();
            file.set_len(2).await.unwrap();
            file.sync_data().await.unwrap();
            file.sync_all().await.unwrap();
            file.set_permissions(PermissionsExt::from_mode(0o640)).await.unwrap();
            file.chown(None, None).await.unwrap();
            let then = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_234_567_890_123);
            file.set_times(FileTime::Leave, then).await.unwrap();
            let metadata = fs::metadata(&path).await.unwrap();
            assert_eq!(metadata.len(), 2);
            assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
            assert_eq!(metadata.modified().unwrap(), then);
        });
    });
}

// E-06.
#[test]
fn anything_may_be_asked_of_a_file_in_the_callback_of_its_own_operation() {
    bounded(|| {
        let path = directory("inside").join("file");
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            File::create_new(&path).on_complete(move |file| {
                let file = file.unwrap();
                let own = file.clone();
                file.write("x").on_complete(move |_| {
                    let waiting = own.read_at(1, 0);
                    waiting.cancel().unwrap_or(());
                    drop(waiting);
                    let said = log.clone();
                    own.read_at(1, 0).on_complete(move |read| {
                        said.say(String::from_utf8(read.unwrap()).unwrap());
                    });
                    own.close().on_complete(move |closed| {
                        closed.unwrap();
                        log.say("closed");
                    });
                    assert!(own.try_into_std().is_err());
                });
            });
        });
        assert_eq!(log.lines(), ["x", "closed"]);
    });
}

#[test]
fn in_virtual_time_files_are_read_on_the_loops_turn_in_order() {
    bounded(|| {
        let path = directory("virtual").join("file");
        let log = Trace::new();
        virtual_loop().run(|| {
            let log = log.clone();
            File::create_new(&path).on_complete(move |file| {
                let file = file.unwrap();
                for text in ["one", "two"] {
                    let said = log.clone();
                    file.write(text).on_complete(move |_| said.say(text));
                }
                file.read_at(10, 0).on_complete(move |read| {
                    log.say(String::from_utf8(read.unwrap()).unwrap());
                });
            });
        });
        assert_eq!(log.lines(), ["one", "two", "onetwo"]);
    });
}

/// The system takes 1,024 buffers at a time.
#[test]
fn empty_buffers_are_neither_the_end_of_a_file_nor_in_the_way_of_others() {
    bounded(|| {
        let path = directory("empty_buffers").join("file");
        block_on(async {
            let file =
                OpenOptions::new().read(true).write(true).create(true).open(&path).await.unwrap();
            let mut written = vec![Vec::new(); 3000];
            written.push(b"hel".to_vec());
            written.extend(vec![Vec::new(); 3000]);
            written.push(b"lo".to_vec());
            assert_eq!(file.write_vectored(written).await.unwrap(), 5);
            for before in [0, 1, 1023, 1024, 1025, 5000] {
                let mut lens = vec![0; before];
                lens.extend([3, 0, 8]);
                let buffers = file.read_vectored_at(&lens, 0).await.unwrap();
                assert_eq!(buffers.len(), lens.len());
                assert_eq!(buffers.concat(), b"hello", "behind {before} empty buffers");
            }
            assert_eq!(file.read_vectored_at(&[0; 2000], 0).await.unwrap().concat(), []);
        });
    });
}
