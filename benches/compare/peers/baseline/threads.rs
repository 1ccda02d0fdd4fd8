//! Two threads: eventfds to block on, atomics to spin on, vectors behind a lock to hand over.

use std::hint::{black_box, spin_loop};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use common::{Figures, Stopwatch, system};

/// A counter in the kernel that a thread can sleep on.
struct EventFd(OwnedFd);

impl EventFd {
    fn new() -> EventFd {
        // SAFETY: the descriptor is new and nobody else's.
        EventFd(unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) })
    }

    fn wake(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes are there to be read.
        let sent = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
        assert_eq!(sent, 8);
    }

    fn sleep(&self) {
        let mut count = 0_u64;
        // SAFETY: there is room for eight bytes.
        let got = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
        assert_eq!(got, 8);
    }
}

/// Runs `theirs` on a second core and `ours` on the first one.
fn on_two_threads(
    items: u64,
    theirs: impl Fn() + Send + 'static,
    mut ours: impl FnMut(),
) -> Figures {
    let (up, is_up) = mpsc::channel();
    let other = thread::spawn(move || {
        system::pin_thread(1);
        up.send(()).expect("the first thread");
        (0..items).for_each(|_| theirs());
    });
    system::pin_thread(0);
    is_up.recv().expect("the second thread");
    let stopwatch = Stopwatch::start();
    (0..items).for_each(|_| ours());
    let figures = stopwatch.stop(items);
    other.join().expect("the second thread");
    figures
}

/// One write and one sleep on either side.
pub(crate) fn ping_pong_blocking(items: u64) -> Figures {
    let (here, there) = (Arc::new(EventFd::new()), Arc::new(EventFd::new()));
    let (to_here, at_there) = (here.clone(), there.clone());
    let theirs = move || {
        at_there.sleep();
        to_here.wake();
    };
    on_two_threads(items, theirs, move || {
        there.wake();
        here.sleep();
    })
}

/// One store on either side, which the other is looking for.
pub(crate) fn ping_pong_spinning(items: u64) -> Figures {
    let turn = Arc::new(AtomicBool::new(false));
    let at_there = turn.clone();
    let theirs = move || {
        while !at_there.load(Ordering::Acquire) {
            spin_loop();
        }
        at_there.store(false, Ordering::Release);
    };
    on_two_threads(items, theirs, move || {
        turn.store(true, Ordering::Release);
        while turn.load(Ordering::Acquire) {
            spin_loop();
        }
    })
}

/// What is posted: a call and a word for it.
type Post = (fn(&mut u64, u64), u64);

/// Posts behind a lock. The receiver takes all there are by swapping, and sleeps when there are none.
struct Mailbox {
    posts: Mutex<Vec<Post>>,
    asleep: AtomicBool,
    event: EventFd,
}

impl Mailbox {
    fn post(&self, post: Post) {
        self.posts.lock().expect("no panics").push(post);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.event.wake();
        }
    }

    /// Swaps the posts into `empty`; false when there were none.
    fn take(&self, empty: &mut Vec<Post>) -> bool {
        std::mem::swap(&mut *self.posts.lock().expect("no panics"), empty);
        !empty.is_empty()
    }

    fn wait(&self, empty: &mut Vec<Post>) {
        while !self.take(empty) {
            self.asleep.store(true, Ordering::SeqCst);
            if self.take(empty) {
                if !self.asleep.swap(false, Ordering::SeqCst) {
                    self.event.sleep();
                }
                return;
            }
            self.event.sleep();
        }
    }
}

pub(crate) fn pummel(items: u64) -> Figures {
    let mailbox = Arc::new(Mailbox {
        posts: Mutex::default(),
        asleep: AtomicBool::new(false),
        event: EventFd::new(),
    });
    let to = mailbox.clone();
    system::pin_thread(0);
    let stopwatch = Stopwatch::start();
    let sender = thread::spawn(move || {
        system::pin_thread(1);
        (0..items).for_each(|_| to.post((|count, by| *count += by, 1)));
    });
    let (mut count, mut batch) = (0, Vec::new());
    while count < items {
        mailbox.wait(&mut batch);
        batch.drain(..).for_each(|(call, word)| call(&mut count, word));
    }
    let figures = stopwatch.stop(items);
    sender.join().expect("the sender");
    figures
}

/// A job, or what is to be done with its result.
type Work = Box<dyn FnOnce() + Send>;

/// One direction of [`queue_work`]: work behind a lock, and a counter to spin on.
#[derive(Default)]
struct Lane {
    sent: AtomicU64,
    waiting: Mutex<Vec<Work>>,
}

impl Lane {
    fn put(&self, work: Work) {
        self.waiting.lock().expect("no panics").push(work);
        self.sent.fetch_add(1, Ordering::Release);
    }

    /// Waits until there is more than was `seen`, and takes it all.
    fn take(&self, seen: &mut u64, batch: &mut Vec<Work>) {
        while self.sent.load(Ordering::Acquire) == *seen {
            spin_loop();
        }
        std::mem::swap(&mut *self.waiting.lock().expect("no panics"), batch);
        *seen += batch.len() as u64;
    }
}

/// Jobs one way and completions the other, each put in by itself; what waits is taken by swapping, and both
/// sides spin.
pub(crate) fn queue_work(items: u64, in_flight: u64) -> Figures {
    let (jobs, results) = (Arc::new(Lane::default()), Arc::new(Lane::default()));
    let (their_jobs, their_results) = (jobs.clone(), results.clone());
    let (up, is_up) = mpsc::channel();
    let pool_thread = thread::spawn(move || {
        system::pin_thread(1);
        up.send(()).expect("the first thread");
        let (mut seen, mut batch) = (0, Vec::new());
        while seen < items {
            their_jobs.take(&mut seen, &mut batch);
            for job in batch.drain(..) {
                job();
                // The completion of a job that gives nothing: no allocation.
                their_results.put(Box::new(|| ()));
            }
        }
    });
    system::pin_thread(0);
    is_up.recv().expect("the pool's thread");
    let no_op = |index: u64| Box::new(move || assert!(black_box(index) < u64::MAX));
    let stopwatch = Stopwatch::start();
    let (mut queued, mut done, mut batch) = (in_flight.min(items), 0, Vec::new());
    (0..queued).for_each(|index| jobs.put(no_op(index)));
    while done < items {
        results.take(&mut done, &mut batch);
        for completion in batch.drain(..) {
            completion();
            if queued < items {
                jobs.put(no_op(queued));
                queued += 1;
            }
        }
    }
    let figures = stopwatch.stop(items);
    pool_thread.join().expect("the pool's thread");
    figures
}

/// A bare thread that sends one message.
pub(crate) fn spawn(items: u64) -> Figures {
    let mut nanos = 0;
    let stopwatch = Stopwatch::start();
    for _ in 0..items {
        let start = Instant::now();
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || sender.send(()));
        receiver.recv().expect("a message");
        nanos += start.elapsed().as_nanos();
        thread.join().expect("the thread").expect("a receiver");
    }
    stopwatch.stop(items).with("first", nanos as f64 / items as f64)
}

/// Bare threads that wait for a message.
pub(crate) fn idle_thread(items: u64) -> Figures {
    let before = system::resident_own();
    let mut threads = Vec::new();
    let (up, is_up) = mpsc::channel();
    for _ in 0..items {
        let (sender, receiver) = mpsc::channel::<()>();
        let up = up.clone();
        let thread = thread::spawn(move || {
            up.send(()).expect("the first thread");
            // Fails when the sender has gone, which is how the thread ends.
            receiver.recv().is_err()
        });
        is_up.recv().expect("the thread");
        threads.push((sender, thread));
    }
    let bytes = system::resident_own() - before;
    for (sender, thread) in threads {
        drop(sender);
        assert!(thread.join().expect("the thread"));
    }
    Figures::new().with("bytes", bytes as f64 / items as f64)
}
