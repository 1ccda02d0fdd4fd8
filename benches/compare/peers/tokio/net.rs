//! The echo servers, a task for each connection, and a copy from pipe to pipe.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use common::inputs::READ_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream, UnixListener};
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

/// With a buffer for each connection, as in tokio's own examples: room for the largest message
/// here.
async fn serve_echo(mut connection: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(got @ 1..) = connection.read(&mut buffer).await {
        if connection.write_all(&buffer[..got]).await.is_err() {
            break;
        }
    }
}

pub(crate) fn echo() {
    accept(serve_echo);
}

pub(crate) fn unix_echo() {
    LocalSet::new().block_on(&runtime(), async {
        let path = common::inputs::socket_path();
        let listener = UnixListener::bind(&path).expect("a listener");
        common::measure::print_address(path.display());
        loop {
            let (connection, _) = listener.accept().await.expect("a connection");
            spawn_local(serve_echo(connection));
        }
    });
}

/// The standard input to the standard output, as the pipes that they are: tokio's own standard
/// streams go through
/// its blocking pool.
pub(crate) fn pipe() {
    runtime().block_on(async {
        let input = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
        let output = std::io::stdout().as_fd().try_clone_to_owned().expect("a descriptor");
        let mut input = pipe::Receiver::from_owned_fd(input).expect("a pipe");
        let mut output = pipe::Sender::from_owned_fd(output).expect("a pipe");
        let mut buffer = vec![0; READ_MAX];
        while let Ok(got @ 1..) = input.read(&mut buffer).await {
            if output.write_all(&buffer[..got]).await.is_err() {
                break;
            }
        }
    });
}

/// With one buffer for all, which is free of the memory of idle connections, at the cost of more
/// code.
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
