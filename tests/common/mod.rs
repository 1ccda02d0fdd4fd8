//! Helpers that the test files share: a trace to write to, a loop in virtual time to run scenarios
//! on, and small cells to carry state into callbacks.

// Each test binary uses a part of this module only.
#![allow(dead_code)]

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use windlass::{Loop, set_timeout};

/// What happened, in order: a list of labels that callbacks append to. Clones share the list.
#[derive(Clone, Default)]
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

/// Runs `scenario` as the main script of a loop in virtual time, turns the loop until nothing is
/// alive, and compares the trace.
#[track_caller]
pub(crate) fn check(scenario: impl FnOnce(&Trace), expected: &[&str]) {
    let trace = Trace::new();
    virtual_loop().run(|| scenario(&trace));
    trace.expect(expected);
}

/// A loop whose clock moves only when it would wait, or by `time::advance`.
pub(crate) fn virtual_loop() -> Loop {
    Loop::builder().virtual_time(true).build().expect("a loop in virtual time")
}

/// A loop on the real clock.
pub(crate) fn real_loop() -> Loop {
    Loop::new().expect("a loop")
}

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Fails the test when the current loop is still running after a time that no honest run takes. The
/// timer is unref'd, so it holds nothing.
#[track_caller]
pub(crate) fn fail_if_it_hangs() {
    set_timeout(Duration::from_secs(30), || panic!("the loop hangs")).unref();
}

/// A counter that callbacks can share.
#[derive(Clone, Default)]
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

/// The text of a panic's payload.
pub(crate) fn payload_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        String::from("(a payload that is no text)")
    }
}

/// Calls `act`, which must panic, and returns the message.
#[track_caller]
pub(crate) fn panic_of<R>(act: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(_) => panic!("a panic was expected"),
        Err(payload) => payload_text(&*payload),
    }
}
