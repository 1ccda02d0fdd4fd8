//! What a host of an engine in another language needs: code that no unwind may cross asks, marks
//! and returns.
#![allow(unsafe_code)] // Only an allocation of its own meets the limit as an engine's does.

mod common;

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::*;
use windlass::observe::{Recorder, What};
use windlass::worker::{self, ParentExit, Port, Worker, WorkerError};
use windlass::{
    Loop, RunMode, alloc, block_on, exit, must_return, next_tick, on_exit, on_uncaught,
    queue_microtask, run, set_immediate, set_timeout, when_drained,
};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting::new();

const MIB: usize = 1 << 20;

// ----- When nothing is left of a callback -----

#[test]
fn when_drained_comes_after_all_ticks_and_microtasks_of_the_callback() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        set_immediate(move || {
            when_drained(inner.says("drained"));
            queue_microtask(inner.says("microtask"));
            let later = inner.clone();
            next_tick(move || {
                later.say("tick");
                queue_microtask(later.says("microtask of the tick"));
                next_tick(later.says("tick of the tick"));
            });
            inner.say("immediate 1");
        });
        set_immediate(trace.says("immediate 2"));
    };
    let expected = [
        "immediate 1",
        "tick",
        "tick of the tick",
        "microtask",
        "microtask of the tick",
        "drained",
        "immediate 2",
    ];
    check(scenario, &expected);
}

#[test]
fn what_is_called_when_drained_may_queue_more_and_the_next_one_waits_for_that() {
    let scenario = |trace: &Trace| {
        let inner = trace.clone();
        when_drained(move || {
            inner.say("drained 1");
            next_tick(inner.says("tick"));
            queue_microtask(inner.says("microtask"));
            when_drained(inner.says("drained 3"));
        });
        when_drained(trace.says("drained 2"));
        set_immediate(trace.says("immediate"));
    };
    check(scenario, &["drained 1", "tick", "microtask", "drained 2", "drained 3", "immediate"]);
}

#[test]
fn when_drained_follows_a_callback_that_has_queued_nothing_else() {
    let scenario = |trace: &Trace| {
        for timer in ["timer 1", "timer 2"] {
            let inner = trace.clone();
            set_timeout(ms(1), move || {
                inner.say(timer);
                when_drained(inner.says("drained"));
            });
        }
    };
    check(scenario, &["timer 1", "drained", "timer 2", "drained"]);
}

#[test]
fn when_drained_does_not_keep_a_loop_alive_and_runs_in_its_next_turn() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| when_drained(trace.says("drained")));
    assert!(!event_loop.is_alive());
    assert!(event_loop.close().is_err(), "it is still to be called");
    assert!(!event_loop.turn(RunMode::NoWait));
    trace.expect(&["drained"]);
    event_loop.close().unwrap();
}

#[test]
fn a_panic_of_what_is_called_when_drained_cuts_nothing_short() {
    let trace = Trace::new();
    let inner = trace.clone();
    run(move || {
        let hook = inner.clone();
        on_uncaught(move |uncaught| {
            hook.say(uncaught.message());
            next_tick(hook.says("tick of the hook"));
        });
        when_drained(|| panic!("an accident"));
        when_drained(inner.says("drained 2"));
        set_immediate(inner.says("immediate"));
    });
    trace.expect(&["an accident", "tick of the hook", "drained 2", "immediate"]);
}

#[test]
fn after_a_panic_that_leaves_the_loop_the_rest_is_called_in_the_next_turn() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    event_loop.enter(|| {
        when_drained(|| panic!("an accident"));
        when_drained(trace.says("drained 2"));
    });
    assert_eq!(panic_of(|| event_loop.turn(RunMode::NoWait)), "an accident");
    trace.expect(&[]);
    event_loop.turn(RunMode::NoWait);
    trace.expect(&["drained 2"]);
}

#[test]
fn nothing_is_called_when_drained_once_the_loop_is_to_end_and_it_is_dropped_once() {
    let dropped = Rc::new(Cell::new(0));
    let held = OnDrop(dropped.clone());
    let event_loop = virtual_loop();
    event_loop.run(move || {
        when_drained(move || unreachable!("{:?}", held.0));
        next_tick(|| exit(3));
    });
    assert_eq!((event_loop.exit_code(), dropped.get()), (3, 1));
    // A loop that is gone takes nothing in.
    event_loop.enter(|| when_drained(|| unreachable!()));
}

/// Counts its drop.
struct OnDrop(Rc<Cell<u32>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_recorder_sees_what_is_called_when_drained_with_its_line_and_cause() {
    let recorder = Recorder::start();
    let line = run(|| {
        when_drained(|| ());
        line!() - 1
    });
    let recording = recorder.stop();
    // Other tests are recorded too.
    let seen = recording.events().iter().any(|event| match &event.what {
        What::Callback(callback) => {
            let place = callback.location.map(|place| (place.file(), place.line()));
            callback.kind == "drained callback" && place == Some((file!(), line)) && event.cause > 0
        }
        _ => false,
    });
    assert!(seen);
}

// ----- The end that is marked -----

#[test]
fn after_exit_the_callback_is_to_return_and_its_exit_hooks_are_not() {
    let trace = Trace::new();
    let inner = trace.clone();
    run(move || {
        assert!(!must_return());
        let (first, last) = (inner.clone(), inner.clone());
        on_exit(move |_| first.say(format!("in a hook: {}", must_return())));
        on_exit(move |_| {
            exit(4);
            last.say(format!("in a hook that exits: {}", must_return()));
        });
        exit(3);
        inner.say(format!("after exit: {}", must_return()));
    });
    trace.expect(&["after exit: true", "in a hook: false", "in a hook that exits: true"]);
    assert!(!must_return(), "no loop is current");
}

#[test]
fn at_a_natural_end_too_an_exit_hook_is_to_return_once_it_has_called_exit() {
    let trace = Trace::new();
    let inner = trace.clone();
    run(move || {
        on_exit(move |_| {
            inner.say(must_return());
            exit(1);
            inner.say(must_return());
        });
    });
    trace.expect(&["false", "true"]);
}

#[test]
fn a_worker_that_is_terminated_is_to_return_and_any_thread_may_ask_for_it() {
    bounded(|| {
        block_on(async {
            let (tell, told) = mpsc::channel();
            let worker = Worker::<(), ()>::spawn(move |port| {
                let termination = worker::termination();
                assert!(!must_return() && !termination.is_requested());
                let watch = termination.clone();
                tell.send(thread::spawn(move || {
                    while !watch.is_requested() {
                        thread::yield_now();
                    }
                }))
                .unwrap();
                port.post(());
                while !must_return() {
                    thread::yield_now();
                }
                assert!(termination.is_requested());
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1);
            assert_eq!(worker.join().await, Err(WorkerError::Terminated));
            told.recv().unwrap().join().unwrap();
        });
    });
}

#[test]
fn a_worker_that_exits_is_to_return_and_was_not_told_to_terminate() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), [bool; 3]>::spawn(|port: Port<[bool; 3], ()>| {
                exit(5);
                let asked = worker::termination().is_requested();
                port.post([must_return(), worker::is_terminating(), asked]);
            })
            .unwrap();
            assert_eq!(worker.recv().await, Some([true, true, false]));
            assert_eq!(worker.join().await, Ok(5));
        });
    });
}

#[test]
fn a_worker_may_ask_inside_another_loop_of_its_own() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| {
                let other = Loop::new().unwrap();
                port.post(());
                other.enter(|| {
                    while !must_return() {
                        thread::yield_now();
                    }
                });
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1);
        });
    });
}

// ----- The hook on the thread that terminates -----

/// A worker that blocks where the crate cannot see it, until its interrupter lets it go.
fn blocked(exit: ParentExit) -> (Worker<(), ()>, mpsc::Receiver<thread::ThreadId>) {
    let (tell, told) = mpsc::channel();
    let builder = Worker::builder().parent_exit(exit);
    let worker = builder.spawn(move |port: Port<(), ()>| {
        let (wake, woken) = mpsc::channel();
        let _interrupter = worker::interrupt_with(move || {
            tell.send(thread::current().id()).unwrap();
            wake.send(()).unwrap();
        });
        port.post(());
        woken.recv().unwrap();
    });
    (worker.unwrap(), told)
}

#[test]
fn terminate_calls_the_interrupter_at_once_on_its_own_thread() {
    bounded(|| {
        block_on(async {
            let (worker, told) = blocked(ParentExit::Terminate);
            worker.recv().await.unwrap();
            let request = worker.terminate();
            assert_eq!(told.try_recv(), Ok(thread::current().id()));
            assert_eq!(request.await, 1);
        });
    });
}

#[test]
fn the_deadline_of_a_shutdown_calls_the_interrupter() {
    bounded(|| {
        block_on(async {
            let (worker, told) = blocked(ParentExit::Terminate);
            worker.recv().await.unwrap();
            let outcome = worker.shutdown(Duration::from_millis(1)).await;
            assert_eq!(outcome, Err(WorkerError::Terminated));
            assert_eq!(told.try_recv(), Ok(thread::current().id()));
        });
    });
}

#[test]
fn the_end_of_the_parent_calls_the_interrupter() {
    bounded(|| {
        for exit in [ParentExit::Terminate, ParentExit::ShutDown(Duration::from_millis(1))] {
            let told = block_on(async {
                let (worker, told) = blocked(exit);
                worker.recv().await.unwrap();
                told
            });
            assert_eq!(told.try_recv(), Ok(thread::current().id()), "{exit:?}");
        }
    });
}

#[test]
fn an_interrupter_that_comes_late_is_called_at_once_where_it_is_set() {
    bounded(|| {
        block_on(async {
            let called = Arc::new(AtomicBool::new(false));
            let flag = called.clone();
            let worker = Worker::<(), ()>::spawn(move |port| {
                port.post(());
                while !must_return() {
                    thread::yield_now();
                }
                let here = thread::current().id();
                let interrupter = worker::interrupt_with(move || {
                    flag.store(thread::current().id() == here, Ordering::Relaxed);
                });
                drop(interrupter);
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1);
            assert!(called.load(Ordering::Relaxed));
        });
    });
}

#[test]
fn an_interrupter_that_is_taken_away_or_outlives_its_worker_is_dropped_uncalled() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let hook = |flag: Flag| move || unreachable!("{:?}", flag.0);
    bounded(move || {
        block_on(async {
            let dropped = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            let [taken, left] = dropped.clone().map(Flag);
            let seen = dropped[0].clone();
            let worker = Worker::<(), ()>::spawn(move |port| {
                drop(worker::interrupt_with(hook(taken)));
                assert!(seen.load(Ordering::Relaxed));
                std::mem::forget(worker::interrupt_with(hook(left)));
                port.post(());
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.join().await, Ok(0));
            assert!(dropped[1].load(Ordering::Relaxed));
            assert_eq!(worker.terminate().await, 0);
        });
    });
    // This is no worker: there is nothing that could be interrupted.
    drop(worker::interrupt_with(|| unreachable!()));
}

#[test]
fn a_panic_of_an_interrupter_costs_neither_thread_anything_nor_the_next_interrupter() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|port| {
                let (wake, woken) = mpsc::channel();
                let _one = worker::interrupt_with(|| panic!("an accident"));
                let _other = worker::interrupt_with(move || wake.send(()).unwrap());
                port.post(());
                woken.recv().unwrap();
            })
            .unwrap();
            worker.recv().await.unwrap();
            assert_eq!(worker.terminate().await, 1);
        });
    });
}

#[test]
fn an_interrupter_may_use_the_loop_of_the_parent_and_its_worker() {
    bounded(|| {
        let trace = Trace::new();
        let inner = trace.clone();
        run(move || {
            let worker = Worker::<(), ()>::spawn(move |port| {
                let (wake, woken) = mpsc::channel();
                let _interrupter = worker::interrupt_with(move || {
                    next_tick(|| ()); // Of the loop that terminates.
                    wake.send(()).unwrap();
                });
                port.post(());
                woken.recv().unwrap();
            })
            .unwrap();
            let own = worker.clone();
            worker.on_message(move |()| drop(own.terminate()));
            worker.on_exit(move |code| inner.say(code));
        });
        trace.expect(&["1"]);
    });
}

// ----- Memory -----

/// An engine whose heap is a list of blocks, as one in C has it: what it cannot get, it reports.
struct Engine {
    blocks: Vec<(*mut u8, Layout)>,
}

impl Engine {
    fn new() -> Engine {
        Engine { blocks: Vec::with_capacity(1000) }
    }

    /// What its host gives it for `malloc`.
    fn allocate(&mut self, bytes: usize) -> *mut u8 {
        if worker::refuse_allocation(bytes) {
            return ptr::null_mut();
        }
        let layout = Layout::from_size_align(bytes, 16).unwrap();
        // SAFETY: no test asks for nothing.
        let block = unsafe { std::alloc::alloc(layout) };
        self.blocks.push((block, layout));
        block
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for (block, layout) in self.blocks.drain(..) {
            // SAFETY: it was allocated with this layout, and is freed once.
            unsafe { std::alloc::dealloc(block, layout) };
        }
    }
}

#[test]
fn the_heap_of_an_engine_counts_for_its_worker_and_what_is_too_much_is_refused() {
    bounded(|| {
        block_on(async {
            let builder = Worker::<(), [usize; 3]>::builder().memory_limit(4 * MIB);
            let worker = builder.spawn(|port: Port<[usize; 3], ()>| {
                let mut engine = Engine::new();
                let before = alloc::allocated();
                assert!(!engine.allocate(MIB).is_null());
                assert_eq!(alloc::allocated() - before, MIB as i64);
                assert!(!must_return() && !alloc::is_over_limit());
                let mut blocks = 1;
                while !engine.allocate(MIB / 4).is_null() {
                    blocks += 1;
                }
                // Less than a mebibyte more, for the engine's own error.
                let mut reserve = 0;
                while reserve < 100 && !engine.allocate(MIB / 8).is_null() {
                    reserve += 1;
                }
                port.post([blocks, reserve, usize::from(must_return())]);
                // The engine gives all back before it returns, and the worker ends all the same.
                drop(engine);
                assert!(!alloc::is_over_limit());
                next_tick(|| unreachable!("the worker is over its limit"));
            });
            let worker = worker.unwrap();
            let [blocks, reserve, must_return] = worker.recv().await.unwrap();
            assert!((10..=13).contains(&blocks), "{blocks} blocks");
            assert!((7..=10).contains(&reserve), "{reserve} blocks of the reserve");
            assert_eq!(must_return, 1);
            let outcome = worker.join().await;
            let Err(WorkerError::OutOfMemory { limit, allocated }) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(limit, 4 * MIB);
            assert!(allocated > limit && allocated < 5 * MIB, "{allocated} bytes");
        });
    });
}

#[test]
fn one_huge_allocation_is_refused_and_the_other_workers_go_on() {
    bounded(|| {
        block_on(async {
            let other = Worker::<u32, u32>::builder().memory_limit(64 * MIB);
            let other = other.spawn(|port: Port<u32, u32>| {
                let reply = port.clone();
                port.on_message(move |number| {
                    assert!(!Engine::new().allocate(MIB).is_null());
                    reply.post(number + 1);
                });
            });
            let other = other.unwrap();
            let builder = Worker::<(), ()>::builder().memory_limit(4 * MIB);
            let worker = builder.spawn(|_| assert!(Engine::new().allocate(1 << 40).is_null()));
            let outcome = worker.unwrap().join().await;
            assert!(matches!(outcome, Err(WorkerError::OutOfMemory { .. })), "{outcome:?}");
            other.post(1);
            assert_eq!(other.recv().await, Some(2));
            assert_eq!(other.terminate().await, 1);
        });
    });
}

#[test]
fn to_ask_whether_to_return_ends_a_worker_that_is_over_its_limit() {
    bounded(|| {
        block_on(async {
            let builder = Worker::<(), bool>::builder().memory_limit(2 * MIB);
            let worker = builder.spawn(|port: Port<bool, ()>| {
                let hoard = std::hint::black_box(vec![1_u8; 3 * MIB]);
                assert!(alloc::is_over_limit());
                assert!(must_return());
                drop(hoard);
                port.post(must_return());
            });
            let worker = worker.unwrap();
            assert_eq!(worker.recv().await, Some(true));
            let outcome = worker.join().await;
            assert!(matches!(outcome, Err(WorkerError::OutOfMemory { .. })), "{outcome:?}");
        });
    });
}

#[test]
fn where_there_is_no_limit_nothing_is_refused() {
    assert!(!worker::refuse_allocation(usize::MAX) && !alloc::is_over_limit());
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), bool>::spawn(|port: Port<bool, ()>| {
                port.post(worker::refuse_allocation(usize::MAX));
            })
            .unwrap();
            assert_eq!(worker.recv().await, Some(false));
        });
    });
}

// ----- A failure that carries a value -----

#[derive(Debug, PartialEq)]
struct ScriptError {
    name: String,
    line: u32,
}

fn script_error() -> ScriptError {
    ScriptError { name: "TypeError".to_owned(), line: 7 }
}

#[test]
fn a_failure_arrives_with_its_value_after_the_messages_and_before_the_exit() {
    bounded(|| {
        let trace = Trace::new();
        let inner = trace.clone();
        run(move || {
            let worker = Worker::<(), &str>::spawn(|port: Port<&str, ()>| {
                port.post("message");
                on_exit(|code| assert_eq!(code, 1));
                worker::fail("x is no function", script_error()).unwrap();
                assert!(must_return());
                let second = worker::fail("too late", script_error());
                assert_eq!(second, Err(script_error()));
                next_tick(|| unreachable!("the worker has failed"));
            })
            .unwrap();
            let (messages, errors, exits) = (inner.clone(), inner.clone(), inner);
            worker.on_message(move |text| messages.say(text));
            worker.on_error(move |error| {
                errors.say(&error);
                assert_eq!(error.code(), "ERR_WORKER_FAILED");
                let WorkerError::Failed(failure) = error else { panic!("{error:?}") };
                assert_eq!(failure.payload::<ScriptError>(), Some(&script_error()));
                assert_eq!(failure.payload::<String>(), None);
                assert_eq!(failure.clone(), failure);
            });
            worker.on_exit(move |code| exits.say(code));
        });
        trace.expect(&["message", "the worker failed: x is no function", "1"]);
    });
}

#[test]
fn all_who_wait_for_the_end_of_a_worker_get_its_failure() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|_| worker::fail("it failed", 42).unwrap());
            let worker = worker.unwrap();
            let (joined, shut) = (worker.join().await, worker.shutdown(Duration::ZERO).await);
            assert_eq!(joined, shut);
            let Err(WorkerError::Failed(failure)) = joined else { panic!("{joined:?}") };
            assert_eq!(failure.payload(), Some(&42));
        });
    });
}

#[test]
fn an_exit_hook_may_change_the_code_of_a_worker_that_failed() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|_| {
                on_exit(|_| exit(9));
                worker::fail("it failed", ()).unwrap();
            })
            .unwrap();
            assert!(matches!(worker.join().await, Err(WorkerError::Failed(_))));
            assert_eq!(worker.terminate().await, 9);
        });
    });
}

#[test]
fn a_failure_that_nobody_hears_is_uncaught_at_the_parent() {
    bounded(|| {
        let trace = Trace::new();
        let inner = trace.clone();
        run(move || {
            on_uncaught(move |uncaught| inner.say(uncaught.message()));
            drop(Worker::<(), ()>::spawn(|_| worker::fail("it failed", 42).unwrap()).unwrap());
        });
        trace.expect(&["the worker failed: it failed"]);
    });
}

#[test]
fn a_failure_of_what_is_no_worker_comes_back() {
    assert_eq!(worker::fail("nobody is told", script_error()), Err(script_error()));
    block_on(async {
        let outcome = windlass::queue_work(|| worker::fail("no worker", 7)).await.unwrap();
        assert_eq!(outcome, Err(7));
    });
}

#[test]
fn a_panic_counts_more_than_a_failure_before_it_whose_value_is_dropped() {
    bounded(|| {
        block_on(async {
            let worker = Worker::<(), ()>::spawn(|_| {
                worker::fail("it failed", 42).unwrap();
                panic!("an accident");
            })
            .unwrap();
            let outcome = worker.join().await;
            assert_eq!(outcome, Err(WorkerError::Panicked("an accident".to_owned())));
        });
    });
}
