//! The guide: what the loop promises, in words.
//!
//! There is no code here, only pages to read. [`order`] says what runs when. [`seeing`] says how to
//! see what a loop does.

pub mod order;
pub mod seeing;
