//! The guide: a short book on event loops, and what this one promises.
//!
#![doc = include_str!("links.md")]
#![doc = "<!--"]
#![doc = include_str!("README.md")]

// The file of a page can be read as it is, so it begins with a title, its question and its drawing,
// up to a comment. Here the module has the title, the question is its first line, and the drawing
// itself follows. So what the file begins with stands in a comment, which ends with the file's own.

/// How can one thread serve thousands of clients?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("loop.svg")]
#[doc = "<!--"]
#[doc = include_str!("what_a_loop_is.md")]
pub mod what_a_loop_is {}

/// What does a loop do, in which order, each time round?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("phases.svg")]
#[doc = "<!--"]
#[doc = include_str!("one_iteration.md")]
pub mod one_iteration {}

/// What runs between two callbacks?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("drain.svg")]
#[doc = "<!--"]
#[doc = include_str!("ticks.md")]
pub mod ticks {}

/// When does a timer fire, and which one first?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("timers.svg")]
#[doc = "<!--"]
#[doc = include_str!("timers.md")]
pub mod timers {}

/// How does a loop sleep, and how does another thread end its sleep?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("wake.svg")]
#[doc = "<!--"]
#[doc = include_str!("sleeping.md")]
pub mod sleeping {}

/// How does a loop hear of its sockets, and why does none of them starve the others?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("edges.svg")]
#[doc = "<!--"]
#[doc = include_str!("edges.md")]
pub mod edges {}

/// What about calls that cannot help but block?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("pool.svg")]
#[doc = "<!--"]
#[doc = include_str!("pool.md")]
pub mod pool {}

/// How does a program use more than one core?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("workers.svg")]
#[doc = "<!--"]
#[doc = include_str!("workers.md")]
pub mod workers {}

/// What may a callback not do?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("blocked.svg")]
#[doc = "<!--"]
#[doc = include_str!("golden_rule.md")]
pub mod golden_rule {}

/// What does it mean when the bytes end, and who slows down a sender that is too fast?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("half_close.svg")]
#[doc = "<!--"]
#[doc = include_str!("streams.md")]
pub mod streams {}

/// Who is told when something fails, and what runs after a panic?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("panic.svg")]
#[doc = "<!--"]
#[doc = include_str!("errors.md")]
pub mod errors {}

/// How does a loop live inside a program that has a loop of its own?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("embedding.svg")]
#[doc = "<!--"]
#[doc = include_str!("embedding.md")]
pub mod embedding {}

/// How can a test of an hour take no time, and do the same in each run?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("virtual_time.svg")]
#[doc = "<!--"]
#[doc = include_str!("testing.md")]
pub mod testing {}

/// How can a program be run in all the ways in which a real machine might run it?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("simulation.md")]
pub mod simulation {}

/// Why should you believe any of this?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("how_we_know.md")]
pub mod how_we_know {}

/// Can you say beforehand what a program prints?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("predict.md")]
pub mod predict {}

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
#[doc = include_str!("trace.svg")]
#[doc = "<!--"]
#[doc = include_str!("seeing.md")]
pub mod seeing {}

/// Can you say what a loop does next?
///
#[doc = include_str!("links.md")]
#[doc = include_str!("live_view.svg")]
#[doc = "<!--"]
#[doc = include_str!("live_view.md")]
pub mod live_view {}

/// How much of an event loop is the loop, and what is all the rest for?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("tiny_loop.md")]
pub mod tiny_loop {}

/// Which techniques does it take, what does each gain, and what does it cost the reader?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("why_fast.md")]
pub mod why_fast {}

/// Which limits and times decide what a program sees, and why are they as they are?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("numbers.md")]
pub mod numbers {}

/// Does the same file do the same on Node and on this loop?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("nodes_tests.md")]
pub mod nodes_tests {}

/// Which other crates work on a loop, and how?
///
#[doc = include_str!("links.md")]
#[doc = "<!--"]
#[doc = include_str!("with_other_crates.md")]
pub mod with_other_crates {}
