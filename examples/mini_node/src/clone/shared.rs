//! The memory of a `SharedArrayBuffer`: one block that several engines see, freed with the last.

#![allow(unsafe_code)] // A block with a count before it, which the engine knows by its address.

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use rquickjs::{Ctx, Error, Result, Value, qjs};

/// What stands before the bytes.
struct Header {
    /// How many buffers and messages have the block.
    owners: AtomicUsize,
    /// How many bytes follow.
    size: usize,
}

/// The room of the header: the bytes after it are aligned for any element type.
const HEADER: usize = 16;

/// The bytes of a `SharedArrayBuffer`, on their way or in an engine.
pub(super) struct SharedBlock {
    /// The first byte after the header.
    start: NonNull<u8>,
    /// How long the buffer says it is.
    len: usize,
}

// SAFETY: the count is atomic, and the bytes are never touched from Rust. What engines do to them
// at the same time is the program's own affair, as it is in JavaScript anywhere.
unsafe impl Send for SharedBlock {}
// SAFETY: as above.
unsafe impl Sync for SharedBlock {}

impl SharedBlock {
    /// One more owner of the block at `start`, which a buffer has that was made after
    /// [`share_buffers`].
    pub(super) fn of(start: *mut u8, len: usize) -> Option<SharedBlock> {
        let start = NonNull::new(start)?;
        // SAFETY: the block is one of `allocate`, and its buffer lives.
        unsafe { add_owner(ptr::null_mut(), start.as_ptr().cast()) };
        Some(SharedBlock { start, len })
    }

    /// A buffer of this engine on the same block.
    pub(super) fn buffer<'js>(&self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        // SAFETY: the block lives as long as this owner; the engine adds one for its buffer.
        let value = unsafe {
            let raw = qjs::JS_NewArrayBuffer(
                ctx.as_raw().as_ptr(),
                self.start.as_ptr(),
                self.len as _,
                0,
                None,
                ptr::null_mut(),
                true,
            );
            Value::from_raw(ctx.clone(), raw)
        };
        if value.is_exception() { Err(Error::Exception) } else { Ok(value) }
    }
}

impl Clone for SharedBlock {
    fn clone(&self) -> SharedBlock {
        // SAFETY: the block lives as long as this owner.
        unsafe { add_owner(ptr::null_mut(), self.start.as_ptr().cast()) };
        SharedBlock { start: self.start, len: self.len }
    }
}

impl Drop for SharedBlock {
    fn drop(&mut self) {
        // SAFETY: this owner was counted, and is no more.
        unsafe { remove_owner(ptr::null_mut(), self.start.as_ptr().cast()) };
    }
}

/// Has the engine of this context take the memory of `SharedArrayBuffer`s from here. To be called
/// before any script runs: one of other memory could not be shared.
pub(crate) fn share_buffers(ctx: &Ctx<'_>) {
    let functions = qjs::JSSharedArrayBufferFunctions {
        sab_alloc: Some(allocate),
        sab_free: Some(remove_owner),
        sab_dup: Some(add_owner),
        sab_opaque: ptr::null_mut(),
    };
    // SAFETY: the runtime lives, and copies the functions.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
        qjs::JS_SetSharedArrayBufferFunctions(runtime, &functions);
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

/// A block with one owner. Null when there is no memory.
unsafe extern "C" fn allocate(_: *mut qjs::c_void, size: qjs::size_t) -> *mut qjs::c_void {
    let size = size as usize;
    let Some(layout) = layout(size) else { return ptr::null_mut() };
    // SAFETY: the layout is not empty, and its head has room and alignment for the header.
    unsafe {
        let block = alloc::alloc(layout);
        if block.is_null() {
            return ptr::null_mut();
        }
        block.cast::<Header>().write(Header { owners: AtomicUsize::new(1), size });
        block.add(HEADER).cast()
    }
}

/// # Safety
/// `start` is what `allocate` gave, and has an owner.
unsafe extern "C" fn add_owner(_: *mut qjs::c_void, start: *mut qjs::c_void) {
    // SAFETY: the header stands before the bytes, and there is an owner.
    let header = unsafe { &*start.cast::<u8>().sub(HEADER).cast::<Header>() };
    header.owners.fetch_add(1, Ordering::Relaxed);
}

/// # Safety
/// `start` is what `allocate` gave, and the caller gives up one of its owners.
unsafe extern "C" fn remove_owner(_: *mut qjs::c_void, start: *mut qjs::c_void) {
    // SAFETY: as above. The last owner is alone with the block.
    unsafe {
        let block = start.cast::<u8>().sub(HEADER);
        let header = &*block.cast::<Header>();
        let size = header.size;
        if header.owners.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(layout) = layout(size)
        {
            alloc::dealloc(block, layout);
        }
    }
}
