//! Memory: what an engine may have, and how a buffer leaves one without being copied.
//!
//! All of an engine's heap goes through the program's global allocator, where it counts for the
//! thread. What would pass a worker's limit is refused: then the engine throws, and the worker ends.

#![allow(unsafe_code)] // Allocators.

use std::alloc::{self, GlobalAlloc, Layout, System};
use std::cell::Cell;

use rquickjs::allocator::{Allocator, RustAllocator};

/// The allocator of an engine.
pub(crate) struct EngineAllocator;

// SAFETY: every call goes to `RustAllocator` with the arguments it came with, or is answered by a
// null pointer, which the contract allows.
unsafe impl Allocator for EngineAllocator {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if windlass::worker::refuse_allocation(size) {
            return std::ptr::null_mut();
        }
        RustAllocator.alloc(size)
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if windlass::worker::refuse_allocation(count.saturating_mul(size)) {
            return std::ptr::null_mut();
        }
        RustAllocator.calloc(count, size)
    }

    unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { RustAllocator.dealloc(block) }
    }

    unsafe fn realloc(&mut self, block: *mut u8, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        let size = unsafe { RustAllocator::usable_size(block) };
        if windlass::worker::refuse_allocation(new_size.saturating_sub(size)) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { RustAllocator.realloc(block, new_size) }
    }

    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: as above.
        unsafe { RustAllocator::usable_size(block) }
    }
}

/// The system's allocator, which can be asked not to free a block: see [`keep`].
pub(crate) struct Keeping;

thread_local! {
    /// The address whose block is not to be freed. Zero for none.
    static WANTED: Cell<usize> = const { Cell::new(0) };
    /// The block that was not freed.
    static KEPT: Cell<Option<(usize, Layout)>> = const { Cell::new(None) };
}

// SAFETY: every call goes to the system's allocator with the arguments it came with. A block that
// is kept instead of freed is still allocated, and belongs to who has asked for it.
unsafe impl GlobalAlloc for Keeping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that are asked for; so below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let wanted = WANTED.get();
        if wanted != 0 && (block as usize..block as usize + layout.size()).contains(&wanted) {
            WANTED.set(0);
            KEPT.set(Some((block as usize, layout)));
            return;
        }
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// A part of a block that its owner has given up, and that is freed with this.
pub(crate) struct Block {
    /// The block, and how it was allocated.
    block: (usize, Layout),
    /// Where the part begins.
    start: usize,
    /// How long it is.
    len: usize,
    /// The block counts for the thread that has it. If not, it counts for none.
    is_counted: bool,
}

/// Takes over the `len` bytes at `start` while `give_up` frees them. None if that did not.
pub(crate) fn keep(start: *mut u8, len: usize, give_up: impl FnOnce()) -> Option<Block> {
    WANTED.set(start as usize);
    give_up();
    WANTED.set(0);
    // The counting allocator above has taken it off this thread's count.
    KEPT.take().map(|block| Block { block, start: start as usize, len, is_counted: false })
}

impl Block {
    /// The part.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: it lies within the block, which lives as long as this, and was written to its
        // end by the engine that had it.
        unsafe { std::slice::from_raw_parts(self.start as *const u8, self.len) }
    }

    /// Counts the block for this thread, which is going to free it.
    pub(crate) fn count(&mut self) {
        if !self.is_counted {
            self.is_counted = true;
            windlass::alloc::received(self.block.1.size());
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.count();
        let (block, layout) = self.block;
        // SAFETY: the block was allocated with this layout by this program's global allocator,
        // which has not freed it, and nobody else knows of it.
        unsafe { alloc::dealloc(block as *mut u8, layout) }
    }
}

// SAFETY: the bytes stay where they are until the block is dropped, and belong to nobody else.
unsafe impl rquickjs::ArrayBufferSource for Block {
    fn as_ptr(&self) -> *mut u8 {
        self.start as *mut u8
    }

    fn len(&self) -> usize {
        self.len
    }
}
