//! TCP through futures and their poll forms, and what giving such a future up must not lose.

mod common;

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use common::*;
use windlass::net::{TcpListener, TcpStream};
use windlass::{block_on, run, set_immediate, set_timeout, spawn, time};

/// Enough for the kernel to take only a part of it when nobody reads at the other end.
const MORE_THAN_FITS: usize = 24 << 20;

/// Reads until the end of the stream.
async fn read_to_end(stream: &TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return received,
            len => received.extend_from_slice(&buffer[..len]),
        }
    }
}

#[test]
fn read_gives_the_bytes_in_order_and_zero_at_the_end_again_and_again() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let sent = noise(1, 300_000);
            let expected = sent.clone();
            let writer = thread::spawn(move || peer.write_all(&sent).unwrap());
            assert!(read_to_end(&stream).await == expected);
            for _ in 0..3 {
                assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
            }
            writer.join().unwrap();
        });
    });
}

#[test]
fn a_read_takes_no_more_than_its_buffer_holds_and_leaves_the_rest() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            peer.write_all(b"abcde").unwrap();
            let mut letters = Vec::new();
            for _ in 0..5 {
                let mut one = [0];
                assert_eq!(stream.read(&mut one).await.unwrap(), 1);
                letters.push(one[0]);
            }
            assert_eq!(letters, b"abcde");
            drop(peer);
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        });
    });
}

#[test]
fn dropping_a_pending_read_loses_nothing() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let (waker, wakes) = Wakes::new();
            for round in 0..100u8 {
                let before = wakes.count();
                let mut buffer = [0; 8];
                {
                    let mut read = pin!(stream.read(&mut buffer));
                    assert!(poll_once(read.as_mut(), &waker).is_pending());
                    peer.write_all(&[round]).unwrap();
                    // Given up in odd rounds when the data has come, in even ones before.
                    if round % 2 == 1 {
                        until(|| wakes.count() > before).await;
                    }
                }
                assert_eq!(buffer, [0; 8], "a read that is given up has taken nothing");
                assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
                assert_eq!(buffer[0], round);
            }
        });
    });
}

#[test]
fn a_read_that_timed_out_leaves_its_data_for_the_next() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let mut buffer = [0; 8];
            let late = time::timeout(Duration::from_millis(2), stream.read(&mut buffer)).await;
            assert!(late.is_err());
            peer.write_all(b"late").unwrap();
            let in_time = time::timeout(Duration::from_secs(50), stream.read(&mut buffer)).await;
            assert_eq!(in_time.unwrap().unwrap(), 4);
            assert_eq!(&buffer[..4], b"late");
        });
    });
}

#[test]
fn dropping_a_pending_accept_loses_no_connection() {
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let (waker, wakes) = Wakes::new();
            for round in 0..50 {
                let before = wakes.count();
                let mut accept = Box::pin(listener.accept());
                assert!(poll_once(accept.as_mut(), &waker).is_pending());
                let client = StdStream::connect(addr).unwrap();
                if round % 2 == 1 {
                    until(|| wakes.count() > before).await;
                }
                drop(accept);
                let accepted = listener.accept().await.unwrap();
                assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
            }
        });
    });
}

// TCP-15.
#[test]
fn connections_wait_until_they_are_accepted_and_none_is_lost() {
    const CLIENTS: usize = 40;
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                clients.push(StdStream::connect(addr).unwrap());
                iterations(2).await;
            }
            for client in &clients {
                let accepted = listener.accept().await.unwrap();
                assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
                iterations(2).await;
            }
            let (waker, _) = Wakes::new();
            assert!(poll_once_and_drop(listener.accept(), &waker).is_pending());
        });
    });
}

#[test]
fn a_connection_left_by_the_callback_side_is_there_for_accept() {
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let _clients =
                [(); 3].map(|()| StdStream::connect(listener.local_addr().unwrap()).unwrap());
            let accepted = Rc::new(Cell::new(0));
            for _ in 0..2 {
                drop(listener.accept().await.unwrap());
            }
            let (count, closer) = (accepted.clone(), listener.clone());
            listener.on_connection(move |connection| {
                drop(connection.unwrap());
                count.set(count.get() + 1);
                closer.close();
            });
            until(|| accepted.get() == 1).await;
        });
    });
}

#[test]
fn pending_reads_and_accepts_hold_the_loop_and_dropped_ones_do_not() {
    bounded(|| {
        let log = Trace::new();
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let said = log.clone();
            drop(spawn(async move {
                let mut client = StdStream::connect(addr).unwrap();
                let server = listener.accept().await.unwrap();
                let (waker, _) = Wakes::new();
                assert!(poll_once_and_drop(listener.accept(), &waker).is_pending());
                let writer = thread::spawn(move || {
                    client.write_all(b"x").unwrap();
                    client
                });
                assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 1);
                let _client = writer.join().unwrap();
                let mut buffer = [0; 4];
                assert!(poll_once_and_drop(server.read(&mut buffer), &waker).is_pending());
                said.say("read");
                // With nothing pending this task holds nothing, and the run ends without it.
                std::future::pending::<()>().await;
                said.say("never");
            }));
        });
        assert_eq!(log.lines(), ["read"]);
    });
}

#[test]
fn reading_and_writing_wait_side_by_side_on_one_stream() {
    bounded(|| {
        block_on(async {
            let (stream, peer) = connected().await;
            let sent = noise(2, MORE_THAN_FITS);
            let sum = checksum(&sent);
            let (reading, writing) = (stream.clone(), stream);
            let reader = spawn(async move { read_to_end(&reading).await.len() });
            let writer = spawn(async move { writing.write_owned(sent).await });
            iterations(3).await;
            assert!(!reader.is_finished() && !writer.is_finished());
            let echo = thread::spawn(move || {
                let mut peer = peer;
                let mut received = vec![0; MORE_THAN_FITS];
                peer.read_exact(&mut received).unwrap();
                peer.write_all(&received[..1000]).unwrap();
                checksum(&received)
            });
            writer.await.unwrap().unwrap();
            assert_eq!(reader.await.unwrap(), 1000);
            assert_eq!(echo.join().unwrap(), sum);
        });
    });
}

#[test]
fn poll_read_wakes_the_latest_waker_only() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let (first, first_wakes) = Wakes::new();
            let (second, second_wakes) = Wakes::new();
            let mut buffer = [0; 4];
            assert!(stream.poll_read(&mut Context::from_waker(&first), &mut buffer).is_pending());
            assert!(stream.poll_read(&mut Context::from_waker(&second), &mut buffer).is_pending());
            peer.write_all(b"hey").unwrap();
            until(|| second_wakes.count() > 0).await;
            assert_eq!(first_wakes.count(), 0, "one waker slot per direction");
            match stream.poll_read(&mut Context::from_waker(&second), &mut buffer) {
                Poll::Ready(Ok(3)) => assert_eq!(&buffer[..3], b"hey"),
                other => panic!("{other:?}"),
            }
        });
    });
}

#[test]
fn poll_write_takes_what_fits_and_wakes_when_there_is_room_again() {
    bounded(|| {
        block_on(async {
            let (stream, peer) = connected().await;
            let (waker, wakes) = Wakes::new();
            let context = &mut Context::from_waker(&waker);
            let chunk = noise(3, 64 * 1024);
            let mut written = 0;
            while let Poll::Ready(len) = stream.poll_write(context, &chunk[written % chunk.len()..])
            {
                written += len.unwrap();
                assert!(written < MORE_THAN_FITS);
            }
            assert!(written > 0);
            assert_eq!(wakes.count(), 0);
            let reader = thread::spawn(move || {
                let mut received = Vec::new();
                { peer }.read_to_end(&mut received).unwrap();
                received
            });
            until(|| wakes.count() > 0).await;
            let chunk_rest = &chunk[written % chunk.len()..];
            let more = std::future::poll_fn(|context| stream.poll_write(context, chunk_rest));
            written += more.await.unwrap();
            std::future::poll_fn(|context| stream.poll_shutdown(context)).await.unwrap();
            let received = reader.join().unwrap();
            assert_eq!(received.len(), written);
            let intact = received.iter().zip(chunk.iter().cycle()).all(|(a, b)| a == b);
            assert!(intact, "bytes were lost or moved");
        });
    });
}

#[test]
fn poll_shutdown_lets_queued_writes_out_first() {
    bounded(|| {
        block_on(async {
            let (stream, peer) = connected().await;
            let request = stream.write_owned(noise(4, MORE_THAN_FITS));
            let (waker, _) = Wakes::new();
            assert!(stream.poll_shutdown(&mut Context::from_waker(&waker)).is_pending());
            let reader = thread::spawn(move || { peer }.read_to_end(&mut Vec::new()).unwrap());
            std::future::poll_fn(|context| stream.poll_shutdown(context)).await.unwrap();
            assert_eq!(stream.write_queue_size(), 0);
            request.await.unwrap();
            assert_eq!(reader.join().unwrap(), MORE_THAN_FITS);
        });
    });
}

/// Writes until the kernel takes no more: how many bytes it took.
fn fill(stream: &TcpStream) -> usize {
    let (waker, _) = Wakes::new();
    let context = &mut Context::from_waker(&waker);
    let chunk = vec![0; MORE_THAN_FITS];
    let mut taken = 0;
    while let Poll::Ready(len) = stream.poll_write(context, &chunk) {
        taken += len.unwrap();
    }
    taken
}

// The peer reads nothing meanwhile, so the kernel does not say that it takes more bytes.
#[test]
fn a_shutdown_goes_on_when_the_last_queued_write_before_it_is_canceled() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let filled = fill(&stream);
            let unwanted = [stream.write(b"unwanted"), stream.write(b"as well")];
            let end = stream.shutdown();
            iterations(1).await;
            for write in &unwanted {
                write.cancel().unwrap();
            }
            end.await.unwrap();
            for write in unwanted {
                assert!(is_canceled(&write.await));
            }
            assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap(), filled);
        });
    });
}

#[test]
fn a_task_that_waits_to_shut_down_goes_on_when_the_last_queued_write_is_canceled() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let filled = fill(&stream);
            let unwanted = stream.write(b"unwanted");
            let own = stream.clone();
            let end =
                spawn(
                    async move { std::future::poll_fn(|context| own.poll_shutdown(context)).await },
                );
            iterations(1).await;
            assert!(!end.is_finished());
            unwanted.cancel().unwrap();
            end.await.unwrap().unwrap();
            assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap(), filled);
        });
    });
}

#[test]
fn a_stream_without_a_name_closes_when_its_last_queued_write_is_canceled() {
    bounded(|| {
        block_on(async {
            let (stream, _peer) = connected().await;
            fill(&stream);
            let unwanted = stream.write(b"unwanted");
            let closed = Rc::new(Cell::new(false));
            let seen = closed.clone();
            stream.on_close(move || seen.set(true));
            drop(stream);
            iterations(1).await;
            assert!(!closed.get());
            unwanted.cancel().unwrap();
            until(|| closed.get()).await;
        });
    });
}

#[test]
fn a_dropped_connect_still_completes_and_its_socket_is_closed() {
    bounded(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        run(|| drop(TcpStream::connect(listener.local_addr().unwrap())));
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn connect_resolves_names_and_tries_every_address() {
    bounded(|| {
        block_on(async {
            for addr in loopbacks() {
                let listener = std::net::TcpListener::bind(addr).unwrap();
                let local = listener.local_addr().unwrap();
                match TcpStream::connect(format!("localhost:{}", local.port())).await {
                    Ok(stream) => assert_eq!(stream.peer_addr().unwrap(), local),
                    // Not every system names its IPv6 loopback address.
                    Err(error) => assert!(local.is_ipv6(), "{error}"),
                }
            }
            let (_socket, refusing) = refusing_address();
            let refused = TcpStream::connect(format!("localhost:{}", refusing.port())).await;
            assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
        });
    });
}

#[test]
fn closing_ends_a_pending_read_and_a_pending_accept_with_an_error() {
    bounded(|| {
        block_on(async {
            let (stream, _peer) = connected().await;
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (reading, accepting) = (stream.clone(), listener.clone());
            let read = spawn(async move { reading.read(&mut [0; 8]).await });
            let accept = spawn(async move { accepting.accept().await.map(drop) });
            iterations(2).await;
            assert!(!read.is_finished() && !accept.is_finished());
            stream.close();
            listener.close();
            assert!(read.await.unwrap().is_err());
            assert!(accept.await.unwrap().is_err());
            assert!(stream.read(&mut [0; 8]).await.is_err(), "and so is a later one");
            assert!(listener.accept().await.is_err());
            assert!(stream.write(b"x").await.is_err());
        });
    });
}

#[test]
fn a_reset_ends_a_pending_read_with_an_error() {
    bounded(|| {
        block_on(async {
            let (stream, peer) = connected().await;
            let read = spawn(async move { stream.read(&mut [0; 8]).await });
            iterations(2).await;
            reset_on_drop(&peer);
            drop(peer);
            let kind = read.await.unwrap().map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::ConnectionReset));
        });
    });
}

#[test]
fn a_task_per_connection_echoes_to_fifty_clients_at_once() {
    const CLIENTS: u64 = 50;
    bounded(|| {
        let (tell, addr) = mpsc::channel::<std::net::SocketAddr>();
        let clients = thread::spawn(move || {
            let addr = addr.recv().unwrap();
            let mut clients: Vec<_> =
                (0..CLIENTS).map(|_| StdStream::connect(addr).unwrap()).collect();
            for (seed, client) in clients.iter_mut().enumerate() {
                client.write_all(&noise(seed as u64, 40_000)).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
            for (seed, client) in clients.iter_mut().enumerate() {
                let mut received = Vec::new();
                client.read_to_end(&mut received).unwrap();
                assert!(received == noise(seed as u64, 40_000));
            }
        });
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            drop(spawn(async move {
                for _ in 0..CLIENTS {
                    let stream = listener.accept().await.unwrap();
                    drop(spawn(async move {
                        let mut buffer = [0; 4096];
                        loop {
                            match stream.read(&mut buffer).await.unwrap() {
                                0 => break,
                                len => stream.write(&buffer[..len]).await.unwrap(),
                            }
                        }
                    }));
                }
            }));
        });
        clients.join().unwrap();
    });
}

// TCP-41, for futures: a task that always finds data must let timers and others have their turn.
#[test]
fn a_task_that_always_finds_data_does_not_hold_the_loop() {
    bounded(|| {
        let stopped = Rc::new(Cell::new(false));
        block_on(async {
            let (greedy, mut feeder) = connected().await;
            feeder.set_nonblocking(true).unwrap();
            feeder.write_all(&[0; 1024]).unwrap();
            let stop = stopped.clone();
            set_immediate(move || {
                set_timeout(Duration::from_millis(1), move || stop.set(true));
            });
            let mut buffer = [0; 1024];
            let mut reads = 0;
            while !stopped.get() {
                reads += 1;
                assert!(reads < 200_000, "the timer does not get its turn");
                let len = greedy.read(&mut buffer).await.unwrap();
                feeder.write_all(&buffer[..len]).unwrap();
            }
        });
        assert!(stopped.get());
    });
}

/// A waker cannot say whose it is: the futures of one task all have the same.
#[test]
fn giving_up_one_read_does_not_silence_another_of_the_same_task() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let (waker, wakes) = Wakes::new();
            for given_up in 0..2 {
                let (mut one, mut two) = ([0; 8], [0; 8]);
                let before = wakes.count();
                let mut reads =
                    [Some(Box::pin(stream.read(&mut one))), Some(Box::pin(stream.read(&mut two)))];
                for read in reads.iter_mut().flatten() {
                    assert!(poll_once(read.as_mut(), &waker).is_pending());
                }
                reads[given_up] = None;
                peer.write_all(b"x").unwrap();
                until(|| wakes.count() > before).await;
                let left = reads[1 - given_up].as_mut().unwrap();
                assert!(matches!(poll_once(left.as_mut(), &waker), Poll::Ready(Ok(1))));
            }
        });
    });
}

#[test]
fn giving_up_one_accept_does_not_silence_another_of_the_same_task() {
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (waker, wakes) = Wakes::new();
            for given_up in 0..2 {
                let before = wakes.count();
                let mut accepts =
                    [Some(Box::pin(listener.accept())), Some(Box::pin(listener.accept()))];
                for accept in accepts.iter_mut().flatten() {
                    assert!(poll_once(accept.as_mut(), &waker).is_pending());
                }
                accepts[given_up] = None;
                let _client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
                until(|| wakes.count() > before).await;
                let left = accepts[1 - given_up].as_mut().unwrap();
                assert!(matches!(poll_once(left.as_mut(), &waker), Poll::Ready(Ok(_))));
            }
        });
    });
}

/// Those who wait in futures and the one who polls do not take each other's place.
#[test]
fn a_future_that_reads_and_a_task_that_polls_both_wait() {
    bounded(|| {
        block_on(async {
            let (stream, mut peer) = connected().await;
            let ((one, ones), (two, twos)) = (Wakes::new(), Wakes::new());
            let mut buffer = [0; 8];
            let mut read = Box::pin(stream.read(&mut buffer));
            assert!(poll_once(read.as_mut(), &one).is_pending());
            let polled = stream.poll_read(&mut Context::from_waker(&two), &mut [0; 8]);
            assert!(polled.is_pending());
            peer.write_all(b"x").unwrap();
            until(|| ones.count() == 1 && twos.count() == 1).await;
        });
    });
}
