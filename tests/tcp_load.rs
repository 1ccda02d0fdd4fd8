//! Many connections at once, and writes larger than any buffer of the system.

mod common;

use std::cell::{Cell, RefCell};
use std::io::{IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use common::*;
use windlass::net::TcpListener;
use windlass::run;

#[test]
fn a_thousand_clients_at_once_get_back_exactly_what_they_sent() {
    const CLIENTS: usize = 1000;
    const THREADS: usize = 4;
    const ROUNDS: u64 = 4;
    const LEN: usize = 8 * 1024;
    assert!(raise_descriptor_limit(20_000) > 2 * CLIENTS as u64 + 100);

    fn client_thread(addr: SocketAddr, thread: u64, all_connected: &Barrier) {
        let share = CLIENTS / THREADS;
        let mut clients: Vec<_> = (0..share).map(|_| StdStream::connect(addr).unwrap()).collect();
        all_connected.wait();
        for round in 0..ROUNDS {
            let seed = |client: usize| (thread << 32) + ((client as u64) << 8) + round;
            for (number, client) in clients.iter_mut().enumerate() {
                client.write_all(&noise(seed(number), LEN)).unwrap();
            }
            let mut received = vec![0; LEN];
            for (number, client) in clients.iter_mut().enumerate() {
                client.read_exact(&mut received).unwrap();
                assert_eq!(checksum(&received), checksum(&noise(seed(number), LEN)));
            }
        }
        for mut client in clients {
            client.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "nothing comes after the echo");
        }
    }

    bounded(|| {
        let open = Rc::new(Cell::new(0));
        let open_at_most = Rc::new(Cell::new(0));
        let bytes = Rc::new(Cell::new(0));
        let mut threads = Vec::new();
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let all_connected = Arc::new(Barrier::new(THREADS));
            for number in 0..THREADS as u64 {
                let all_connected = all_connected.clone();
                threads.push(thread::spawn(move || client_thread(addr, number, &all_connected)));
            }
            let (open, open_at_most, bytes) = (open.clone(), open_at_most.clone(), bytes.clone());
            let (closer, mut accepted) = (listener.clone(), 0);
            listener.on_connection(move |connection| {
                let connection = connection.unwrap();
                open.set(open.get() + 1);
                open_at_most.set(open_at_most.get().max(open.get()));
                let (closed, bytes) = (open.clone(), bytes.clone());
                connection.on_close(move || closed.set(closed.get() - 1));
                connection.read_start(move |connection, chunk| {
                    let chunk = chunk.unwrap();
                    bytes.set(bytes.get() + chunk.len());
                    match chunk.is_empty() {
                        true => connection.close(),
                        false => drop(connection.write(chunk)),
                    }
                });
                accepted += 1;
                if accepted == CLIENTS {
                    closer.close();
                }
            });
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(open_at_most.get(), CLIENTS, "all at once");
        assert_eq!(open.get(), 0);
        assert_eq!(bytes.get(), CLIENTS * LEN * ROUNDS as usize);
    });
}

// TCP-20.
#[test]
fn three_writes_of_forty_megabytes_in_4096_buffers_each_arrive_whole() {
    const BUFFERS: usize = 4096;
    const BUFFER_LEN: usize = 10 * 1024;
    const WRITES: u8 = 3;
    bounded(|| {
        let completed = Rc::new(RefCell::new(Vec::new()));
        let (hand_over, peer) = mpsc::channel::<StdStream>();
        let reader = thread::spawn(move || {
            let mut peer = peer.recv().unwrap();
            let mut buffer = vec![0; BUFFER_LEN];
            for write in 0..WRITES {
                for number in 0..BUFFERS {
                    peer.read_exact(&mut buffer).unwrap();
                    let expected = (number as u8).wrapping_mul(31).wrapping_add(write);
                    let intact = buffer.iter().all(|byte| *byte == expected);
                    assert!(intact, "buffer {number} of write {write}");
                }
            }
            assert_eq!(peer.read(&mut buffer).unwrap(), 0);
        });
        run(|| {
            let completed = completed.clone();
            with_peer(move |stream, peer| {
                for write in 0..WRITES {
                    let buffers: Vec<_> = (0..BUFFERS)
                        .map(|number| {
                            [(number as u8).wrapping_mul(31).wrapping_add(write); BUFFER_LEN]
                        })
                        .collect();
                    let slices: Vec<_> =
                        buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
                    let (completed, after) = (completed.clone(), stream.clone());
                    stream.write_vectored(&slices).on_complete(move |result| {
                        result.unwrap();
                        completed.borrow_mut().push((write, after.write_queue_size()));
                    });
                }
                assert!(stream.write_queue_size() > BUFFERS * BUFFER_LEN);
                hand_over.send(peer).unwrap();
            });
        });
        reader.join().unwrap();
        let completed = completed.borrow();
        let order: Vec<_> = completed.iter().map(|(write, _)| *write).collect();
        assert_eq!(order, [0, 1, 2]);
        assert_eq!(completed.last().unwrap().1, 0, "the queue is empty at the end");
    });
}
