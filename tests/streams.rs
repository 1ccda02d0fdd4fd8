//! What all kinds of streams promise, tested once for each of them.
//!
//! A kind says how a pair of connected streams is made, of which one is written and the other read.
//! Those of the standard streams run in a process of their own, one test in each.

mod common;
#[path = "streams/kinds.rs"]
mod kinds;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::pin;
use std::rc::Rc;

use common::*;
use kinds::*;
use windlass::stream::{Readable, Writable};
use windlass::{CancelError, block_on, on_uncaught, run, set_immediate, set_timeout, spawn};

/// More than a kernel takes while nobody reads.
const MORE_THAN_FITS: usize = 24 << 20;

/// Reads to the end.
async fn read_all(reader: &impl Readable) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match reader.read(&mut buffer).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A write that nobody can read any more.
#[track_caller]
fn expect_gone(result: io::Result<()>) {
    let error = result.unwrap_err();
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    let is_hung_up = error.raw_os_error() == Some(libc::EIO); // A terminal.
    assert!(kinds.contains(&error.kind()) || is_hung_up, "{error}");
}

/// Writes until the system takes no more. Returns how many bytes it has taken.
async fn fill(writer: &impl Writable) -> usize {
    let (waker, _) = Wakes::new();
    let mut filled = 0;
    for chunk in [65536, 4096, 1] {
        let data = vec![b'-'; chunk];
        // Also what others on the way take of it: a child that hands on reads while it can.
        let mut full = 0;
        while full < 3 {
            let write = poll_fn(|cx| writer.poll_write(cx, &data));
            match poll_once_and_drop(write, &waker) {
                std::task::Poll::Ready(count) => (filled, full) = (filled + count.unwrap(), 0),
                std::task::Poll::Pending => {
                    full += 1;
                    iterations(1).await;
                }
            }
        }
    }
    filled
}

/// Bytes that show when one is lost, doubled or out of place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// Runs a test to its end as the main script's task, on a loop that must then end by itself.
fn to_the_end(test: impl Future<Output = ()> + 'static) {
    let done = Rc::new(Cell::new(false));
    let told = done.clone();
    run(move || {
        drop(spawn(async move {
            test.await;
            told.set(true);
        }));
    });
    assert!(done.get(), "the test came to its end");
}

// TCP-19, TCP-20, TCP-21.
async fn writes_complete_in_their_order_and_all_bytes_arrive<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let (data, log) = (pattern(MORE_THAN_FITS), Trace::new());
    for (name, part) in ["1", "2", "3"].into_iter().zip(data.chunks(MORE_THAN_FITS / 3)) {
        let log = log.clone();
        writer.write(part).on_complete(move |result| {
            result.unwrap();
            log.say(name);
        });
    }
    assert!(writer.write_queue_size() > 0, "more than fits");
    let before = writer.write_queue_size();
    drop(writer.write(b"x"));
    assert_eq!(writer.write_queue_size(), before + 1);
    end::<K>(&writer);
    let got = read_all(&reader).await.unwrap();
    assert!(got[..data.len()] == data[..] && got[data.len()..] == *b"x");
    assert_eq!(writer.write_queue_size(), 0);
    iterations(3).await;
    log.expect(&["1", "2", "3"]);
}

// TCP-22.
async fn a_close_cancels_the_writes_that_wait<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let log = Trace::new();
    for name in ["first", "second"] {
        let log = log.clone();
        writer.write_owned(vec![0; MORE_THAN_FITS]).on_complete(move |result| {
            assert!(is_canceled(&result));
            log.say(name);
        });
    }
    writer.close();
    iterations(3).await;
    log.expect(&["first", "second"]);
    assert!(read_all(&reader).await.is_ok_and(|got| got.len() < MORE_THAN_FITS));
}

// TCP-23, U-16.
async fn a_writer_that_waits_is_woken_with_an_error_when_the_reader_goes<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let stuck = writer.write_owned(vec![0; MORE_THAN_FITS]);
    iterations(3).await;
    reader.close();
    expect_gone(stuck.await);
    expect_gone(writer.write(b"x").await);
}

// TCP-25.
async fn starting_to_read_again_replaces_the_callback<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    reader.read_start(|_, _| unreachable!("it was replaced"));
    let got = Rc::new(RefCell::new(Vec::new()));
    let sink = got.clone();
    reader.read_start(move |_, chunk| sink.borrow_mut().extend_from_slice(chunk.unwrap()));
    writer.write(b"hello").await.unwrap();
    end::<K>(&writer);
    until(|| got.borrow().len() == 5).await;
}

// TCP-26.
async fn reading_stopped_in_the_callback_goes_on_without_new_bytes<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let data = pattern(1 << 20);
    drop(writer.write(&data));
    end::<K>(&writer);
    let got = Rc::new(RefCell::new(Vec::new()));
    let pauses = Rc::new(Cell::new(0));
    let ended = Rc::new(Cell::new(false));
    loop {
        let (sink, pauses, end) = (got.clone(), pauses.clone(), ended.clone());
        let paused = Rc::new(Cell::new(false));
        let stopped = paused.clone();
        reader.read_start(move |reader, chunk| {
            assert!(!stopped.replace(true), "called once for each start");
            let chunk = chunk.unwrap();
            sink.borrow_mut().extend_from_slice(chunk);
            end.set(chunk.is_empty());
            pauses.set(pauses.get() + 1);
            reader.read_stop();
        });
        until(|| paused.get()).await;
        if ended.get() {
            break;
        }
    }
    assert!(pauses.get() > 2 && *got.borrow() == data);
}

// TCP-28, U-15.
async fn the_end_comes_once_behind_all_bytes<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    writer.write(b"last words").await.unwrap();
    writer.close();
    let log = Trace::new();
    let heard = log.clone();
    let ended = Rc::new(Cell::new(false));
    let end = ended.clone();
    reader.read_start(move |_, chunk| {
        let chunk = chunk.unwrap();
        end.set(chunk.is_empty());
        heard.say(if chunk.is_empty() { "the end" } else { std::str::from_utf8(chunk).unwrap() });
    });
    until(|| ended.get()).await;
    iterations(5).await;
    log.expect(&["last words", "the end"]);
}

// TCP-31, TCP-32, TCP-34.
async fn a_shutdown_waits_for_the_writes_and_comes_once<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let log = Trace::new();
    let (one, two) = (log.clone(), log.clone());
    writer.write_owned(vec![1; MORE_THAN_FITS]).on_complete(move |result| {
        result.unwrap();
        one.say("written");
    });
    let own = writer.clone();
    writer.shutdown().on_complete(move |result| {
        result.unwrap();
        two.say("ended");
        K::after_shutdown(&own);
    });
    let error = writer.shutdown().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    let error = writer.write(b"late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(read_all(&reader).await.unwrap().len(), MORE_THAN_FITS);
    iterations(3).await;
    log.expect(&["written", "ended"]);
}

// TCP-37.
async fn a_close_in_the_read_callback_ends_reading_at_once<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    drop(writer.write_owned(vec![0; 1 << 20]));
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    reader.read_start(move |reader, _| {
        count.set(count.get() + 1);
        reader.close();
    });
    until(|| calls.get() > 0).await;
    iterations(5).await;
    assert_eq!(calls.get(), 1);
    assert!(reader.read(&mut [0]).await.is_err(), "it is closed");
    writer.close();
}

// TCP-41.
async fn a_stream_that_always_has_data_does_not_hold_the_loop<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let request = writer.write_owned(vec![0; MORE_THAN_FITS]);
    let ticks = Rc::new(Cell::new(0));
    let (count, total) = (ticks.clone(), Rc::new(Cell::new(0)));
    let got = total.clone();
    reader.read_start(move |_, chunk| got.set(got.get() + chunk.unwrap().len()));
    fn again(count: Rc<Cell<u32>>, total: Rc<Cell<usize>>) {
        count.set(count.get() + 1);
        if total.get() < MORE_THAN_FITS {
            set_immediate(move || again(count, total));
        }
    }
    again(count, total.clone());
    request.await.unwrap();
    writer.close();
    until(|| total.get() == MORE_THAN_FITS).await;
    // 8 reads of 64 KiB at most between two check phases.
    assert!(ticks.get() >= (MORE_THAN_FITS >> 19) as u32, "{} immediates", ticks.get());
}

// U-13.
async fn a_write_of_nothing_completes_in_its_place<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let log = Trace::new();
    for (name, data) in [("much", &pattern(MORE_THAN_FITS)[..]), ("nothing", b""), ("x", b"x")] {
        let log = log.clone();
        writer.write(data).on_complete(move |result| {
            result.unwrap();
            log.say(name);
        });
    }
    end::<K>(&writer);
    assert_eq!(read_all(&reader).await.unwrap().len(), MORE_THAN_FITS + 1);
    iterations(3).await;
    log.expect(&["much", "nothing", "x"]);
}

async fn dropping_the_last_name_lets_queued_writes_go_first<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    drop(writer.write_owned(vec![7; MORE_THAN_FITS]));
    drop(writer);
    assert_eq!(read_all(&reader).await.unwrap().len(), MORE_THAN_FITS);
}

async fn the_poll_forms_move_all_bytes<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let data = pattern(1 << 20);
    let copy = data.clone();
    drop(spawn(async move {
        let mut left = &copy[..];
        while !left.is_empty() {
            let count = poll_fn(|cx| writer.poll_write(cx, left)).await.unwrap();
            left = &left[count..];
        }
        poll_fn(|cx| writer.poll_shutdown(cx)).await.unwrap();
    }));
    let (mut got, mut buffer) = (Vec::new(), vec![0; 5000]);
    loop {
        match poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap() {
            0 => break,
            count => got.extend_from_slice(&buffer[..count]),
        }
    }
    assert!(got == data);
}

async fn a_pipe_between_two_streams_moves_everything_and_ends<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let (onward, last) = K::pair().await.unwrap();
    let moved = windlass::fs::stream::pipe(reader, onward);
    let data = pattern(3 << 20);
    drop(writer.write(&data));
    end::<K>(&writer);
    assert!(read_all(&last).await.unwrap() == data);
    assert_eq!(moved.await.unwrap(), data.len() as u64);
}

// TCP-29.
async fn reading_again_after_the_end_gives_the_end_again_once<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    end::<K>(&writer);
    for _ in 0..3 {
        let ends = Counter::new();
        let count = ends.clone();
        reader.read_start(move |_, chunk| {
            assert_eq!(chunk.unwrap(), b"");
            count.add();
        });
        until(|| ends.get() > 0).await;
        iterations(5).await;
        assert_eq!(ends.get(), 1);
    }
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
}

// TCP-33.
async fn a_shutdown_is_told_before_the_close_that_follows_it_at_once<K: Kind>() {
    for queued in [0, MORE_THAN_FITS] {
        let (writer, reader) = K::pair().await.unwrap();
        let log = Trace::new();
        let (closed, ended) = (Rc::new(Cell::new(false)), log.clone());
        let (said, is_closed) = (log.clone(), closed.clone());
        writer.on_close(move || {
            said.say("closed");
            is_closed.set(true);
        });
        drop(writer.write_owned(vec![0; queued]));
        writer.shutdown().on_complete(move |result| {
            assert!(result.is_ok() || is_canceled(&result), "{result:?}");
            ended.say("shutdown");
        });
        writer.close();
        until(|| closed.get()).await;
        iterations(2).await;
        let mut told = log.take();
        if queued == 0 {
            // Of what is done at once the pending phase tells, which may come behind the close.
            told.sort_by_key(|line| line == "closed");
        }
        assert_eq!(told, ["shutdown", "closed"]);
        reader.close();
    }
}

// Z-03.
async fn a_read_callback_that_holds_its_own_stream_is_released_at_the_close<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let token = Rc::new(());
    let (own, held) = (reader.clone(), token.clone());
    reader.read_start(move |_, _| drop((own.clone(), held.clone())));
    iterations(2).await;
    reader.close();
    iterations(2).await;
    assert_eq!(Rc::strong_count(&token), 1);
    assert!(reader.is_closing());
    writer.close();
}

async fn a_queued_write_can_be_cancelled_and_a_begun_one_cannot<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let begun = writer.write_owned(vec![b'a'; MORE_THAN_FITS]);
    let unwanted = writer.write_owned(vec![b'b'; 1000]);
    let last = writer.write_owned(vec![b'c'; 1000]);
    let queued = writer.write_queue_size();
    assert_eq!(begun.cancel(), Err(CancelError::Busy));
    assert_eq!(unwanted.cancel(), Ok(()));
    assert_eq!(writer.write_queue_size(), queued - 1000);
    assert_eq!(unwanted.cancel(), Err(CancelError::Done));
    assert!(is_canceled(&unwanted.await));
    end::<K>(&writer);
    let got = read_all(&reader).await.unwrap();
    let of = |wanted| got.iter().filter(|byte| **byte == wanted).count();
    assert_eq!((of(b'a'), of(b'b'), of(b'c')), (MORE_THAN_FITS, 0, 1000));
    begun.await.unwrap();
    last.await.unwrap();
}

// TCP-42.
async fn a_completion_that_writes_again_and_again_does_not_grow_the_stack<K: Kind>() {
    fn write_again(writer: impl Writable, left: u32, first: usize) {
        let here = &raw const left as usize;
        let first = if first == 0 { here } else { first };
        assert!(first.abs_diff(here) < 4096, "the stack grows");
        if left == 0 {
            return drop(writer.shutdown());
        }
        writer.clone().write(b"x").on_complete(move |result| {
            result.unwrap();
            write_again(writer, left - 1, first);
        });
    }
    let (writer, reader) = K::pair().await.unwrap();
    set_immediate(move || write_again(writer, 20_000, 0));
    assert_eq!(read_all(&reader).await.unwrap().len(), 20_000);
}

async fn a_read_takes_no_more_than_its_buffer_holds_and_leaves_the_rest<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    writer.write(b"abcdefg").await.unwrap();
    let mut buffer = [0; 3];
    for expected in ["abc", "def"] {
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(text(&buffer), expected);
    }
    assert_eq!(reader.read(&mut []).await.unwrap(), 0, "room for nothing");
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 1);
    assert_eq!(buffer[0], b'g');
}

async fn dropping_a_pending_read_loses_nothing<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let (waker, wakes) = Wakes::new();
    let mut buffer = [0; 8];
    for _ in 0..3 {
        assert!(poll_once_and_drop(reader.read(&mut buffer), &waker).is_pending());
    }
    writer.write(b"kept").await.unwrap();
    iterations(3).await;
    assert_eq!(wakes.count(), 0, "nobody waits");
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 4);
    assert_eq!(&buffer[..4], b"kept");
}

async fn two_reads_of_one_task_wait_side_by_side<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let (mut one, mut other) = ([0; 1], [0; 1]);
    let (waker, wakes) = Wakes::new();
    let mut kept = pin!(reader.read(&mut one));
    assert!(poll_once(kept.as_mut(), &waker).is_pending());
    assert!(poll_once_and_drop(reader.read(&mut other), &waker).is_pending());
    writer.write(b"x").await.unwrap();
    until(|| wakes.count() > 0).await;
    assert_eq!(kept.await.unwrap(), 1);
}

async fn poll_read_wakes_the_latest_waker_only<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let ((first, before), (second, after)) = (Wakes::new(), Wakes::new());
    let mut buffer = [0; 8];
    for waker in [&first, &second] {
        let read = poll_fn(|cx| reader.poll_read(cx, &mut buffer));
        assert!(poll_once_and_drop(read, waker).is_pending());
    }
    writer.write(b"x").await.unwrap();
    until(|| after.count() == 1).await;
    assert_eq!(before.count(), 0);
}

async fn closing_ends_a_pending_read_with_an_error<K: Kind>() {
    let (_writer, reader) = K::pair().await.unwrap();
    let own = reader.clone();
    let read = spawn(async move { own.read(&mut [0; 8]).await });
    iterations(3).await;
    assert!(!read.is_finished());
    reader.close();
    assert!(read.await.unwrap().is_err());
    assert!(reader.is_closing());
}

async fn a_panic_in_the_read_callback_loses_no_byte<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let data = pattern(1 << 20);
    drop(writer.write(&data));
    end::<K>(&writer);
    on_uncaught(|uncaught| assert_eq!(uncaught.message(), "on purpose"));
    let (got, ended) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
    let (sink, end) = (got.clone(), ended.clone());
    reader.read_start(move |_, chunk| {
        let chunk = chunk.unwrap();
        sink.borrow_mut().extend_from_slice(chunk);
        end.set(chunk.is_empty());
        panic!("on purpose");
    });
    until(|| ended.get()).await;
    assert!(*got.borrow() == data);
}

// Behind a stream that takes no more, so that they go with one call.
async fn writes_are_sent_once_also_when_a_completion_panics<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let filled = fill(&writer).await;
    let log = Trace::new();
    on_uncaught(|uncaught| assert_eq!(uncaught.message(), "on purpose"));
    for name in ["A", "B", "C", "D"] {
        let log = log.clone();
        writer.write(name.as_bytes()).on_complete(move |result| {
            result.unwrap();
            log.say(name);
            if name == "A" {
                panic!("on purpose");
            }
        });
    }
    end::<K>(&writer);
    let got = read_all(&reader).await.unwrap();
    assert_eq!(text(&got[filled..]), "ABCD");
    iterations(3).await;
    log.expect(&["A", "B", "C", "D"]);
}

async fn a_shutdown_whose_completion_panics_is_the_end_all_the_same<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let filled = fill(&writer).await;
    on_uncaught(|uncaught| assert_eq!(uncaught.message(), "on purpose"));
    drop(writer.write(b"last"));
    let own = writer.clone();
    writer.shutdown().on_complete(move |result| {
        result.unwrap();
        K::after_shutdown(&own);
        panic!("on purpose");
    });
    assert_eq!(read_all(&reader).await.unwrap().len(), filled + 4);
    assert!(!writer.is_writable());
}

// A call to the system takes 1,024 buffers: with as many empty ones it would send nothing.
async fn a_task_that_writes_goes_past_any_number_of_empty_buffers<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    for empty in [0, 1, 1023, 1024, 1025, 5000] {
        let mut buffers = vec![IoSlice::new(b""); empty];
        buffers.extend([IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")]);
        let count = poll_fn(|cx| writer.poll_write_vectored(cx, &buffers)).await.unwrap();
        let (mut got, mut buffer) = (0, [0; 4]);
        while got < count {
            got += reader.read(&mut buffer[got..]).await.unwrap();
        }
        assert!(got > 0 && buffer[..got] == b"abcd"[..got], "{empty} empty ones");
    }
    let empty = [IoSlice::new(b""); 2];
    assert_eq!(poll_fn(|cx| writer.poll_write_vectored(cx, &empty)).await.unwrap(), 0);
}

// The reader reads nothing meanwhile, so that the system does not say that it takes more bytes.
async fn a_shutdown_goes_on_when_the_last_write_before_it_is_cancelled<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let filled = fill(&writer).await;
    let unwanted = [writer.write(b"unwanted"), writer.write(b"as well")];
    let end = writer.shutdown();
    iterations(1).await;
    for write in &unwanted {
        write.cancel().unwrap();
    }
    end.await.unwrap();
    K::after_shutdown(&writer);
    for write in unwanted {
        assert!(is_canceled(&write.await));
    }
    assert_eq!(read_all(&reader).await.unwrap().len(), filled);
}

async fn a_stream_without_a_name_closes_when_its_last_write_is_cancelled<K: Kind>() {
    let (writer, _reader) = K::pair().await.unwrap();
    fill(&writer).await;
    let unwanted = writer.write(b"unwanted");
    let closed = Rc::new(Cell::new(false));
    let seen = closed.clone();
    writer.on_close(move || seen.set(true));
    drop(writer);
    iterations(1).await;
    assert!(!closed.get());
    unwanted.cancel().unwrap();
    until(|| closed.get()).await;
}

// TCP-24.
async fn the_error_of_a_dropped_write_closes_a_stream_that_nobody_reads<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    reader.close();
    let closed = Rc::new(Cell::new(false));
    let seen = closed.clone();
    writer.on_close(move || seen.set(true));
    while !closed.get() {
        drop(writer.write(b"anybody there?"));
        iterations(1).await;
    }
    assert!(writer.is_closing());
}

async fn a_task_that_always_finds_data_does_not_hold_the_loop<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    drop(writer.write_owned(vec![0; 1 << 20]));
    end::<K>(&writer);
    let ticks = Counter::new();
    fn again(ticks: Counter) {
        if ticks.add() < 1_000_000 {
            set_immediate(move || again(ticks)).unref();
        }
    }
    again(ticks.clone());
    // So that it is all there, as far as it fits.
    iterations(5).await;
    let (before, mut reads, mut buffer) = (ticks.get(), 0, [0; 64]);
    while reader.read(&mut buffer).await.unwrap() > 0 {
        reads += 1;
    }
    // 32 reads of a task at most in one iteration.
    assert!(ticks.get() - before >= reads / 32 - 1, "{reads} reads, {} immediates", ticks.get());
}

// TCP-18.
fn an_unreferenced_stream_holds_no_loop_but_its_write_does<K: Kind>() {
    let (written, kept) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(None)));
    let (done, keeps) = (written.clone(), kept.clone());
    run(move || {
        drop(spawn(async move {
            let (writer, reader) = K::pair().await.unwrap();
            reader.read_start(|_, _| ());
            reader.unref();
            writer.unref();
            writer.write_owned(vec![0; MORE_THAN_FITS]).on_complete(move |result| {
                result.unwrap();
                done.set(true);
            });
            // Else a name that is dropped would end them.
            keeps.replace(Some((writer, reader)));
        }));
    });
    assert!(written.get());
    drop(kept.take());
}

fn a_pending_read_holds_the_loop_and_a_dropped_one_does_not<K: Kind>() {
    let woken = Rc::new(Cell::new(false));
    let seen = woken.clone();
    run(move || {
        drop(spawn(async move {
            let (writer, reader) = K::pair().await.unwrap();
            let (waker, _) = Wakes::new();
            assert!(poll_once_and_drop(reader.read(&mut [0; 8]), &waker).is_pending());
            // Referenced by the read alone.
            set_timeout(ms(1), move || drop(writer.write(b"x"))).unref();
            seen.set(reader.read(&mut [0; 8]).await.unwrap() == 1);
            // Now nothing holds it, although neither is closed.
            std::mem::forget(reader);
        }));
    });
    assert!(woken.get());
}

/// Data that nobody reads does not make the loop spin: in virtual time it would never go on.
fn data_that_nobody_reads_does_not_make_the_loop_spin<K: Kind>() {
    virtual_loop().block_on(async {
        let (writer, reader) = K::pair().await.unwrap();
        writer.write(b"hello").await.unwrap();
        let before = windlass::now();
        windlass::time::sleep(HOUR).await;
        assert!(windlass::now() - before >= HOUR);
        assert_eq!(reader.read(&mut [0; 16]).await.unwrap(), 5);
    });
}

/// Streams that a loop leaves when it ends give their callbacks up, uncalled.
fn the_end_of_the_loop_drops_the_callback_uncalled<K: Kind>() {
    let captured = Rc::new(());
    let inside = captured.clone();
    block_on(async {
        let (writer, reader) = K::pair().await.unwrap();
        reader.read_start(move |_, _| unreachable!("nothing is written {inside:?}"));
        drop(writer.write_owned(Vec::new()));
        // Kept beyond the loop.
        std::mem::forget((writer, reader));
    });
    assert_eq!(Rc::strong_count(&captured), 1);
}

/// Runs a test here, or in a process of its own.
type Place = fn(name: &str, test: fn());

/// Beside the others.
fn here(_name: &str, test: fn()) {
    bounded(test);
}

/// As the only one of a process, whose standard streams it may replace.
fn apart(name: &str, test: fn()) {
    const PART: &str = "WINDLASS_STREAMS_PART";
    if std::env::var_os(PART).is_some() {
        return bounded(test);
    }
    let name = name.split_once("::").expect("a name behind that of the crate").1;
    let output = test_as_a_process(name).env(PART, "").stdin(std::process::Stdio::null()).output();
    let output = output.expect("this program starts again");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
}

/// Names the tests of a kind.
macro_rules! promises {
    ($kind:ty, $place:expr; $(async $($name:ident)+;)? $(plain $($plain:ident)+;)?) => {
        $($(#[test] fn $name() {
            let place: Place = $place;
            let name = concat!(module_path!(), "::", stringify!($name));
            place(name, || to_the_end(super::$name::<$kind>()));
        })+)?
        $($(#[test] fn $plain() {
            let place: Place = $place;
            place(concat!(module_path!(), "::", stringify!($plain)), super::$plain::<$kind>);
        })+)?
    };
}

/// What every kind promises.
macro_rules! of_all {
    ($kind:ty, $place:expr) => {
        promises! { $kind, $place;
            async
            writes_complete_in_their_order_and_all_bytes_arrive
            starting_to_read_again_replaces_the_callback
            reading_stopped_in_the_callback_goes_on_without_new_bytes
            a_shutdown_waits_for_the_writes_and_comes_once
            a_close_in_the_read_callback_ends_reading_at_once
            a_write_of_nothing_completes_in_its_place
            the_poll_forms_move_all_bytes
            reading_again_after_the_end_gives_the_end_again_once
            a_read_callback_that_holds_its_own_stream_is_released_at_the_close
            a_queued_write_can_be_cancelled_and_a_begun_one_cannot
            a_completion_that_writes_again_and_again_does_not_grow_the_stack
            a_read_takes_no_more_than_its_buffer_holds_and_leaves_the_rest
            dropping_a_pending_read_loses_nothing
            two_reads_of_one_task_wait_side_by_side
            poll_read_wakes_the_latest_waker_only
            closing_ends_a_pending_read_with_an_error
            a_panic_in_the_read_callback_loses_no_byte
            writes_are_sent_once_also_when_a_completion_panics
            a_shutdown_whose_completion_panics_is_the_end_all_the_same
            a_task_that_writes_goes_past_any_number_of_empty_buffers
            a_shutdown_goes_on_when_the_last_write_before_it_is_cancelled
            a_stream_without_a_name_closes_when_its_last_write_is_cancelled
            a_task_that_always_finds_data_does_not_hold_the_loop;
            plain
            the_end_of_the_loop_drops_the_callback_uncalled
            an_unreferenced_stream_holds_no_loop_but_its_write_does
            a_pending_read_holds_the_loop_and_a_dropped_one_does_not;
        }
    };
}

/// What those promise whose close tells the other side: not the standard streams, whose descriptors
/// stay open.
macro_rules! of_those_that_close {
    ($kind:ty, $place:expr) => {
        promises! { $kind, $place;
            async
            a_close_cancels_the_writes_that_wait
            a_writer_that_waits_is_woken_with_an_error_when_the_reader_goes
            the_end_comes_once_behind_all_bytes
            a_stream_that_always_has_data_does_not_hold_the_loop
            dropping_the_last_name_lets_queued_writes_go_first
            a_shutdown_is_told_before_the_close_that_follows_it_at_once
            the_error_of_a_dropped_write_closes_a_stream_that_nobody_reads
            a_pipe_between_two_streams_moves_everything_and_ends;
        }
    };
}

/// What those promise between whose two ends no other process stands.
macro_rules! of_those_without_a_middle {
    ($kind:ty, $place:expr) => {
        promises! { $kind, $place;
            plain
            data_that_nobody_reads_does_not_make_the_loop_spin;
        }
    };
}

macro_rules! kinds {
    ($($module:ident = $kind:ty, $place:expr; $($of:ident)+;)+) => {
        $(mod $module {
            use super::*;
            $($of! { $kind, $place })+
        })+
    };
}

kinds! {
    tcp = Tcp, here; of_all of_those_that_close of_those_without_a_middle;
    unix = Unix, here; of_all of_those_that_close of_those_without_a_middle;
    pipes = Pipe, here; of_all of_those_that_close of_those_without_a_middle;
    adopted_pipes = Adopted, here; of_all of_those_that_close of_those_without_a_middle;
    terminals = Terminal, here; of_all of_those_that_close of_those_without_a_middle;
    children = Child, here; of_all of_those_that_close;
    stdin_pipe = StdinPipe, apart; of_all of_those_without_a_middle;
    stdin_socket = StdinSocket, apart; of_all of_those_without_a_middle;
}
