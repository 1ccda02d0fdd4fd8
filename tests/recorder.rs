//! `observe::Recorder`: what ran, in which order, and what caused it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic;
use std::rc::Rc;
use std::time::Duration;

use windlass::observe::{Event, Phase, Recorder, Recording, What};
use windlass::worker::Worker;

/// Recorders see all loops of the process: one test at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The kind of a callback or job.
fn kind(event: &Event) -> &'static str {
    match &event.what {
        What::Callback(callback) => callback.kind,
        What::Job { kind, .. } => kind,
        _ => "",
    }
}

/// Callbacks and jobs.
fn calls(recording: &Recording) -> Vec<&Event> {
    recording.events().iter().filter(|event| !kind(event).is_empty()).collect()
}

/// For each callback its kind and the kind of its cause, in order.
fn causes(recording: &Recording) -> Vec<(&'static str, &'static str)> {
    let kinds: HashMap<u64, _> =
        calls(recording).iter().map(|event| (event.id, kind(event))).collect();
    let cause = |event: &&Event| (kind(event), kinds.get(&event.cause).copied().unwrap_or("-"));
    calls(recording).iter().map(cause).collect()
}

fn record(main: impl FnOnce()) -> Recording {
    let recorder = Recorder::start();
    windlass::run(main);
    recorder.stop()
}

#[test]
fn each_callback_knows_in_which_it_was_scheduled() {
    let _alone = alone();
    let recording = record(|| {
        windlass::set_immediate(|| {
            windlass::next_tick(|| windlass::queue_microtask(|| ()));
            windlass::set_timeout(Duration::from_millis(1), || drop(windlass::spawn(async {})));
        });
    });
    assert_eq!(
        causes(&recording),
        [
            ("main", "-"),
            ("immediate", "main"),
            ("tick", "immediate"),
            ("microtask", "tick"),
            ("timer", "immediate"),
            ("task", "timer"),
        ]
    );
    assert_eq!(recording.dropped(), 0);
}

#[test]
fn a_completion_comes_from_its_job_and_the_job_from_who_asked() {
    let _alone = alone();
    let recording = record(|| {
        windlass::set_immediate(|| windlass::queue_work(|| 1).on_complete(|_| ()));
        windlass::spawn(async { windlass::queue_work(|| 2).await.map(drop).unwrap() });
    });
    let mut causes = causes(&recording);
    causes.sort_unstable();
    assert_eq!(
        causes,
        [
            ("immediate", "main"),
            ("main", "-"),
            ("pool job", "immediate"),
            ("pool job", "pool job"),
            ("pool job", "task"),
            ("task", "main"),
            ("task", "pool job"),
        ]
    );
}

#[test]
fn what_was_sent_comes_from_who_sent_it_also_across_threads() {
    let _alone = alone();
    let recording = record(|| {
        let worker = Worker::<u32, u32>::spawn(|port| {
            let answers = port.clone();
            port.on_message(move |number| {
                answers.post(number + 1);
                if number == 1 {
                    answers.close();
                }
            });
        })
        .unwrap();
        let to = worker.clone();
        worker.on_message(move |number| {
            if number == 1 {
                to.post(1);
            }
        });
        worker.post(0);
        let remote = windlass::Loop::current().remote();
        windlass::queue_work(move || remote.post(|| ()).unwrap()).on_complete(|_| ());
    });
    let causes = causes(&recording);
    let of = |kind| causes.iter().filter(move |(it, _)| *it == kind).map(|(_, cause)| *cause);
    assert_eq!(of("message port").collect::<Vec<_>>(), ["main", "worker"]);
    assert_eq!(of("worker").collect::<Vec<_>>(), ["message port", "message port"]);
    assert_eq!(of("post").collect::<Vec<_>>(), ["pool job"]);
    assert_eq!(of("main").collect::<Vec<_>>(), ["-", "main"]);
    let tracks = recording.events().iter().filter_map(|event| match &event.what {
        What::Track { number, name } => Some((*number, name.clone())),
        _ => None,
    });
    assert!(tracks.count() >= 3);
}

#[test]
fn a_later_asker_of_a_wake_is_linked() {
    let _alone = alone();
    let recording = record(|| {
        let waker = Rc::new(RefCell::new(None::<std::task::Waker>));
        let (place, polls) = (waker.clone(), Cell::new(0));
        windlass::spawn(std::future::poll_fn(move |cx| {
            place.replace(Some(cx.waker().clone()));
            polls.set(polls.get() + 1);
            if polls.get() == 2 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }));
        let other = waker.clone();
        windlass::set_immediate(move || {
            windlass::next_tick(move || waker.borrow().as_ref().unwrap().wake_by_ref());
            windlass::next_tick(move || other.borrow().as_ref().unwrap().wake_by_ref());
        });
    });
    let ticks: Vec<_> =
        calls(&recording).iter().filter(|e| kind(e) == "tick").map(|e| e.id).collect();
    let poll = calls(&recording).into_iter().rfind(|e| kind(e) == "task").unwrap().clone();
    assert_eq!(poll.cause, ticks[0]);
    let links: Vec<_> = recording
        .events()
        .iter()
        .filter_map(|event| match event.what {
            What::Link { to } => Some((event.cause, to)),
            _ => None,
        })
        .collect();
    assert_eq!(links, [(ticks[1], poll.id)]);
}

#[test]
fn places_are_where_the_callback_was_registered() {
    let _alone = alone();
    let line = Cell::new(0);
    let recording = record(|| {
        let notifier = windlass::handle::Notifier::new(|| ());
        line.set(line!() + 1);
        windlass::next_tick(move || notifier.notify());
    });
    let tick = calls(&recording).into_iter().find(|event| kind(event) == "tick").unwrap();
    let What::Callback(callback) = &tick.what else { panic!("a tick is a callback") };
    assert_eq!(callback.location.unwrap().line(), line.get());
    assert_eq!(callback.phase, Phase::Main);
}

#[test]
fn a_task_that_receives_is_woken_by_who_sent() {
    let _alone = alone();
    let recording = record(|| {
        let worker = Worker::<(), u32>::spawn(|port| {
            let answers = port.clone();
            port.on_message(move |()| {
                answers.post(1);
                answers.close();
            });
        })
        .unwrap();
        let to = worker.clone();
        windlass::spawn(async move { assert_eq!(worker.recv().await, Some(1)) });
        // Not before the task waits.
        let online = to.clone();
        online.on_online(move || to.post(()));
    });
    let calls = calls(&recording);
    let sender = calls.iter().find(|event| kind(event) == "message port").unwrap();
    let last = calls.iter().rfind(|event| kind(event) == "task").unwrap();
    assert_eq!(last.cause, sender.id);
}

#[test]
fn what_is_kept_and_what_was_dropped_is_all_that_there_was() {
    let _alone = alone();
    let tick_after_tick = || {
        fn next(left: u32) {
            if left > 0 {
                windlass::next_tick(move || next(left - 1));
            }
        }
        windlass::run(|| next(99));
    };
    let count = |recording: &Recording| {
        let events = recording.events().iter();
        events.filter(|event| !matches!(event.what, What::Track { .. })).count() as u64
    };
    let all = Recorder::start();
    for capacity in [0, 1, 7, 99, 100, 1000] {
        let recorder = Recorder::with_capacity(capacity);
        tick_after_tick();
        let recording = recorder.stop();
        let kept = count(&recording);
        assert_eq!(kept + recording.dropped(), 100);
        assert_eq!(kept, capacity.min(100) as u64);
        // The newest are kept.
        if let Some(first) = calls(&recording).first().filter(|_| capacity < 100) {
            assert_eq!((kind(first), calls(&recording).len()), ("tick", capacity));
        }
        assert!(recording.events().iter().any(|event| matches!(event.what, What::Track { .. })));
    }
    let recording = all.stop();
    assert_eq!((count(&recording), recording.dropped()), (600, 0));
}

#[test]
fn a_recorder_refuses_more_events_than_there_is_room_for_when_it_is_made() {
    let begins: [fn(usize) -> Recorder; 2] = [Recorder::with_capacity, Recorder::detailed];
    for begin in begins {
        for capacity in [usize::MAX, (1 << 26) + 1] {
            let payload = panic::catch_unwind(|| begin(capacity)).expect_err("it is refused");
            let text = payload.downcast_ref::<String>().expect("a text");
            assert_eq!(
                *text,
                format!("windlass: a recorder keeps 67108864 events, not {capacity}")
            );
        }
    }
}

#[test]
fn two_recorders_see_the_same() {
    let _alone = alone();
    let (one, other) = (Recorder::start(), Recorder::start());
    windlass::run(|| windlass::set_immediate(|| windlass::next_tick(|| ())));
    let ids = |recording: Recording| {
        calls(&recording).iter().map(|it| (it.id, it.cause, it.track)).collect::<Vec<_>>()
    };
    let first = ids(one.stop());
    windlass::run(|| ());
    let second = ids(other.stop());
    assert_eq!(first.len(), 3);
    assert_eq!(second[..3], first[..]);
    assert_eq!(second.len(), 4, "the one goes on when the other has stopped");
}

#[test]
fn a_recorder_stops_on_any_thread_and_has_what_was_over_by_then() {
    let _alone = alone();
    let recorder = Recorder::start();
    let ids = windlass::run(move || {
        windlass::next_tick(|| windlass::next_tick(|| ()));
        // A third callback, within which the recording stops.
        let kinds = Rc::new(RefCell::new(Vec::new()));
        let place = kinds.clone();
        windlass::set_immediate(move || {
            let recording = std::thread::spawn(move || recorder.stop()).join().unwrap();
            place.replace(calls(&recording).into_iter().map(kind).collect());
        });
        kinds
    });
    assert_eq!(*ids.borrow(), ["main", "tick", "tick"]);
}

#[test]
fn in_virtual_time_moments_and_lengths_are_virtual() {
    let _alone = alone();
    let recorder = Recorder::start();
    let event_loop = windlass::Loop::builder().virtual_time(true).build().unwrap();
    event_loop.run(|| {
        windlass::set_timeout(Duration::from_secs(60), || {
            windlass::time::advance(Duration::from_millis(7));
            windlass::queue_work(|| ()).on_complete(|_| ());
        });
    });
    let recording = recorder.stop();
    let moments: Vec<_> = calls(&recording)
        .iter()
        .map(|it| (kind(it), it.at.as_millis(), it.took.as_millis()))
        .collect();
    assert_eq!(
        moments,
        [("main", 0, 0), ("timer", 60_000, 7), ("pool job", 60_007, 0), ("pool job", 60_007, 0)]
    );
    let waits = recording.events().iter().filter(|it| matches!(it.what, What::Wait { .. }));
    assert!(waits.map(|it| it.took).any(|took| took == Duration::from_secs(60)));
}

#[test]
fn a_callback_that_panics_is_recorded_and_says_so() {
    let _alone = alone();
    let recording = record(|| {
        windlass::on_uncaught(|_| ());
        windlass::set_immediate(|| {
            windlass::next_tick(|| ());
            panic!("on purpose");
        });
    });
    let seen: Vec<_> = calls(&recording).iter().map(|it| (kind(it), it.panicked)).collect();
    assert_eq!(
        seen,
        [("main", false), ("immediate", true), ("uncaught hook", false), ("tick", false)]
    );
}

#[test]
fn no_two_tracks_have_one_number() {
    let _alone = alone();
    let recorder = Recorder::start();
    for _ in 0..5 {
        windlass::run(|| {
            let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
            worker.on_exit(|code| assert_eq!(code, 0));
        });
    }
    let recording = recorder.stop();
    let numbers = recording.events().iter().filter_map(|event| match event.what {
        What::Track { number, .. } => Some(number),
        _ => None,
    });
    let mut numbers: Vec<_> = numbers.collect();
    assert!(numbers.len() >= 10);
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count);
}

#[test]
fn a_broadcast_comes_from_who_posted_it() {
    let _alone = alone();
    let recording = record(|| {
        let name = "a broadcast of tests/recorder.rs";
        let (from, to) = (
            windlass::worker::BroadcastChannel::<u8>::new(name),
            Rc::new(windlass::worker::BroadcastChannel::<u8>::new(name)),
        );
        let end = to.clone();
        to.on_message(move |_| end.close());
        windlass::set_immediate(move || {
            from.post(1);
            from.close();
        });
    });
    let causes = causes(&recording);
    assert!(causes.contains(&("broadcast channel", "immediate")), "{causes:?}");
}

#[test]
fn requests_come_from_who_asked() {
    let _alone = alone();
    let recording = record(|| {
        let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = listener.clone();
        listener.on_connection(move |stream| {
            stream.unwrap().read_start(|stream, bytes| {
                if bytes.is_err() || bytes.is_ok_and(<[u8]>::is_empty) {
                    stream.close();
                }
            });
            server.close();
        });
        windlass::set_immediate(move || {
            windlass::net::TcpStream::connect(addr).on_complete(|stream| {
                let stream = stream.unwrap();
                let other = stream.clone();
                windlass::next_tick(move || {
                    stream.write(b"x").on_complete(move |_| other.close());
                });
            });
        });
        windlass::set_timeout(Duration::from_millis(1), || {
            windlass::fs::metadata("Cargo.toml").on_complete(|it| assert!(it.unwrap().is_file()));
        });
    });
    let causes = causes(&recording);
    for expected in [
        ("TCP stream", "immediate"),      // Connected.
        ("TCP stream", "tick"),           // Written.
        ("TCP listener", "main"),         // Accepted: where it was registered.
        ("TCP stream", "TCP listener"),   // Read.
        ("file request", "timer"),        // The job.
        ("file request", "file request"), // Its completion.
    ] {
        assert!(causes.contains(&expected), "{expected:?} in {causes:?}");
    }
}

#[test]
fn a_stream_that_has_moved_calls_back_for_who_registered_there() {
    let _alone = alone();
    let recording = record(|| {
        type End = windlass::net::DetachedTcpStream;
        let worker = Worker::<End, ()>::spawn(|port| {
            let own = port.clone();
            port.on_message(move |end| {
                end.open().unwrap().read_start(|stream, bytes| {
                    if bytes.is_ok_and(<[u8]>::is_empty) {
                        stream.close();
                    }
                });
                own.close();
            });
        })
        .unwrap();
        let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
        drop(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let server = listener.clone();
        listener.on_connection(move |stream| {
            worker.post(stream.unwrap().detach().unwrap());
            server.close();
        });
    });
    let causes = causes(&recording);
    assert!(causes.contains(&("message port", "TCP listener")), "{causes:?}");
    assert!(causes.contains(&("TCP stream", "message port")), "{causes:?}");
}

/// How a request is taken.
#[derive(Clone, Copy, Debug)]
enum By {
    Callback,
    Task,
}

/// Queues a tick in the callback or the poll of a task that gets the result.
fn take<T: 'static>(request: windlass::Request<T>, by: By) {
    match by {
        By::Callback => request.on_complete(|_| windlass::next_tick(|| ())),
        By::Task => drop(windlass::spawn(async move {
            request.await;
            windlass::next_tick(|| ());
        })),
    }
}

/// Of each kind of job one operation that is a single job, and one that waits behind another or
/// takes several.
const OPERATIONS: &[(&str, fn(By))] = &[
    ("queue_work", |by| take(windlass::queue_work(|| ()), by)),
    ("work", |by| take(windlass::work(|_| ()).submit(), by)),
    ("fs: metadata", |by| take(windlass::fs::metadata("Cargo.toml"), by)),
    ("fs: open", |by| take(windlass::fs::File::open("Cargo.toml"), by)),
    ("fs: read", |by| take(windlass::fs::read("Cargo.toml"), by)),
    ("fs: read, in several jobs", |by| take(windlass::fs::read(large_file()), by)),
    ("fs: an operation of a file behind another", |by| {
        let file = windlass::fs::File::from_std(std::fs::File::open("Cargo.toml").unwrap());
        drop(file.read(10));
        take(file.read(10), by);
    }),
    ("fs: entries behind others", |by| {
        windlass::fs::read_dir(large_folder()).on_complete(move |folder| {
            windlass::set_immediate(move || {
                let folder = folder.unwrap();
                drop((folder.next_batch(), folder.next_batch()));
                take(folder.next_batch(), by);
            });
        });
    }),
    ("dns: lookup", |by| take(windlass::dns::lookup("localhost"), by)),
    ("dns: lookup that joins another", |by| {
        drop(windlass::dns::lookup("localhost"));
        take(windlass::dns::lookup("localhost"), by);
    }),
    ("dns: lookup_port", |by| take(windlass::dns::lookup_port("http", TCP), by)),
    #[cfg(feature = "crypto")]
    ("crypto: pbkdf2", |by| {
        let digest = windlass::crypto::Digest::Sha1;
        take(windlass::crypto::pbkdf2(b"password", b"salt", 1, 20, digest), by);
    }),
    #[cfg(feature = "crypto")]
    ("crypto: random_bytes, in several jobs", |by| {
        take(windlass::crypto::random_bytes(9 << 20), by);
    }),
];

const TCP: windlass::dns::Protocol = windlass::dns::Protocol::Tcp;

/// A file that is read in two jobs.
fn large_file() -> std::path::PathBuf {
    let path = folder().join("large file");
    std::fs::write(&path, vec![0; 9 << 20]).unwrap();
    path
}

/// A folder whose entries come in four batches.
fn large_folder() -> std::path::PathBuf {
    let folder = folder().join("large folder");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..900 {
        std::fs::write(folder.join(number.to_string()), "").unwrap();
    }
    folder
}

/// A folder for this program's files.
fn folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("windlass-recorder-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_completion_comes_from_its_last_job_and_the_first_from_who_asked_for_each_kind_of_job() {
    let _alone = alone();
    for &(name, operation) in OPERATIONS {
        for by in [By::Callback, By::Task] {
            let asks = move || operation(by);
            let recording = record(move || _ = windlass::set_immediate(asks));
            let events: HashMap<u64, &Event> =
                calls(&recording).into_iter().map(|event| (event.id, event)).collect();
            let cause = |event: &Event| {
                events.get(&event.cause).unwrap_or_else(|| panic!("{name}: no cause: {event:?}"))
            };
            let is_job = |event: &Event| matches!(event.what, What::Job { .. });
            let tick = calls(&recording).into_iter().find(|event| kind(event) == "tick").unwrap();
            let completion = cause(tick);
            let mut job = *cause(completion);
            assert!(is_job(job), "{name}, {by:?}: {completion:?} comes from {job:?}");
            while is_job(cause(job)) {
                assert!(name.contains("several"), "{name}, {by:?}: {job:?} goes on with another");
                job = cause(job);
            }
            let asked = kind(cause(job));
            let expected = if let By::Task = by { ["immediate", "task"] } else { ["immediate"; 2] };
            assert!(expected.contains(&asked), "{name}, {by:?}: {job:?} comes from {asked}");
        }
    }
    std::fs::remove_dir_all(folder()).unwrap();
}

#[test]
fn no_callback_is_recorded_that_a_line_of_this_crate_registered() {
    let _alone = alone();
    let recording = record(|| {
        for (_, operation) in OPERATIONS {
            operation(By::Callback);
        }
        let double = |number: u32| 2 * number;
        let pool = windlass::worker::WorkerPool::new(1, move || double).unwrap();
        pool.run(1).on_complete(move |two| assert_eq!(two, Ok(2)));
        let child = windlass::process::Command::new("echo").output();
        child.on_complete(|output| assert_eq!(output.unwrap().stdout, b"\n"));
        drop(Worker::<(), ()>::spawn_async(|_| async {}));
        windlass::fs::stream::ReadStream::open("Cargo.toml")
            .pipe(windlass::fs::stream::WriteStream::create(folder().join("copy")))
            .on_complete(|copied| assert!(copied.is_ok()));
        drop(windlass::spawn(windlass::yield_now()));
        let busy = Worker::<(), ()>::spawn(|_| ()).unwrap();
        busy.on_unresponsive(Duration::from_millis(4), |_| ());
        #[cfg(feature = "hyper")]
        hyper::rt::Executor::execute(&windlass::hyper::Executor, async {});
    });
    for event in calls(&recording) {
        let What::Callback(callback) = &event.what else { continue };
        let Some(place) = callback.location else { continue };
        assert_eq!(place.file(), file!(), "{callback:?}");
    }
    std::fs::remove_dir_all(folder()).unwrap();
}
