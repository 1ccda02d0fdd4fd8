//! Sockets on the loop: [`TcpListener`] and [`TcpStream`].
//!
//! A socket has a callback side, as in Node, and a future side; both stand on the poll forms, which
//! adapters for other crates can use. Sockets are `Clone`: a clone is another name for the same one.
//! A socket with a callback registered belongs to the loop until it is closed; one without closes
//! when its last clone is dropped, after queued writes have gone out.

mod address;
mod budget;
mod connect;
mod tcp_listener;
mod tcp_stream;

pub use address::Address;
pub use tcp_listener::{Accept, TcpListener};
pub use tcp_stream::{Read, TcpStream};
