//! The parts of the HTTP server that `server` and `golden_rule` share.
//!
//! ```text
//!            bytes                      requests                      answers
//!   socket ────────► connection.rs ◄──► request.rs: when is a head, a body complete?
//!                    │  ▲                  └─ framing.rs: where do lines and chunks end?
//!                    │  ▲               response.rs: the bytes of an answer
//!                    ▼  │
//!                  routes.rs: answer now, or a job for later
//!                    │
//!                    ├─ sums.rs   on the loop, on the pool, or in a worker
//!                    └─ files.rs  on the pool, chunk by chunk
//!
//!   server.rs: the listener, the open connections, how it all stops
//!   metrics.rs, stalls.rs: how busy the loop is, and what has blocked it
//! ```
//!
//! `request`, `response`, `routes` and `files` know nothing of sockets or loops: bytes and values go
//! in, values come out. `connection` and `server` hold all that waits.

mod connection;
mod files;
mod metrics;
mod request;
mod response;
mod routes;
mod server;
mod stalls;
mod sums;

pub(crate) use server::{Config, Server};
