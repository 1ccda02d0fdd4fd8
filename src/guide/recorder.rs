use std::cell::RefCell;
use std::time::Duration;

thread_local! {
    static SAID: RefCell<Vec<String>> = RefCell::default();
}

/// Adds a line to the trace.
pub(crate) fn say(line: &str) {
    SAID.with_borrow_mut(|said| said.push(line.to_owned()));
}

/// Runs a program in virtual time to its end, and returns its trace.
pub(crate) fn order(main: impl FnOnce()) -> Vec<String> {
    let event_loop = windlass::Loop::builder().virtual_time(true).build().expect("a loop");
    event_loop.run(main);
    SAID.take()
}

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
