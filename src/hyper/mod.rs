//! hyper on the loop: what its client and server ask of a runtime. Feature `hyper`.
//!
//! [`Io`] is any stream with the traits of futures-io, [`Executor`] runs futures that need not be
//! `Send`, [`Timer`] has the loop's clock.

mod executor;
mod io;
mod timer;

pub use executor::Executor;
pub use io::Io;
pub use timer::{Sleep, Timer};
