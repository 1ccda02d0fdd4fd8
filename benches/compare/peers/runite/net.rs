//! The echo server through io_uring: a task for each connection, each with a buffer.

use runite::io::{AsyncReadExt, AsyncWriteExt};
use runite::net::TcpListener;

pub(crate) fn echo() {
    common::system::raise_descriptor_limit();
    runite::block_on(async {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(address).await.expect("a listener");
        common::measure::print_port(listener.local_addr().expect("an address").port());
        loop {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            connection.set_nodelay(true).expect("an option");
            drop(runite::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(got @ 1..) = connection.read(&mut buffer).await {
                    if connection.write_all(&buffer[..got]).await.is_err() {
                        break;
                    }
                }
            }));
        }
    });
}
