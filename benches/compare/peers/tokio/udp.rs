//! Datagrams: sent back, or counted.

use common::inputs::{COUNT, READ_MAX};
use tokio::net::UdpSocket;

use crate::runtime;

async fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    common::measure::print_port(socket.local_addr().expect("an address").port());
    socket
}

pub(crate) fn echo() {
    runtime().block_on(async {
        let (socket, mut buffer) = (bind().await, vec![0; READ_MAX]);
        loop {
            let (got, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
            socket.send_to(&buffer[..got], from).await.expect("room for it");
        }
    });
}

pub(crate) fn sink() {
    runtime().block_on(async {
        let (socket, mut buffer, mut count) = (bind().await, vec![0; READ_MAX], 0_u64);
        loop {
            let (got, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
            if &buffer[..got] == COUNT {
                socket.send_to(&count.to_le_bytes(), from).await.expect("room for it");
            } else {
                count += 1;
            }
        }
    });
}
