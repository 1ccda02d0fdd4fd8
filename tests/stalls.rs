//! `observe::watch_stalls`: which callback blocks a loop is named while it does.
//!
//! A callback that is to be named blocks until the watch has reported it, so nothing here depends
//! on time. The clock only says how long a test waits for a report that never comes.

mod common;
#[path = "stalls/plants.rs"]
mod plants;
#[path = "stalls/stuck.rs"]
mod stuck;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use windlass::Loop;
use windlass::observe::{Phase, StallWatch, watch_stalls};
use windlass::worker::{Port, Worker};

use common::*;
use plants::{HANDLES, HOOKS, MESSAGES, Plant, QUEUES, REQUESTS, STREAMS, TIMERS, WORKERS};
use stuck::{LIMIT, PATIENCE, Reports, Stuck};

// ----- Which callback -----

/// Each callback is reported while it blocks, and once more when it has ended.
fn all_are_named(plants: &[Plant]) {
    let _alone = alone();
    for &(kind, phase, program) in plants {
        let (watch, reports) = Reports::watch(LIMIT);
        let stuck = Stuck::until_reported(kind, phase, reports.clone());
        program(stuck.clone());
        let over = reports.expect(&stuck, true);
        assert!(over.callback.took >= LIMIT, "{over:?}");
        drop(watch);
    }
}

#[test]
fn a_timer_or_watcher_of_a_phase_that_blocks_is_named() {
    all_are_named(TIMERS);
}

#[test]
fn a_tick_microtask_task_or_immediate_that_blocks_is_named() {
    all_are_named(QUEUES);
}

#[test]
fn a_callback_of_a_stream_or_listener_that_blocks_is_named_by_the_line_that_registered_it() {
    all_are_named(STREAMS);
}

#[test]
fn a_completion_that_blocks_is_named_by_the_line_of_on_complete() {
    all_are_named(REQUESTS);
}

#[test]
fn a_callback_for_a_message_post_or_notifier_that_blocks_is_named() {
    all_are_named(MESSAGES);
}

#[test]
fn a_callback_of_a_worker_or_within_one_that_blocks_is_named() {
    all_are_named(WORKERS);
}

#[test]
fn a_callback_for_signals_files_or_descriptors_that_blocks_is_named() {
    all_are_named(HANDLES);
}

#[test]
fn a_main_script_or_hook_that_blocks_is_named() {
    all_are_named(HOOKS);
}

#[test]
fn the_loops_name_is_reported() {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    let stuck = Stuck::until_reported("immediate", Phase::Check, reports.clone());
    let event_loop = Loop::builder().name("audio").build().unwrap();
    let inner = stuck.clone();
    event_loop.run(move || {
        let stuck = inner.next_line();
        windlass::set_immediate(move || stuck.stall());
    });
    assert_eq!(reports.expect(&stuck, true).loop_name, "audio");
}

#[test]
fn a_worker_without_a_name_is_reported_by_its_number() {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    let stuck = Stuck::until_reported("main", Phase::Main, reports.clone());
    let inner = stuck.clone();
    let number = windlass::run(move || {
        let stuck = inner.next_line();
        Worker::<(), ()>::spawn(move |_| stuck.stall()).unwrap().id()
    });
    let over = reports.expect(&stuck, true);
    assert_eq!((over.worker, over.loop_name), (number, format!("worker {number}")));
}

// ----- Chains -----

/// Queues itself by `queue` until the watch has reported it, or until this moment.
fn go_on(stuck: &Stuck, queue: fn(&Stuck, Box<dyn FnOnce()>), until: Instant) {
    if stuck.is_reported() {
        return;
    }
    let inner = stuck.clone();
    if Instant::now() < until {
        queue(stuck, Box::new(move || go_on(&inner, queue, until)));
    } else {
        begin(inner, queue);
    }
}

/// Begins a chain, and another one when that is not reported: without a core for the whole limit its
/// immediate is what was reported.
fn begin(stuck: Stuck, queue: fn(&Stuck, Box<dyn FnOnce()>)) {
    windlass::set_immediate(move || go_on(&stuck, queue, Instant::now() + 50 * LIMIT));
}

/// None of the links takes long, but all of them together do.
fn a_chain_is_named(kind: &'static str, queue: fn(&Stuck, Box<dyn FnOnce()>)) {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    let stuck = Stuck::until_reported(kind, Phase::Check, reports.clone());
    let inner = stuck.clone();
    windlass::run(move || begin(inner, queue));
    reports.expect(&stuck, true);
}

#[test]
fn a_chain_of_short_ticks_is_named() {
    a_chain_is_named("tick", |stuck, f| {
        stuck.next_line();
        windlass::next_tick(f);
    });
}

#[test]
fn a_chain_of_short_microtasks_is_named() {
    a_chain_is_named("microtask", |stuck, f| {
        stuck.next_line();
        windlass::queue_microtask(f);
    });
}

#[test]
fn a_chain_of_polls_of_a_task_is_named() {
    a_chain_is_named("task", |stuck, f| {
        stuck.next_line();
        drop(windlass::spawn(async { f() }));
    });
}

// ----- No false report -----

/// Runs `busy` in a worker while another loop is reported again and again, which takes several
/// times the limit. A report that was false is never over.
fn nothing_false_is_reported_of(busy: fn(Port<(), ()>)) {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    windlass::run(|| {
        let worker = Worker::spawn(busy).unwrap();
        let other = worker.clone();
        worker.on_message(move |()| {
            let (worker, reports) = (other.clone(), reports.clone());
            Stuck::until_reported("worker", Phase::Poll, reports.clone()).anywhere().stall();
            // By now it is asleep, or busy.
            windlass::set_immediate(move || {
                Stuck::until_reported("immediate", Phase::Check, reports.clone())
                    .anywhere()
                    .stall();
                // A slow machine makes true reports of it. They are over by themselves.
                reports.until_all_are_over(worker.id());
                worker.post(());
            });
        });
    });
}

#[test]
fn nothing_is_reported_of_a_loop_that_sleeps() {
    nothing_false_is_reported_of(|port| {
        let end = port.clone();
        port.on_message(move |()| end.close());
        port.post(());
    });
}

#[test]
fn nothing_is_reported_of_a_loop_that_is_busy_with_short_callbacks() {
    nothing_false_is_reported_of(|port| {
        let over = Rc::new(Cell::new(false));
        let (end, seen) = (port.clone(), over.clone());
        port.on_message(move |()| {
            seen.set(true);
            end.close();
        });
        port.post(());
        again(over);
    });
}

/// One callback an iteration.
fn again(over: Rc<Cell<bool>>) {
    if !over.get() {
        windlass::set_immediate(move || again(over));
    }
}

#[test]
fn a_callback_that_began_before_the_watch_is_not_reported_when_nobody_saw_its_end() {
    let _alone = alone();
    let earlier = watch_stalls(LIMIT, |_| ());
    windlass::run(move || {
        let mut earlier = Some(earlier);
        windlass::set_interval(ms(1), move |timer| {
            timer.clear();
            drop(earlier.take());
            spin(LIMIT);
            // From here to the next callback nobody observes the loop.
            windlass::set_immediate(|| {
                let (tell, told) = mpsc::channel();
                let later = watch_stalls(LIMIT, move |stall| {
                    tell.send(stall.callback.kind).unwrap_or_default();
                });
                windlass::set_immediate(move || {
                    let mut kinds = vec![""];
                    while kinds.last() != Some(&"immediate") {
                        kinds.push(told.recv_timeout(PATIENCE).expect("this is reported"));
                    }
                    assert!(!kinds.contains(&"interval"), "{kinds:?}");
                    drop(later);
                });
            });
        });
    });
}

// ----- The end of a loop -----

#[test]
fn the_second_report_comes_also_when_the_loop_has_ended_meanwhile() {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    let stuck = Stuck::until_reported("exit hook", Phase::Main, reports.clone());
    let event_loop = Loop::new().unwrap();
    event_loop.enter(|| {
        let stuck = stuck.next_line();
        windlass::on_exit(move |_| stuck.stall());
        windlass::exit(0);
    });
    event_loop.close().unwrap();
    drop(event_loop);
    reports.expect(&stuck, true);
}

#[test]
fn the_second_report_comes_also_when_the_callback_panicked() {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    let stuck = Stuck::until_reported("immediate", Phase::Check, reports.clone());
    let inner = stuck.clone();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        windlass::run(move || {
            let stuck = inner.next_line();
            windlass::set_immediate(move || {
                stuck.stall();
                panic!("on purpose");
            });
        });
    }));
    assert!(outcome.is_err());
    reports.expect(&stuck, true);
}

// ----- What waits -----

#[test]
fn what_waits_is_the_mailbox_and_what_was_queued_when_the_callback_began() {
    let _alone = alone();
    let (_watch, reports) = Reports::watch(LIMIT);
    let stuck = Stuck::until_reported("immediate", Phase::Check, reports.clone());
    let inner = stuck.clone();
    windlass::run(move || {
        let remote = Loop::current().remote();
        windlass::set_immediate(move || (0..4).for_each(|_| remote.post(|| ()).unwrap()));
        let first = inner.next_line();
        windlass::set_immediate(move || {
            windlass::next_tick(|| ()); // Not counted: it was not there when the callback began.
            first.stall();
        });
        for _ in 0..3 {
            windlass::set_immediate(|| ());
        }
    });
    assert_eq!(stuck.report().waiting, 4 + 3);
    reports.expect(&stuck, true);
}

// ----- A watch without a core -----

#[test]
fn a_stall_that_ends_while_the_watch_cannot_look_is_reported_late_and_in_both_reports() {
    let _alone = alone();
    let (tell, told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let watch = watch_stalls(LIMIT, move |stall| {
        tell.send((stall.callback.kind, stall.over)).unwrap_or_default();
        may_go_on.recv().unwrap_or_default();
    });
    windlass::run(move || {
        windlass::set_immediate(move || {
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), ("immediate", false));
            // The watch is held in its report.
            windlass::set_timeout(ms(0), || spin(LIMIT * 2));
            windlass::set_timeout(ms(1), move || {
                drop(go_on);
                let mut of_timers = Vec::new();
                while of_timers.len() < 2 {
                    let (kind, over) = told.recv_timeout(PATIENCE).expect("this is reported");
                    of_timers.extend((kind == "timer").then_some(over));
                }
                assert_eq!(of_timers, [false, true]);
            });
        });
    });
    drop(watch);
}

// ----- The end of a watch -----

#[test]
fn a_watch_may_be_dropped_within_its_report_and_reports_nothing_more() {
    let _alone = alone();
    let (tell, told) = mpsc::channel();
    let place = Arc::new(Mutex::new(None::<StallWatch>));
    let inner = place.clone();
    let watch = watch_stalls(LIMIT, move |stall| {
        drop(inner.lock().unwrap().take().expect("the first report is the last one"));
        tell.send(stall.clone()).unwrap();
    });
    place.lock().unwrap().replace(watch);
    windlass::run(move || {
        // Two loops block at once, and one of them is reported.
        let (release, released) = mpsc::channel::<()>();
        let other = Worker::<(), ()>::spawn(move |_| released.recv().unwrap_or_default()).unwrap();
        told.recv_timeout(PATIENCE).expect("this is reported");
        // The channel ends when the closure is dropped.
        assert_eq!(told.recv_timeout(PATIENCE).unwrap_err(), RecvTimeoutError::Disconnected);
        drop((release, other));
    });
}

#[test]
fn dropping_a_watch_waits_for_the_report_that_is_being_made() {
    let _alone = alone();
    let (begin, begun) = mpsc::channel();
    let (begin_drop, dropping) = mpsc::channel::<()>();
    let reported = Arc::new(AtomicBool::new(false));
    let inside = reported.clone();
    let watch = watch_stalls(LIMIT, move |_| {
        if begin.send(()).is_ok() && dropping.recv().is_ok() {
            // The other thread has every chance to be too early.
            (0..1000).for_each(|_| thread::yield_now());
        }
        inside.store(true, Ordering::Release);
    });
    windlass::run(move || {
        begun.recv_timeout(PATIENCE).expect("this is reported");
        begin_drop.send(()).unwrap();
        drop(begin_drop);
        drop(watch);
        assert!(reported.load(Ordering::Acquire));
    });
}

#[test]
fn a_panic_of_a_report_is_logged_and_ends_the_watch() {
    let _alone = alone();
    log_of(::log::Level::Error, || ()); // Sets the log.
    let (tell, told) = mpsc::channel();
    let logged = LoggedBefore(tell);
    let watch = watch_stalls(LIMIT, move |_| {
        let _captured = &logged;
        panic!("a report that fails on purpose");
    });
    let lines = windlass::run(move || told.recv_timeout(PATIENCE).expect("the closure is dropped"));
    let expected = "a stall watch ends, for its report panicked: a report that fails on purpose";
    assert_eq!(lines, [expected]);
    drop(watch);
}

/// Tells what its thread has logged until it is dropped.
struct LoggedBefore(mpsc::Sender<Vec<String>>);

impl Drop for LoggedBefore {
    fn drop(&mut self) {
        self.0.send(logged_on_this_thread()).unwrap();
    }
}

#[test]
fn a_limit_of_any_length_will_do() {
    let _alone = alone();
    drop(watch_stalls(Duration::MAX, |stall| panic!("{stall:?}")));
    let (_watch, reports) = Reports::watch(Duration::ZERO);
    let stuck = Stuck::until_reported("main", Phase::Main, reports.clone());
    let inner = stuck.next_line();
    windlass::run(move || inner.stall());
    reports.expect(&stuck, true);
}

// ----- Measured -----

/// The limit of the watch that is measured, and how long the planted callbacks block.
const MEASURED: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(50));

/// Every plant a hundred times beside two busy loops: is it named, how soon, and what else is?
///
/// Some minutes, and a figure of the machine: run by hand, with `--ignored --nocapture`.
#[test]
#[ignore = "takes minutes, and measures the machine"]
fn stalls_of_50_ms_are_named_within_twice_the_limit_of_20_ms() {
    let _alone = alone();
    let (limit, blocked) = MEASURED;
    let over = Arc::new(AtomicBool::new(false));
    let busy = [(); 2].map(|()| {
        let over = over.clone();
        thread::spawn(move || {
            let gaps = Rc::new(Cell::new(0));
            let inner = gaps.clone();
            let event_loop = Loop::builder().name("busy").build().unwrap();
            event_loop.run(move || until_set(over, inner, Instant::now()));
            gaps.get()
        })
    });
    let (mut delays, mut planted, mut busy_reported, mut other_reports) = (Vec::new(), 0, 0, 0);
    for round in 1..=100 {
        for &(kind, phase, program) in plants::all() {
            let (watch, reports) = Reports::watch(limit);
            let stuck = Stuck::for_time(kind, phase, reports.clone(), blocked);
            program(stuck.clone());
            planted += 1;
            if reports.wait(&stuck, true, blocked * 10).is_some() {
                delays.push(stuck.reported_after());
            }
            drop(watch);
            let (of_busy, others) = reports.others("busy");
            (busy_reported, other_reports) = (busy_reported + of_busy, other_reports + others);
        }
        delays.sort_unstable();
        let percentile = |percent: usize| delays[(delays.len() * percent).div_ceil(100) - 1];
        println!(
            "round {round}: named {} of {planted}; after p50 {:?}, p99 {:?}, max {:?}; within twice \
             the limit {}; other reports: of the busy loops {busy_reported}, else {other_reports}",
            delays.len(),
            percentile(50),
            percentile(99),
            percentile(100),
            delays.partition_point(|delay| *delay <= limit * 2),
        );
    }
    over.store(true, Ordering::Relaxed);
    let gaps: usize = busy.map(|thread| thread.join().unwrap()).iter().sum();
    println!("the busy loops lost their cores {gaps} times for the limit or longer");
    assert!(busy_reported <= gaps, "a false report");
    assert_eq!(delays.len(), planted);
    assert!(delays.iter().all(|delay| *delay <= limit * 2));
}

/// A minute each, and a figure of the machine: run by hand, with `--ignored --nocapture`.
#[test]
#[ignore = "takes two minutes, and measures the machine"]
fn nothing_false_is_reported_in_a_minute_of_idling_and_a_minute_of_load() {
    const MINUTE: Duration = Duration::from_secs(60);
    let _alone = alone();
    let (tell, told) = mpsc::channel();
    let watch = watch_stalls(MEASURED.0, move |stall| {
        tell.send(stall.clone()).unwrap_or_default();
    });
    windlass::run(|| windlass::set_timeout(MINUTE, || ()));
    let of_idling: Vec<_> = told.try_iter().collect();
    let (over, gaps) = (Arc::new(AtomicBool::new(false)), Rc::new(Cell::new(0)));
    let (end, inner) = (over.clone(), gaps.clone());
    windlass::run(move || {
        windlass::set_timeout(MINUTE, move || end.store(true, Ordering::Relaxed));
        until_set(over, inner, Instant::now());
    });
    drop(watch);
    let of_load = told.try_iter().filter(|stall| !stall.over).count();
    let gaps = gaps.get();
    println!("of idling {of_idling:?}; of load {of_load}, which lost its core {gaps} times");
    assert!(of_idling.is_empty() && of_load <= gaps);
}

/// Keeps a loop busy with short callbacks, and counts those that took long all the same: there are
/// more threads than cores.
fn until_set(over: Arc<AtomicBool>, gaps: Rc<Cell<usize>>, before: Instant) {
    let now = Instant::now();
    gaps.set(gaps.get() + usize::from(now - before >= MEASURED.0));
    if !over.load(Ordering::Relaxed) {
        windlass::set_immediate(move || until_set(over, gaps, now));
    }
}
