//! `Loop::shutdown`: what ends at once, what is waited for, who is named, and what comes last.

mod common;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::*;
use windlass::net::{TcpListener, UnixListener, UnixStream};
use windlass::process::{Command, Stdio};
use windlass::worker::{Port, Worker, WorkerPool, on_shutdown};
use windlass::{Laggard, Loop, RunMode, WorkError, queue_work};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

type Answer = Result<(), Vec<Laggard>>;

/// Runs `main`, and returns the answer that it put down.
fn answer_of(event_loop: &Loop, main: impl FnOnce(&dyn Fn(Duration))) -> Answer {
    let answer = Rc::new(RefCell::new(None));
    event_loop.run(|| {
        main(&|limit| {
            let answer = answer.clone();
            let done = move |result| drop(answer.borrow_mut().replace(result));
            Loop::current().shutdown(limit).on_complete(done);
        });
    });
    answer.take().expect("a shutdown answers")
}

fn virtual_loop() -> Loop {
    Loop::builder().virtual_time(true).build().unwrap()
}

/// The kinds of the laggards.
fn kinds(answer: &Answer) -> Vec<&'static str> {
    answer.as_ref().err().into_iter().flatten().map(|laggard| laggard.kind).collect()
}

#[test]
fn timers_immediates_notifiers_ports_and_watchers_hold_nothing() {
    let event_loop = virtual_loop();
    let start = event_loop.now();
    let answer = answer_of(&event_loop, |shut_down| {
        windlass::set_interval(SECOND, |_| ());
        fn again() {
            windlass::set_immediate(again);
        }
        again();
        windlass::handle::Check::start(|| ());
        windlass::handle::Notifier::new(|| ()).notify();
        let (near, far) = windlass::worker::channel::<(), ()>();
        let near = near.open();
        near.on_message(|()| ());
        windlass::on_exit(move |_| drop((near, far)));
        shut_down(HOUR);
    });
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(event_loop.now(), start, "no time has passed");
    assert!(!event_loop.is_alive());
}

#[test]
fn a_guard_is_waited_for_while_timers_go_on_and_then_the_loop_ends_with_its_exit_code() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let start = event_loop.now();
    let answer = answer_of(&event_loop, |shut_down| {
        let guard = Loop::current().keep_alive();
        let mut ticks = trace.says("interval");
        windlass::set_interval(SECOND, move |_| ticks());
        windlass::set_timeout(SECOND * 2 + SECOND / 2, move || drop(guard));
        windlass::set_exit_code(7);
        let exits = trace.clone();
        windlass::on_exit(move |code| exits.say(format!("exit {code}")));
        shut_down(HOUR);
    });
    assert!(answer.is_ok());
    assert_eq!(event_loop.now() - start, SECOND * 2 + SECOND / 2);
    trace.expect(&["interval", "interval", "exit 7"]);
}

#[test]
fn at_the_limit_the_loop_ends_in_any_case_and_the_answer_names_what_was_left() {
    let event_loop = Loop::builder().virtual_time(true).name("the loop").build().unwrap();
    let start = event_loop.now();
    let line = line!() + 2;
    let answer = answer_of(&event_loop, |shut_down| {
        let guard = Loop::current().keep_alive();
        windlass::on_exit(move |_| drop(guard));
        windlass::set_timeout(SECOND, || ());
        shut_down(SECOND * 5);
    });
    assert_eq!(event_loop.now() - start, SECOND * 5);
    let laggards = answer.unwrap_err();
    assert_eq!(laggards.len(), 1, "{laggards:?}");
    assert_eq!(laggards[0].kind, "keep-alive guard");
    assert_eq!(laggards[0].location.unwrap().line(), line);
    assert_eq!(laggards[0].running_for, SECOND * 5);
    assert!(!laggards[0].thread.is_empty());
}

#[test]
fn the_answer_comes_first_with_its_drain_and_then_nothing_but_the_exit_hooks() {
    let trace = Trace::new();
    virtual_loop().run(|| {
        let log = trace.clone();
        windlass::on_exit(move |_| log.say("exit hook"));
        let log = trace.clone();
        Loop::current().shutdown(HOUR).on_complete(move |_| {
            log.say("answer");
            windlass::next_tick(log.says("tick"));
            windlass::queue_microtask(log.says("microtask"));
            let never = log.says("an immediate");
            windlass::set_immediate(never);
        });
    });
    trace.expect(&["answer", "tick", "microtask", "exit hook"]);
}

#[test]
fn a_block_on_whose_future_is_done_by_the_answer_returns() {
    let answered = virtual_loop().block_on(async { Loop::current().shutdown(HOUR).await.is_ok() });
    assert!(answered);
}

#[test]
fn a_second_call_joins_the_first_the_nearer_limit_counts_and_both_get_the_same_answer() {
    for limits in [[HOUR, SECOND], [SECOND, HOUR]] {
        let event_loop = virtual_loop();
        let start = event_loop.now();
        let answers = Rc::new(RefCell::new(Vec::new()));
        event_loop.run(|| {
            let guard = Loop::current().keep_alive();
            windlass::on_exit(move |_| drop(guard));
            for limit in limits {
                let answers = answers.clone();
                let put = move |answer: Answer| answers.borrow_mut().push(kinds(&answer));
                Loop::current().shutdown(limit).on_complete(put);
            }
        });
        assert_eq!(event_loop.now() - start, SECOND);
        assert_eq!(*answers.borrow(), [["keep-alive guard"], ["keep-alive guard"]]);
    }
}

#[test]
fn who_asks_in_an_answer_gets_the_same_answer_however_deep() {
    fn ask(deeper: u32, trace: &Trace) {
        let inner = trace.clone();
        Loop::current().shutdown(HOUR).on_complete(move |answer| {
            inner.say(format!("{deeper}: {:?}", kinds(&answer)));
            if deeper > 0 {
                ask(deeper - 1, &inner);
            }
        });
    }
    let trace = Trace::new();
    virtual_loop().run(|| {
        let guard = Loop::current().keep_alive();
        let exits = trace.clone();
        windlass::on_exit(move |_| {
            drop(guard);
            exits.say("exit");
        });
        let inner = trace.clone();
        windlass::spawn(async move {
            for round in 0..4 {
                let answer = Loop::current().shutdown(SECOND).await;
                inner.say(format!("task {round}: {:?}", kinds(&answer)));
            }
        });
        ask(3, &trace);
    });
    let told = |name: &str| format!("{name}: [\"keep-alive guard\"]");
    let lines = ["3", "task 0", "2", "task 1", "1", "task 2", "0", "task 3"].map(told);
    let mut expected: Vec<_> = lines.iter().map(String::as_str).collect();
    expected.push("exit");
    trace.expect(&expected);
}

#[test]
fn jobs_that_wait_are_cancelled_and_later_ones_are_refused_as_on_a_closed_pool() {
    let trace = Trace::new();
    virtual_loop().run(|| {
        let log = trace.clone();
        let told = move |what: &'static str| {
            let log = log.clone();
            move |result: Result<(), WorkError>| log.say(format!("{what}: {}", result.unwrap_err()))
        };
        queue_work(|| ()).on_complete(told("before"));
        drop(Loop::current().shutdown(HOUR));
        queue_work(|| ()).on_complete(told("after"));
    });
    trace.expect(&[
        &format!("before: {}", WorkError::Cancelled),
        &format!("after: {}", WorkError::PoolShutDown),
    ]);
}

#[test]
fn a_job_that_runs_may_finish_and_its_request_completes_before_the_end() {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel();
    let trace = Trace::new();
    let event_loop = Loop::new().unwrap();
    let answer = answer_of(&event_loop, |shut_down| {
        let log = trace.clone();
        let job = queue_work(move || {
            begun.send(()).unwrap();
            may_end.recv().unwrap();
        });
        job.on_complete(move |result| log.say(format!("job: {}", result.is_ok())));
        has_begun.recv().unwrap();
        shut_down(HOUR);
        windlass::set_timeout(Duration::from_millis(1), move || end.send(()).unwrap());
    });
    assert!(answer.is_ok());
    trace.expect(&["job: true"]);
}

#[test]
fn a_job_that_runs_too_long_is_named_with_its_line_and_its_pool_thread() {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let event_loop = Loop::new().unwrap();
    let line = line!() + 2;
    let answer = answer_of(&event_loop, |shut_down| {
        drop(queue_work(move || {
            begun.send(()).unwrap();
            may_end.recv().unwrap_or(());
        }));
        has_begun.recv().unwrap();
        shut_down(Duration::from_millis(20));
    });
    drop(end);
    let laggards = answer.unwrap_err();
    assert_eq!(laggards.len(), 1, "{laggards:?}");
    assert_eq!((laggards[0].kind, laggards[0].location.unwrap().line()), ("pool job", line));
    assert!(laggards[0].thread.starts_with("windlass-pool"), "{laggards:?}");
    assert!(laggards[0].running_for >= Duration::from_millis(20), "{laggards:?}");
}

#[test]
fn workers_are_asked_to_end_and_are_waited_for() {
    let event_loop = virtual_loop();
    let code = Rc::new(RefCell::new(None));
    let put = code.clone();
    let answer = answer_of(&event_loop, |shut_down| {
        let worker = Worker::<(), ()>::spawn(|port: Port<(), ()>| {
            port.on_message(|()| ());
            let beat = windlass::set_interval(SECOND, |_| ());
            on_shutdown(move || beat.clear());
        })
        .unwrap();
        worker.on_exit(move |code| *put.borrow_mut() = Some(code));
        windlass::set_timeout(SECOND, || ());
        shut_down(HOUR);
    });
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(*code.borrow(), Some(0), "it has ended by itself");
}

#[test]
fn a_worker_that_is_stuck_is_named_with_its_callback_and_left_behind_within_the_limit() {
    let (end, may_end) = mpsc::channel::<()>();
    let event_loop = Loop::new().unwrap();
    let line = line!() + 3;
    let answer = answer_of(&event_loop, |shut_down| {
        let (begun, has_begun) = mpsc::channel();
        let worker = Worker::<(), ()>::builder().name("stuck").spawn(move |_port| {
            begun.send(()).unwrap();
            may_end.recv().unwrap_or(());
        });
        has_begun.recv().unwrap();
        drop(worker.unwrap());
        shut_down(Duration::from_millis(20));
    });
    let laggards = answer.unwrap_err();
    assert_eq!(laggards.len(), 1, "{laggards:?}");
    assert_eq!((laggards[0].kind, &*laggards[0].thread), ("worker", "stuck"));
    assert_eq!(laggards[0].location.unwrap().line(), line);
    drop(end);
}

#[test]
fn listeners_close_and_connections_are_waited_for() {
    let trace = Trace::new();
    windlass::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let (log, writer) = (trace.clone(), client.try_clone().unwrap());
        listener.on_connection(move |stream| {
            let answered = log.clone();
            stream.unwrap().read_start(move |stream, chunk| {
                assert_eq!(chunk.unwrap(), b"last");
                stream.write(b"answer").on_complete(|sent| sent.unwrap());
                stream.read_stop();
                answered.say("answered");
            });
            let (ended, mut client) = (log.clone(), writer.try_clone().unwrap());
            Loop::current().shutdown(HOUR).on_complete(move |answer| {
                assert!(answer.is_ok(), "{answer:?}");
                ended.say("ended");
            });
            windlass::set_timeout(Duration::from_millis(1), move || {
                assert!(std::net::TcpStream::connect(address).is_err(), "the listener is closed");
                client.write_all(b"last").unwrap();
            });
        });
        windlass::on_exit(move |_| {
            let mut text = [0; 6];
            client.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"answer");
        });
    });
    trace.expect(&["answered", "ended"]);
}

#[test]
fn a_closed_loop_has_nothing_to_shut_down() {
    let event_loop = virtual_loop();
    event_loop.close().unwrap();
    drop(event_loop.shutdown(SECOND));
    assert!(!event_loop.is_alive());
}

#[test]
fn laggards_that_nobody_takes_are_logged() {
    let logged = warnings_of(|| {
        virtual_loop().run(|| {
            let guard = Loop::current().keep_alive();
            windlass::on_exit(move |_| drop(guard));
            drop(Loop::current().shutdown(SECOND));
        });
    });
    assert!(logged.len() == 1 && logged[0].contains("keep-alive guard"), "{logged:?}");
}

#[test]
fn a_shutdown_outside_of_a_turn_begins_at_once_and_ends_in_the_next() {
    let event_loop = virtual_loop();
    let exited = Counter::new();
    let mut adds = exited.adds();
    event_loop.enter(|| windlass::on_exit(move |_| adds()));
    drop(event_loop.shutdown(HOUR));
    assert!(!event_loop.turn(RunMode::Default));
    assert_eq!(exited.get(), 1);
}

// E-03: also when they ask in the answer itself.
#[test]
fn an_answer_that_panics_keeps_neither_the_other_answers_nor_the_end() {
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let log = trace.clone();
    event_loop.enter(|| windlass::on_exit(move |_| log.say("exit")));
    let (log, this) = (trace.clone(), event_loop.clone());
    event_loop.enter(|| windlass::set_timeout(HOUR, trace.says("an hour later")));
    event_loop.shutdown(HOUR).on_complete(move |_| {
        this.shutdown(HOUR).on_complete(|_| panic!("a test's panic"));
        this.shutdown(HOUR).on_complete(move |_| log.say("the other answer"));
    });
    assert_eq!(panic_of(|| event_loop.turn(RunMode::Default)), "a test's panic");
    assert!(!event_loop.turn(RunMode::Default));
    trace.expect(&["the other answer", "exit"]);
}

#[test]
fn jobs_that_wait_for_a_worker_of_a_pool_are_cancelled_and_the_one_that_runs_is_answered() {
    let trace = Trace::new();
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let (begun, may_end) = (Mutex::new(Some(begun)), Arc::new(Mutex::new(may_end)));
    let event_loop = Loop::new().unwrap();
    let logged = warnings_of(|| {
        let answer = answer_of(&event_loop, |shut_down| {
            let begun = begun.lock().unwrap().take().unwrap();
            let pool = WorkerPool::new(1, move || {
                let (begun, may_end) = (begun.clone(), may_end.clone());
                move |number: u32| {
                    begun.send(()).unwrap();
                    may_end.lock().unwrap().recv().unwrap();
                    number
                }
            });
            let pool = pool.unwrap();
            for number in 1..=2 {
                let log = trace.clone();
                pool.run(number)
                    .on_complete(move |result| log.say(format!("{number}: {result:?}")));
            }
            let log = trace.clone();
            let worker_has_it = has_begun.recv();
            worker_has_it.unwrap();
            shut_down(HOUR);
            pool.run(3).on_complete(move |result| log.say(format!("3: {result:?}")));
            windlass::set_timeout(Duration::from_millis(1), move || end.send(()).unwrap());
        });
        assert!(answer.is_ok(), "{answer:?}");
    });
    trace.expect(&["2: Err(Cancelled)", "3: Err(Closed)", "1: Ok(1)"]);
    assert!(logged.is_empty(), "workers that were asked to end are no losses: {logged:?}");
}

#[test]
fn a_worker_that_waits_on_its_loop_is_named_with_the_line_that_spawned_it() {
    let event_loop = virtual_loop();
    let mut line = 0;
    let answer = answer_of(&event_loop, |shut_down| {
        line = line!() + 1;
        let worker = Worker::<(), ()>::spawn(|_port: Port<(), ()>| {
            // Holds its loop for ever, and is in no callback when the limit comes.
            std::mem::forget(Loop::current().keep_alive());
            windlass::set_timeout(SECOND, || ());
        });
        drop(worker.unwrap());
        shut_down(SECOND * 5);
    });
    let laggards = answer.unwrap_err();
    assert_eq!(laggards.len(), 1, "{laggards:?}");
    assert_eq!((laggards[0].kind, laggards[0].location.unwrap().line()), ("worker", line));
    assert_eq!(laggards[0].running_for, SECOND * 5);
    assert!(!laggards[0].thread.is_empty());
}

#[test]
fn two_jobs_of_one_line_are_named_with_a_pool_thread_each() {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let may_end = Arc::new(Mutex::new(may_end));
    let event_loop = Loop::new().unwrap();
    let answer = answer_of(&event_loop, |shut_down| {
        for _ in 0..2 {
            let (begun, may_end) = (begun.clone(), may_end.clone());
            drop(queue_work(move || {
                begun.send(()).unwrap();
                may_end.lock().unwrap().recv().unwrap_or(());
            }));
        }
        has_begun.recv().unwrap();
        has_begun.recv().unwrap();
        shut_down(Duration::from_millis(20));
    });
    drop(end);
    let laggards = answer.unwrap_err();
    assert_eq!(laggards.len(), 2, "{laggards:?}");
    assert_ne!(laggards[0].thread, laggards[1].thread);
}

#[test]
fn listeners_and_connections_of_unix_sockets_are_treated_as_those_of_tcp() {
    let dir = directory("shutdown-sockets");
    let path = dir.join("socket");
    let event_loop = Loop::new().unwrap();
    let answer = answer_of(&event_loop, |shut_down| {
        let listener = UnixListener::bind(&path).unwrap();
        listener.on_connection(|_| ());
        let (near, far) = UnixStream::pair().unwrap();
        far.read_start(|_, _| ());
        std::mem::forget(near);
        shut_down(Duration::from_millis(20));
        assert!(std::os::unix::net::UnixStream::connect(&path).is_err(), "nobody listens");
    });
    assert_eq!(kinds(&answer), ["Unix stream"]);
}

#[test]
fn signals_and_watchers_of_files_hold_nothing() {
    const SIGUSR2: i32 = 12;
    let dir = directory("shutdown-watchers");
    let event_loop = Loop::new().unwrap();
    let answer = answer_of(&event_loop, |shut_down| {
        windlass::signal::Signal::start(SIGUSR2, || ()).unwrap();
        windlass::fs::watch(&dir).unwrap().on_event(|_| ());
        windlass::fs::watch_metadata(&dir, HOUR).on_change(|_, _| ());
        shut_down(HOUR);
    });
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn what_a_pipe_has_still_to_write_is_written_before_the_end() {
    const BYTES: usize = 1 << 20;
    let event_loop = Loop::new().unwrap();
    let reads = Rc::new(RefCell::new(None));
    let put = reads.clone();
    let answer = answer_of(&event_loop, |shut_down| {
        let (mut reader, writer) = os_pipe();
        let writer = windlass::pipe::Writer::from_fd(writer.into()).unwrap();
        writer.write_owned(vec![7; BYTES]).on_complete(|written| written.unwrap());
        drop(writer);
        shut_down(HOUR);
        *put.borrow_mut() = Some(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes.len()
        }));
    });
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(reads.take().unwrap().join().unwrap(), BYTES);
}

#[test]
fn a_destructor_that_panics_keeps_nobody_from_being_asked_to_end() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let event_loop = virtual_loop();
    let answer = answer_of(&event_loop, |shut_down| {
        let bomb = Bomb;
        drop(queue_work(move || drop(bomb)));
        Worker::<(), ()>::spawn(|port: Port<(), ()>| port.on_message(|()| ())).unwrap();
        shut_down(HOUR);
    });
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn children_are_waited_for_and_named() {
    let run = |script: &'static str, limit| {
        answer_of(&Loop::new().unwrap(), |shut_down| {
            let child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn();
            let child = child.unwrap();
            let input = child.take_stdin().unwrap();
            child.on_exit(|_| ());
            shut_down(limit);
            windlass::set_timeout(Duration::from_millis(1), move || {
                drop(input.write(b"end\n"));
                windlass::on_exit(move |_| input.close());
            });
        })
    };
    assert!(run("read line", HOUR).is_ok());
    let late = run("read line; read more", Duration::from_millis(20));
    assert_eq!(kinds(&late), ["child process"]);
}

#[test]
fn a_worker_of_a_pool_that_is_stuck_is_named_with_the_line_of_the_pool() {
    let (begun, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let may_end = Arc::new(Mutex::new(may_end));
    let mut line = 0;
    let answer = answer_of(&Loop::new().unwrap(), |shut_down| {
        line = line!() + 1;
        let pool = WorkerPool::<(), ()>::new(1, move || {
            let (begun, may_end) = (begun.clone(), may_end.clone());
            move |()| {
                begun.send(()).unwrap();
                may_end.lock().unwrap().recv().unwrap_or(());
            }
        });
        drop(pool.unwrap().run(()));
        has_begun.recv().unwrap();
        shut_down(Duration::from_millis(20));
    });
    drop(end);
    let laggards = answer.unwrap_err();
    assert_eq!(laggards.len(), 1, "{laggards:?}");
    assert_eq!((laggards[0].kind, laggards[0].location.unwrap().line()), ("worker", line));
    assert!(laggards[0].location.unwrap().file().ends_with("shutdown_in_order.rs"));
}
