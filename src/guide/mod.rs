//! The guide: what the loop promises, in words.
//!
//! There is no code here, only pages to read. [`order`] says what runs when.

pub mod order;
