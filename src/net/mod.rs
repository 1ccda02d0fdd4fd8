//! Sockets on the loop: [`TcpListener`] and [`TcpStream`].
//!
//! A socket has a callback side, as in Node, and a future side; both stand on the poll forms, which
//! adapters for other crates can use. Sockets are `Clone`: a clone is another name for the same
//! one. A socket with a callback registered belongs to the loop until it is closed; one without
//! closes when its last clone is dropped, after queued writes have gone out.
//!
//! A socket belongs to one loop and stays on its thread. To travel, in a message to a worker for
//! instance, it is detached: [`DetachedTcpStream`] and [`DetachedTcpListener`] are `Send`, and open
//! where they arrive.

mod address;
mod connect;
mod tcp_listener;
mod tcp_stream;

pub use address::Address;
pub use tcp_listener::{Accept, DetachedTcpListener, TcpListener};
pub use tcp_stream::{DetachedTcpStream, TcpStream};

pub use crate::stream::Read;
