//! How does a server speak TLS?
//!
//! By any TLS library that takes futures-io's traits, which every stream of the loop has. This one
//! echoes, by rustls. A panic or an error of one connection costs the others nothing.
//!
//! ```text
//! $ cargo run --bin tls_echo -- /tmp/certificate.pem
//! listening on 127.0.0.1:41234
//! $ openssl s_client -quiet -connect 127.0.0.1:41234 -CAfile /tmp/certificate.pem
//! hello
//! hello
//! ```

use std::io;
use std::sync::Arc;

use futures_rustls::TlsAcceptor;
use futures_util::AsyncReadExt;
use windlass::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let [path] = ecosystem::arguments("tls_echo CERTIFICATE");
    let acceptor = TlsAcceptor::from(Arc::new(ecosystem::server_config(&path)?));
    windlass::block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            match listener.accept().await {
                Ok(stream) => windlass::spawn_detached(echo(acceptor.clone(), stream)),
                // Out of descriptors, mostly: those who are here are served.
                Err(error) => eprintln!("cannot accept: {error}"),
            }
        }
    })
}

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = acceptor.accept(stream).await?.split();
    futures_util::io::copy(reader, &mut writer).await?;
    futures_util::AsyncWriteExt::close(&mut writer).await
}
