//! What a queue needs from outside itself, as the model checker has it.

pub(super) use std::sync::PoisonError;
// For a count that is only shown: nothing is decided by it, so its orders need no checking.
pub(super) use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) use loom::sync::{Arc, Mutex, MutexGuard};

use std::sync::LockResult;
use std::time::Duration;

pub(super) type Nanos = u64;

/// Where a value lies is of no account here.
pub(super) struct OwnLine<T>(pub(super) T);

impl<T> std::ops::Deref for OwnLine<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A loop that waits for notices. Those that come before it waits are one.
pub(super) struct Bell(loom::sync::Notify);

impl Bell {
    pub(super) fn new() -> Bell {
        Bell(loom::sync::Notify::new())
    }

    pub(super) fn ring(&self) {
        self.0.notify();
    }

    pub(super) fn wait(&self) {
        self.0.wait();
    }
}

#[derive(Clone)]
pub(super) struct Receiver(pub(super) Arc<Bell>);

impl Receiver {
    pub(super) fn notify(&self) {
        self.0.ring();
    }

    pub(super) fn notify_at(&self, _time: Nanos) {
        unreachable!("there is no virtual time here");
    }

    pub(super) fn program(&self) -> u64 {
        program()
    }
}

/// A condition variable whose waits never end by themselves.
pub(super) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(super) fn new() -> Condvar {
        Condvar(loom::sync::Condvar::new())
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(super) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        _limit: Duration,
        mut waits: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        while waits(&mut guard) {
            guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        Ok((guard, false))
    }
}

pub(super) fn program() -> u64 {
    0
}

pub(super) fn this_moment(_program: u64) -> Nanos {
    0
}

/// Destructors and wakes do not panic here.
pub(super) fn drop_quietly<T>(value: T) {
    drop(value);
}

/// As [`drop_quietly`].
pub(super) fn wake_each(wakers: impl IntoIterator<Item = std::task::Waker>) {
    wakers.into_iter().for_each(std::task::Waker::wake);
}

pub(super) fn arrival(_program: u64, _receiver: Option<&Receiver>) -> Nanos {
    0
}

pub(super) fn is_told() -> bool {
    false
}

pub(super) fn new_number() -> u64 {
    unreachable!("nobody is told here");
}

pub(super) fn tell_posted(_number: u64, _receiver: Option<&Receiver>, _waiting: usize) {}

pub(super) fn tell_delivered(_number: u64, _waiting: usize) {}

pub(super) fn tell_dropped(_number: u64, _count: usize) {}
