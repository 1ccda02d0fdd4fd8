//! Where the callback that runs was registered: written by its loop, readable by any thread.
//!
//! A parent whose worker does not come round wants to know in which callback it is. The worker
//! cannot be asked, so each call leaves its place here: a plain store, as cheap as one to a cell.
#![allow(unsafe_code)] // One of the files that tests/tidy.rs lists.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The registration of the callback that runs, if that was recorded. Only its loop writes.
#[derive(Debug, Default)]
pub(crate) struct Running(AtomicPtr<Location<'static>>);

impl Running {
    #[inline]
    pub(crate) fn set(&self, location: Option<&'static Location<'static>>) {
        let place = location.map_or(ptr::null_mut(), |place| ptr::from_ref(place).cast_mut());
        self.0.store(place, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'static Location<'static>> {
        // SAFETY: only `set` writes here: null, or the address of a location that is borrowed for
        // 'static and that nobody may change. Nothing is written through the pointer.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
}
