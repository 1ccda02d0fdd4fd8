//! Sockets on the loop: [`TcpListener`] and [`TcpStream`], their like for Unix sockets, and
//! [`UdpSocket`].
//!
//! A socket has a callback side, as in Node, and a future side; both stand on the poll forms, which
//! adapters for other crates can use. Sockets are `Clone`: a clone is another name for the same
//! one. A socket with a callback registered belongs to the loop until it is closed; one without
//! closes when its last clone is dropped, after queued writes have gone out.
//!
//! A socket belongs to one loop and stays on its thread. To travel, in a message to a worker for
//! instance, it is detached: [`DetachedTcpStream`] and [`DetachedTcpListener`] are `Send`, and open
//! where they arrive.

pub(crate) mod address;
mod connect;
mod exchanged;
mod listening;
mod tcp_listener;
mod tcp_stream;
mod udp;
mod unix_listener;
mod unix_stream;

pub use address::Address;
pub use listening::Accept;
pub use tcp_listener::{DetachedTcpListener, TcpListener, TcpListenerBuilder};
pub use tcp_stream::{DetachedTcpStream, TcpStream};
pub use udp::{Datagram, UdpBuilder, UdpSocket};
pub use unix_listener::UnixListener;
pub use unix_stream::{PeerCredentials, UnixStream};

pub use crate::stream::Read;
