//! `Recorder::take`: each event once, or counted; a cut at one moment; from any thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use windlass::observe::{Detail, Event, Recorder, What, watch_stalls};
use windlass::worker::{Worker, WorkerPool};

/// Recorders see all loops of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program with a worker, whose messages go to and fro, jobs and timers.
fn play(rounds: u32) {
    windlass::run(move || {
        let worker = Worker::<u32, u32>::spawn(|port| {
            let answers = port.clone();
            port.on_message(move |number| {
                windlass::next_tick(|| ());
                if number == 0 {
                    return answers.close();
                }
                answers.post(number);
            });
        })
        .unwrap();
        let to = worker.clone();
        worker.on_message(move |number| {
            if number % 16 == 0 {
                windlass::queue_work(|| ()).on_complete(|_| ());
                windlass::set_timeout(Duration::from_micros(1), || ());
            }
            to.post(number - 1);
        });
        worker.post(rounds);
    });
}

/// What is the same for an event in two recordings, but for its time.
fn words(event: &Event) -> String {
    let Event { id, cause, iteration, panicked, took, .. } = event;
    match &event.what {
        // Two recorders do not begin at the same moment.
        What::Detail(Detail::Armed(timer)) => format!("{} {:?}", timer.number, timer.delay),
        what => format!("{what:?} {id} {cause} {iteration} {panicked} {took:?}"),
    }
}

/// The events of each track in the order in which they came, without its name.
fn by_track<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<u32, Vec<String>> {
    let mut tracks = BTreeMap::<u32, Vec<String>>::new();
    for event in events {
        if !matches!(event.what, What::Track { .. }) {
            tracks.entry(event.track).or_default().push(words(event));
        }
    }
    tracks
}

#[test]
fn what_is_taken_part_by_part_is_what_a_recorder_has_in_the_end() {
    let _alone = alone();
    let (whole, taken) = (Recorder::detailed(1 << 16), Arc::new(Recorder::detailed(1 << 16)));
    let (over, reader) = (Arc::new(AtomicBool::new(false)), taken.clone());
    let parts = thread::spawn({
        let over = over.clone();
        move || {
            let mut parts = Vec::new();
            while !over.load(Ordering::Acquire) {
                parts.push(reader.take());
            }
            parts
        }
    });
    play(2000);
    over.store(true, Ordering::Release);
    let mut parts = parts.join().unwrap();
    parts.push(Arc::into_inner(taken).unwrap().stop());
    let whole = whole.stop();
    assert_eq!(whole.dropped() + parts.iter().map(|part| part.dropped()).sum::<u64>(), 0);
    let mut expected = by_track(whole.events());
    let mut found = by_track(parts.iter().flat_map(|part| part.events()));
    // A callback comes when it is over, in whichever part that is.
    expected.values_mut().for_each(|events| events.sort());
    found.values_mut().for_each(|events| events.sort());
    assert!(expected.len() >= 3 && expected == found);
    // Each track is named once, before its first event.
    let mut named = HashMap::new();
    for event in parts.iter().flat_map(|part| part.events()) {
        match &event.what {
            What::Track { number, name } => assert!(named.insert(*number, name).is_none()),
            _ => assert!(named.contains_key(&event.track)),
        }
    }
}

#[test]
fn the_details_of_a_track_come_in_order_and_no_delivery_before_its_post() {
    let _alone = alone();
    let recorder = Arc::new(Recorder::detailed(1 << 16));
    let (over, reader) = (Arc::new(AtomicBool::new(false)), recorder.clone());
    let checked = thread::spawn({
        let over = over.clone();
        move || {
            let (mut sent, mut last) = (HashMap::<u64, u64>::new(), HashMap::new());
            let mut deliveries = 0;
            while !over.load(Ordering::Acquire) {
                for event in reader.take().events() {
                    let What::Detail(detail) = &event.what else { continue };
                    let last = last.insert(event.track, event.at);
                    assert!(last.is_none_or(|last| last <= event.at), "{event:?} after {last:?}");
                    match detail {
                        Detail::Posted { port, .. } => *sent.entry(*port).or_default() += 1,
                        Detail::Delivered { port, .. } => {
                            let waiting = sent.get_mut(port).expect("it was posted");
                            *waiting = waiting.checked_sub(1).expect("it was posted");
                            deliveries += 1;
                        }
                        _ => {}
                    }
                }
            }
            deliveries
        }
    });
    play(2000);
    over.store(true, Ordering::Release);
    assert!(checked.join().unwrap() > 0);
    drop(recorder);
}

#[test]
fn what_was_overwritten_between_two_calls_is_counted() {
    let _alone = alone();
    let (whole, taken) = (Recorder::with_capacity(1 << 16), Recorder::with_capacity(4));
    let count = |events: &[Event]| {
        events.iter().filter(|event| !matches!(event.what, What::Track { .. })).count() as u64
    };
    let (mut kept, mut dropped) = (0, 0);
    for _ in 0..5 {
        windlass::run(|| {
            (0..20).for_each(|_| {
                windlass::set_immediate(|| ());
            })
        });
        let part = taken.take();
        kept += count(part.events());
        dropped += part.dropped();
    }
    assert_eq!((kept, kept + dropped), (20, count(whole.stop().events())));
    assert!(taken.stop().events().is_empty());
}

#[test]
fn several_threads_may_take_and_each_event_goes_to_one_of_them() {
    let _alone = alone();
    let (whole, taken) = (Recorder::start(), Arc::new(Recorder::start()));
    let over = Arc::new(AtomicBool::new(false));
    let take = |taken: Arc<Recorder>, over: Arc<AtomicBool>| {
        thread::spawn(move || {
            let mut events = Vec::new();
            while !over.load(Ordering::Acquire) {
                events.extend(taken.take().events().iter().cloned());
            }
            events
        })
    };
    let threads = [take(taken.clone(), over.clone()), take(taken.clone(), over.clone())];
    play(500);
    over.store(true, Ordering::Release);
    let mut events: Vec<_> = threads.into_iter().flat_map(|it| it.join().unwrap()).collect();
    events.extend(taken.take().events().iter().cloned());
    let (mut found, mut expected) = (by_track(&events), by_track(whole.stop().events()));
    found.values_mut().for_each(|events| events.sort());
    expected.values_mut().for_each(|events| events.sort());
    assert!(found == expected);
}

#[test]
fn a_loop_that_is_left_out_and_its_workers_are_seen_by_nobody() {
    let _alone = alone();
    let (recorder, detailed) = (Recorder::start(), Recorder::detailed(1000));
    let names = Arc::new(Mutex::new(Vec::new()));
    let (said, (hear, heard), (end, over)) = (names.clone(), channel(), channel());
    let watch = watch_stalls(Duration::from_millis(1), move |stall| {
        said.lock().unwrap().push(stall.loop_name.clone());
        // Later ones, as of the end of the worker, nobody waits for.
        (if stall.over { &end } else { &hear }).send(()).unwrap_or_default();
    });
    let event_loop = windlass::Loop::builder().observed(false).build().unwrap();
    event_loop.run(move || {
        WorkerPool::new(1, || |(): ()| ()).unwrap().run(()).on_complete(|done| done.unwrap());
        let seen = Worker::<(), ()>::builder().name("seen").observed(true);
        // It stands still until the watch has seen it, and this loop until that has seen its end.
        seen.spawn(move |_| heard.recv().unwrap()).unwrap().on_exit(|code| assert_eq!(code, 0));
        over.recv().unwrap();
    });
    drop(watch);
    assert!(names.lock().unwrap().iter().all(|name| name == "seen"));
    for recording in [recorder.stop(), detailed.stop()] {
        let tracks = recording.events().iter().filter_map(|event| match &event.what {
            What::Track { name, .. } => Some(name.as_str()),
            _ => None,
        });
        // Those of the pool that all loops of the process share.
        let tracks = tracks.filter(|name| !name.starts_with("windlass-pool"));
        assert_eq!(tracks.collect::<Vec<_>>(), ["seen"]);
    }
}
