//! Virtual time: loops whose clocks stand still while anything is ready, and jump when nothing is.

pub(crate) mod scheduler;
