//! Labels: what a host calls the callbacks that it registers, and where they stand in its script.
//!
//! What the crate keeps of where a callback was registered is one word, a `&'static Location`: in
//! timers, slots and requests, and in what other threads read. A label is interned, and has a copy
//! of a location at an address of its own. While a label is in force ([`labelled`]) that address is
//! kept in place of the caller's, and by it [`Label::of`] finds the label again. So nothing that
//! keeps a place knows of labels, nothing grows, and no second kind of word has to be told apart.
//!
//! Labels are interned for good, as locations are: what other threads read may not go away. Every
//! place of a registration asks [`here`]; that is one load more than `Location::caller`.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// What a host of an engine calls a callback, and where that stands in its script: a name, a file,
/// a line and a column.
///
/// One that is made of the same texts and numbers is the same label. A process keeps each label to
/// its end, as the compiler keeps the locations of a program, at some 200 bytes: make them of
/// places in scripts, not of data.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::Loop;
/// use windlass::observe::{Label, labelled};
///
/// windlass::run(|| {
///     let label = Label::new("poll", "server.js", 12, 5);
///     let timer =
///         labelled(label, || windlass::set_interval(Duration::from_secs(60), |_| ()));
///     let alive = Loop::current().why_alive();
///     assert_eq!(alive[0].label(), Some(label));
///     assert_eq!(alive[0].to_string(), "interval made at poll (server.js:12:5)");
///     timer.clear();
/// });
/// ```
#[derive(Clone, Copy)]
pub struct Label(&'static Interned);

/// A label as it is kept.
struct Interned {
    /// What it says.
    text: Text,
    /// Its address names the label. The line of the host that made it first.
    place: Location<'static>,
}

/// What a label says.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Text {
    /// What the callback is called. Empty for one without a name.
    name: Box<str>,
    /// The file of the script.
    file: Box<str>,
    /// The line, from one on.
    line: u32,
    /// The column, from one on. Zero if it is not known.
    column: u32,
}

/// All labels of the process.
#[derive(Default)]
struct Labels {
    /// By what they say.
    by_text: HashMap<Text, Label>,
    /// By the addresses of their places.
    by_place: HashMap<usize, Label>,
}

/// All labels. None before the first.
static LABELS: RwLock<Option<Labels>> = RwLock::new(None);

/// Whether there is a label at all: else nobody need look.
static ANY: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The place of the label that is in force on this thread. Needs no destructor.
    static IN_FORCE: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

impl Label {
    /// The label that says this: a name, which may be empty, and a place in a script. Lines and
    /// columns count from one; a column of zero is not shown.
    ///
    /// # Cost
    /// A lock and a look-up. Keep the label of a place that registers often.
    #[track_caller]
    pub fn new(name: &str, file: &str, line: u32, column: u32) -> Label {
        let text = Text { name: name.into(), file: file.into(), line, column };
        if let Some(known) = known(|labels| labels.by_text.get(&text).copied()) {
            return known;
        }
        let place = *Location::caller();
        let mut labels = LABELS.write().unwrap_or_else(PoisonError::into_inner);
        let labels = labels.get_or_insert_default();
        // Another thread may have been quicker.
        let label = *labels.by_text.entry(text.clone()).or_insert_with(|| {
            let label = Label(Box::leak(Box::new(Interned { text, place })));
            labels.by_place.insert(address(&label.0.place), label);
            label
        });
        ANY.store(true, Ordering::Release);
        label
    }

    /// The label that was in force where this was registered, if one was. For a location that this
    /// crate has reported: a copy of it has none.
    ///
    /// # Examples
    /// ```
    /// use windlass::observe::{Label, labelled};
    ///
    /// windlass::run(|| {
    ///     let label = Label::new("", "main.js", 3, 1);
    ///     windlass::on_uncaught(move |uncaught| {
    ///         assert_eq!(uncaught.registered_at().and_then(Label::of), Some(label));
    ///     });
    ///     labelled(label, || windlass::set_immediate(|| panic!("an accident")));
    /// });
    /// ```
    pub fn of(location: &'static Location<'static>) -> Option<Label> {
        // Whoever has the address of a label's place has got it behind the store.
        if !ANY.load(Ordering::Acquire) {
            return None;
        }
        known(|labels| labels.by_place.get(&address(location)).copied())
    }

    /// What the callback is called. Empty for one without a name.
    pub fn name(&self) -> &'static str {
        &self.0.text.name
    }

    /// The file of the script.
    pub fn file(&self) -> &'static str {
        &self.0.text.file
    }

    /// The line in the file, from one on.
    pub fn line(&self) -> u32 {
        self.0.text.line
    }

    /// The column in the line, from one on. Zero if it is not known.
    pub fn column(&self) -> u32 {
        self.0.text.column
    }
}

fn known(find: impl FnOnce(&Labels) -> Option<Label>) -> Option<Label> {
    LABELS.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(find)
}

fn address(place: &'static Location<'static>) -> usize {
    ptr::from_ref(place).addr()
}

impl fmt::Display for Label {
    /// As engines write it: `name (file:line:column)`, or the place alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { name, file, line, column } = &self.0.text;
        let (open, close) = if name.is_empty() { ("", "") } else { (" (", ")") };
        write!(f, "{name}{open}{file}:{line}")?;
        if *column > 0 {
            write!(f, ":{column}")?;
        }
        f.write_str(close)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Label({self})")
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Label) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::from_ref(self.0).hash(state);
    }
}

/// Gives this label to all that `f` registers on this thread: timers, immediates, ticks, handles,
/// requests, tasks, and the callbacks of these.
///
/// A host of an engine wraps what a script asks for, so that
/// [`why_alive`](crate::Loop::why_alive), stalls,
/// [`Iteration::longest`](crate::observe::Iteration::longest), recordings, logs and errors name the
/// line of the script, in a `label` beside the `location`, which is then the host's line that made
/// the label. Within `f` a further label takes the place of this one. Callbacks do not inherit it:
/// what a callback registers has the label that is in force then, and a loop that is turned within
/// `f` begins without one, but for its main script, which has this label.
///
/// # Cost
/// Two stores. What is registered pays one load for labels, whether there are any or not.
///
/// # Examples
/// ```
/// use windlass::observe::{Label, Recorder, What, labelled};
///
/// let recorder = Recorder::start();
/// let label = Label::new("greet", "hello.js", 1, 1);
/// windlass::run(|| labelled(label, || windlass::set_immediate(|| println!("hello"))));
/// let recording = recorder.stop();
/// let labels = recording.events().iter().filter_map(|event| match &event.what {
///     What::Callback(callback) => callback.label,
///     _ => None,
/// });
/// assert!(labels.eq([label]));
/// ```
pub fn labelled<R>(label: Label, f: impl FnOnce() -> R) -> R {
    let _before = InForce::begin(Some(&label.0.place));
    f()
}

/// A label, or none, is in force on this thread until the guard is dropped.
pub(crate) struct InForce {
    /// What was in force before.
    before: Option<&'static Location<'static>>,
}

impl InForce {
    /// No label is in force.
    pub(crate) fn none() -> InForce {
        InForce::begin(None)
    }

    /// What is registered has this place, whether it is of a label or a line of the program.
    pub(crate) fn at(place: &'static Location<'static>) -> InForce {
        InForce::begin(Some(place))
    }

    fn begin(place: Option<&'static Location<'static>>) -> InForce {
        InForce { before: IN_FORCE.replace(place) }
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        IN_FORCE.set(self.before);
    }
}

/// Where the caller registers something: its line, or the label that is in force.
#[inline(always)]
#[track_caller]
pub(crate) fn here() -> &'static Location<'static> {
    at(Location::caller())
}

/// As [`here`], for something that is registered at this line.
#[inline(always)]
pub(crate) fn at(place: &'static Location<'static>) -> &'static Location<'static> {
    IN_FORCE.get().unwrap_or(place)
}

/// A place in words: as its label, or as a line of the program.
pub(crate) struct Shown(pub(crate) &'static Location<'static>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Label::of(self.0) {
            Some(label) => label.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_label_is_interned_once_and_found_by_its_place() {
        let make = || Label::new("a", "b.js", 1, 2);
        let labels: Vec<_> = (0..4).map(|_| thread::spawn(make)).collect();
        let labels: Vec<_> = labels.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(labels.iter().all(|label| *label == labels[0]));
        let place = labelled(labels[0], here);
        assert_eq!(Label::of(place), Some(labels[0]));
        assert_ne!(make(), Label::new("a", "b.js", 1, 3));
        assert_eq!(Label::of(Location::caller()), None);
    }

    #[test]
    fn the_label_before_is_in_force_again_also_after_a_panic() {
        let [outer, inner] = [1, 2].map(|line| Label::new("", "c.js", line, 0));
        let now = || Label::of(here());
        assert_eq!(now(), None);
        labelled(outer, || {
            let caught = std::panic::catch_unwind(|| {
                labelled(inner, || {
                    assert_eq!(now(), Some(inner));
                    panic!("on purpose");
                })
            });
            assert!(caught.is_err());
            assert_eq!(now(), Some(outer));
            let none = InForce::none();
            assert_eq!(now(), None);
            drop(none);
            assert_eq!(now(), Some(outer));
        });
        assert_eq!(now(), None);
    }

    #[test]
    fn a_place_is_shown_as_its_label() {
        let shown = |name, column| Label::new(name, "d.js", 7, column).to_string();
        assert_eq!(shown("f", 3), "f (d.js:7:3)");
        assert_eq!(shown("f", 0), "f (d.js:7)");
        assert_eq!(shown("", 3), "d.js:7:3");
        let place = labelled(Label::new("g", "d.js", 1, 1), here);
        assert_eq!(Shown(place).to_string(), "g (d.js:1:1)");
        assert!(Shown(here()).to_string().contains("label.rs:"));
    }
}
