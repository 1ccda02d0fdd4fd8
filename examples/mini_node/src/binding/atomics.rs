//! `Atomics.wait` and `Atomics.notify`. Those of the engine would do, but for one thing: nobody can
//! end a wait of theirs, and a worker that waits is to end when it is told to.
//!
//! `js/internal/atomics.js` has looked at the arguments. A wait is of the real clock.

#![allow(unsafe_code)] // Memory that several engines share, and a flag of the engine.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rquickjs::{Ctx, Exception, Object, Result, qjs};
use windlass::worker;

use crate::clone;
use crate::engine;
use crate::native::Natives;

/// What became of a wait.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// Nothing yet.
    Waits,
    /// Somebody notified it.
    Notified,
    /// The worker that waits is told to end.
    Interrupted,
}

/// A thread that waits.
struct Waiter {
    /// What became of it.
    outcome: Mutex<Outcome>,
    /// Told when that is known.
    known: Condvar,
}

impl Waiter {
    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, outcome: Outcome) {
        *self.lock() = outcome;
        self.known.notify_one();
    }

    /// Waits until something became of it, or the time is over.
    fn wait(&self, limit: Option<Duration>) -> Outcome {
        let waits = |outcome: &mut Outcome| *outcome == Outcome::Waits;
        match limit {
            Some(limit) => {
                let waited = self.known.wait_timeout_while(self.lock(), limit, waits);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.known.wait_while(self.lock(), waits);
                *waited.unwrap_or_else(PoisonError::into_inner)
            }
        }
    }
}

/// Those that wait at a place, the first to wait first.
type Waiters = HashMap<usize, VecDeque<Arc<Waiter>>>;

/// By the addresses of the places.
static WAITERS: LazyLock<Mutex<Waiters>> = LazyLock::new(Mutex::default);

fn waiters() -> MutexGuard<'static, Waiters> {
    WAITERS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    // SAFETY: the runtime lives; the call sets a flag. With it the engine's own `wait` can be asked
    // to look at its arguments.
    unsafe { qjs::JS_SetCanBlock(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), true) };
    let natives = Natives::new(ctx)?;
    natives.add("wait", wait)?;
    natives.add("notify", notify)?;
    Ok(natives.into_object())
}

/// The address of a number of `size` bytes in a shared buffer.
fn place(ctx: &Ctx<'_>, buffer: &Object<'_>, offset: f64, size: usize) -> Result<usize> {
    let offset = offset as usize;
    let found = clone::bytes(buffer)
        .filter(|(_, len)| offset.checked_add(size).is_some_and(|end| end <= *len));
    match found {
        Some((start, _)) => Ok(start as usize + offset),
        None => Err(Exception::throw_range(ctx, "out-of-bound access")),
    }
}

/// Waits at a number of `size` bytes in a shared buffer while it is `expected`, which comes in
/// decimal digits, for some milliseconds at most.
fn wait<'js>(
    ctx: Ctx<'js>,
    buffer: Object<'js>,
    offset: f64,
    size: usize,
    expected: String,
    milliseconds: f64,
) -> Result<&'static str> {
    let expected: i64 = expected
        .parse()
        .map_err(|_| Exception::throw_type(&ctx, "there is no such number in the buffer"))?;
    let at = place(&ctx, &buffer, offset, size)?;
    let waiter = Arc::new(Waiter { outcome: Mutex::new(Outcome::Waits), known: Condvar::new() });
    let mut all = waiters();
    // SAFETY: `size` bytes at this address are of the buffer, which lives as long as this call, and
    // they are aligned: a typed array begins at a multiple of its elements' size, and its buffer at
    // one of 16.
    let found = unsafe {
        if size == size_of::<i64>() {
            AtomicI64::from_ptr(at as *mut i64).load(Ordering::SeqCst)
        } else {
            i64::from(AtomicI32::from_ptr(at as *mut i32).load(Ordering::SeqCst))
        }
    };
    if found != expected {
        return Ok("not-equal");
    }
    all.entry(at).or_default().push_back(waiter.clone());
    drop(all);
    let interrupted = waiter.clone();
    let interrupter = worker::interrupt_with(move || interrupted.wake(Outcome::Interrupted));
    let outcome = waiter.wait(Duration::try_from_secs_f64(milliseconds / 1e3).ok());
    drop(interrupter);
    // Whoever has taken it out of the table has notified it, be it at the last moment.
    let was_there = leave(at, &waiter);
    match outcome {
        Outcome::Interrupted => Err(engine::unwinding(&ctx)),
        Outcome::Waits if was_there => Ok("timed-out"),
        Outcome::Waits | Outcome::Notified => Ok("ok"),
    }
}

/// A wait is over. Says whether it was still in the table.
fn leave(at: usize, waiter: &Arc<Waiter>) -> bool {
    let mut all = waiters();
    let Some(here) = all.get_mut(&at) else { return false };
    let before = here.len();
    here.retain(|other| !Arc::ptr_eq(other, waiter));
    let was_there = here.len() < before;
    if here.is_empty() {
        all.remove(&at);
    }
    was_there
}

/// Wakes those that wait at a number of a buffer, `count` at most. Says how many.
fn notify<'js>(ctx: Ctx<'js>, buffer: Object<'js>, offset: f64, count: f64) -> Result<usize> {
    let at = place(&ctx, &buffer, offset, size_of::<i32>())?;
    let mut all = waiters();
    let Some(here) = all.get_mut(&at) else { return Ok(0) };
    let woken: Vec<_> = here.drain(..here.len().min(count as usize)).collect();
    if here.is_empty() {
        all.remove(&at);
    }
    drop(all);
    woken.iter().for_each(|waiter| waiter.wake(Outcome::Notified));
    Ok(woken.len())
}
