//! Public handles that can be cloned: each clone is a name of one thing, and the thing learns when
//! the last name is dropped.
//!
//! The loop owns an open handle too, so the count of an `Rc` does not tell whether the program
//! still has a name. The names are therefore counted in the thing itself.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

/// How many names a thing has.
#[derive(Debug, Default)]
pub(crate) struct Names(Cell<u32>);

impl Names {
    pub(crate) fn count(&self) -> u32 {
        self.0.get()
    }
}

/// A thing that programs have names of.
pub(crate) trait Named {
    /// Its count, which only [`Name`] changes.
    fn names(&self) -> &Names;

    /// The last name was dropped. Most things close then, unless they are active and belong to
    /// their loop.
    fn last_name_dropped(self: &Rc<Self>);
}

/// One name of a thing, counted. What a public handle consists of.
///
/// It can be used as the `Rc` of the thing. `Rc::clone(&name)` gives the crate's own hold on the
/// thing, which is no name; `name.clone()` gives a further name.
pub(crate) struct Name<T: Named>(Rc<T>);

impl<T: Named> Name<T> {
    /// A further name of the thing, or its first one.
    pub(crate) fn new(thing: Rc<T>) -> Name<T> {
        let names = &thing.names().0;
        names.set(names.get() + 1);
        Name(thing)
    }
}

impl<T: Named> Clone for Name<T> {
    fn clone(&self) -> Name<T> {
        Name::new(self.0.clone())
    }
}

impl<T: Named> Drop for Name<T> {
    fn drop(&mut self) {
        let names = &self.0.names().0;
        names.set(names.get() - 1);
        if names.get() == 0 {
            self.0.last_name_dropped();
        }
    }
}

impl<T: Named> Deref for Name<T> {
    type Target = Rc<T>;

    fn deref(&self) -> &Rc<T> {
        &self.0
    }
}
