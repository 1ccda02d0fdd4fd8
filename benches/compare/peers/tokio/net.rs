//! The echo server: a task for each connection.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use common::inputs::READ_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::runtime;

/// Serves each connection in a task of its own, until the process is killed.
pub(crate) fn accept<F: Future<Output = ()> + 'static>(serve: impl Fn(TcpStream) -> F) {
    common::system::raise_descriptor_limit();
    LocalSet::new().block_on(&runtime(), async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        common::measure::print_port(listener.local_addr().expect("an address").port());
        loop {
            let (connection, _) = listener.accept().await.expect("a connection");
            connection.set_nodelay(true).expect("an option");
            spawn_local(serve(connection));
        }
    });
}

/// With a buffer for each connection, as in tokio's own examples: room for the largest message here.
pub(crate) fn echo() {
    accept(|mut connection| async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(got @ 1..) = connection.read(&mut buffer).await {
            if connection.write_all(&buffer[..got]).await.is_err() {
                break;
            }
        }
    });
}

/// With one buffer for all, which is free of the memory of idle connections, at the cost of more code.
pub(crate) fn idle() {
    let buffer = Rc::new(RefCell::new(vec![0; READ_MAX]));
    accept(move |mut connection| {
        let buffer = buffer.clone();
        async move {
            while connection.readable().await.is_ok() {
                let chunk = {
                    let mut buffer = buffer.borrow_mut();
                    match connection.try_read(&mut buffer) {
                        Ok(0) => return,
                        Ok(got) => buffer[..got].to_vec(),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(_) => return,
                    }
                };
                if connection.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        }
    });
}
