//! hyper on the loop: what its client and server ask of a runtime. Feature `hyper`.
//!
//! [`Io`] is any stream with the traits of futures-io, [`Executor`] runs futures that need not be
//! `Send`, [`Timer`] has the loop's clock. [`serve`] is a server made of them: it accepts, limits
//! and ends in order.
//!
//! An upgraded connection is `Send` by hyper's demand, which no stream of a loop is: a server that
//! upgrades uses hyper's own functions, and a stream in a [`Local`](crate::task::Local).

mod connection;
mod executor;
mod io;
mod serve;
mod server;
mod timer;

pub use executor::Executor;
pub use io::Io;
pub use serve::{Listen, serve, serve_with};
pub use server::{Options, Server};
pub use timer::{Sleep, Timer};
