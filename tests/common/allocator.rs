//! The system's allocator, with a count of what the whole process has allocated. A test binary that counts
//! makes it its own:
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting::new(4096);
//! ```
#![allow(unsafe_code)] // A global allocator is unsafe to write.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Counting {
    /// Bytes that are allocated now.
    now: AtomicUsize,
    /// The most there were since this was last set.
    most: AtomicUsize,
    /// Allocations of more than `large` bytes so far.
    large_count: AtomicUsize,
    large: usize,
}

impl Counting {
    pub(crate) const fn new(large: usize) -> Counting {
        let [now, most, large_count] = [const { AtomicUsize::new(0) }; 3];
        Counting { now, most, large_count, large }
    }

    /// How many bytes are allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// How many large allocations there have been.
    pub(crate) fn large(&self) -> usize {
        self.large_count.load(Ordering::Relaxed)
    }

    /// What `act` allocates at most beyond what there was.
    pub(crate) fn most_in<R>(&self, act: impl FnOnce() -> R) -> (R, usize) {
        let before = self.bytes();
        self.most.store(before, Ordering::Relaxed);
        let result = act();
        (result, self.most.load(Ordering::Relaxed) - before)
    }
}

// SAFETY: everything is the system's allocator's; the counting touches nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = self.now.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        self.most.fetch_max(now, Ordering::Relaxed);
        let is_large = layout.size() > self.large;
        self.large_count.fetch_add(usize::from(is_large), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        self.now.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(place, layout) }
    }
}
