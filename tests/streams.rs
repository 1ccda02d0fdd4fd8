//! What all kinds of streams promise, tested once for each of them.
//!
//! A kind says how a pair of connected streams is made, of which one is written and the other read.

mod common;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use common::*;
use windlass::net::{TcpListener, TcpStream, UnixStream};
use windlass::pipe;
use windlass::stream::{Readable, Writable};
use windlass::{block_on, run, set_immediate, spawn};

/// More than a kernel takes while nobody reads.
const MORE_THAN_FITS: usize = 24 << 20;

/// A kind of stream.
trait Kind {
    type Writer: Writable;
    type Reader: Readable;

    /// Two streams of the current loop: what is written to one can be read from the other.
    async fn pair() -> io::Result<(Self::Writer, Self::Reader)>;
}

struct Tcp;

impl Kind for Tcp {
    type Writer = TcpStream;
    type Reader = TcpStream;

    async fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?);
        let reader = listener.accept().await?;
        Ok((client.await?, reader))
    }
}

struct Unix;

impl Kind for Unix {
    type Writer = UnixStream;
    type Reader = UnixStream;

    async fn pair() -> io::Result<(UnixStream, UnixStream)> {
        UnixStream::pair()
    }
}

struct Pipe;

impl Kind for Pipe {
    type Writer = pipe::Writer;
    type Reader = pipe::Reader;

    async fn pair() -> io::Result<(pipe::Writer, pipe::Reader)> {
        pipe::pipe()
    }
}

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
    drop(writer.shutdown());
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
    let error = stuck.await.unwrap_err();
    let expected = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(expected.contains(&error.kind()), "{error}");
    let error = writer.write(b"x").await.unwrap_err();
    assert!(expected.contains(&error.kind()), "{error}");
}

// TCP-25.
async fn starting_to_read_again_replaces_the_callback<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    reader.read_start(|_, _| unreachable!("it was replaced"));
    let got = Rc::new(RefCell::new(Vec::new()));
    let sink = got.clone();
    reader.read_start(move |_, chunk| sink.borrow_mut().extend_from_slice(chunk.unwrap()));
    writer.write(b"hello").await.unwrap();
    drop(writer.shutdown());
    until(|| got.borrow().len() == 5).await;
}

// TCP-26.
async fn reading_stopped_in_the_callback_goes_on_without_new_bytes<K: Kind>() {
    let (writer, reader) = K::pair().await.unwrap();
    let data = pattern(1 << 20);
    drop(writer.write(&data));
    drop(writer.shutdown());
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
    writer.shutdown().on_complete(move |result| {
        result.unwrap();
        two.say("ended");
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
    drop(writer.shutdown());
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
    drop(writer.shutdown());
    assert!(read_all(&last).await.unwrap() == data);
    assert_eq!(moved.await.unwrap(), data.len() as u64);
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

/// Names the tests of each kind.
macro_rules! tests {
    ($($module:ident = $kind:ty),+; async $($name:ident),+; plain $($plain:ident),+) => {
        tests!(@kinds [$($module = $kind)+] [$($name)+] [$($plain)+]);
    };
    (@kinds [$($module:ident = $kind:ty)+] $names:tt $plain:tt) => {
        $(tests!(@kind $module $kind, $names $plain);)+
    };
    (@kind $module:ident $kind:ty, [$($name:ident)+] [$($plain:ident)+]) => {
        mod $module {
            use super::*;
            $(#[test] fn $name() { bounded(|| to_the_end(super::$name::<$kind>())); })+
            $(#[test] fn $plain() { bounded(super::$plain::<$kind>); })+
        }
    };
}

tests! {
    tcp = Tcp, unix = Unix, pipes = Pipe;
    async
    writes_complete_in_their_order_and_all_bytes_arrive,
    a_close_cancels_the_writes_that_wait,
    a_writer_that_waits_is_woken_with_an_error_when_the_reader_goes,
    starting_to_read_again_replaces_the_callback,
    reading_stopped_in_the_callback_goes_on_without_new_bytes,
    the_end_comes_once_behind_all_bytes,
    a_shutdown_waits_for_the_writes_and_comes_once,
    a_close_in_the_read_callback_ends_reading_at_once,
    a_stream_that_always_has_data_does_not_hold_the_loop,
    a_write_of_nothing_completes_in_its_place,
    dropping_the_last_name_lets_queued_writes_go_first,
    the_poll_forms_move_all_bytes,
    a_pipe_between_two_streams_moves_everything_and_ends;
    plain
    data_that_nobody_reads_does_not_make_the_loop_spin,
    the_end_of_the_loop_drops_the_callback_uncalled
}
