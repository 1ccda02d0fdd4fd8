//! hyper on the loop: what its client and server ask of a runtime. Feature `hyper`.
//!
//! [`Io`] is any stream with the traits of futures-io, and [`Executor`] runs futures that need not
//! be
//! `Send`.

mod executor;
mod io;

pub use executor::Executor;
pub use io::Io;
