//! The echo servers, over TCP and over Unix sockets.

use common::measure::{print_address, print_port};
use windlass::net::{TcpListener, UnixListener};

/// Sends back whatever comes.
pub(crate) fn echo() {
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        print_port(listener.local_addr().expect("an address").port());
        listener.on_connection(|connection| {
            let connection = connection.expect("a connection");
            connection.set_nodelay(true).expect("an option");
            connection.read_start(|connection, chunk| match chunk {
                Ok(chunk) if !chunk.is_empty() => drop(connection.write(chunk)),
                _ => connection.close(),
            });
        });
    });
}

pub(crate) fn unix_echo() {
    windlass::run(|| {
        let path = common::inputs::socket_path();
        let listener = UnixListener::bind(&path).expect("a listener");
        print_address(path.display());
        listener.on_connection(|connection| {
            connection.expect("a connection").read_start(|connection, chunk| match chunk {
                Ok(chunk) if !chunk.is_empty() => drop(connection.write(chunk)),
                _ => connection.close(),
            });
        });
    });
}
