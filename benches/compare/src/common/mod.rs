//! What all the programs here share: how a workload is timed and told, the same inputs for all, and the
//! few things that only the system knows.
//!
//! A peer is a program `peer WORKLOAD ITEMS`. It runs about so many items and prints one line of JSON
//! with its figures. `peer --list` prints what it has.

pub mod inputs;
pub mod measure;
pub mod system;

pub use measure::{Figures, Laps, Peer, Stopwatch, Workload};
