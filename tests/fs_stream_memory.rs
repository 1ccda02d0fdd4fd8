//! Back-pressure keeps memory flat, however long the file is. This file is a program of its own, because
//! it counts what the whole process allocates.

mod common;

use std::io::Read;
use std::path::Path;
use std::thread;

use common::*;
use windlass::fs::stream::{ReadStream, WriteStream, pipe};
use windlass::net::{TcpListener, TcpStream};
use windlass::{block_on, fs};

const MIB: usize = 1024 * 1024;
const FILE: usize = 64 * MIB;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new(MIB);

#[test]
fn memory_stays_flat_and_a_whole_file_is_in_memory_once() {
    bounded(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stream-memory");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("big");
        let bytes = noise(64, FILE);
        let sum = checksum(&bytes);
        std::fs::write(&path, bytes).unwrap();

        // A file through a socket into another file, both on one loop.
        let copy = dir.join("copy");
        let (count, most) = ALLOCATOR.most_in(|| {
            block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let receiver = listener.accept().await.unwrap();
                let sent = pipe(ReadStream::open(&path), sender);
                let received = pipe(receiver, WriteStream::create(&copy));
                sent.await.unwrap();
                received.await.unwrap()
            })
        });
        assert_eq!(count, FILE as u64);
        assert!(most < MIB, "{most} bytes at once through a socket");
        assert_eq!(checksum(&std::fs::read(&copy).unwrap()), sum);

        // From file to file.
        let (count, most) = ALLOCATOR.most_in(|| {
            block_on(async {
                pipe(ReadStream::open(&path), WriteStream::create(&copy)).await.unwrap()
            })
        });
        assert_eq!(count, FILE as u64);
        assert!(most < MIB, "{most} bytes at once from file to file");

        // To a peer that takes one byte for a while: nothing piles up.
        let (_, most) = ALLOCATOR.most_in(|| {
            block_on(async {
                let (socket, mut peer) = connected().await;
                let piping = pipe(ReadStream::open(&path), socket.clone());
                until(|| socket.write_queue_size() > 0).await;
                let mut byte = [0];
                for _ in 0..100 {
                    peer.read_exact(&mut byte).unwrap();
                    iterations(10).await;
                }
                let rest =
                    thread::spawn(move || std::io::copy(&mut peer, &mut std::io::sink()).unwrap());
                assert_eq!(piping.await.unwrap(), FILE as u64);
                drop(socket);
                assert_eq!(rest.join().unwrap(), FILE as u64 - 100);
            });
        });
        assert!(most < MIB, "{most} bytes at once to a slow peer");

        // FS-21. A read of the whole takes its memory once, although it comes in several jobs.
        for whole in [true, false] {
            let (len, most) = ALLOCATOR.most_in(|| {
                block_on(async {
                    let file = fs::File::open(&path).await.unwrap();
                    match whole {
                        true => fs::read(&path).await.unwrap().len(),
                        false => file.read_to_end().await.unwrap().len(),
                    }
                })
            });
            assert_eq!(len, FILE);
            assert!(most < FILE + MIB, "{most} bytes at once for a file of {FILE}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    });
}
