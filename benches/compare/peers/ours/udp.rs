//! Datagrams: sent back, or counted.

use std::cell::Cell;

use common::inputs::COUNT;
use common::measure::print_port;
use windlass::net::UdpSocket;

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    print_port(socket.local_addr().expect("an address").port());
    socket
}

pub(crate) fn echo() {
    windlass::run(|| {
        bind().recv_start(|socket, datagram| {
            let datagram = datagram.expect("a datagram");
            drop(socket.send_to(datagram.data, datagram.from));
        });
    });
}

pub(crate) fn sink() {
    windlass::run(|| {
        let count = Cell::new(0_u64);
        bind().recv_start(move |socket, datagram| {
            let datagram = datagram.expect("a datagram");
            if datagram.data == COUNT {
                drop(socket.send_to(&count.get().to_le_bytes(), datagram.from));
            } else {
                count.set(count.get() + 1);
            }
        });
    });
}
