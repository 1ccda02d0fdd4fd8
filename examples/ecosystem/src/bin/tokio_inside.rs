//! What of a library that insists on tokio?
//!
//! It gets one: a runtime that is entered on the loop's thread and runs on one thread of its own.
//! Its sockets and timers are driven there; the library's futures run on the loop, which is woken
//! as by any other thread. What the library spawns runs on the other thread, and must be `Send`.
//!
//! ```text
//! $ cargo run --bin tokio_inside
//! 5 bytes went through tokio's sockets, on the loop's thread, after 10 ms of tokio's time
//! ```

use std::io;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    let _entered = runtime.enter();
    let here = thread::current().id();
    let count = windlass::block_on(async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // A task of the loop, with tokio's socket.
        let server = windlass::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        });
        let mut client = tokio::net::TcpStream::connect(address).await?;
        let mut text = Vec::new();
        client.read_to_end(&mut text).await?;
        server.await.map_err(ecosystem::other)??;
        assert_eq!(thread::current().id(), here);
        io::Result::Ok(text.len())
    })?;
    println!(
        "{count} bytes went through tokio's sockets, on the loop's thread, after 10 ms of tokio's time"
    );
    Ok(())
}
