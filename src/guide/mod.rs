//! The guide: a short book on event loops, and what this one promises.
//!
#![doc = include_str!("links.md")]
#![doc = "<!--"]
#![doc = include_str!("README.md")]

// The file of a page can be read as it is, so it begins with a title, its question and its drawing,
// up to a comment. Here the module has the title, the question is its first line, and the drawing
// itself follows. So what the file begins with stands in a comment, which ends with the file's own.

/// What runs when?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("phases.svg")]
#[doc = "<!--"]
#[doc = include_str!("order.md")]
pub mod order {}

/// Which tool answers which question?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("seeing.md")]
pub mod seeing {}

/// How much of an event loop is the loop, and what is all the rest for?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("tiny_loop.md")]
pub mod tiny_loop {}
