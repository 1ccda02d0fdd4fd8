//! The clients of the UDP servers: one that waits for each answer, and one that sends as fast as it
//! can.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use common::inputs::COUNT;
use common::system;

use crate::rows::Row;
use crate::run::{Figures, Server};

/// How long an answer may take before the datagram is taken for lost.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How many datagrams the flood gives to the system at a time.
const SEGMENTS: usize = 64;

fn connect(server: &Server) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(&server.address)?;
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    Ok(socket)
}

/// Time and server CPU for each datagram that goes there and comes back, so many under way at a
/// time.
pub(crate) fn ping_pong(server: &Server, row: &Row, requests: u64) -> io::Result<Figures> {
    system::pin_thread(0);
    let socket = connect(server)?;
    let run = |requests: u64| {
        let (mut buffer, message) = (vec![0; row.bytes + 1], vec![7; row.bytes]);
        let first = requests.min(row.connections as u64);
        (0..first).try_for_each(|_| socket.send(&message).map(drop))?;
        for answered in 0..requests {
            if socket.recv(&mut buffer)? != row.bytes {
                return Err(io::Error::other("it is another datagram that comes back"));
            }
            if answered + first < requests {
                socket.send(&message)?;
            }
        }
        Ok(())
    };
    run(requests / 10)?;
    let (process, start) = (server.child.id(), Instant::now());
    let before = system::cpu_time_of(process)?;
    run(requests)?;
    let (cpu, wall) = (system::cpu_time_of(process)? - before, start.elapsed());
    Ok(each(wall, cpu, requests))
}

fn each(wall: Duration, cpu: Duration, items: u64) -> Figures {
    let each = |time: Duration| time.as_nanos() as f64 / items as f64;
    Figures::from([("ns".into(), each(wall)), ("cpu".into(), each(cpu))])
}

/// Time and server CPU for each datagram that the server receives, while more are sent than it can
/// take.
pub(crate) fn flood(server: &Server, bytes: usize, time: Duration) -> io::Result<Figures> {
    system::pin_thread(0);
    let (asking, flooding) = (connect(server)?, connect(server)?);
    asking.set_read_timeout(Some(Duration::from_millis(100)))?;
    segment(&flooding, bytes)?;
    let messages = vec![7; bytes * SEGMENTS];
    let send = |time: Duration| -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            flooding.send(&messages)?;
        }
        Ok(())
    };
    send(time / 10)?;
    let (process, count) = (server.child.id(), received(&asking)?);
    let (before, start) = (system::cpu_time_of(process)?, Instant::now());
    send(time)?;
    // As soon as there is room for the question, there are next to no others before it.
    let count = received(&asking)? - count;
    let (cpu, wall) = (system::cpu_time_of(process)? - before, start.elapsed());
    Ok(each(wall, cpu, count.max(1)))
}

/// Has the system cut what is sent into datagrams of so many bytes, which it does far faster than
/// it takes them
/// one by one.
fn segment(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    let bytes = bytes as libc::c_int;
    // SAFETY: the number outlives the call, which is told its size.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks a sink how many datagrams have come, until it answers: a question may be lost.
fn received(socket: &UdpSocket) -> io::Result<u64> {
    let (begun, mut number) = (Instant::now(), [0; 8]);
    loop {
        socket.send(COUNT)?;
        match socket.recv(&mut number) {
            Ok(_) => return Ok(u64::from_le_bytes(number)),
            Err(error) if begun.elapsed() > ANSWER_MAX => return Err(error),
            Err(_) => {}
        }
    }
}
