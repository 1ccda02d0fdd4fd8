//! What the log tells of a loop, at `debug` and `trace`, from all its threads.

mod common;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::*;
use log::{Level, LevelFilter, Log, Metadata, Record};
use windlass::net::{TcpListener, TcpStream};
use windlass::time::advance;
use windlass::worker::Worker;
use windlass::{Loop, next_tick, queue_microtask, queue_work, set_immediate, set_timeout};

/// The lines of all threads.
static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

fn lines() -> MutexGuard<'static, Vec<(Level, String)>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the lines.
struct Keeps;

impl Log for Keeps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            lines().push((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// What is logged at exactly this level while the log takes all down to it.
fn logged(level: LevelFilter, act: impl FnOnce()) -> Vec<String> {
    let _alone = alone();
    log::set_logger(&Keeps).unwrap_or(());
    log::set_max_level(level);
    lines().clear();
    act();
    log::set_max_level(LevelFilter::Off);
    let all = std::mem::take(&mut *lines());
    all.into_iter().filter(|(at, _)| Some(*at) == level.to_level()).map(|(_, line)| line).collect()
}

/// The lines that have this in them.
fn with<'a>(lines: &'a [String], part: &str) -> Vec<&'a str> {
    lines.iter().map(String::as_str).filter(|line| line.contains(part)).collect()
}

#[test]
fn connections_accepted_and_closed_are_told_with_their_places() {
    let (bound, connected) = (Cell::new(0), Cell::new(0));
    let lines = logged(LevelFilter::Debug, || {
        Loop::builder().name("front").build().unwrap().block_on(async {
            bound.set(line!() + 1);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            connected.set(line!() + 1);
            let client = TcpStream::connect(address).await.unwrap();
            listener.accept().await.unwrap().close();
            client.close();
        });
    });
    let (bound, connected) = (bound.get(), connected.get());
    assert_eq!(
        with(&lines, "TCP stream"),
        [
            format!("front: TCP stream accepted, by the listener made at tests/logs.rs:{bound}:28"),
            format!("front: TCP stream of tests/logs.rs:{bound}:28 closed"),
            format!("front: TCP stream of tests/logs.rs:{connected}:26 closed"),
        ]
    );
}

#[test]
fn jobs_are_told_when_they_are_submitted_and_when_they_are_done() {
    let line = Cell::new(0);
    let program = || {
        line.set(line!() + 1);
        queue_work(|| ()).on_complete(|_| ());
    };
    let lines = logged(LevelFilter::Debug, || virtual_loop().run(program));
    let place = format!("main: pool job of tests/logs.rs:{}:9", line.get());
    let jobs = with(&lines, "pool job");
    assert_eq!(jobs, [format!("{place} submitted"), format!("{place} done")]);

    let lines = logged(LevelFilter::Debug, || real_loop().run(program));
    let jobs = with(&lines, "pool job");
    assert_eq!(jobs.len(), 2);
    assert!(jobs[1].starts_with(&format!("{place} done after ")));
}

#[test]
fn a_job_that_did_not_run_is_told_with_the_reason() {
    let lines = logged(LevelFilter::Debug, || {
        virtual_loop().run(|| queue_work(|| ()).cancel().unwrap());
    });
    assert_eq!(with(&lines, " failed: ").len(), 1);
}

#[test]
fn workers_are_told_from_their_start_to_their_end() {
    let lines = logged(LevelFilter::Debug, || {
        virtual_loop().run(|| {
            drop(Worker::<(), ()>::spawn(|_| windlass::set_exit_code(3)).unwrap());
        });
    });
    let told: Vec<_> = with(&lines, "worker ").iter().map(|line| words_from(line, 3)).collect();
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert!(told[0].starts_with("of tests/logs.rs:"));
    assert!(told[0].ends_with(" spawned"));
    assert!(told.contains(&"online"));
    assert!(told.contains(&"with code 3"));
}

/// What follows the first words of a line.
fn words_from(line: &str, first: usize) -> String {
    line.split(' ').skip(first).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_callback_over_10_ms_is_told_with_its_place_and_its_time() {
    let line = Cell::new(0);
    let lines = logged(LevelFilter::Debug, || {
        virtual_loop().run(|| {
            line.set(line!() + 1);
            set_immediate(|| advance(ms(1500)));
            set_immediate(|| advance(ms(9)));
            next_tick(|| advance(ms(10)));
        });
    });
    let line = line.get();
    assert_eq!(
        with(&lines, " took "),
        [
            format!("main: tick at tests/logs.rs:{}:13 took 10 ms", line + 2),
            format!("main: immediate at tests/logs.rs:{line}:13 took 1.5 s"),
        ]
    );
}

#[test]
fn an_iteration_is_one_line_with_what_its_phases_did() {
    let lines = logged(LevelFilter::Trace, || {
        virtual_loop().run(|| {
            queue_work(|| ()).on_complete(|_| next_tick(|| ()));
            set_immediate(|| queue_microtask(|| ()));
            set_timeout(ms(4), || advance(ms(2)));
        });
    });
    assert_eq!(
        with(&lines, "iteration"),
        [
            "main, at 0 ns: iteration 1 · main 1 · poll 1 called · check 1 · ticks 1 · microtasks 1",
            "main, at 6 ms: iteration 2 · timers 1 · poll slept 4 ms",
        ]
    );
}

#[test]
fn the_poll_of_an_iteration_says_how_many_were_ready() {
    let lines = logged(LevelFilter::Trace, || {
        real_loop().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap());
            let (_connection, _client) = (listener.accept().await, client.await);
        });
    });
    assert!(!with(&lines, " ready").is_empty());
}

#[test]
fn an_iteration_that_did_nothing_is_not_told() {
    let lines = logged(LevelFilter::Trace, || {
        let event_loop = virtual_loop();
        let _guard = event_loop.keep_alive();
        event_loop.turn(windlass::RunMode::NoWait);
    });
    assert_eq!(with(&lines, "iteration"), [""; 0]);
}
