//! The end of a connection that is heard of without reading: `on_hang_up` and `on_read_closed`.

mod common;

use std::cell::Cell;
use std::io::Write;
use std::net::{Shutdown, TcpStream as StdStream};
use std::rc::Rc;
use std::time::Duration;

use common::*;
use windlass::net::TcpStream;
use windlass::{Loop, block_on, run, set_immediate, set_timeout};

/// Has both callbacks of `stream` write into `log`.
fn watch(stream: &TcpStream, log: &Trace) {
    stream.on_read_closed(log.says("read closed"));
    stream.on_hang_up(log.says("hang-up"));
}

fn reset(peer: StdStream) {
    reset_on_drop(&peer);
    drop(peer);
}

/// Says in `log` when it is dropped.
struct SaysDropped(Trace);

impl Drop for SaysDropped {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

#[test]
fn a_reset_is_a_hang_up_that_is_heard_of_without_reading() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, mut peer) = connected().await;
            peer.write_all(b"left").unwrap();
            watch(&stream, &log);
            iterations(3).await;
            assert!(log.lines().is_empty(), "bytes are no end");
            reset(peer);
            until(|| log.count("hang-up") == 1).await;
            iterations(3).await;
            assert_eq!(log.lines(), ["read closed", "hang-up"], "each once");
        });
    });
}

#[test]
fn the_end_of_what_the_peer_sends_closes_reading_and_is_no_hang_up() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, mut peer) = connected().await;
            watch(&stream, &log);
            peer.write_all(b"last words").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            until(|| log.count("read closed") == 1).await;
            stream.write(b"answer").await.unwrap();
            let mut buffer = [0; 32];
            let count = stream.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], b"last words", "the bytes before the end are there");
            assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
            assert_eq!(log.lines(), ["read closed"]);
            // Now this side ends too, and nothing is left of the connection.
            stream.shutdown().await.unwrap();
            until(|| log.count("hang-up") == 1).await;
        });
    });
}

#[test]
fn both_ends_in_any_order_are_a_hang_up() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, peer) = connected().await;
            watch(&stream, &log);
            stream.shutdown().await.unwrap();
            iterations(5).await;
            assert!(log.lines().is_empty(), "this side's end says nothing of the peer");
            drop(peer);
            until(|| log.count("hang-up") == 1).await;
            assert_eq!(log.lines(), ["read closed", "hang-up"]);
        });
    });
}

#[test]
fn a_peer_that_has_gone_already_is_told_later_and_not_inside_the_call() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, peer) = connected().await;
            let seen = Rc::new(Cell::new(false));
            let sees = seen.clone();
            stream.on_hang_up(move || sees.set(true));
            reset(peer);
            until(|| seen.get()).await;
            stream.on_hang_up(log.says("again"));
            assert!(log.lines().is_empty());
            until(|| log.count("again") == 1).await;
            stream.on_read_closed(log.says("read closed"));
            assert_eq!(log.lines(), ["again"]);
            until(|| log.count("read closed") == 1).await;
        });
    });
}

#[test]
fn a_connection_taken_over_after_its_end_is_told_of_it() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, peer) = connected().await;
            drop(peer);
            iterations(5).await;
            let stream = stream.detach().unwrap().open().unwrap();
            watch(&stream, &log);
            until(|| log.count("read closed") == 1).await;
        });
    });
}

#[test]
fn a_later_callback_replaces_the_one_before_which_is_dropped_uncalled() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, peer) = connected().await;
            let (held, said) = (SaysDropped(log.clone()), log.clone());
            stream.on_hang_up(move || {
                let _held = &held;
                said.say("called");
            });
            stream.on_hang_up(log.says("second"));
            assert_eq!(log.lines(), ["dropped"]);
            reset(peer);
            until(|| log.count("second") == 1).await;
            assert_eq!(log.lines(), ["dropped", "second"]);
        });
    });
}

/// What ends a connection from this side drops its callbacks uncalled.
#[test]
fn this_sides_own_close_drops_the_callbacks_uncalled() {
    let ways: [fn(TcpStream); 4] = [
        |stream| stream.close(),
        |stream| stream.close_reset().unwrap(),
        |stream| drop(stream.detach().unwrap()),
        |stream| drop(stream),
    ];
    bounded(move || {
        for way in ways {
            block_on(async move {
                let log = Trace::new();
                let (stream, peer) = connected().await;
                let (held, said) = (SaysDropped(log.clone()), log.clone());
                stream.on_hang_up(move || {
                    let _held = &held;
                    said.say("called");
                });
                let held = SaysDropped(log.clone());
                stream.on_read_closed(move || drop(held));
                way(stream);
                reset(peer);
                iterations(5).await;
                assert_eq!(log.lines(), ["dropped", "dropped"]);
            });
        }
    });
}

#[test]
fn a_closed_connection_drops_a_new_callback_at_once() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, _peer) = connected().await;
            stream.close();
            let held = SaysDropped(log.clone());
            stream.on_hang_up(move || drop(held));
            assert_eq!(log.lines(), ["dropped"]);
        });
    });
}

#[test]
fn waiting_for_a_hang_up_holds_no_loop_and_ends_uncalled_with_it() {
    bounded(|| {
        let log = Trace::new();
        let (outer, said) = (log.clone(), log.clone());
        let peer = block_on(async move {
            let (stream, peer) = connected().await;
            let held = SaysDropped(said.clone());
            stream.on_hang_up(move || {
                let _held = &held;
                said.say("called");
            });
            // The name outlives the program's last step: the loop ends over it.
            set_timeout(Duration::from_secs(3600), move || drop(stream)).unref();
            peer
        });
        drop(peer);
        assert_eq!(outer.lines(), ["dropped"]);
    });
}

/// All bytes, then the end or error, then the hang-up, however many rounds the reader needs.
#[test]
fn a_reader_gets_all_that_came_before_and_then_the_hang_up() {
    const BYTES: usize = 1 << 20;
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, mut peer| {
                watch(&stream, &log);
                let (sent, got) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
                // Fills what the system takes, while nobody reads.
                peer.set_nonblocking(true).unwrap();
                while let Ok(count) = peer.write(&[7; 4096]) {
                    sent.set(sent.get() + count);
                    if sent.get() >= BYTES {
                        break;
                    }
                }
                peer.shutdown(Shutdown::Write).unwrap();
                // The loop has no other name for it: the connection ends by itself behind the reader.
                stream.read_start(move |_, chunk| match chunk.unwrap() {
                    [] => {
                        assert_eq!(got.get(), sent.get());
                        log.say("end");
                        let _open = &peer;
                    }
                    bytes => got.set(got.get() + bytes.len()),
                });
            });
        });
        assert_eq!(log.lines(), ["end", "read closed"]);
    });
}

#[test]
fn an_error_that_closes_a_connection_by_itself_is_told_as_a_hang_up() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            with_peer(move |stream, peer| {
                reset(peer);
                watch(&stream, &log);
                // Fails, and nobody waits for it. The name is dropped: nobody will read either.
                drop(stream.write(b"for nobody"));
                drop(stream.write(b"for nobody"));
                set_immediate(move || drop(stream));
            });
        });
        assert_eq!(log.lines(), ["read closed", "hang-up"]);
    });
}

#[test]
fn a_callback_may_close_and_then_the_other_is_not_called() {
    bounded(|| {
        block_on(async {
            let log = Trace::new();
            let (stream, peer) = connected().await;
            let (own, said) = (stream.clone(), log.clone());
            stream.on_read_closed(move || {
                said.say("read closed");
                own.close();
            });
            let held = SaysDropped(log.clone());
            let said = log.clone();
            stream.on_hang_up(move || {
                let _held = &held;
                said.say("called");
            });
            reset(peer);
            until(|| stream.is_closing()).await;
            iterations(3).await;
            assert_eq!(log.lines(), ["read closed", "dropped"]);
        });
    });
}

#[test]
fn a_panic_in_one_callback_does_not_cost_the_other_its_call() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let log = log.clone();
            windlass::on_uncaught(|_| {});
            with_peer(move |stream, peer| {
                stream.on_read_closed(|| panic!("on purpose"));
                stream.on_hang_up(log.says("hang-up"));
                reset(peer);
                // Holds the loop until the end has been told, and no longer.
                let held = Rc::new(Cell::new(Some(stream)));
                fn wait(log: Trace, held: Rc<Cell<Option<TcpStream>>>) {
                    set_immediate(move || match log.count("hang-up") {
                        0 => wait(log, held),
                        _ => drop(held.take()),
                    });
                }
                wait(log, held);
            });
        });
        assert_eq!(log.lines(), ["hang-up"]);
    });
}

/// In virtual time the clock moves only when nothing is ready: a source that is ready again and again
/// would hold it.
#[test]
fn an_end_that_nobody_reads_does_not_make_the_loop_spin() {
    bounded(|| {
        virtual_loop().run(|| {
            with_peer(|stream, mut peer| {
                peer.write_all(b"unread").unwrap();
                watch(&stream, &Trace::new());
                drop(peer);
                let before = Loop::current().metrics().iterations;
                set_timeout(Duration::from_secs(1), move || {
                    let made = Loop::current().metrics().iterations - before;
                    assert!(made < 20, "{made} iterations for one end");
                    drop(stream);
                });
            });
        });
    });
}
