//! What an idle connection costs. A binary of its own: it counts every byte of the process.
#![allow(unsafe_code)] // A global allocator cannot be written without.

mod common;

use std::cell::Cell;
use std::net::TcpStream as StdStream;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use common::*;
use windlass::net::TcpListener;
use windlass::run;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new(4096);

#[test]
fn five_thousand_idle_connections_cost_at_most_320_bytes_each() {
    const CONNECTIONS: usize = 5000;
    const BYTES_EACH: usize = 320;
    assert!(raise_descriptor_limit(20_000) > 2 * CONNECTIONS as u64 + 100);
    bounded(|| {
        let cost = Rc::new(Cell::new(0));
        // The other ends are kept as numbers, in a list that does not grow while it is measured.
        let mut clients: Vec<RawFd> = Vec::with_capacity(CONNECTIONS + 1);
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let connect = move || StdStream::connect(addr).unwrap().into_raw_fd();
            clients.push(connect());
            let (cost, closer) = (cost.clone(), listener.clone());
            let mut before = 0;
            listener.on_connection(move |connection| {
                connection.unwrap().read_start(|connection, chunk| match chunk.unwrap() {
                    [] => connection.close(),
                    _ => panic!("the clients are idle"),
                });
                // The first connection pays for what a loop has once.
                if clients.len() == 1 {
                    before = ALLOCATOR.bytes();
                }
                if clients.len() <= CONNECTIONS {
                    return clients.push(connect());
                }
                let (cost, closer, clients) =
                    (cost.clone(), closer.clone(), std::mem::take(&mut clients));
                after_iterations(3, move || {
                    cost.set(ALLOCATOR.bytes().saturating_sub(before));
                    closer.close();
                    for fd in clients {
                        // SAFETY: the list owns these descriptors and gives each up once.
                        drop(unsafe { OwnedFd::from_raw_fd(fd) });
                    }
                });
            });
        });
        let each = cost.get() / CONNECTIONS;
        assert!(cost.get() > 0, "something was measured");
        assert!(each <= BYTES_EACH, "{each} bytes for each connection");
    });
}
