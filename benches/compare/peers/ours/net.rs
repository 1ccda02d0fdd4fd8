//! The echo server.

use windlass::net::TcpListener;

/// Sends back whatever comes.
pub(crate) fn echo() {
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        common::measure::print_port(listener.local_addr().expect("an address").port());
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
