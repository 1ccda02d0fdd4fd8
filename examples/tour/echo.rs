//! How do the two ends of a connection talk on one loop?
//!
//! ```text
//! $ cargo run --example echo
//! client: says hello
//! client: hears hello
//! server: the end
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::io;

use windlass::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let own = listener.clone();
        listener.on_connection(move |stream| {
            own.close(); // One client is enough. A listener would keep the loop alive.
            let Ok(stream) = stream else { return };
            stream.read_start(|stream, bytes| match bytes {
                Ok([]) => println!("server: the end"), // Nothing holds it any more, so it closes.
                Ok(bytes) => drop(stream.write(bytes)),
                Err(error) => println!("server: {error}"),
            });
        });
        TcpStream::connect(address).on_complete(|stream| {
            let Ok(stream) = stream else { return };
            println!("client: says hello");
            drop(stream.write(b"hello"));
            let mut answer = Vec::new();
            stream.read_start(move |stream, bytes| {
                // What was one write may come in pieces.
                answer.extend_from_slice(bytes.unwrap_or_default());
                if answer.len() == 5 {
                    println!("client: hears {}", String::from_utf8_lossy(&answer));
                    stream.close();
                }
            });
        });
        Ok(())
    })
}
