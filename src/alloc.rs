//! An allocator that counts, for the figures and the memory limits of workers.
//!
//! V8 gives each isolate a heap of its own and can limit it. In Rust all threads share one heap, so
//! a worker's part has to be counted: a program that installs [`Counting`] sees in
//! [`Worker::usage`](crate::worker::Worker::usage) how many bytes each worker has, and can give it
//! a [`memory_limit`](crate::worker::WorkerBuilder::memory_limit).
//!
//! Each thread has a count of its own: what it allocated less what it freed. That costs a few
//! instructions for each allocation, and no memory. It also says how messages are booked: what is
//! allocated on one thread and freed on another stays in the count of the first and leaves that of
//! the second, which may be below zero. A worker that produces large messages says so with
//! [`sent`], its receiver with [`received`].
//!
//! The limit is a soft one. It is looked at between callbacks and at
//! [`checkpoint`](crate::worker::checkpoint)s, so one huge allocation is not refused, nor is one
//! that the callback frees again before its end. An allocator above this one, as of an engine for
//! scripts, can refuse: it asks [`refuse_allocation`](crate::worker::refuse_allocation).
//!
//! # Examples
//! ```
//! #[global_allocator]
//! static ALLOCATOR: windlass::alloc::Counting = windlass::alloc::Counting::new();
//!
//! let before = windlass::alloc::allocated();
//! let buffer = vec![0_u8; 1000];
//! assert_eq!(windlass::alloc::allocated() - before, 1000);
//! drop(buffer);
//! assert_eq!(windlass::alloc::allocated(), before);
//! ```
#![allow(unsafe_code)] // One of the files that tests/tidy.rs lists.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The memory of a thread. Both in one place: they are looked at together for each callback.
struct Memory {
    /// What the thread allocated less what it freed, in bytes.
    allocated: Cell<i64>,
    /// Above this the thread's loop is to end.
    limit: Cell<i64>,
}

thread_local! {
    /// That of this thread. Needs no destructor, so it is there as long as the thread.
    static MEMORY: Memory = const {
        Memory { allocated: Cell::new(0), limit: Cell::new(i64::MAX) }
    };
}

/// Counts for each thread what it allocates, and leaves the work to another allocator.
///
/// Installed by the program with `#[global_allocator]`: see the [module](self).
///
/// # Cost
/// An addition to a thread's own counter for each allocation and each release: about a nanosecond
/// (`cargo bench --bench alloc`).
///
/// # Examples
/// ```
/// use windlass::alloc::{self, Counting};
///
/// #[global_allocator]
/// static ALLOCATOR: Counting = Counting::new();
///
/// let before = alloc::allocated();
/// let kept = vec![0_u8; 64];
/// assert_eq!(alloc::allocated() - before, 64);
/// # drop(kept);
/// ```
#[derive(Debug, Default)]
pub struct Counting<A = System> {
    /// Does the work.
    below: A,
}

impl Counting {
    /// Counts what goes to the system's allocator.
    pub const fn new() -> Counting {
        Counting { below: System }
    }
}

impl<A> Counting<A> {
    /// Counts what goes to another allocator.
    pub const fn around(below: A) -> Counting<A> {
        Counting { below }
    }
}

/// Adds to this thread's count. Sizes are below `isize::MAX`.
#[inline]
fn book(bytes: i64) {
    MEMORY.with(|memory| memory.allocated.set(memory.allocated.get().wrapping_add(bytes)));
}

// SAFETY: every call goes to the allocator below with the arguments it came with, and its answer
// comes back unchanged, so whatever that one guarantees holds here. The counter is a cell of this
// thread: it neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the allocator below asks for.
        let block = unsafe { self.below.alloc(layout) };
        if !block.is_null() {
            book(layout.size() as i64);
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let block = unsafe { self.below.alloc_zeroed(layout) };
        if !block.is_null() {
            book(layout.size() as i64);
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`; the block came from the allocator below.
        unsafe { self.below.dealloc(block, layout) };
        book(-(layout.size() as i64));
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`.
        let moved = unsafe { self.below.realloc(block, layout, new_size) };
        if !moved.is_null() {
            book(new_size as i64 - layout.size() as i64);
        }
        moved
    }
}

/// What this thread has allocated and not freed, in bytes; 0 without [`Counting`].
///
/// Below zero on a thread that frees what others have allocated.
///
/// # Examples
/// ```
/// // This program has not installed `Counting`, so nothing is counted.
/// assert_eq!(windlass::alloc::allocated(), 0);
/// ```
#[inline]
pub fn allocated() -> i64 {
    MEMORY.with(|memory| memory.allocated.get())
}

/// Whether the program has installed [`Counting`].
///
/// # Examples
/// ```
/// assert!(!windlass::alloc::is_counting(), "this program has not installed it");
/// ```
pub fn is_counting() -> bool {
    let before = allocated();
    let probe = black_box(Box::new(0_u64));
    let counted = allocated() != before;
    drop(probe);
    counted
}

/// Takes `bytes` off this thread's count: they go to another thread with a message.
///
/// # Examples
/// ```
/// let frame = vec![0_u8; 4096];
/// // Before `port.post(frame)`:
/// windlass::alloc::sent(frame.len());
/// ```
pub fn sent(bytes: usize) {
    book(i64::try_from(bytes).map_or(i64::MIN, |bytes| -bytes));
}

/// Adds `bytes` to this thread's count: they came with a message, and will be freed here.
///
/// # Examples
/// ```
/// // In a handler, of a message whose sender has called `sent`:
/// let frame = vec![0_u8; 4096];
/// windlass::alloc::received(frame.len());
/// ```
pub fn received(bytes: usize) {
    book(i64::try_from(bytes).unwrap_or(i64::MAX));
}

/// Limits this thread's count. Nothing happens by itself: its loop asks.
pub(crate) fn set_limit(bytes: usize) {
    MEMORY.with(|memory| memory.limit.set(i64::try_from(bytes).unwrap_or(i64::MAX)));
}

/// Once an allocation was refused, so many bytes more are allowed: an engine makes its error and
/// comes to its end with less, and it is nothing beside a limit that makes sense.
const RESERVE: i64 = 1 << 20;

/// Whether this thread would have more than its limit with so many bytes more.
#[inline]
pub(crate) fn would_exceed(bytes: usize) -> bool {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    MEMORY.with(|memory| memory.allocated.get().saturating_add(bytes) > memory.limit.get())
}

/// Allows so much more that what was refused an allocation can come to its end.
pub(crate) fn open_reserve() {
    MEMORY.with(|memory| {
        let base = memory.limit.get().max(memory.allocated.get());
        memory.limit.set(base.saturating_add(RESERVE));
    });
}

/// Lifts the limit, which has done its work.
pub(crate) fn lift_limit() {
    MEMORY.with(|memory| memory.limit.set(i64::MAX));
}

/// Whether this thread has more than the
/// [`memory_limit`](crate::worker::WorkerBuilder::memory_limit) of its worker. False where there is
/// no limit, and once the worker is ended for it.
///
/// Nothing happens by the question: [`must_return`](crate::must_return) also ends the worker, and
/// [`checkpoint`](crate::worker::checkpoint) unwinds.
///
/// # Examples
/// ```
/// assert!(!windlass::alloc::is_over_limit()); // This thread has no limit.
/// ```
#[inline]
pub fn is_over_limit() -> bool {
    MEMORY.with(|memory| memory.allocated.get() > memory.limit.get())
}
