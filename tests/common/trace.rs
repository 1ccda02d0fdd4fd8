//! What callbacks leave behind: a trace, a count, a handle, and the end of what they captured.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What happened, in order: a list of labels that callbacks append to. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    lines: Rc<RefCell<Vec<String>>>,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace::default()
    }

    /// Appends `label` now.
    pub(crate) fn say(&self, label: impl Display) {
        self.lines.borrow_mut().push(label.to_string());
    }

    /// A callback that appends `label` each time it is called.
    pub(crate) fn says(&self, label: &'static str) -> impl FnMut() + 'static {
        let trace = self.clone();
        move || trace.say(label)
    }

    /// The labels so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The labels so far, which are forgotten.
    pub(crate) fn take(&self) -> Vec<String> {
        self.lines.take()
    }

    /// How often `label` was appended.
    pub(crate) fn count(&self, label: &str) -> usize {
        self.lines.borrow().iter().filter(|line| *line == label).count()
    }

    /// Compares the labels so far with `expected`, and forgets them.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) {
        assert_eq!(self.take(), expected);
    }
}

/// A counter that callbacks can share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    count: Rc<Cell<usize>>,
}

impl Counter {
    pub(crate) fn new() -> Counter {
        Counter::default()
    }

    /// Counts one more and returns the new count.
    pub(crate) fn add(&self) -> usize {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    pub(crate) fn get(&self) -> usize {
        self.count.get()
    }

    /// A callback that counts.
    pub(crate) fn adds(&self) -> impl FnMut() + 'static {
        let counter = self.clone();
        move || {
            counter.add();
        }
    }

    /// A value that counts when it is dropped, for what a callback captures.
    pub(crate) fn on_drop(&self) -> CountsDrop {
        CountsDrop { counter: self.clone() }
    }
}

/// Counts its own end; see [`Counter::on_drop`].
pub(crate) struct CountsDrop {
    counter: Counter,
}

impl CountsDrop {
    /// Mentions the value, so that a `move` closure captures it.
    pub(crate) fn touch(&self) {}
}

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.counter.add();
    }
}

/// Calls a closure when it is dropped, for destructors that do things.
pub(crate) struct OnDrop<F: FnMut()> {
    act: F,
}

impl<F: FnMut()> OnDrop<F> {
    pub(crate) fn new(act: F) -> Self {
        OnDrop { act }
    }

    /// Mentions the value, so that a `move` closure captures it.
    pub(crate) fn touch(&self) {}
}

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.act)();
    }
}

/// A place for a handle that its own callback, made earlier, will need.
pub(crate) struct Slot<T> {
    place: Rc<OnceCell<T>>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Slot { place: Rc::clone(&self.place) }
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot { place: Rc::new(OnceCell::new()) }
    }

    pub(crate) fn put(&self, value: T) {
        assert!(self.place.set(value).is_ok(), "the slot is filled once");
    }

    pub(crate) fn get(&self) -> &T {
        self.place.get().expect("the slot was filled before the callback came")
    }
}

/// Sets its flag when it is dropped, on whatever thread that is.
pub(crate) struct SetsFlag(pub(crate) Arc<AtomicBool>);

impl Drop for SetsFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Panics when it is dropped, unless a panic is under way.
pub(crate) struct PanicsInDrop;

impl PanicsInDrop {
    /// Mentions the value, so that a `move` closure captures it.
    pub(crate) fn touch(&self) {}
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a destructor");
    }
}
