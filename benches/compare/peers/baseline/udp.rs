//! Datagrams: one call for each to receive, and to send back; or as many as there are in a call,
//! and counted.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use common::inputs::{COUNT, READ_MAX};

/// How many datagrams the sink receives in a call.
const BATCH: usize = 64;

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    common::measure::print_port(socket.local_addr().expect("an address").port());
    socket
}

pub(crate) fn echo() {
    let (socket, mut buffer) = (bind(), vec![0; READ_MAX]);
    loop {
        let (got, from) = socket.recv_from(&mut buffer).expect("a datagram");
        socket.send_to(&buffer[..got], from).expect("room for it");
    }
}

/// It knows that datagrams are short, and answers whoever has asked by a look at the sender of that
/// one alone.
pub(crate) fn sink() {
    let (socket, mut count) = (bind(), 0_u64);
    let mut buffers = vec![[0_u8; 2048]; BATCH];
    // SAFETY: structures of zeroes are valid, and name buffers that outlive the calls, with their
    // lengths.
    unsafe {
        let mut senders: [libc::sockaddr_in; BATCH] = std::mem::zeroed();
        let mut parts: [libc::iovec; BATCH] = std::mem::zeroed();
        let mut headers: [libc::mmsghdr; BATCH] = std::mem::zeroed();
        for index in 0..BATCH {
            parts[index].iov_base = buffers[index].as_mut_ptr().cast();
            parts[index].iov_len = buffers[index].len();
            headers[index].msg_hdr.msg_name = (&raw mut senders[index]).cast();
            headers[index].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            headers[index].msg_hdr.msg_iov = &raw mut parts[index];
            headers[index].msg_hdr.msg_iovlen = 1;
        }
        loop {
            let (headers, flags) = (headers.as_mut_ptr(), libc::MSG_WAITFORONE);
            let socket = socket.as_raw_fd();
            let got = libc::recvmmsg(socket, headers, BATCH as u32, flags, std::ptr::null_mut());
            assert!(got > 0, "a datagram");
            for index in 0..got as usize {
                let length = (*headers.add(index)).msg_len as usize;
                if &buffers[index][..length] != COUNT {
                    count += 1;
                    continue;
                }
                let (answer, to) = (count.to_le_bytes(), &raw const senders[index]);
                let length = size_of::<libc::sockaddr_in>() as u32;
                libc::sendto(socket, answer.as_ptr().cast(), 8, 0, to.cast(), length);
            }
        }
    }
}
