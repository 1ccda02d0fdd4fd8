//! Is the end of what a client sends the end of the connection?
//!
//! No: each direction has an end of its own. This server reads to the end, and answers then.
//!
//! ```text
//! $ cargo run --example half_close
//! client: has sent its end, and reads on
//! server: the client has sent its end, after "two words"
//! client: "TWO WORDS", and the end
//! ```

#[macro_use]
#[path = "../common/println.rs"]
mod println;

use std::io;

use windlass::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    windlass::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = windlass::spawn(async move {
            let stream = listener.accept().await?;
            let request = read_to_end(&stream).await?;
            println!("server: the client has sent its end, after {:?}", request);
            stream.write(request.to_uppercase().as_bytes()).await?;
            stream.shutdown().await // The end of this direction.
        });
        let stream = TcpStream::connect(address).await?;
        stream.write(b"two words").await?;
        stream.shutdown().await?;
        println!("client: has sent its end, and reads on");
        println!("client: {:?}, and the end", read_to_end(&stream).await?);
        server.await.expect("the server does not panic")
    })
}

async fn read_to_end(stream: &TcpStream) -> io::Result<String> {
    let (mut text, mut buffer) = (Vec::new(), [0; 64]);
    loop {
        match stream.read(&mut buffer).await? {
            0 => return String::from_utf8(text).map_err(io::Error::other),
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
}
