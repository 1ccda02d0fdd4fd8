//! The client of the echo servers: one thread on an epoll of its own, on a core that the server does not use.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::system;

use crate::rows::Row;
use crate::run::{Figures, Server};

/// How long an answer may take before something is thought to be broken.
const ANSWER_MAX_MS: i32 = 60_000;

/// What is asked of a server.
#[derive(Debug)]
pub(crate) struct Load {
    connections: usize,
    /// How many of them are used.
    busy: usize,
    bytes: usize,
    pub(crate) requests: u64,
}

impl Load {
    pub(crate) fn of(row: &Row, requests: u64, short: bool) -> Load {
        let (connections, busy) = (row.connections(short), row.busy(short));
        Load { connections, busy, bytes: row.bytes, requests }
    }
}

/// A connection with one message under way.
struct Connection {
    stream: File,
    unsent: usize,
    unread: usize,
}

/// A stream that blocks, of either kind: both are read and written as files are.
fn connect(address: &str) -> io::Result<File> {
    let patience = Some(Duration::from_millis(ANSWER_MAX_MS as u64));
    let stream: OwnedFd = if address.starts_with('/') {
        let stream = UnixStream::connect(address)?;
        stream.set_read_timeout(patience)?;
        stream.into()
    } else {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(patience)?;
        stream.into()
    };
    Ok(stream.into())
}

/// Connected to a server, and warm.
pub(crate) struct Client {
    poller: OwnedFd,
    connections: Vec<Connection>,
    busy: usize,
    message: Vec<u8>,
}

impl Client {
    /// Opens the connections, and sends one message on each.
    pub(crate) fn connect(address: &str, load: &Load) -> io::Result<Client> {
        system::raise_descriptor_limit();
        // SAFETY: the descriptor is new and nobody else's.
        let poller = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        let message = vec![7; load.bytes];
        let mut connections = Vec::new();
        for index in 0..load.connections {
            let mut stream = connect(address)?;
            stream.write_all(&message)?;
            stream.read_exact(&mut vec![0; load.bytes])?;
            system::set_nonblocking(&stream)?;
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            let (poller, socket) = (poller.as_raw_fd(), stream.as_raw_fd());
            // SAFETY: the event outlives the call.
            if unsafe { libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, socket, &mut event) } != 0 {
                return Err(io::Error::last_os_error());
            }
            connections.push(Connection { stream, unsent: 0, unread: 0 });
        }
        Ok(Client { poller, connections, busy: load.busy, message })
    }

    /// Sends so many requests, each connection its next one when it has the answer.
    pub(crate) fn run(&mut self, requests: u64) -> io::Result<()> {
        let (mut begun, mut done) = (0, 0);
        for index in 0..self.busy.min(requests as usize) {
            self.send(index)?;
            begun += 1;
        }
        let mut buffer = vec![0; common::inputs::READ_MAX];
        // SAFETY: an event of zeroes is one, and the array is as long as the call is told.
        let mut events: [libc::epoll_event; 256] = unsafe { std::mem::zeroed() };
        while done < requests {
            let poller = self.poller.as_raw_fd();
            // SAFETY: as above.
            let ready =
                unsafe { libc::epoll_wait(poller, events.as_mut_ptr(), 256, ANSWER_MAX_MS) };
            if ready <= 0 {
                return Err(io::Error::other("the server does not answer"));
            }
            for event in &events[..ready as usize] {
                let index = event.u64 as usize;
                if self.is_answered(index, &mut buffer)? {
                    done += 1;
                    if begun < requests {
                        begun += 1;
                        self.send(index)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        (connection.unsent, connection.unread) = (self.message.len(), self.message.len());
        self.go_on(index)
    }

    /// Sends what is left to be sent of the message, as far as the socket takes it.
    fn go_on(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        while connection.unsent > 0 {
            let rest = &self.message[self.message.len() - connection.unsent..];
            match connection.stream.write(rest) {
                Ok(sent) => connection.unsent -= sent,
                // The rest goes out when the server has answered some of it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what there is, and says whether the answer is complete.
    fn is_answered(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let connection = &mut self.connections[index];
        let got = match connection.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        if got > connection.unread {
            return Err(io::Error::other("the server answers more than was sent"));
        }
        connection.unread -= got;
        let done = connection.unread == 0;
        self.go_on(index)?;
        Ok(done)
    }
}

/// Time and server CPU for each request.
pub(crate) fn measure(server: &Server, load: &Load) -> io::Result<Figures> {
    system::pin_thread(0);
    let mut client = Client::connect(&server.address, load)?;
    client.run(load.requests / 10)?;
    let (process, start) = (server.child.id(), Instant::now());
    let before = system::cpu_time_of(process)?;
    client.run(load.requests)?;
    let (cpu, wall) = (system::cpu_time_of(process)? - before, start.elapsed());
    let each = |time: Duration| time.as_nanos() as f64 / load.requests as f64;
    Ok(Figures::from([("ns".into(), each(wall)), ("cpu".into(), each(cpu))]))
}

/// The server's memory for each connection that has been used once.
pub(crate) fn memory(server: &Server, connections: usize) -> io::Result<Figures> {
    system::pin_thread(0);
    // The first ones find the server's own buffers missing.
    let load = |connections| Load { connections, busy: 0, bytes: 64, requests: 0 };
    let _first = Client::connect(&server.address, &load(10))?;
    let before = system::resident(server.child.id())?;
    let _client = Client::connect(&server.address, &load(connections))?;
    let bytes = system::resident(server.child.id())?.saturating_sub(before);
    Ok(Figures::from([("bytes".into(), bytes as f64 / connections as f64)]))
}
