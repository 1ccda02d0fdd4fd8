//! The mode bits that new files do not get. The system has one call for all: it sets them, and says
//! what they were.

#![allow(unsafe_code)] // A call of the system that the standard library does not have.

/// Sets them, if there is a mask, and gives those from before.
pub(super) fn umask(mask: Option<libc::mode_t>) -> libc::mode_t {
    // SAFETY: the call has no conditions; it changes a number of the process.
    let set = |mask| unsafe { libc::umask(mask) };
    match mask {
        Some(mask) => set(mask & 0o777),
        None => {
            let before = set(0);
            set(before);
            before
        }
    }
}
