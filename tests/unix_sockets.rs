//! Unix sockets: addresses, the socket file, who is at the other end. What they share with all other
//! streams is in `streams.rs`, and descriptors that travel in `unix_descriptors.rs`.
#![cfg(target_os = "linux")] // Abstract names.
#![allow(unsafe_code)] // Backlogs and ids, for which std has no words.

mod common;

use std::cell::Cell;
use std::fs;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;

use common::*;
use windlass::net::{UnixListener, UnixStream};
use windlass::{block_on, run};

/// More than a kernel takes while nobody reads.
const MORE_THAN_FITS: usize = 8 << 20;

/// Any free abstract name.
fn any() -> SocketAddr {
    SocketAddr::from_pathname("").unwrap()
}

/// A path of this length, in a folder of the test. Relative to the working directory, which is that
/// of the package: the folder of the target may have a long name.
fn path_of_len(len: usize) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("windlass-unix-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let begun = folder.as_os_str().len() + 1;
    folder.join("x".repeat(len - begun))
}

// U-01.
#[test]
fn connect_accept_echo_and_the_end_are_as_over_tcp() {
    bounded(|| {
        block_on(async {
            let path = directory("echo").join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            listener.on_connection(|connection| {
                connection.unwrap().read_start(|connection, chunk| match chunk.unwrap() {
                    [] => drop(connection.shutdown()),
                    bytes => drop(connection.write(bytes)),
                });
            });
            let client = UnixStream::connect(&path).await.unwrap();
            client.write(b"hello").await.unwrap();
            client.shutdown().await.unwrap();
            let mut buffer = [0; 16];
            assert_eq!(client.read(&mut buffer).await.unwrap(), 5);
            assert_eq!(&buffer[..5], b"hello");
            assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
        });
    });
}

// U-01.
#[test]
fn connecting_to_a_missing_path_is_not_found_and_to_a_file_or_a_stale_socket_refused() {
    bounded(|| {
        block_on(async {
            let folder = directory("missing");
            let kind =
                async |name: &str| UnixStream::connect(folder.join(name)).await.unwrap_err().kind();
            assert_eq!(kind("nothing").await, ErrorKind::NotFound);
            fs::write(folder.join("file"), "").unwrap();
            assert_eq!(kind("file").await, ErrorKind::ConnectionRefused);
            drop(StdListener::bind(folder.join("stale")).unwrap());
            assert_eq!(kind("stale").await, ErrorKind::ConnectionRefused);
        });
    });
}

// U-02.
#[test]
fn an_occupied_path_is_in_use_and_a_missing_folder_an_error() {
    run(|| {
        let folder = directory("occupied");
        let kind = |name: &str| UnixListener::bind(folder.join(name)).unwrap_err().kind();
        let first = UnixListener::bind(folder.join("socket")).unwrap();
        assert_eq!(kind("socket"), ErrorKind::AddrInUse);
        fs::write(folder.join("file"), "kept").unwrap();
        assert_eq!(kind("file"), ErrorKind::AddrInUse);
        assert_eq!(fs::read(folder.join("file")).unwrap(), b"kept");
        assert_eq!(kind("no/such/folder"), ErrorKind::NotFound);
        drop(first);
        UnixListener::bind(folder.join("socket")).unwrap();
    });
}

// U-03.
#[test]
fn a_path_of_the_greatest_length_works_and_one_byte_more_or_a_zero_in_it_is_an_error() {
    bounded(|| {
        block_on(async {
            let longest = path_of_len(107);
            let listener = UnixListener::bind(&longest).unwrap();
            assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*longest));
            UnixStream::connect(&longest).await.unwrap();
            let longer = path_of_len(108);
            let error = UnixListener::bind(&longer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let error = UnixStream::connect(&longer).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let zero = PathBuf::from(std::ffi::OsStr::from_bytes(b"a\0b"));
            assert_eq!(UnixListener::bind(&zero).unwrap_err().kind(), ErrorKind::InvalidInput);
            let error = UnixStream::connect(&zero).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            drop(listener);
            fs::remove_dir(longest.parent().unwrap()).unwrap();
        });
    });
}

// U-04.
#[test]
fn abstract_names_and_those_of_the_kernel_are_read_back_exactly() {
    bounded(|| {
        block_on(async {
            let mut name = format!("windlass {}", std::process::id()).into_bytes();
            for first in [None, Some(b'\0')] {
                name.splice(..0, first);
                name.extend(b"\0with a zero");
                let address = SocketAddr::from_abstract_name(&name).unwrap();
                let listener = UnixListener::bind_addr(&address).unwrap();
                assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(&name[..]));
                let client = UnixStream::connect_addr(&address).await.unwrap();
                let served = listener.accept().await.unwrap();
                assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(&name[..]));
                assert!(client.local_addr().unwrap().is_unnamed());
                assert!(served.peer_addr().unwrap().is_unnamed(), "an unnamed client");
            }
            let listener = UnixListener::bind_addr(&any()).unwrap();
            let given = listener.local_addr().unwrap();
            assert!(given.as_abstract_name().is_some_and(|name| !name.is_empty()));
            let client = UnixStream::connect_addr(&given).await.unwrap();
            listener.close();
            assert_eq!(listener.local_addr().unwrap_err().kind(), ErrorKind::InvalidInput);
            client.close();
            assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        });
    });
}

// U-05.
#[test]
fn a_listener_removes_the_socket_file_that_it_made_and_no_other() {
    let folder = directory("removed");
    let path = |name: &str| folder.join(name);
    let (adopted, left) = (path("adopted"), path("left"));
    run(|| {
        let closed = UnixListener::bind(path("closed")).unwrap();
        assert!(path("closed").exists());
        closed.close();
        assert!(!path("closed").exists());
        drop(UnixListener::bind(path("dropped")).unwrap());
        assert!(!path("dropped").exists());
        // Somebody has put another one there meanwhile.
        let replaced = UnixListener::bind(path("replaced")).unwrap();
        fs::remove_file(path("replaced")).unwrap();
        let newer = UnixListener::bind(path("replaced")).unwrap();
        replaced.close();
        assert!(path("replaced").exists());
        newer.close();
        assert!(!path("replaced").exists());
        UnixListener::from_std(StdListener::bind(&adopted).unwrap()).unwrap().close();
        let kept = UnixListener::bind(&left).unwrap();
        kept.on_connection(|_| {});
        kept.unref();
    });
    assert!(adopted.exists(), "it was made elsewhere");
    assert!(!left.exists(), "the end of the loop removes it");
}

/// A listener whose backlog is full, and the connections that fill it.
fn full(address: &SocketAddr) -> (StdListener, Vec<UnixStream>) {
    let listener = StdListener::bind_addr(address).unwrap();
    let own = listener.local_addr().unwrap();
    // SAFETY: the descriptor belongs to a listener that is alive here.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let first = StdStream::connect_addr(&own).unwrap();
    (listener, vec![UnixStream::from_std(first).unwrap()])
}

// U-06.
#[test]
fn connecting_to_a_full_backlog_would_block_and_may_be_tried_again() {
    bounded(|| {
        block_on(async {
            let (listener, waiting) = full(&any());
            let address = listener.local_addr().unwrap();
            let error = UnixStream::connect_addr(&address).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            listener.accept().unwrap();
            UnixStream::connect_addr(&address).await.unwrap();
            drop(waiting);
        });
    });
}

// U-07.
#[test]
fn ten_connects_that_are_cancelled_complete_with_a_cancelled_error_each() {
    bounded(|| {
        let cancelled = Rc::new(Cell::new(0));
        run(|| {
            let listener = UnixListener::bind_addr(&any()).unwrap();
            let address = listener.local_addr().unwrap();
            for _ in 0..10 {
                let request = UnixStream::connect_addr(&address);
                request.cancel().unwrap();
                let count = cancelled.clone();
                request.on_complete(move |result| {
                    assert!(is_canceled(&result));
                    count.set(count.get() + 1);
                });
            }
        });
        assert_eq!(cancelled.get(), 10);
    });
}

// U-08.
#[test]
fn a_client_that_waits_at_a_listener_that_closes_sees_a_reset() {
    bounded(|| {
        block_on(async {
            let listener = UnixListener::bind_addr(&any()).unwrap();
            let client = UnixStream::connect_addr(&listener.local_addr().unwrap()).await.unwrap();
            listener.close();
            let error = client.read(&mut [0; 16]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
    });
}

// U-12.
#[test]
fn two_sides_that_write_heavily_to_each_other_do_not_deadlock() {
    bounded(|| {
        let (ours, theirs) = StdStream::pair().unwrap();
        let other = thread::spawn(move || exchange(theirs));
        assert_eq!(exchange(ours), MORE_THAN_FITS);
        assert_eq!(other.join().unwrap(), MORE_THAN_FITS);
    });
}

/// Writes much and reads as much, on a loop of its own.
fn exchange(socket: StdStream) -> usize {
    block_on(async move {
        let stream = UnixStream::from_std(socket).unwrap();
        let write = stream.write_owned(vec![0; MORE_THAN_FITS]);
        let (mut total, mut buffer) = (0, vec![0; 64 * 1024]);
        while total < MORE_THAN_FITS {
            total += stream.read(&mut buffer).await.unwrap();
        }
        write.await.unwrap();
        total
    })
}

// U-14.
#[test]
fn the_credentials_of_a_pair_are_those_of_this_process() {
    run(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = ours.peer_credentials().unwrap();
        // SAFETY: these calls only answer.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        assert_eq!((peer.pid, peer.uid, peer.gid), (Some(std::process::id()), uid, gid));
        ours.close();
        assert_eq!(ours.peer_credentials().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

// U-18.
#[test]
fn an_adopted_socket_becomes_non_blocking_and_one_given_back_blocks_again() {
    block_on(async {
        let (ours, mut theirs) = StdStream::pair().unwrap();
        let stream = UnixStream::from_std(ours).unwrap();
        assert_eq!(descriptor_flags(stream.as_raw_fd()), (true, true));
        let waits = stream.write_owned(vec![0; MORE_THAN_FITS]);
        let error = stream.clone().into_std().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        let reader = thread::spawn(move || {
            theirs.read_exact(&mut vec![0; MORE_THAN_FITS]).unwrap();
            theirs
        });
        waits.await.unwrap();
        let other = stream.clone();
        let mut back = stream.into_std().unwrap();
        assert!(other.is_closing());
        assert!(!descriptor_flags(back.as_raw_fd()).0, "blocking");
        let mut theirs = reader.join().unwrap();
        theirs.write_all(b"hello").unwrap();
        back.read_exact(&mut [0; 5]).unwrap();
    });
}

#[test]
fn a_close_by_the_peer_is_a_hang_up_that_is_heard_of_without_reading() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let own = ours.clone();
            let (one, two) = (log.clone(), log.clone());
            ours.on_read_closed(move || one.say("read closed"));
            ours.on_hang_up(move || {
                two.say("hang up");
                own.close();
            });
            drop(theirs);
            let stays = windlass::Loop::current().keep_alive();
            ours.on_close(move || drop(stays));
        });
        log.expect(&["read closed", "hang up"]);
    });
}

/// A peer that reads no more: a write fails, and the poller has nothing to report.
fn with_deaf_peer() -> (UnixStream, StdStream) {
    let (ours, peer) = StdStream::pair().unwrap();
    peer.shutdown(Shutdown::Read).unwrap();
    (UnixStream::from_std(ours).unwrap(), peer)
}

#[test]
fn a_stream_that_is_lost_tells_both_ends_and_closes_also_when_a_callback_panics() {
    bounded(|| {
        for panics in ["read closed", "hang-up", "neither"] {
            let log = Trace::new();
            let mut kept = None;
            run(|| {
                windlass::on_uncaught(|_| {});
                let (stream, peer) = with_deaf_peer();
                let tells = |name: &'static str| {
                    let log = log.clone();
                    move || {
                        log.say(name);
                        assert_ne!(name, panics, "on purpose");
                    }
                };
                stream.on_read_closed(tells("read closed"));
                stream.on_hang_up(tells("hang-up"));
                stream.on_close(tells("closed"));
                drop(stream.write(b"for nobody")); // Nobody reads, either.
                kept = Some((stream, peer));
            });
            log.expect(&["read closed", "hang-up", "closed"]);
            drop(kept);
        }
    });
}

#[test]
fn a_task_that_peeks_hears_of_a_write_that_failed_as_one_that_reads_does() {
    bounded(|| {
        block_on(async {
            let (stream, _peer) = with_deaf_peer();
            let own = stream.clone();
            let peek =
                windlass::spawn(async move { poll_fn(|cx| own.poll_peek(cx, &mut [0; 8])).await });
            iterations(2).await;
            drop(stream.write(b"for nobody"));
            assert_eq!(peek.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn a_peek_at_the_end_of_a_lost_connection_says_so_as_a_read_does() {
    bounded(|| {
        block_on(async {
            let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let peer = std::net::TcpStream::connect(address).unwrap();
            let stream = listener.accept().await.unwrap();
            // Closed with a byte unread: a reset, of which the system tells once.
            stream.write(b"unread").await.unwrap();
            peer.peek(&mut [0]).unwrap();
            drop(peer);
            let lost = loop {
                if let Err(error) = stream.write(b"for nobody").await {
                    break error;
                }
            };
            assert_eq!(lost.kind(), ErrorKind::ConnectionReset);
            let peeked = poll_fn(|cx| stream.poll_peek(cx, &mut [0; 8])).await;
            assert_eq!(peeked.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "told once");
        });
    });
}

#[test]
fn a_half_close_is_no_hang_up() {
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.on_hang_up(|| unreachable!("it still reads"));
            theirs.shutdown().await.unwrap();
            assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
            ours.write(b"still").await.unwrap();
            assert_eq!(theirs.read(&mut [0; 16]).await.unwrap(), 5);
        });
    });
}
