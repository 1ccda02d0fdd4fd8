//! The tool box of all tests: one way to do each thing.
//!
//! What a test waits for is always a real event or the virtual clock. The only clock here is the watchdog of
//! [`bounded`], whose limit lies far above what any test needs.

// Each test binary uses a part of this module only.
#![allow(dead_code, unused_imports)]

mod allocator;
mod bounded;
mod files;
mod futures;
mod held;
mod log;
mod loops;
mod net;
mod panics;
mod process;
mod pty;
mod random;
mod trace;

pub(crate) use allocator::*;
pub(crate) use bounded::*;
pub(crate) use files::*;
pub(crate) use futures::*;
pub(crate) use held::*;
pub(crate) use log::*;
pub(crate) use loops::*;
pub(crate) use net::*;
pub(crate) use panics::*;
pub(crate) use process::*;
pub(crate) use pty::*;
pub(crate) use random::*;
pub(crate) use trace::*;
