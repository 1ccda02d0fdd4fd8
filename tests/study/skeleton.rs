//! What the page exports as a test in Rust, of the lesson on refreshed timers. Written by examples/study.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use windlass::*;

thread_local! {
    static SAID: RefCell<Vec<String>> = RefCell::default();
    static TIMERS: RefCell<HashMap<&'static str, Timer>> = RefCell::default();
    static IMMEDIATES: RefCell<HashMap<&'static str, Immediate>> = RefCell::default();
}

fn say(line: &str) {
    SAID.with_borrow_mut(|said| said.push(line.to_owned()));
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[allow(dead_code)]
fn keep(name: &'static str, timer: Timer) {
    TIMERS.with_borrow_mut(|timers| timers.insert(name, timer));
}

#[allow(dead_code)]
fn with(name: &str, timer: impl FnOnce(Timer), immediate: impl FnOnce(Immediate)) {
    if let Some(it) = TIMERS.with_borrow(|timers| timers.get(name).copied()) {
        timer(it);
    } else if let Some(it) = IMMEDIATES.with_borrow(|all| all.get(name).copied()) {
        immediate(it);
    }
}

#[test]
fn a_refresh() {
    let builder = Loop::builder().virtual_time(true);
    let event_loop = builder.build().unwrap();
    event_loop.run(|| {
        let timer = set_timer(ms(60), |_| {
            say("a");
        });
        keep("t1", timer);
        set_timer(ms(60), |_| {
            say("b");
        });
        set_timer(ms(20), |_| {
            say("c");
            with("t1", |timer| timer.refresh(), |_| ());
        });
    });
    let expected: &[&str] = &["c", "b", "a"];
    assert_eq!(SAID.take(), expected);
}
