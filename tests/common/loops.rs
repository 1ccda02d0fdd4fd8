//! Loops to run a scenario on, and ways to let them go on.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use windlass::worker::{Port, channel};
use windlass::{Loop, Pool, Request, WorkError, queue_work};

use super::Trace;

/// Runs `scenario` as the main script of a loop in virtual time, turns the loop until nothing is
/// alive, and compares the trace.
#[track_caller]
pub(crate) fn check(scenario: impl FnOnce(&Trace), expected: &[&str]) {
    let trace = Trace::new();
    virtual_loop().run(|| scenario(&trace));
    trace.expect(expected);
}

/// A loop whose clock moves only when it would wait, or by `time::advance`: a delay is over as soon as
/// nothing else is ready. A source that is ready again and again would keep the clock from moving, so a
/// test that waits also shows that there is none.
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

/// A loop that gives its jobs to `pool`.
pub(crate) fn loop_on(pool: &Pool) -> Loop {
    Loop::builder().pool(pool.clone()).build().expect("a loop")
}

/// A loop with a pool of its own.
pub(crate) fn with_pool(threads: usize) -> Loop {
    loop_on(&Pool::new(threads).expect("a pool"))
}

/// A job of the current loop that has begun, and that ends when the sender is dropped or sends.
pub(crate) fn block_a_thread() -> (Request<Result<(), WorkError>>, mpsc::Sender<()>) {
    block_thread_with(|job| queue_work(job))
}

/// The same for a job that is submitted in a way of its own.
pub(crate) fn block_thread_with(
    submit: impl FnOnce(Box<dyn FnOnce() + Send>) -> Request<Result<(), WorkError>>,
) -> (Request<Result<(), WorkError>>, mpsc::Sender<()>) {
    let (release, gate) = mpsc::channel::<()>();
    let (tell, begun) = mpsc::channel();
    let request = submit(Box::new(move || {
        tell.send(()).expect("the test waits");
        gate.recv().ok();
    }));
    begun.recv().expect("the job begins");
    (request, release)
}

/// Both ends of a channel, open on this loop.
pub(crate) fn open_channel<A: Send + 'static, B: Send + 'static>() -> (Port<A, B>, Port<B, A>) {
    let (one, other) = channel();
    (one.open(), other.open())
}

/// Keeps the thread busy, as a callback that computes would.
pub(crate) fn spin(duration: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// Lets the loop make full iterations until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        windlass::yield_now().await;
    }
}

/// Lets the loop make `count` full iterations.
pub(crate) async fn iterations(count: usize) {
    for _ in 0..count {
        windlass::yield_now().await;
    }
}

/// Calls `then` in the check phase, `count` iterations from now.
pub(crate) fn after_iterations(count: usize, then: impl FnOnce() + 'static) {
    windlass::set_immediate(move || match count {
        0 | 1 => then(),
        _ => after_iterations(count - 1, then),
    });
}

/// Lets other threads go on until `condition` holds.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}
