//! What travels in messages: sockets, listeners, files, ports.

mod common;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use common::*;
use windlass::net::{DetachedTcpListener, DetachedTcpStream, TcpListener, TcpStream};
use windlass::worker::{Port, PortEnd, Worker, channel};
use windlass::{Loop, block_on, run, spawn};

/// Reads a connection to its end, with callbacks, and gives its bytes to `then`.
fn read_all(stream: &TcpStream, mut bytes: Vec<u8>, then: impl FnOnce(Vec<u8>) + 'static) {
    let mut then = Some(then);
    stream.read_start(move |_, chunk| match chunk.unwrap() {
        [] => then.take().unwrap()(std::mem::take(&mut bytes)),
        chunk => bytes.extend_from_slice(chunk),
    });
}

#[test]
fn a_connection_that_moves_in_the_middle_of_its_data_loses_no_byte() {
    const LEN: usize = 3_000_000;
    bounded(|| {
        block_on(async {
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let sender = thread::spawn(move || {
                let (mut peer, _) = listener.accept().unwrap();
                peer.write_all(&noise(7, LEN)).unwrap();
            });
            type Moved = (DetachedTcpStream, Vec<u8>);
            let worker = Worker::<Moved, u64>::spawn(|port| {
                let reply = port.clone();
                port.on_message(move |(stream, bytes): Moved| {
                    let reply = reply.clone();
                    read_all(&stream.open().unwrap(), bytes, move |bytes| {
                        reply.post(checksum(&bytes));
                        reply.close();
                    });
                });
            })
            .unwrap();
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut bytes, to) = (Vec::new(), worker.clone());
            stream.read_start(move |stream, chunk| {
                bytes.extend_from_slice(chunk.unwrap());
                if bytes.len() > LEN / 5 {
                    // From inside the callback: what was read goes along by hand.
                    to.post((stream.detach().unwrap(), std::mem::take(&mut bytes)));
                    assert!(stream.is_closing());
                }
            });
            assert_eq!(worker.recv().await, Some(checksum(&noise(7, LEN))));
            sender.join().unwrap();
            assert_eq!(worker.join().await, Ok(0));
        });
    });
}

#[test]
fn a_connection_may_hop_from_loop_to_loop_with_every_chunk() {
    const HOPS: usize = 60;
    bounded(|| {
        let (stream, mut peer) = block_on(async {
            let (stream, peer) = connected().await;
            (stream.detach().unwrap(), peer)
        });
        let mut stream = Some(stream);
        for hop in 0..HOPS {
            let text = format!("hop {hop}");
            peer.write_all(text.as_bytes()).unwrap();
            let here = stream.take().unwrap();
            let len = text.len();
            let hopped = thread::spawn(move || {
                block_on(async move {
                    let stream = here.open().unwrap();
                    let mut bytes = vec![0; len];
                    let mut count = 0;
                    while count < len {
                        count += stream.read(&mut bytes[count..]).await.unwrap();
                    }
                    stream.write(&bytes).await.unwrap();
                    stream.detach().unwrap()
                })
            });
            stream = Some(hopped.join().unwrap());
            let mut echo = vec![0; len];
            peer.read_exact(&mut echo).unwrap();
            assert_eq!(echo, text.as_bytes());
        }
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "a detached end that is dropped closes");
    });
}

#[test]
fn a_connection_with_writes_that_wait_does_not_leave_and_leaves_when_they_are_gone() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let data = noise(3, 8 << 20);
            let request = stream.write(&data);
            assert!(stream.write_queue_size() > 0);
            let refused = stream.detach().unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
            let waiting = stream.shutdown();
            assert_eq!(stream.detach().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
            let reader = thread::spawn(move || {
                let mut bytes = Vec::new();
                peer.read_to_end(&mut bytes).unwrap();
                (checksum(&bytes), peer)
            });
            request.await.unwrap();
            waiting.await.unwrap();
            let stream = stream.detach().unwrap().open().unwrap();
            assert!(!stream.is_writable(), "the shutdown goes along");
            let (sum, mut peer) = reader.join().unwrap();
            assert_eq!(sum, checksum(&data));
            peer.write_all(b"still").unwrap();
            let mut bytes = [0; 16];
            assert_eq!(stream.read(&mut bytes).await.unwrap(), 5);
        });
    });
}

#[test]
fn what_was_registered_on_a_connection_that_leaves_is_dropped_uncalled() {
    bounded(|| {
        block_on(async {
            let (stream, _peer) = connected().await;
            let alive = Rc::new(());
            let (one, other) = (alive.clone(), alive.clone());
            stream.read_start(move |_, _| drop(one.clone()));
            stream.on_close(move || unreachable!("{other:?}: it lives on elsewhere"));
            let end = stream.detach().unwrap();
            assert_eq!(Rc::strong_count(&alive), 1);
            assert!(stream.is_closing());
            assert_eq!(stream.detach().unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
            assert_eq!(stream.write(b"x").await.unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
            stream.close();
            iterations(3).await;
            // A task that waits is told.
            let stream = end.open().unwrap();
            let reader = stream.clone();
            let task = spawn(async move { reader.read(&mut [0; 4]).await });
            iterations(2).await;
            let std: StdStream = stream.detach().unwrap().into_std();
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
            assert!(std.peer_addr().is_ok());
            assert!(!Loop::current().is_alive());
        });
    });
}

#[test]
fn a_listener_takes_the_connections_that_wait_along() {
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let first = Rc::new(Cell::new(false));
            let (seen, own) = (first.clone(), listener.clone());
            let (detached, slot) = (Rc::new(RefCell::new(None)), Rc::new(RefCell::new(None)));
            let place = detached.clone();
            let kept = slot.clone();
            listener.on_connection(move |connection| {
                assert!(!seen.replace(true), "the second belongs to the worker");
                kept.replace(Some(connection.unwrap()));
                place.replace(Some(own.detach().unwrap()));
            });
            let clients: Vec<StdStream> =
                (0..2).map(|_| StdStream::connect(address).unwrap()).collect();
            until(|| first.get()).await;
            assert!(listener.is_closing());
            assert_eq!(listener.detach().unwrap_err().kind(), io::ErrorKind::InvalidInput);
            let end: DetachedTcpListener = detached.take().unwrap();
            let worker = Worker::<(), String>::spawn_async(move |port| async move {
                let listener = end.open().unwrap();
                let connection = listener.accept().await.unwrap();
                port.post(connection.peer_addr().unwrap().to_string());
            })
            .unwrap();
            let taken = slot.borrow().as_ref().unwrap().peer_addr().unwrap();
            let others = clients.iter().map(|client| client.local_addr().unwrap());
            let other = others.clone().find(|address| *address != taken).unwrap();
            assert_eq!(worker.recv().await, Some(other.to_string()));
            assert_eq!(worker.join().await, Ok(0));
            assert!(StdStream::connect(address).is_err(), "it was closed where it had gone");
        });
    });
}

#[test]
fn a_detached_socket_does_not_open_on_a_loop_that_is_closed() {
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        let (end, listener, mut peer) = event_loop.block_on(async {
            let (stream, peer) = connected().await;
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            (stream.detach().unwrap(), listener.detach().unwrap(), peer)
        });
        event_loop.close().unwrap();
        event_loop.enter(|| {
            assert!(end.open().unwrap_err().to_string().contains("shut down"));
            assert!(listener.open().unwrap_err().to_string().contains("shut down"));
        });
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn listeners_that_reuse_a_port_share_its_connections() {
    bounded(|| {
        block_on(async {
            let first = TcpListener::bind_reuse_port("127.0.0.1:0").unwrap();
            let address = first.local_addr().unwrap();
            let in_use = TcpListener::bind(address).unwrap_err();
            assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
            let workers: Vec<Worker<(), ()>> = (0..2)
                .map(|_| {
                    let spawned = Worker::spawn(move |port: Port<(), ()>| {
                        let listener = TcpListener::bind_reuse_port(address).unwrap();
                        let replies = port.clone();
                        listener.on_connection(move |connection| {
                            replies.post(());
                            drop(connection.unwrap());
                        });
                        port.post(());
                    });
                    spawned.unwrap()
                })
                .collect();
            for worker in &workers {
                worker.recv().await;
            }
            let own = Rc::new(Cell::new(0));
            let counter = own.clone();
            first.on_connection(move |_| counter.set(counter.get() + 1));
            let mut seen = [0, 0];
            // By a hash of the addresses: until each has had one.
            while own.get() == 0 || seen.contains(&0) {
                drop(StdStream::connect(address).unwrap());
                iterations(1).await;
                for (count, worker) in seen.iter_mut().zip(&workers) {
                    while worker.usage().from_worker > 0 {
                        worker.recv().await;
                        *count += 1;
                    }
                }
            }
            first.close();
            for worker in workers {
                worker.terminate().await;
            }
        });
    });
}

// MP-15.
#[test]
fn a_file_travels_and_one_that_is_never_received_is_closed() {
    bounded(|| {
        block_on(async {
            let path = std::env::temp_dir().join(format!("windlass-travel-{}", std::process::id()));
            let file =
                File::options().read(true).write(true).create(true).truncate(true).open(&path);
            std::fs::remove_file(&path).unwrap();
            let worker = Worker::<File, File>::spawn(|port| {
                let reply = port.clone();
                port.on_message(move |mut file: File| {
                    file.write_all(b"written by a worker").unwrap();
                    reply.post(file);
                    reply.close();
                });
            })
            .unwrap();
            worker.post(file.unwrap());
            let mut file = worker.recv().await.unwrap();
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "written by a worker");
            worker.join().await.unwrap();

            let descriptor = file.as_raw_fd();
            let inode = |fd| std::fs::read_link(format!("/proc/self/fd/{fd}"));
            let before = inode(descriptor).unwrap();
            let (here, there) = channel::<File, ()>();
            let here = here.open();
            here.post(file);
            drop(there);
            assert_ne!(inode(descriptor).ok(), Some(before), "closed with the queue");
        });
    });
}

// MP-08. In Rust a port that is transferred is moved, so most of it does not compile.
#[test]
fn a_port_cannot_be_sent_through_itself_and_both_keep_working() {
    type Anything = Box<dyn Any + Send>;
    type Anyport = PortEnd<Anything, Anything>;
    bounded(|| {
        block_on(async {
            let (here, there) = channel::<Anything, Anything>();
            let (here, there) = (here.open(), there.open());
            let same = here.clone();
            // To be sent it has to be detached, and then it is closed for sending.
            let end = here.detach();
            let refused = same.try_post(Box::new(end)).unwrap_err();
            let end = *refused.downcast::<Anyport>().unwrap();
            there.post(Box::new(1_u8));
            let here = end.open();
            assert_eq!(*here.recv().await.unwrap().downcast::<u8>().unwrap(), 1);
            here.post(Box::new(2_u8));
            assert_eq!(*there.recv().await.unwrap().downcast::<u8>().unwrap(), 2);
            // A closed port gives a closed end, and nothing comes out of it.
            let closed = here.clone();
            here.close();
            let end = closed.detach().open();
            assert!(end.recv().await.is_none());
        });
    });
}

// MP-07: across threads, while messages are under way.
#[test]
fn a_port_that_is_passed_on_by_every_owner_gets_all_messages_in_order() {
    const MESSAGES: u32 = 20_000;
    bounded(|| {
        let (here, there) = channel::<u32, ()>();
        let sender = thread::spawn(move || {
            run(move || {
                let here = here.open();
                (0..MESSAGES).for_each(|number| here.post(number));
            });
        });
        let mut end = Some(there);
        let mut expected = 0;
        while expected < MESSAGES {
            let there = end.take().unwrap();
            let share = expected + 997;
            let owner = thread::spawn(move || {
                block_on(async move {
                    let port = there.open();
                    let mut next = expected;
                    while next < share.min(MESSAGES) {
                        assert_eq!(port.recv().await, Some(next));
                        next += 1;
                    }
                    (next, port.detach())
                })
            });
            let (next, there) = owner.join().unwrap();
            expected = next;
            end = Some(there);
        }
        sender.join().unwrap();
        assert_eq!(block_on(async { end.unwrap().open().recv().await }), None);
    });
}

#[test]
fn a_detached_socket_in_a_message_that_is_never_received_is_closed() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let worker = Worker::<(Arc<()>, DetachedTcpStream), ()>::spawn(|_| ()).unwrap();
            let message = Arc::new(());
            worker.post((message.clone(), stream.detach().unwrap()));
            assert_eq!(worker.join().await, Ok(0));
            assert_eq!(Arc::strong_count(&message), 1);
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        });
    });
}
