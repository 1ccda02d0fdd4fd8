//! `Loop::on_iteration`: where the time of each iteration went. And `Loop::delays`.

mod common;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::*;
use windlass::handle::{Check, Idle, Notifier, Prepare};
use windlass::net::TcpListener;
use windlass::observe::{Iteration, Phase, Recorder, Wake};
use windlass::time::advance;
use windlass::worker::Worker;
use windlass::{
    Loop, RunMode, next_tick, on_uncaught, queue_microtask, queue_work, set_immediate, set_timeout,
    spawn,
};

const PHASES: [Phase; 8] = [
    Phase::Main,
    Phase::Timers,
    Phase::Pending,
    Phase::Idle,
    Phase::Prepare,
    Phase::Poll,
    Phase::Check,
    Phase::Close,
];

/// The iterations of a loop from now on.
#[derive(Clone, Default)]
struct Accounts(Rc<RefCell<Vec<Iteration>>>);

impl Accounts {
    fn of(event_loop: &Loop) -> Accounts {
        let accounts = Accounts::default();
        event_loop.on_iteration(accounts.keep());
        accounts
    }

    fn keep(&self) -> impl FnMut(&Iteration) + 'static {
        let accounts = self.clone();
        move |iteration| accounts.0.borrow_mut().push(iteration.clone())
    }

    fn take(&self) -> Vec<Iteration> {
        self.0.take()
    }

    /// The one iteration that there was.
    #[track_caller]
    fn only(&self) -> Iteration {
        let mut all = self.take();
        assert_eq!(all.len(), 1);
        all.pop().unwrap()
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// The milliseconds in each phase in which there were some.
fn phases(iteration: &Iteration) -> Vec<(Phase, u64)> {
    let all = PHASES.map(|phase| (phase, iteration.phase(phase)));
    let some = all.into_iter().filter(|(_, time)| !time.is_zero());
    some.map(|(phase, time)| (phase, in_ms(time))).collect()
}

/// Whole milliseconds: in virtual time there is nothing else.
#[track_caller]
fn in_ms(time: Duration) -> u64 {
    let count = time.as_millis() as u64;
    assert_eq!(ms(count), time);
    count
}

/// Nothing is missing: within each iteration, and between them.
fn check_sums(iterations: &[Iteration], from: Instant) {
    let mut started = from;
    for iteration in iterations {
        let sum: Duration = PHASES.iter().map(|phase| iteration.phase(*phase)).sum();
        assert_eq!(iteration.wall(), sum + iteration.idle);
        assert_eq!(iteration.started, started);
        started += iteration.wall();
    }
}

/// A bit of everything.
fn busy_program() {
    next_tick(|| queue_microtask(|| ()));
    let check = Check::start(|| ());
    let prepare = Prepare::start(|| drop(spawn(async {})));
    queue_work(|| ()).on_complete(|_| {
        set_immediate(|| ());
    });
    set_timeout(ms(2), || spin(Duration::from_micros(50)));
    set_timeout(ms(4), move || {
        check.stop();
        prepare.stop();
    });
}

#[test]
fn wall_is_idle_and_all_phases_to_the_nanosecond_and_iterations_leave_no_gap() {
    for event_loop in [real_loop(), virtual_loop()] {
        let accounts = Accounts::of(&event_loop);
        event_loop.run(busy_program);
        event_loop.run(busy_program);
        let iterations = accounts.take();
        assert!(iterations.len() >= 2, "one at least for each run");
        check_sums(&iterations, iterations[0].started);
        let numbers: Vec<_> = iterations.iter().map(|iteration| iteration.number).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    }
}

#[test]
fn each_phase_has_the_time_of_its_callbacks_with_their_drains() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.run(|| {
        let idle = Slot::<Idle>::new();
        let (same, cancelled) = (idle.clone(), queue_work(|| ()));
        cancelled.cancel().unwrap();
        cancelled.on_complete(|_| advance(ms(4)));
        idle.put(Idle::start(move || {
            advance(ms(8));
            same.get().stop();
        }));
        let prepare = Slot::<Prepare>::new();
        let same = prepare.clone();
        prepare.put(Prepare::start(move || {
            advance(ms(16));
            same.get().stop();
        }));
        let (one, _other) = open_channel::<(), ()>();
        one.on_close(|| advance(ms(128)));
        queue_work(|| ()).on_complete(move |_| {
            advance(ms(32));
            one.close();
        });
        set_immediate(|| {
            advance(ms(60));
            next_tick(|| advance(ms(3)));
            queue_microtask(|| advance(ms(1)));
        });
        set_timeout(ms(1), || {
            advance(ms(200));
            queue_microtask(|| advance(ms(56)));
        });
        advance(ms(1));
        next_tick(|| advance(ms(1)));
    });
    let iterations = accounts.take();
    assert_eq!(
        phases(&iterations[0]),
        [
            (Phase::Main, 2),
            (Phase::Timers, 256),
            (Phase::Pending, 4),
            (Phase::Idle, 8),
            (Phase::Prepare, 16),
            (Phase::Poll, 32),
            (Phase::Check, 64),
            (Phase::Close, 128),
        ]
    );
    assert_eq!(iterations[0].wall(), ms(510));
    assert_eq!((iterations[0].idle, iterations[0].woken_by), (ms(0), Wake::None));
}

#[test]
fn the_wait_is_idle_and_belongs_to_no_phase() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    let begin = event_loop.now();
    event_loop.run(|| {
        set_timeout(HOUR, || advance(ms(3)));
    });
    let iteration = accounts.only();
    assert_eq!((iteration.idle, iteration.woken_by), (HOUR, Wake::Timer));
    assert_eq!(phases(&iteration), [(Phase::Timers, 3)]);
    check_sums(&[iteration], begin);
}

#[test]
fn the_first_iteration_of_a_turn_begins_with_the_turn() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.enter(|| {
        next_tick(|| advance(ms(1)));
        set_timeout(ms(1), || advance(ms(2)));
        // Between two turns.
        advance(ms(4));
    });
    event_loop.turn(RunMode::Default);
    let iteration = accounts.only();
    assert_eq!(phases(&iteration), [(Phase::Main, 5), (Phase::Timers, 2)]);
    assert_eq!((iteration.callbacks, iteration.ticks), (1, 1));
}

#[test]
fn a_turn_that_ends_before_its_first_iteration_hands_its_time_to_the_next_one() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.enter(|| {
        set_timeout(ms(1), || {
            advance(ms(8));
            Loop::current().stop();
        });
        set_immediate(|| advance(ms(16)));
        advance(ms(1));
    });
    event_loop.turn(RunMode::Default);
    assert_eq!(accounts.len(), 0);
    event_loop.enter(|| advance(ms(2)));
    // One with nothing but a tick, on a loop that is not told to go on.
    event_loop.enter(|| next_tick(|| advance(ms(4))));
    event_loop.stop();
    event_loop.turn(RunMode::Default);
    assert_eq!(accounts.len(), 0);
    event_loop.turn(RunMode::Default);
    let iteration = accounts.only();
    let expected = [(Phase::Main, 7), (Phase::Timers, 8), (Phase::Check, 16)];
    assert_eq!(phases(&iteration), expected);
    assert_eq!((iteration.callbacks, iteration.ticks), (2, 1));
}

#[test]
fn what_passes_between_two_turns_is_main_also_after_a_panic() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.enter(|| {
        set_immediate(|| {
            advance(ms(1));
            panic!("out of the turn");
        })
    });
    assert_eq!(panic_of(|| event_loop.turn(RunMode::NoWait)), "out of the turn");
    assert_eq!(accounts.len(), 0);
    event_loop.enter(|| {
        advance(ms(2));
        set_immediate(|| advance(ms(4)))
    });
    event_loop.turn(RunMode::NoWait);
    assert_eq!(phases(&accounts.only()), [(Phase::Main, 2), (Phase::Check, 5)]);
}

#[test]
fn the_iteration_in_which_it_is_set_is_reported_from_that_moment_on() {
    for recorder in [None, Some(Recorder::start())] {
        let event_loop = virtual_loop();
        let accounts = Accounts::default();
        let (keep, moment) = (accounts.keep(), Rc::new(Cell::new(None)));
        let told = moment.clone();
        event_loop.run(|| {
            set_immediate(move || {
                advance(ms(1));
                Loop::current().on_iteration(keep);
                told.set(Some(windlass::now()));
                advance(ms(2));
                next_tick(|| advance(ms(4)));
            });
            set_immediate(|| advance(ms(5)));
        });
        let iteration = accounts.only();
        assert_eq!(Some(iteration.started), moment.get());
        assert_eq!(phases(&iteration), [(Phase::Check, 11)]);
        assert_eq!((iteration.callbacks, iteration.ticks), (1, 1));
        assert_eq!(iteration.longest.unwrap().took, ms(5));
        drop(recorder);
    }
}

#[test]
fn one_that_takes_the_place_of_another_is_told_from_that_moment_on() {
    let event_loop = virtual_loop();
    let (before, after) = (Accounts::of(&event_loop), Accounts::default());
    let keep = after.keep();
    event_loop.run(|| {
        set_immediate(|| {
            advance(ms(1));
            Loop::current().on_iteration(keep);
            advance(ms(2));
        });
    });
    assert_eq!(before.len(), 0);
    assert_eq!(phases(&after.only()), [(Phase::Check, 2)]);
}

#[test]
fn it_may_replace_and_remove_itself() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let (say, captured) = (trace.clone(), says_dropped(&trace, "first dropped"));
    event_loop.on_iteration(move |_| {
        let (again, captured_too) = (say.clone(), says_dropped(&say, "second dropped"));
        Loop::current().on_iteration(move |_| {
            Loop::current().off_iteration();
            captured_too.touch();
            again.say("second");
        });
        captured.touch();
        say.say("first");
    });
    event_loop.enter(|| after_iterations(4, || ()));
    event_loop.turn(RunMode::NoWait);
    trace.expect(&["first", "first dropped"]);
    event_loop.turn(RunMode::NoWait);
    trace.expect(&["second", "second dropped"]);
    event_loop.run(|| ());
    trace.expect(&[]);
}

/// Says so when it is dropped.
fn says_dropped(trace: &Trace, label: &'static str) -> OnDrop<impl FnMut() + use<>> {
    let trace = trace.clone();
    OnDrop::new(move || trace.say(label))
}

#[test]
fn the_time_of_the_hook_is_main_of_the_next_iteration() {
    let event_loop = virtual_loop();
    let accounts = Accounts::default();
    let mut keep = accounts.keep();
    event_loop.on_iteration(move |iteration| {
        keep(iteration);
        advance(ms(1));
        next_tick(|| advance(ms(2)));
    });
    event_loop.run(|| {
        set_immediate(|| {
            advance(ms(4));
            set_immediate(|| advance(ms(8)));
        });
    });
    let all = accounts.take();
    assert_eq!(phases(&all[0]), [(Phase::Check, 4)]);
    // The tick comes after the first callback.
    assert_eq!(phases(&all[1]), [(Phase::Main, 1), (Phase::Check, 10)]);
    assert_eq!(all[1].ticks, 1);
    check_sums(&all, all[0].started);
}

#[test]
fn a_panic_of_it_goes_to_the_uncaught_hook_and_it_stays() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    let (say, line, calls) = (trace.clone(), line!() + 1, Counter::new());
    event_loop.on_iteration(move |iteration| {
        calls.add();
        say.say(format!("iteration {}", iteration.number));
        panic!("panic {}", calls.get());
    });
    let say = trace.clone();
    event_loop.run(|| {
        on_uncaught(move |uncaught| {
            let line = uncaught.registered_at().map(std::panic::Location::line);
            say.say(format!("{} of {line:?}", uncaught.message()));
        });
        after_iterations(2, || ());
    });
    let place = |number| format!("panic {number} of {:?}", Some(line));
    trace.expect(&["iteration 1", &place(1), "iteration 2", &place(2)]);
}

#[test]
fn without_an_uncaught_hook_its_panic_leaves_the_turn_and_it_stays() {
    let event_loop = virtual_loop();
    let calls = Counter::new();
    let inner = calls.clone();
    event_loop.on_iteration(move |_| panic!("call {}", inner.add()));
    event_loop.enter(|| after_iterations(2, || ()));
    assert_eq!(panic_of(|| event_loop.turn(RunMode::Default)), "call 1");
    assert_eq!(panic_of(|| event_loop.turn(RunMode::Default)), "call 2");
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(calls.get(), 2);
}

#[test]
fn close_in_it_is_refused() {
    let event_loop = virtual_loop();
    let kind = Rc::new(Cell::new(None));
    let told = kind.clone();
    event_loop.on_iteration(move |_| {
        told.set(Loop::current().close().err().map(|error| error.kind()));
    });
    event_loop.enter(|| set_immediate(|| ()));
    event_loop.turn(RunMode::Default);
    assert_eq!(kind.get(), Some(io::ErrorKind::ResourceBusy));
    event_loop.close().unwrap();
}

#[test]
fn stop_and_exit_in_it_act_at_once() {
    let event_loop = virtual_loop();
    event_loop.on_iteration(|iteration| match iteration.number {
        2 => Loop::current().stop(),
        4 => windlass::exit(7),
        _ => {}
    });
    let _idle = event_loop.enter(|| Idle::start(|| ()));
    assert!(event_loop.turn(RunMode::Default), "stopped, and alive");
    assert_eq!(event_loop.metrics().iterations, 2);
    assert!(!event_loop.turn(RunMode::Default), "ended by exit");
    assert_eq!(event_loop.exit_code(), 7);
    assert!(panic_of(|| event_loop.turn(RunMode::NoWait)).contains("closed"));
}

#[test]
fn callbacks_ticks_and_microtasks_are_counted_each_for_itself() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.run(|| {
        next_tick(|| next_tick(|| ()));
        queue_microtask(|| ());
        // Polled twice, the second time for an immediate.
        spawn(windlass::yield_now());
        set_immediate(|| queue_microtask(|| ()));
        set_immediate(|| ());
        let check = Slot::<Check>::new();
        let same = check.clone();
        check.put(Check::start(move || same.get().stop()));
        let notifier = Slot::<Notifier>::new();
        let same = notifier.clone();
        notifier.put(Notifier::new(move || same.get().close()));
        notifier.get().notify();
    });
    let all = accounts.take();
    let sum = |f: fn(&Iteration) -> u64| all.iter().map(f).sum::<u64>();
    assert_eq!(sum(|it| it.callbacks), 5, "three immediates, a check watcher and a notifier");
    assert_eq!(sum(|it| it.ticks), 2);
    assert_eq!(sum(|it| it.microtasks), 4, "two microtasks, two polls");
}

#[test]
fn the_longest_is_a_callback_with_its_drain_and_its_place() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    let line = Cell::new(0);
    event_loop.run(|| {
        set_immediate(|| advance(ms(5)));
        line.set(line!() + 1);
        set_immediate(|| {
            advance(ms(3));
            next_tick(|| queue_microtask(|| advance(ms(4))));
        });
        set_immediate(|| advance(ms(6)));
    });
    let longest = accounts.only().longest.unwrap();
    assert_eq!((longest.phase, longest.kind, longest.took), (Phase::Check, "immediate", ms(7)));
    assert_eq!(longest.location.unwrap().line(), line.get());
    assert!(longest.location.unwrap().file().ends_with("iterations.rs"));
}

#[test]
fn the_main_script_may_be_the_longest_and_no_callback_is_none() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.run(|| {
        set_immediate(|| ());
        next_tick(|| advance(ms(2)));
    });
    let longest = accounts.only().longest.unwrap();
    assert_eq!((longest.phase, longest.kind, longest.took), (Phase::Main, "main", ms(2)));
    let _guard = event_loop.keep_alive();
    event_loop.enter(|| next_tick(|| advance(ms(1))));
    event_loop.turn(RunMode::NoWait);
    assert!(accounts.only().longest.is_none(), "a tick is no macrotask");
}

#[test]
fn a_source_wakes() -> io::Result<()> {
    let event_loop = real_loop();
    let accounts = Accounts::of(&event_loop);
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0"))?;
    let inner = listener.clone();
    event_loop.enter(|| listener.on_connection(move |_| inner.close()));
    let address = listener.local_addr()?;
    let client = std::thread::spawn(move || std::net::TcpStream::connect(address).map(drop));
    event_loop.turn(RunMode::Default);
    client.join().unwrap()?;
    let all = accounts.take();
    assert_eq!(all[0].woken_by, Wake::Source);
    check_sums(&all, all[0].started);
    Ok(())
}

#[test]
fn posts_notifiers_completions_and_wakes_of_tasks_are_the_mailbox() {
    type Sender = fn(&Loop);
    let senders: [Sender; 4] = [
        |event_loop| {
            let (remote, guard) = (event_loop.remote(), event_loop.keep_alive());
            spawn(async move {
                queue_work(move || remote.post(|| ()).unwrap()).await.unwrap();
                drop(guard);
            });
        },
        |_| {
            let notifier = Slot::<Notifier>::new();
            let same = notifier.clone();
            notifier.put(Notifier::new(move || same.get().close()));
            let far = notifier.get().clone();
            std::thread::spawn(move || far.notify());
        },
        |_| queue_work(|| ()).on_complete(|_| ()),
        |event_loop| {
            let guard = event_loop.keep_alive();
            let mut woken = false;
            spawn(std::future::poll_fn(move |cx| {
                let (_, waker) = (&guard, cx.waker().clone());
                if std::mem::replace(&mut woken, true) {
                    return std::task::Poll::Ready(());
                }
                std::thread::spawn(move || waker.wake());
                std::task::Poll::Pending
            }));
        },
    ];
    for (number, sender) in senders.into_iter().enumerate() {
        let event_loop = real_loop();
        let accounts = Accounts::of(&event_loop);
        event_loop.enter(|| sender(&event_loop));
        event_loop.turn(RunMode::Default);
        let all = accounts.take();
        assert!(all.iter().all(|it| matches!(it.woken_by, Wake::Message | Wake::None)));
        assert_eq!(all[0].woken_by, Wake::Message, "sender {number}");
    }
}

#[test]
fn a_stop_from_another_thread_wakes() {
    let event_loop = real_loop();
    let accounts = Accounts::of(&event_loop);
    let (_guard, remote) = (event_loop.keep_alive(), event_loop.remote());
    // From within the wait's own iteration: the turn has begun.
    let (tell, told) = std::sync::mpsc::channel();
    let stopper = std::thread::spawn(move || {
        told.recv().unwrap();
        remote.stop();
    });
    let prepare = event_loop.enter(|| {
        Prepare::start(move || {
            tell.send(()).unwrap();
        })
    });
    event_loop.turn(RunMode::Default);
    stopper.join().unwrap();
    prepare.stop();
    let iteration = accounts.only();
    // None if it was there before the timeout was asked for.
    assert!(matches!(iteration.woken_by, Wake::Stop | Wake::None));
}

#[test]
fn a_stop_comes_before_a_message() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.run(|| {
        let remote = Loop::current().remote();
        let worker = Worker::<(), ()>::spawn(move |port| {
            set_timeout(ms(5), move || {
                remote.stop();
                port.post(());
                drop(remote);
            });
        })
        .unwrap();
        worker.on_message(|()| ());
    });
    let all = accounts.take();
    let last = all.last().unwrap();
    assert_eq!(last.woken_by, Wake::Stop);
}

#[test]
fn a_source_comes_before_a_message() -> io::Result<()> {
    let event_loop = real_loop();
    let accounts = Accounts::of(&event_loop);
    let listener = event_loop.enter(|| TcpListener::bind("127.0.0.1:0"))?;
    let (inner, address) = (listener.clone(), listener.local_addr()?);
    event_loop.enter(|| listener.on_connection(move |_| inner.close()));
    let (remote, prepare) = (event_loop.remote(), Slot::<Prepare>::new());
    let same = prepare.clone();
    prepare.put(event_loop.enter(|| {
        Prepare::start(move || {
            same.get().stop();
            // Both are there before the poll looks.
            drop(std::net::TcpStream::connect(address).unwrap());
            remote.post(|| ()).unwrap();
        })
    }));
    event_loop.turn(RunMode::Default);
    assert_eq!(accounts.take()[0].woken_by, Wake::Source);
    Ok(())
}

#[test]
fn a_message_comes_before_a_timer() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.run(|| {
        let worker = Worker::<(), ()>::spawn(|port| {
            set_timeout(ms(5), move || port.post(()));
        })
        .unwrap();
        worker.on_message(|()| {
            set_timeout(ms(5), || ());
        });
    });
    let all = accounts.take();
    let wakes: Vec<_> = all.iter().map(|iteration| iteration.woken_by).collect();
    assert!(wakes.contains(&Wake::Message) && wakes.contains(&Wake::Timer));
    assert!(!wakes.contains(&Wake::Source));
}

#[test]
fn an_iteration_that_must_not_wait_has_no_wake() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    let _guard = event_loop.keep_alive();
    event_loop.turn(RunMode::NoWait);
    event_loop.enter(|| set_immediate(|| ()));
    event_loop.turn(RunMode::Once);
    let all = accounts.take();
    assert!(all.iter().all(|it| it.woken_by == Wake::None && it.idle.is_zero()));
    assert_eq!(all.len(), 2);
}

#[test]
fn a_worker_has_it_too_and_its_main_script_is_of_the_main_phase() {
    let accounts = Accounts::default();
    let mut keep = accounts.keep();
    virtual_loop().run(|| {
        let worker = Worker::<(), Iteration>::spawn(|port| {
            Loop::current().on_iteration(move |iteration| port.post(iteration.clone()));
            advance(ms(1));
            next_tick(|| advance(ms(2)));
            set_immediate(|| advance(ms(4)));
            set_timeout(HOUR, || advance(ms(8)));
        })
        .unwrap();
        worker.on_message(move |iteration| keep(&iteration));
    });
    let all = accounts.take();
    assert_eq!(all.len(), 2);
    assert_eq!(phases(&all[0]), [(Phase::Main, 3), (Phase::Check, 4)]);
    assert_eq!(phases(&all[1]), [(Phase::Timers, 8)]);
    assert_eq!((all[1].idle, all[1].woken_by), (HOUR - ms(6), Wake::Timer));
    check_sums(&all, all[0].started);
}

// ----- Delays -----

/// Busy for these milliseconds, one iteration each, with a wait before each.
fn busy_for(times: impl IntoIterator<Item = u64>) {
    for (number, time) in times.into_iter().enumerate() {
        set_timeout(HOUR * (number as u32 + 1), move || advance(ms(time)));
    }
}

#[test]
fn delays_of_a_loop_without_iterations_are_zero() {
    let event_loop = virtual_loop();
    event_loop.run(|| advance(ms(1)));
    let delays = event_loop.delays();
    let zero = Duration::ZERO;
    assert_eq!((delays.count(), delays.min(), delays.max()), (0, zero, zero));
    assert_eq!((delays.mean(), delays.percentile(50.0)), (zero, zero));
    assert_eq!((delays.percentile(0.0), delays.percentile(100.0)), (zero, zero));
}

#[test]
fn delays_have_the_busy_time_of_each_iteration_without_its_wait() {
    let event_loop = virtual_loop();
    event_loop.run(|| busy_for(1..=1000));
    let delays = event_loop.delays();
    assert_eq!((delays.count(), delays.min(), delays.max()), (1000, ms(1), ms(1000)));
    assert_eq!(delays.mean(), Duration::from_micros(500_500));
    for percent in 1..100 {
        let (exact, told) = (ms(10 * percent), delays.percentile(percent as f64));
        assert!(told.abs_diff(exact) <= exact * 3 / 100, "{percent} %: {told:?}");
    }
    assert_eq!((delays.percentile(0.0), delays.percentile(100.0)), (ms(1), ms(1000)));
}

#[test]
fn delays_count_as_many_iterations_as_there_were() {
    for event_loop in [real_loop(), virtual_loop()] {
        event_loop.run(busy_program);
        event_loop.run(busy_program);
        let _idle = event_loop.enter(|| Idle::start(|| ()));
        for _ in 0..10 {
            event_loop.turn(RunMode::NoWait);
        }
        assert_eq!(event_loop.delays().count(), event_loop.metrics().iterations);
    }
}

#[test]
fn the_first_iteration_has_the_main_script_and_what_passes_between_turns_is_no_delay() {
    let event_loop = virtual_loop();
    event_loop.run(|| {
        advance(ms(1));
        set_immediate(|| advance(ms(2)));
    });
    event_loop.enter(|| advance(HOUR));
    event_loop.run(|| {
        set_immediate(|| advance(ms(4)));
    });
    let delays = event_loop.delays();
    assert_eq!((delays.count(), delays.min(), delays.max()), (2, ms(3), ms(4)));
}

#[test]
fn a_block_of_the_last_iteration_is_a_delay_in_real_time_too() {
    let event_loop = real_loop();
    event_loop.run(|| {
        set_immediate(|| spin(ms(5)));
    });
    let delays = event_loop.delays();
    assert_eq!(delays.count(), 1);
    assert!(delays.min() >= ms(5) && delays.min() == delays.max());
}

#[test]
fn a_reset_forgets_and_the_iteration_under_way_counts_from_then_on() {
    let event_loop = virtual_loop();
    event_loop.run(|| {
        busy_for([5, 50]);
        set_timeout(3 * HOUR, || {
            advance(ms(10));
            Loop::current().reset_delays();
            assert_eq!(Loop::current().delays().count(), 0);
            advance(ms(20));
        });
    });
    let delays = event_loop.delays();
    assert_eq!((delays.count(), delays.min(), delays.max()), (1, ms(20), ms(20)));
}

#[test]
fn delays_are_counted_with_a_hook_as_without() {
    let event_loop = virtual_loop();
    let accounts = Accounts::of(&event_loop);
    event_loop.run(|| busy_for([5, 50, 7]));
    let busy = accounts.take().iter().map(|it| it.wall() - it.idle).max();
    assert_eq!(Some(event_loop.delays().max()), busy);
}
