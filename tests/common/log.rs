//! What the crate logs on the thread of a test.

use std::cell::RefCell;

use ::log::{Level, LevelFilter, Log, Metadata, Record};

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps each thread's lines for itself: the tests of a binary run side by side.
struct Lines;

impl Log for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = (record.level(), record.args().to_string());
        // A thread may log while its locals are being dropped.
        LINES.try_with(|lines| lines.borrow_mut().push(line)).unwrap_or(());
    }

    fn flush(&self) {}
}

/// Calls `act`, and returns what it logged on this thread, from warnings up.
pub(crate) fn warnings_of(act: impl FnOnce()) -> Vec<String> {
    log_of(Level::Warn, act)
}

/// Calls `act`, and returns what it logged on this thread at `level` or worse.
pub(crate) fn log_of(level: Level, act: impl FnOnce()) -> Vec<String> {
    // Another test of this binary may have set it.
    ::log::set_logger(&Lines).unwrap_or(());
    ::log::set_max_level(LevelFilter::Trace);
    LINES.take();
    act();
    LINES.take().into_iter().filter(|(at, _)| *at <= level).map(|(_, text)| text).collect()
}

/// What this thread has logged since it last asked. For a thread that is not the test's own.
pub(crate) fn logged_on_this_thread() -> Vec<String> {
    LINES.take().into_iter().map(|(_, text)| text).collect()
}
