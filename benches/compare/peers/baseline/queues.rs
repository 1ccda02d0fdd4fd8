//! A ring of closures stored in place; one wait and one look at the clock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::MaybeUninit;

use common::Figures;
use common::measure::measure;

const BATCH: u64 = 1000;

/// A closure of up to three words, stored in place, and how to call it.
struct Job {
    words: [MaybeUninit<usize>; 3],
    call: unsafe fn(*mut [MaybeUninit<usize>; 3], &Queue),
}

#[derive(Default)]
struct Queue {
    jobs: RefCell<VecDeque<Job>>,
    count: Cell<u64>,
}

impl Queue {
    fn push<F: FnOnce(&Queue)>(&self, f: F) {
        const { assert!(size_of::<F>() <= 24 && align_of::<F>() <= 8) };
        unsafe fn call<F: FnOnce(&Queue)>(words: *mut [MaybeUninit<usize>; 3], queue: &Queue) {
            // SAFETY: `push` has written an `F` there, and a job is called once.
            unsafe { words.cast::<F>().read()(queue) }
        }
        let mut words = [MaybeUninit::uninit(); 3];
        // SAFETY: it fits, as asserted above. (What is never called is never dropped: nothing here owns.)
        unsafe { words.as_mut_ptr().cast::<F>().write(f) };
        self.jobs.borrow_mut().push_back(Job { words, call: call::<F> });
    }

    fn drain(&self) {
        loop {
            let next = self.jobs.borrow_mut().pop_front();
            let Some(mut job) = next else { return };
            // SAFETY: the words are those of the closure that `call` was made for.
            unsafe { (job.call)(&mut job.words, self) };
        }
    }
}

pub(crate) fn batch(items: u64) -> Figures {
    let (queue, batches) = (Queue::default(), items.div_ceil(BATCH));
    let figures = measure(batches * BATCH, || {
        for _ in 0..batches {
            for _ in 0..BATCH {
                queue.push(|queue| queue.count.set(queue.count.get() + 1));
            }
            queue.drain();
        }
    });
    assert_eq!(queue.count.get(), batches * BATCH);
    figures
}

pub(crate) fn chain(items: u64) -> Figures {
    fn next(queue: &Queue, left: u64) {
        if left > 0 {
            queue.push(move |queue| next(queue, left - 1));
        }
    }
    let queue = Queue::default();
    measure(items, || {
        next(&queue, items);
        queue.drain();
    })
}

/// One `epoll_wait` that does not wait, and one look at the clock.
pub(crate) fn loop_count(items: u64) -> Figures {
    // SAFETY: the arguments outlive the calls; the descriptor is our own.
    unsafe {
        let poller = libc::epoll_create1(0);
        let mut events: [libc::epoll_event; 64] = std::mem::zeroed();
        let mut now: libc::timespec = std::mem::zeroed();
        let figures = measure(items, || {
            for _ in 0..items {
                let ready = libc::epoll_wait(poller, events.as_mut_ptr(), 64, 0);
                assert_eq!(ready, 0);
                libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
            }
        });
        libc::close(poller);
        figures
    }
}
