//! How does a program speak QUIC?
//!
//! By quinn, which asks its runtime for three things: a task, a timer, a UDP socket. The loop has
//! them all; the socket gets past `Send` in a `task::Local`.
//!
//! ```text
//! $ cargo run --bin quic_echo -- serve /tmp/certificate.pem
//! listening on 127.0.0.1:41234
//! $ cargo run --bin quic_echo -- 127.0.0.1:41234 /tmp/certificate.pem
//! 10 streams of 100000 bytes came back
//! ```

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, UdpPoller};
use windlass::net::UdpSocket;
use windlass::task::Local;
use windlass::time::{Sleep, sleep};

fn main() -> io::Result<()> {
    let [role, path] = ecosystem::arguments("quic_echo serve|ADDRESS:PORT CERTIFICATE");
    windlass::block_on(async {
        match role.as_str() {
            "serve" => serve(&path).await,
            address => call(address.parse().map_err(ecosystem::other)?, &path).await,
        }
    })
}

fn endpoint(server: Option<quinn::ServerConfig>) -> io::Result<Endpoint> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(OnTheLoop))
}

async fn serve(path: &str) -> io::Result<()> {
    let tls = QuicServerConfig::try_from(ecosystem::server_config(path)?);
    let tls = Arc::new(tls.map_err(ecosystem::other)?);
    let endpoint = endpoint(Some(quinn::ServerConfig::with_crypto(tls)))?;
    println!("listening on {}", endpoint.local_addr()?);
    while let Some(incoming) = endpoint.accept().await {
        windlass::spawn_detached(async move {
            let connection = incoming.await?;
            while let Ok((mut to, mut from)) = connection.accept_bi().await {
                windlass::spawn_detached(async move {
                    let text = from.read_to_end(1 << 20).await.map_err(ecosystem::other)?;
                    to.write_all(&text).await?;
                    to.finish().map_err(ecosystem::other)
                });
            }
            io::Result::Ok(())
        });
    }
    Ok(())
}

async fn call(address: SocketAddr, path: &str) -> io::Result<()> {
    let tls = QuicClientConfig::try_from(ecosystem::client_config(path)?);
    let config = quinn::ClientConfig::new(Arc::new(tls.map_err(ecosystem::other)?));
    let endpoint = endpoint(None)?;
    let connecting = endpoint.connect_with(config, address, "localhost");
    let connection = connecting.map_err(ecosystem::other)?.await?;
    let streams = (0..10_u8).map(|number| {
        let connection = &connection;
        async move {
            let (mut to, mut from) = connection.open_bi().await?;
            let text = vec![number; 100_000];
            to.write_all(&text).await?;
            to.finish().map_err(ecosystem::other)?;
            let echo = from.read_to_end(1 << 20).await.map_err(ecosystem::other)?;
            if echo == text { Ok(()) } else { Err(ecosystem::other("another text")) }
        }
    });
    futures_util::future::try_join_all(streams).await?;
    println!("10 streams of 100000 bytes came back");
    connection.close(0_u8.into(), b"done");
    endpoint.wait_idle().await;
    Ok(())
}

/// What quinn asks of a runtime.
#[derive(Debug)]
struct OnTheLoop;

impl Runtime for OnTheLoop {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(sleep(at.saturating_duration_since(Instant::now()))))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        windlass::spawn_detached(future);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket(Local::new(UdpSocket::from_std(socket)?))))
    }
}

#[derive(Debug)]
struct Timer(Sleep);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0 = sleep(at.saturating_duration_since(Instant::now()));
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

#[derive(Debug)]
struct Socket(Local<UdpSocket>);

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        // What the system does not take at once is queued, so this never blocks. One that is lost is
        // lost, as on any network: quinn sends it again.
        if self.0.send_queue_size() < 1 << 20 {
            self.0.send_to(transmit.contents, transmit.destination).on_complete(drop);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (len, addr) = ready!(self.0.poll_recv_from(cx, &mut buffers[0]))?;
        metas[0] = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Whoever may send.
#[derive(Debug)]
struct Writable;

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
