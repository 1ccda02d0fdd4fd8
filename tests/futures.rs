//! The traits of the futures crates, by the combinators that programs use them with.

mod common;

#[path = "futures/bytes.rs"]
mod bytes;
#[path = "futures/files.rs"]
mod files;
#[path = "futures/items.rs"]
mod items;
#[path = "futures/waits.rs"]
mod waits;
