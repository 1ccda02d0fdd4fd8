//! Races of threads, walked through in simulations: each of ten thousand seeds is one way in which they can meet. The
//! tests of `worker_races` run the same on real threads, in as many ways as the machine happens to show.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use windlass::handle::Notifier;
use windlass::sim::{self, Faults, Sim};
use windlass::worker::{
    BroadcastChannel, Call, PortEnd, Worker, WorkerError, WorkerPool, channel, channel_bounded,
};
use windlass::{CancelError, Loop, WorkError, WorkKind, exit, queue_work, set_timeout, time};

const SEEDS: u64 = 10_000;

/// The longest that a message is on its way, and that a job takes.
const SHORT: Duration = Duration::from_micros(20);

/// Runs a race with each seed. Each of the outcomes named must be seen, and no other: the first seed that shows another
/// one ends it.
fn race(expected: &[&str], program: impl AsyncFn() -> String + Copy + 'static) {
    race_in(Faults::default(), expected, program);
}

/// The same with faults besides.
fn race_in(faults: Faults, expected: &[&str], program: impl AsyncFn() -> String + Copy + 'static) {
    race_of(SEEDS, faults, expected, program);
}

/// The same with so many seeds.
fn race_of(
    seeds: u64,
    faults: Faults,
    expected: &[&str],
    program: impl AsyncFn() -> String + Copy + 'static,
) {
    let mut seen = BTreeMap::new();
    let short = Duration::ZERO..=SHORT;
    let faults = faults.message_time(short.clone()).job_time(short);
    for seed in 0..seeds {
        let sim = Sim::new(seed).faults(faults.clone()).limit(Duration::from_secs(60));
        let outcome = sim.block_on(async move { program().await }).value;
        assert!(expected.contains(&outcome.as_str()), "seed {seed}: {outcome}");
        seen.entry(outcome).or_insert(seed);
    }
    let outcomes: Vec<_> = seen.keys().map(String::as_str).collect();
    assert_eq!(outcomes, expected, "with the first seed of each: {seen:?}");
}

#[test]
fn terminate_against_post_ends_every_time_and_leaves_no_message() {
    race(&["0", "1", "2", "3"], async || {
        let alive = Arc::new(());
        let worker = Worker::<Arc<()>, Arc<()>>::spawn(|port| {
            let replies = port.clone();
            port.on_message(move |message| replies.post(message));
        })
        .unwrap();
        (0..3).for_each(|_| worker.post(alive.clone()));
        time::sleep(Duration::from_millis(1)).await;
        (0..3).for_each(|_| worker.post(alive.clone()));
        queue_work(|| ()).await.unwrap();
        drop(worker.terminate());
        assert_eq!(worker.join().await, Err(WorkerError::Terminated));
        worker.post(alive.clone());
        let mut answered = 0;
        while worker.recv().await.is_some() {
            answered += 1;
        }
        assert_eq!(Arc::strong_count(&alive), 1, "none is left behind");
        (answered - 3).to_string()
    });
}

#[test]
fn exit_against_message_loses_nothing_that_was_posted_before_the_end() {
    race(&["answered", "refused"], async || {
        let worker = Worker::<u32, u32>::spawn(|port| {
            let out = port.clone();
            port.on_message(move |number| out.post(number));
            queue_work(|| ()).on_complete(|_| exit(7));
        })
        .unwrap();
        worker.post(1);
        assert_eq!(worker.join().await, Ok(7));
        let told = worker.recv().await;
        assert!(matches!(told, None | Some(1)));
        assert_eq!(worker.recv().await, None);
        if told.is_some() { "answered" } else { "refused" }.to_owned()
    });
}

#[test]
fn exit_against_a_busy_parent_comes_behind_every_message_and_says_its_code() {
    let faults = Faults::default().callback_time(Duration::ZERO..=Duration::from_millis(3));
    race_in(faults, &["[1, 2] 7", "[1] 7"], async || {
        let worker = Worker::<(), u32>::spawn(|port| {
            port.post(1);
            queue_work(|| ()).on_complete(|_| exit(7));
            queue_work(|| ()).on_complete(move |_| port.post(2));
        })
        .unwrap();
        let (heard, told) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(None)));
        let own = heard.clone();
        worker.on_message(move |number| own.borrow_mut().push(number));
        let (own, end) = (heard.clone(), told.clone());
        worker.on_exit(move |code| *end.borrow_mut() = Some(format!("{:?} {code}", own.borrow())));
        while told.borrow().is_none() {
            time::sleep(Duration::from_millis(1)).await;
        }
        time::sleep(Duration::from_millis(20)).await;
        let (before, heard) = (told.take().unwrap(), heard.take());
        assert!(before.starts_with(&format!("{heard:?}")), "{before}, then {heard:?}");
        before
    });
}

#[test]
fn terminate_against_exit_ends_with_one_of_the_two() {
    race(&["Err(Terminated)", "Ok(7)"], async || {
        let worker = Worker::<(), ()>::spawn(|_| {
            queue_work(|| ()).on_complete(|_| exit(7));
        })
        .unwrap();
        queue_work(|| ()).await.unwrap();
        drop(worker.terminate());
        format!("{:?}", worker.join().await)
    });
}

#[test]
fn terminate_against_a_panic_is_one_of_the_two_and_leaves_no_call_unanswered() {
    let panicked = "Err(Panicked(\"a test's panic\"))";
    race(&[panicked, "Err(Terminated)"], async || {
        let worker = Worker::<Call<(), ()>, ()>::spawn(|port| {
            let mut calls = Vec::new();
            port.on_message(move |call| {
                calls.push(call);
                // As a panic, but without its message on the screen.
                queue_work(|| ())
                    .on_complete(|_| std::panic::resume_unwind(Box::new("a test's panic")));
            });
        })
        .unwrap();
        let call = worker.call(());
        queue_work(|| ()).await.unwrap();
        queue_work(|| ()).await.unwrap();
        drop(worker.terminate());
        let outcome = worker.join().await;
        assert!(call.await.is_err());
        format!("{outcome:?}")
    });
}

#[test]
fn terminate_against_the_spawns_of_nested_workers_leaves_none_of_them() {
    fn nest(depth: u32, alive: Arc<()>, begun: Arc<AtomicUsize>) {
        let worker = Worker::<(), ()>::spawn(move |port| {
            begun.fetch_add(1, Ordering::Relaxed);
            let held = alive.clone();
            port.on_message(move |()| drop(held.clone()));
            if depth > 0 {
                queue_work(|| ()).on_complete(move |_| nest(depth - 1, alive, begun));
            }
        });
        drop(worker.unwrap());
    }
    race_of(2_500, Faults::default(), &["1", "2", "3"], async || {
        let (alive, begun) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
        let (held, count) = (alive.clone(), begun.clone());
        let worker = Worker::<(), ()>::spawn(move |_| nest(2, held, count)).unwrap();
        queue_work(|| ()).await.unwrap();
        queue_work(|| ()).await.unwrap();
        drop(worker.terminate());
        assert_eq!(worker.join().await, Err(WorkerError::Terminated));
        assert_eq!(Arc::strong_count(&alive), 1, "none outlives its parent");
        begun.load(Ordering::Relaxed).to_string()
    });
}

#[test]
fn broadcasts_against_an_opening_and_a_close_come_in_order_and_none_after_it() {
    let runs = ["[0, 1, 2]", "[0, 1]", "[0]", "[1, 2]", "[1]", "[2]", "[]"];
    race(&runs, async || {
        let worker = Worker::<(), ()>::spawn_async(|_port| async {
            let channel = BroadcastChannel::<u32>::new("races");
            for number in 0..3 {
                queue_work(|| ()).await.unwrap();
                channel.post(number);
            }
        })
        .unwrap();
        queue_work(|| ()).await.unwrap();
        let channel = BroadcastChannel::<u32>::new("races");
        let heard = Rc::new(RefCell::new(Vec::new()));
        let own = heard.clone();
        channel.on_message(move |number| own.borrow_mut().push(number));
        queue_work(|| ()).await.unwrap();
        queue_work(|| ()).await.unwrap();
        channel.close();
        let before = heard.borrow().clone();
        assert_eq!(worker.join().await, Ok(0));
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(*heard.borrow(), before, "none comes after the close");
        assert!(before.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{before:?}");
        format!("{before:?}")
    });
}

#[test]
fn a_worker_that_removes_its_handler_against_a_message_answers_or_not_and_ends() {
    race(&["0", "1"], async || {
        let worker = Worker::<(), ()>::spawn(|port| {
            let (own, out) = (port.clone(), port.clone());
            port.on_message(move |()| out.post(()));
            queue_work(|| ()).on_complete(move |_| own.off_message());
            windlass::on_exit(move |_| drop(port)); // With its last name it would close.
        })
        .unwrap();
        queue_work(|| ()).await.unwrap();
        worker.post(());
        assert_eq!(worker.join().await, Ok(0));
        let mut answers = 0;
        while worker.recv().await.is_some() {
            answers += 1;
        }
        answers.to_string()
    });
}

#[test]
fn panic_against_port_is_heard_behind_every_message_before_it() {
    race(&["1", "2"], async || {
        let (own, end) = channel::<u32, u32>();
        let own = own.open();
        let worker = Worker::<PortEnd<u32, u32>, ()>::spawn(|port| {
            port.on_message(|end| {
                let port = end.open();
                port.post(1);
                let kept = port.clone();
                queue_work(|| ()).on_complete(move |_| kept.post(2));
                queue_work(|| ()).on_complete(move |_| {
                    drop(port);
                    // As a panic, but without its message on the screen.
                    std::panic::resume_unwind(Box::new("a test's panic"));
                });
            });
        })
        .unwrap();
        worker.post(end);
        let mut heard = 0;
        while let Some(number) = own.recv().await {
            heard += 1;
            assert_eq!(number, heard);
        }
        let outcome = worker.join().await;
        assert_eq!(outcome, Err(WorkerError::Panicked("a test's panic".to_owned())));
        heard.to_string()
    });
}

#[test]
fn cancel_against_start_is_one_of_the_two_and_tells_which() {
    race(&["busy", "cancelled"], async || {
        let ran = Arc::new(AtomicUsize::new(0));
        let first = queue_work(|| ());
        let (inner, pool) = (ran.clone(), windlass::Pool::new(1).unwrap());
        let before = windlass::work(|_| ()).pool(&pool).submit();
        let job =
            windlass::work(move |_| inner.fetch_add(1, Ordering::Relaxed)).pool(&pool).submit();
        let canceller = job.canceller();
        drop(before);
        first.await.unwrap();
        let answer = canceller.cancel();
        let result = job.await;
        match answer {
            Ok(()) => {
                assert!(matches!(result, Err(WorkError::Cancelled)));
                assert_eq!(ran.load(Ordering::Relaxed), 0);
                "cancelled".to_owned()
            }
            Err(CancelError::Busy | CancelError::Done) => {
                assert!(result.is_ok());
                assert_eq!(ran.load(Ordering::Relaxed), 1);
                "busy".to_owned()
            }
        }
    });
}

#[test]
fn a_deadline_against_start_is_heeded_to_the_microsecond() {
    race(&["begun", "late"], async || {
        let (pool, deadline) = (windlass::Pool::new(1).unwrap(), SHORT / 2);
        let began = windlass::now();
        let before = windlass::work(|_| ()).pool(&pool).submit();
        let job = windlass::work(|_| ()).pool(&pool).deadline(deadline).submit().await;
        let ended = windlass::now() - began;
        before.await.unwrap();
        match job {
            Ok(()) => {
                assert!(ended <= deadline + SHORT, "it began late: it ended after {ended:?}");
                "begun".to_owned()
            }
            Err(WorkError::DeadlineExceeded) => "late".to_owned(),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn a_full_queue_against_start_has_room_again_for_each_job_that_has_left_it() {
    race(&["both", "one"], async || {
        let pool = windlass::Pool::builder().threads(1).queue_limit(1).build().unwrap();
        let submit = || windlass::work(|_| ()).pool(&pool).try_submit();
        let first = submit().expect("there is room");
        queue_work(|| ()).await.unwrap();
        let second = submit().expect("the first has begun");
        queue_work(|| ()).await.unwrap();
        let third = submit();
        let outcome = if third.is_ok() { "both" } else { "one" };
        first.await.unwrap();
        second.await.unwrap();
        if let Ok(third) = third {
            third.await.unwrap();
        }
        submit().expect("there is room again").await.unwrap();
        outcome.to_owned()
    });
}

// Work::kind: slow jobs occupy at most half of the pool's threads.
#[test]
fn slow_jobs_that_hang_leave_threads_to_others_if_there_are_more() {
    let faults = Faults::default().hang(1.0, Duration::from_secs(1));
    // The seed also says how many threads there are: with one or two the quick job waits.
    race_in(faults, &["at once", "behind"], async || {
        let began = windlass::now();
        let pool = windlass::Pool::new(4).unwrap();
        let slow = || windlass::work(|_| ()).kind(WorkKind::SlowIo).pool(&pool).submit();
        let slow: Vec<_> = (0..4).map(|_| slow()).collect();
        windlass::work(|_| ()).pool(&pool).submit().await.unwrap();
        let waited = windlass::now() - began;
        for job in slow {
            job.await.unwrap();
        }
        if waited < Duration::from_millis(1_500) { "at once" } else { "behind" }.to_owned()
    });
}

#[test]
fn a_permit_against_the_close_of_its_own_port_sends_before_it_or_not_at_all() {
    race(&["given back", "sent"], async || {
        let (one, other) = channel_bounded::<u8, ()>(1);
        let (one, other) = (Rc::new(one.open()), other.open());
        let permit = one.reserve().await.unwrap();
        let own = one.clone();
        queue_work(|| ()).on_complete(move |_| own.close());
        queue_work(|| ()).await.unwrap();
        let is_open = !one.is_closed();
        let sent = permit.post(1).is_ok();
        assert_eq!(sent, is_open);
        assert_eq!(other.recv().await, sent.then_some(1));
        assert_eq!(other.recv().await, None);
        if sent { "sent" } else { "given back" }.to_owned()
    });
}

#[test]
fn senders_against_a_receiver_get_each_place_that_becomes_free() {
    race(
        &["[0, 1, 2]", "[0, 2, 1]", "[1, 0, 2]", "[1, 2, 0]", "[2, 0, 1]", "[2, 1, 0]"],
        async || {
            let (sent, received) = channel_bounded::<u32, ()>(1);
            let (sent, received) = (Rc::new(sent.open()), received.open());
            for number in 0..3 {
                let sent = sent.clone();
                drop(windlass::spawn(async move {
                    queue_work(|| ()).await.unwrap();
                    sent.post_async(number).await.unwrap();
                }));
            }
            let mut all = Vec::new();
            for _ in 0..3 {
                queue_work(|| ()).await.unwrap();
                all.push(received.recv().await.unwrap());
            }
            format!("{all:?}")
        },
    );
}

#[test]
fn a_port_that_travels_from_its_handler_loses_nothing_that_is_sent_meanwhile() {
    race(&["0", "1"], async || {
        let (sent, received) = channel::<u32, u32>();
        let sender = Worker::<PortEnd<u32, u32>, ()>::spawn(|port| {
            let own = port.clone();
            port.on_message(move |end| {
                let (out, own) = (end.open(), own.clone());
                (0..3).for_each(|number| out.post(number));
                queue_work(|| ()).on_complete(move |_| {
                    (3..6).for_each(|number| out.post(number));
                    out.close();
                    own.off_message();
                });
            });
        })
        .unwrap();
        sender.post(sent);
        // Some are taken here; the port goes on with the others from within its handler.
        let (first, place) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(None)));
        let port = received.open();
        let (own, seen, travels) = (port.clone(), first.clone(), place.clone());
        port.on_message(move |number| {
            seen.borrow_mut().push(number);
            travels.set(Some(own.clone().detach()));
        });
        queue_work(|| ()).await.unwrap();
        let end = match place.take() {
            Some(end) => end,
            None => port.detach(),
        };
        let taker = Worker::<PortEnd<u32, u32>, u32>::spawn(|port| {
            let out = port.clone();
            port.on_message(move |end| {
                let (end, out) = (end.open(), out.clone());
                let done = out.clone();
                end.on_message(move |number| out.post(number));
                end.on_close(move || done.off_message());
            });
        })
        .unwrap();
        taker.post(end);
        let here = first.take();
        let mut all = here.clone();
        while let Some(number) = taker.recv().await {
            all.push(number);
        }
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
        here.len().to_string()
    });
}

#[test]
fn a_call_of_a_notifier_against_its_callback_is_heard() {
    race(&["2", "3"], async || {
        let told = Arc::new(AtomicUsize::new(0));
        let (heard, calls) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let own = Rc::new(OnceCell::<Notifier>::new());
        let (all, last, count, again) = (told.clone(), heard.clone(), calls.clone(), own.clone());
        let notifier = Notifier::new(move || {
            last.set(all.load(Ordering::Relaxed));
            count.set(count.get() + 1);
            if count.get() == 1 {
                all.fetch_add(1, Ordering::Relaxed);
                again.get().expect("it is known by now").notify();
            }
        });
        assert!(own.set(notifier.clone()).is_ok());
        let all = told.clone();
        let worker = Worker::<(), ()>::spawn(move |port| {
            port.unref();
            for _ in 0..2 {
                let (all, notifier) = (all.clone(), notifier.clone());
                queue_work(|| ()).on_complete(move |_| {
                    all.fetch_add(1, Ordering::Relaxed);
                    notifier.notify();
                });
            }
        });
        assert_eq!(worker.unwrap().join().await, Ok(0));
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(heard.get(), 3, "the last call is heard");
        calls.get().to_string()
    });
}

#[test]
fn more_messages_than_a_round_has_against_a_busy_receiver_all_come() {
    race_of(100, Faults::default(), &["all"], async || {
        const COUNT: u32 = 1_500;
        let (sent, received) = channel::<u32, u32>();
        let worker = Worker::<PortEnd<u32, u32>, ()>::spawn(|port| {
            let mut kept = Vec::new(); // Its close would be news too.
            port.on_message(move |end| {
                let end = end.open();
                (0..COUNT).for_each(|number| end.post(number));
                kept.push(end);
            });
        })
        .unwrap();
        worker.post(sent);
        let (heard, received) = (Rc::new(RefCell::new(Vec::new())), received.open());
        let own = heard.clone();
        received.on_message(move |number| {
            if number == 0 {
                time::advance(Duration::from_millis(5)); // By now all are here.
            }
            own.borrow_mut().push(number);
        });
        time::sleep(Duration::from_millis(20)).await;
        assert!(heard.take().into_iter().eq(0..COUNT));
        "all".to_owned()
    });
}

#[test]
fn a_handler_that_removes_itself_against_the_close_hears_of_it() {
    race(&["0", "1"], async || {
        let (sent, received) = channel::<u32, u32>();
        let sender = Worker::<PortEnd<u32, u32>, ()>::spawn(|port| {
            let own = port.clone();
            port.on_message(move |end| {
                own.off_message();
                let end = Rc::new(end.open());
                let closed = end.clone();
                queue_work(|| ()).on_complete(move |_| end.try_post(1).unwrap_or_default());
                queue_work(|| ()).on_complete(move |_| closed.close());
            });
        })
        .unwrap();
        sender.post(sent);
        let (heard, closed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let (port, count, seen) = (received.open(), heard.clone(), closed.clone());
        let own = port.clone();
        port.on_message(move |_| {
            count.set(count.get() + 1);
            own.off_message();
        });
        port.on_close(move || seen.set(true));
        time::sleep(Duration::from_millis(5)).await;
        assert!(closed.get(), "it is told of the close");
        heard.get().to_string()
    });
}

#[test]
fn the_close_of_a_port_against_a_receiver_on_its_own_loop_is_heard() {
    race(&["0", "1"], async || {
        let (sent, received) = channel::<u8, u8>();
        let (sent, received) = (Rc::new(sent.open()), received.open());
        let closed = sent.clone();
        queue_work(|| ()).on_complete(move |_| sent.try_post(1).unwrap_or_default());
        queue_work(|| ()).on_complete(move |_| closed.close());
        let mut heard = 0;
        while received.recv().await.is_some() {
            heard += 1;
        }
        heard.to_string()
    });
}

#[test]
fn a_message_is_not_heard_before_it_was_sent_however_far_its_sender_is_ahead() {
    race(&["1", "2", "3"], async || {
        let worker = Worker::<(), SystemTime>::spawn(|port| {
            for _ in 0..3 {
                port.post(time::system_now());
                let ahead = sim::random().expect("a simulation") % 1_000;
                time::advance(Duration::from_micros(ahead));
            }
            port.unref();
        })
        .unwrap();
        let heard = Rc::new(Cell::new(0));
        let count = heard.clone();
        worker.on_message(move |sent| {
            let now = time::system_now();
            assert!(now >= sent, "sent at {sent:?}, and heard at {now:?}");
            count.set(count.get() + 1);
        });
        time::sleep(Duration::from_millis(1)).await;
        let in_time = heard.get();
        assert_eq!(worker.join().await, Ok(0));
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!(heard.get(), 3);
        in_time.to_string()
    });
}

#[test]
fn a_panic_in_a_handler_against_the_end_of_its_worker_changes_nothing_of_the_round() {
    race(&["1 2 timer exit", "1 timer 2 exit"], async || {
        let said = Rc::new(RefCell::new(Vec::new()));
        let worker = Worker::<(), u8>::spawn(|port| {
            port.post(1);
            let own = port.clone();
            queue_work(|| ()).on_complete(move |_| own.post(2));
            port.unref();
        })
        .unwrap();
        windlass::on_uncaught(|_| ());
        let log = said.clone();
        worker.on_message(move |number| {
            log.borrow_mut().push(number.to_string());
            if number == 1 {
                let log = log.clone();
                set_timeout(Duration::from_millis(1), move || {
                    log.borrow_mut().push("timer".into())
                });
                // By now the worker has ended, and the timer is due.
                time::advance(Duration::from_millis(8));
                std::panic::resume_unwind(Box::new("a test's panic"));
            }
        });
        let log = said.clone();
        worker.on_exit(move |_| log.borrow_mut().push("exit".into()));
        time::sleep(Duration::from_millis(20)).await;
        said.take().join(" ")
    });
}

/// Panics when it is dropped, and prints nothing.
struct Bomb(&'static str);

impl Bomb {
    /// Has a closure own it.
    fn touch(&self) {}
}

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(self.0));
    }
}

#[test]
fn destructors_that_panic_against_each_way_of_an_end_are_one_uncaught_panic() {
    race(&["0", "1"], async || {
        let told = Rc::new(RefCell::new(Vec::new()));
        let own = told.clone();
        windlass::on_uncaught(move |uncaught| own.borrow_mut().push(uncaught.message().to_owned()));
        let worker = Worker::<(), ()>::spawn(|_| {
            queue_work(|| ()).on_complete(|_| exit(0));
        })
        .unwrap();
        let (first, second) = (Bomb("first"), Bomb("second"));
        worker.on_error(move |_| first.touch());
        worker.on_message(move |()| second.touch());
        let code = Rc::new(Cell::new(None));
        let own = code.clone();
        worker.on_exit(move |code| own.set(Some(code)));
        queue_work(|| ()).await.unwrap();
        drop(worker.terminate());
        time::sleep(Duration::from_millis(5)).await;
        assert_eq!(told.take(), ["first"]);
        code.get().expect("it has ended").to_string()
    });
}

#[test]
fn a_worker_pool_against_its_jobs_never_has_more_waiting_than_its_limit() {
    race(&["[true, true, false]", "[true, true, true]"], async || {
        let pool = WorkerPool::<u32, u32>::builder(1).queue_limit(1).build(|| |number| number);
        let pool = pool.unwrap();
        let mut jobs = Vec::new();
        for number in 0..3 {
            jobs.push(pool.run(number));
            assert!(pool.metrics().queued <= 1, "{:?}", pool.metrics());
            queue_work(|| ()).await.unwrap();
        }
        let mut done = Vec::new();
        for (number, job) in (0..).zip(jobs) {
            let outcome = job.await;
            assert!(outcome == Ok(number) || outcome == Err(WorkerError::QueueFull));
            done.push(outcome.is_ok());
        }
        assert_eq!(pool.run(7).await, Ok(7), "there is room again");
        format!("{done:?}")
    });
}

#[test]
fn a_worker_that_ends_against_the_next_job_of_its_pool_takes_no_job_with_it() {
    race(&["1", "2", "3"], async || {
        let handler = || {
            |number: u32| {
                queue_work(|| ()).on_complete(|_| exit(0));
                number * 2
            }
        };
        let pool = WorkerPool::new(1, handler).unwrap();
        for number in 0..3 {
            assert_eq!(pool.run(number).await, Ok(number * 2));
            queue_work(|| ()).await.unwrap();
        }
        pool.metrics().started.to_string()
    });
}

#[test]
fn the_close_of_a_worker_pool_against_a_place_that_rests_ends_the_pool() {
    let faults = Faults::default().worker_start(0.3);
    race_in(faults, &["cancelled", "done", "no pool", "not started"], async || {
        let rest = Duration::from_millis(2);
        let builder = WorkerPool::<bool, ()>::builder(1).back_off(rest, rest);
        let handler = |dies| {
            if dies {
                std::panic::resume_unwind(Box::new("a test's panic"));
            }
        };
        let Ok(pool) = builder.build(move || handler) else { return "no pool".to_owned() };
        let died = WorkerError::Panicked("a test's panic".to_owned());
        assert_eq!(pool.run(true).await, Err(died));
        // It waits for the next worker of the place.
        let job = pool.run(false);
        pool.close();
        let canceller = job.canceller();
        let moment = sim::random().expect("a simulation") % 4;
        set_timeout(Duration::from_millis(moment), move || {
            canceller.cancel().ok();
        });
        let outcome = job.await;
        pool.closed().await;
        let outcome = match outcome {
            Ok(()) => "done",
            Err(WorkerError::Cancelled) => "cancelled",
            Err(WorkerError::NotStarted(_)) => "not started",
            Err(error) => panic!("{error}"),
        };
        outcome.to_owned()
    });
}

#[test]
fn shutdown_against_all_waits_for_what_is_under_way_or_names_it() {
    let outcomes = Rc::new(Cell::new([0_u32; 2]));
    for seed in 0..SEEDS {
        let faults = Faults::default().job_time(Duration::ZERO..=Duration::from_millis(2));
        let (outcomes, held) = (outcomes.clone(), Arc::new(()));
        let inner = held.clone();
        Sim::new(seed).faults(faults).limit(Duration::from_secs(60)).run(move || {
            let (in_job, in_worker, in_timer) = (inner.clone(), inner.clone(), inner.clone());
            queue_work(move || drop(in_job)).on_complete(|result| assert!(result.is_ok()));
            let worker = Worker::<Arc<()>, ()>::spawn(|port| {
                let own = port.clone();
                port.on_message(move |held| {
                    let own = own.clone();
                    queue_work(move || drop(held)).on_complete(move |_| own.off_message());
                });
            })
            .unwrap();
            worker.post(in_worker);
            // Holds nothing, and is dropped uncalled.
            set_timeout(Duration::from_secs(3_600), move || drop(in_timer));
            set_timeout(Duration::from_micros(500), move || {
                let _worker = &worker;
                Loop::current().shutdown(Duration::from_millis(2)).on_complete(move |answer| {
                    let mut counts = outcomes.get();
                    counts[usize::from(answer.is_err())] += 1;
                    outcomes.set(counts);
                });
            });
        });
        assert_eq!(Arc::strong_count(&held), 1, "seed {seed}: everything is dropped");
    }
    let [in_time, late] = outcomes.get();
    assert_eq!(u64::from(in_time + late), SEEDS);
    assert!(in_time > 0 && late > 0, "{in_time} in time, {late} late");
}
