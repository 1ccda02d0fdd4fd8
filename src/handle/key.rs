//! Names of entries of a loop's table.

/// Names one entry, and never another one, even when the entry's place in the table is used again: an
/// event that was fetched before a handle closed does not reach the handle that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The entry's place in the table.
    pub(super) index: u32,
    /// The number that the table gave the entry when it was opened. Two entries of one place differ in
    /// it.
    pub(super) generation: u32,
}

impl Key {
    /// The key as one number, for the poller's tokens and for other threads.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> Key {
        Key { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}
