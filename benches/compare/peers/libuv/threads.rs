//! What crosses threads: `uv_async_t`, with a vector behind a lock where something is sent; `uv_queue_work`.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use common::{Figures, Stopwatch, system};
use libuv_sys2 as uv;

use crate::{leaked, new_loop, run};

/// A `uv_async_t` as other threads may hold it: they call nothing but `uv_async_send`.
#[derive(Clone, Copy)]
struct Async(*mut uv::uv_async_t);

// SAFETY: `uv_async_send` may be called from any thread, and the handle lives until the process ends.
unsafe impl Send for Async {}

impl Async {
    fn new(event_loop: *mut uv::uv_loop_t, callback: uv::uv_async_cb) -> Async {
        let handle = leaked();
        // SAFETY: the room stays until the process ends.
        assert_eq!(unsafe { uv::uv_async_init(event_loop, handle, callback) }, 0);
        Async(handle)
    }

    fn send(self) {
        // SAFETY: the handle has been initialised.
        unsafe { uv::uv_async_send(self.0) };
    }

    fn close(self) {
        // SAFETY: it is closed once, on its loop's thread.
        unsafe { uv::uv_close(self.0.cast(), None) };
    }
}

thread_local! {
    static OTHER: Cell<Option<Async>> = const { Cell::new(None) };
    static OWN: Cell<Option<Async>> = const { Cell::new(None) };
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// Answers until so many calls have come.
unsafe extern "C" fn answer(handle: *mut uv::uv_async_t) {
    LEFT.set(LEFT.get() - 1);
    let other = OTHER.get().expect("set before the loop runs");
    // The other thread, which is called first, answers the last call too.
    if LEFT.get() > 0 || OWN.get().is_none() {
        other.send();
    }
    if LEFT.get() == 0 {
        Async(handle).close();
    }
}

pub(crate) fn async_ping_pong(items: u64) -> Figures {
    let (to_other, from_main) = mpsc::channel::<Async>();
    let (to_main, from_other) = mpsc::channel::<Async>();
    let other = thread::spawn(move || {
        system::pin_thread(1);
        let event_loop = new_loop();
        OTHER.set(Some(from_main.recv().expect("the main loop's handle")));
        LEFT.set(items);
        to_main.send(Async::new(event_loop, Some(answer))).expect("the main loop");
        run(event_loop);
    });
    system::pin_thread(0);
    let event_loop = new_loop();
    let own = Async::new(event_loop, Some(answer));
    OWN.set(Some(own));
    LEFT.set(items);
    to_other.send(own).expect("the other loop");
    let first = from_other.recv().expect("the other loop's handle");
    OTHER.set(Some(first));
    let stopwatch = Stopwatch::start();
    first.send();
    run(event_loop);
    let figures = stopwatch.stop(items);
    other.join().expect("the other loop ends by itself");
    figures
}

/// What is posted: a call and a word for it.
type Post = (fn(&Cell<u64>, u64), u64);

static POSTS: Mutex<Vec<Post>> = Mutex::new(Vec::new());

/// Takes all that was posted, and calls it.
unsafe extern "C" fn receive(handle: *mut uv::uv_async_t) {
    let posts = std::mem::take(&mut *POSTS.lock().expect("no panics"));
    posts.into_iter().for_each(|(call, word)| LEFT.with(|left| call(left, word)));
    if LEFT.get() == 0 {
        Async(handle).close();
    }
}

pub(crate) fn async_pummel(items: u64) -> Figures {
    let event_loop = new_loop();
    LEFT.set(items);
    let to = Async::new(event_loop, Some(receive));
    system::pin_thread(0);
    let begun = Stopwatch::start();
    let sender = thread::spawn(move || {
        system::pin_thread(1);
        for _ in 0..items {
            POSTS.lock().expect("no panics").push((|left, by| left.set(left.get() - by), 1));
            { to }.send();
        }
    });
    run(event_loop);
    let figures = begun.stop(items);
    sender.join().expect("the sender");
    figures
}

unsafe extern "C" fn no_op(_: *mut uv::uv_work_t) {}

unsafe extern "C" fn worked(request: *mut uv::uv_work_t, status: c_int) {
    assert_eq!(status, 0);
    if LEFT.get() > 0 {
        LEFT.set(LEFT.get() - 1);
        // SAFETY: the request is done, so it may be used again.
        unsafe { uv::uv_queue_work((*request).loop_, request, Some(no_op), Some(worked)) };
    }
}

pub(crate) fn queue_work(items: u64, in_flight: u64) -> Figures {
    let event_loop = new_loop();
    let at_once = in_flight.min(items);
    LEFT.set(items - at_once);
    measure_run(items, event_loop, || {
        for _ in 0..at_once {
            // SAFETY: the request stays until the process ends.
            unsafe { uv::uv_queue_work(event_loop, leaked(), Some(no_op), Some(worked)) };
        }
    })
}

fn measure_run(items: u64, event_loop: *mut uv::uv_loop_t, begin: impl FnOnce()) -> Figures {
    common::measure::measure(items, || {
        begin();
        run(event_loop);
    })
}

unsafe extern "C" fn close(handle: *mut uv::uv_async_t) {
    Async(handle).close();
}

/// Starts a thread with a loop and a handle to be reached by, which says that it is up.
fn start_worker(to_main: Async) -> (thread::JoinHandle<()>, mpsc::Receiver<Async>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    let worker = thread::spawn(move || {
        let event_loop = new_loop();
        let own = Async::new(event_loop, Some(close));
        sender.send(own).expect("the main thread");
        { to_main }.send();
        run(event_loop);
        // SAFETY: nothing is left on the loop, and it goes with its thread.
        unsafe {
            assert_eq!(uv::uv_loop_close(event_loop), 0);
            drop(Box::from_raw(event_loop));
        }
    });
    (worker, receiver)
}

pub(crate) fn spawn(items: u64) -> Figures {
    unsafe extern "C" fn up(handle: *mut uv::uv_async_t) {
        // SAFETY: the handle has a loop.
        unsafe { uv::uv_stop((*handle).loop_) };
    }
    let event_loop = new_loop();
    let own = Async::new(event_loop, Some(up));
    let mut nanos = 0;
    let stopwatch = Stopwatch::start();
    for _ in 0..items {
        let start = Instant::now();
        let (worker, handle) = start_worker(own);
        run(event_loop);
        nanos += start.elapsed().as_nanos();
        handle.recv().expect("the worker's handle").send();
        worker.join().expect("the worker");
    }
    stopwatch.stop(items).with("first", nanos as f64 / items as f64)
}

pub(crate) fn idle_worker(items: u64) -> Figures {
    unsafe extern "C" fn up(_: *mut uv::uv_async_t) {}
    system::raise_descriptor_limit();
    let own = Async::new(new_loop(), Some(up));
    let before = system::resident_own();
    let mut workers = Vec::new();
    for _ in 0..items {
        let (worker, handle) = start_worker(own);
        workers.push((worker, handle.recv().expect("the worker's handle")));
    }
    let bytes = system::resident_own() - before;
    for (worker, handle) in workers {
        handle.send();
        worker.join().expect("the worker");
    }
    Figures::new().with("bytes", bytes as f64 / items as f64)
}
