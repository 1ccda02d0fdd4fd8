//! Looking into a cell.

use std::cell::Cell;

/// Looks at what a cell has, which stays there. `look` must not use the cell, nor panic.
#[inline]
pub(crate) fn peek<T: Default, R>(cell: &Cell<T>, look: impl FnOnce(&T) -> R) -> R {
    let value = cell.take();
    let seen = look(&value);
    cell.set(value);
    seen
}
