//! Several destructors that panic at one end, and panics that carry such a value: the process goes on, and the
//! loop does what it would have done.

mod common;

use std::cell::Cell;
use std::future::{Future, pending};
use std::io::Result;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::panic_any;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use common::*;
use windlass::handle::{self, Interest};
use windlass::net::{TcpListener, TcpStream};
use windlass::worker::{BroadcastChannel, Call, Port, Worker, WorkerPool, channel, checkpoint};
use windlass::{
    CancelToken, Canceller, Timer, exit, next_tick, on_exit, on_uncaught, set_immediate,
    set_interval, set_timeout, spawn, work,
};

/// Panics when it is dropped, also while another panic is under way.
fn bomb(text: &'static str) -> OnDrop<impl FnMut()> {
    OnDrop::new(move || panic!("{text}"))
}

/// A message whose destructor panics.
struct Message(&'static str);

impl Drop for Message {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// A source whose destructor panics.
struct Source(UnixStream);

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        panic!("source");
    }
}

/// Has `end` called in a tick, and expects one panic, with this message, after which the loop goes on.
#[track_caller]
fn one_panic(message: &str, scenario: impl FnOnce() -> Box<dyn FnOnce()>) {
    let caught = format!("!{message}");
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        let end = scenario();
        next_tick(end);
        next_tick(trace.says("next tick"));
    };
    check(scenario, &[&caught, "next tick"]);
}

// E-07
#[test]
fn of_several_destructors_that_panic_at_one_close_the_first_is_uncaught() {
    one_panic("handler", || {
        let (_here, there) = channel::<(), ()>();
        let there = there.open();
        let (handler, close) = (bomb("handler"), bomb("on_close"));
        there.on_message(move |()| handler.touch());
        there.on_close(move || close.touch());
        Box::new(move || drop(there.detach()))
    });
    one_panic("first", || {
        let (here, there) = channel::<Message, ()>();
        let (here, there) = (here.open(), there.open());
        let handler = bomb("handler");
        there.on_message(move |_| handler.touch());
        ["first", "second", "third"].into_iter().for_each(|text| here.post(Message(text)));
        Box::new(move || there.close())
    });
    one_panic("handler", || {
        let channel = BroadcastChannel::<()>::new("several destructors");
        let (handler, error) = (bomb("handler"), bomb("on_message_error"));
        channel.on_message(move |()| handler.touch());
        channel.on_message_error(move |_| error.touch());
        Box::new(move || channel.close())
    });
    one_panic("callback", || {
        let watcher = handle::Poll::new(Source(UnixStream::pair().unwrap().0));
        let callback = bomb("callback");
        watcher.start(Interest::READABLE, move |_| callback.touch()).unwrap();
        Box::new(move || watcher.close())
    });
}

// E-07
#[test]
fn of_several_destructors_that_panic_at_a_workers_exit_the_first_is_uncaught() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        let worker = Worker::<(), ()>::spawn(|_port| ()).unwrap();
        let (error, handler) = (bomb("on_error"), bomb("on_message"));
        worker.on_error(move |_| error.touch());
        worker.on_message(move |()| handler.touch());
        worker.on_exit({
            let seen = trace.clone();
            move |code| seen.say(code)
        });
    };
    check(scenario, &["0", "!on_error"]);
}

// E-07
#[test]
fn of_several_destructors_that_panic_at_the_close_of_a_stream_the_first_is_uncaught() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| -> Result<()> {
            let seen = trace.clone();
            on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
            let listener = TcpListener::bind("127.0.0.1:0")?;
            drop(TcpStream::connect(listener.local_addr()?));
            let own = listener.clone();
            listener.on_connection(move |client| {
                own.close();
                let client = client.unwrap();
                let (read, hang_up) = (bomb("read"), bomb("on_hang_up"));
                client.read_start(move |_, _| read.touch());
                client.on_hang_up(move || hang_up.touch());
                client.close();
            });
            Ok(())
        })
        .unwrap();
        trace.expect(&["!read"]);
    });
}

// E-07
#[test]
fn a_read_callback_that_panics_is_told_also_when_the_end_of_its_stream_panics() {
    bounded(|| {
        let trace = Trace::new();
        windlass::run(|| -> Result<()> {
            let seen = trace.clone();
            on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
            let (ours, theirs) = windlass::net::UnixStream::pair()?;
            drop(theirs.write(b"x"));
            let hang_up = bomb("on_hang_up");
            ours.on_hang_up(move || hang_up.touch());
            ours.read_start(|stream, _| {
                stream.read_stop(); // The stream closes with its last name, which the round has.
                panic!("read");
            });
            drop(ours);
            let kept = trace.clone();
            after_iterations(2, move || {
                kept.say("on it goes");
                drop(theirs);
            });
            Ok(())
        })
        .unwrap();
        trace.expect(&["!read", "on it goes"]);
    });
}

// E-07
#[test]
fn several_destructors_that_panic_at_the_end_of_a_loop_end_nothing() {
    let (here, there) = channel::<Message, ()>();
    let dropped = Counter::new();
    let event_loop = virtual_loop();
    event_loop.run(|| {
        let (here, there) = (here.open(), there.open());
        there.unref().on_message(|_| ());
        ["first", "second"].into_iter().for_each(|text| here.post(Message(text)));
        let (close, exit) = (bomb("on_close"), bomb("on_exit"));
        there.on_close(move || close.touch());
        let worker = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
        let error = bomb("on_error");
        worker.on_error(move |_| error.touch());
        worker.on_exit(move |_| exit.touch());
        let last = dropped.on_drop();
        set_timeout(HOUR, move || last.touch());
        windlass::exit(0);
    });
    assert_eq!(dropped.get(), 1);
}

// E-07
#[test]
fn a_panic_that_carries_a_value_whose_destructor_panics_cuts_no_end_short() {
    let dropped = Counter::new();
    let (trace, hooks) = (Trace::new(), Rc::new(Cell::new(0)));
    let event_loop = virtual_loop();
    event_loop.run(|| {
        on_exit(|_| panic_any(Message("the payload of a hook")));
        let count = hooks.clone();
        on_exit(move |_| count.set(count.get() + 1));
        let carries = OnDrop::new(|| panic_any(Message("the payload of a destructor")));
        let last = dropped.on_drop();
        set_timeout(HOUR, move || carries.touch()).unref();
        set_timeout(HOUR, move || last.touch()).unref();
        let worker = Worker::<(), ()>::spawn(|_port| panic_any(Message("of a worker"))).unwrap();
        on_uncaught({
            let seen = trace.clone();
            move |uncaught| seen.say(format!("!{}", uncaught.message()))
        });
        worker.on_error(|_| panic!("in on_error"));
        worker.on_exit({
            let seen = trace.clone();
            move |code| seen.say(code)
        });
        set_immediate(trace.says("immediate"));
    });
    assert_eq!(hooks.get(), 1, "the other exit hook");
    drop(event_loop);
    assert_eq!(dropped.get(), 1, "what the loop dropped later");
    trace.expect(&["immediate", "!in on_error", "1"]);
}

// E-04, E-07, O-83
#[test]
fn an_interval_that_clears_itself_has_its_own_panic_told_and_the_next_timer_chosen() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        for text in ["interval 1", "interval 2"] {
            let (held, seen, next) = (bomb("a destructor"), trace.clone(), Slot::new());
            let second = next.clone();
            set_interval(ms(1), move |own| {
                held.touch();
                own.clear();
                let second: Timer = *second.get();
                next_tick(move || second.refresh()); // Too late: it is chosen before.
                set_immediate(seen.says("immediate"));
                assert!(text != "interval 1", "{text}");
            });
            next.put(set_timeout(ms(1), trace.says("the next timer")));
        }
    };
    check(
        scenario,
        &[
            "!interval 1",
            "the next timer",
            "!a destructor",
            "the next timer",
            "immediate",
            "immediate",
        ],
    );
}

// E-07
#[test]
fn the_output_of_a_future_is_dropped_apart_from_the_panic_that_ends_its_loop() {
    let event_loop = virtual_loop();
    let text = panic_of(|| {
        event_loop.block_on(async {
            // Armed behind the sleep, so that the future is done when the timer panics.
            next_tick(|| {
                set_timeout(ms(1), || panic!("in a timer"));
            });
            windlass::time::sleep(ms(1)).await;
            Message("the output")
        })
    });
    assert_eq!(text, "in a timer");
}

#[test]
fn of_a_future_and_its_output_that_panic_at_one_drop_the_first_is_uncaught() {
    /// Done at once. Its own destructor panics with a value of which the destructor does too.
    struct Done;
    impl Future for Done {
        type Output = Message;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Message> {
            Poll::Ready(Message("the output"))
        }
    }
    impl Drop for Done {
        fn drop(&mut self) {
            panic_any(Message("what the future's panic carries"));
        }
    }
    struct Plain(Message);
    impl Future for Plain {
        type Output = Message;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Message> {
            assert_eq!(self.0.0, "the future");
            Poll::Ready(Message("the output"))
        }
    }
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| {
            seen.say(format!("!{}", uncaught.message()));
            std::mem::forget(uncaught); // It is the hook's now, with its destructor.
        });
        drop(spawn(Plain(Message("the future"))));
        drop(spawn(Done));
        set_immediate(trace.says("immediate"));
    };
    check(scenario, &["!the future", "!a panic whose payload is not a text", "immediate"]);
}

/// Two unwindings at a time would end the process.
#[test]
fn a_future_that_a_checkpoint_leaves_is_dropped_apart_from_the_end_of_its_worker() {
    struct Checks<D>(Port<u8, ()>, OnDrop<D>)
    where
        D: FnMut();

    impl<D: FnMut()> Future for Checks<D> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            self.0.post(1);
            loop {
                checkpoint();
            }
        }
    }

    let code = windlass::block_on(async {
        let worker = Worker::<(), u8>::spawn(|port| {
            drop(spawn(Checks(port, bomb("the future"))));
        });
        let worker = worker.expect("a worker");
        assert_eq!(worker.recv().await, Some(1));
        worker.terminate().await
    });
    assert_eq!(code, 1);
}

#[test]
fn what_the_panic_of_a_detached_task_carries_costs_nobody_anything() {
    let scenario = |trace: &Trace| {
        windlass::spawn_detached(async { panic_any(Message("the payload")) });
        next_tick(trace.says("next tick"));
    };
    check(scenario, &["next tick"]);
}

#[test]
fn what_the_panic_that_ends_run_main_carries_is_dropped_apart() {
    let code = windlass::run_main(|| panic_any(Message("the payload")));
    assert_eq!(code, std::process::ExitCode::FAILURE);
}

// E-03, E-07. What main has returned, and the future of `block_on`.
#[test]
fn what_a_program_holds_is_dropped_apart_from_the_panic_that_ends_its_loop() {
    let text = panic_of(|| {
        virtual_loop().run(|| {
            set_immediate(|| panic!("in an immediate"));
            Message("what main returns")
        })
    });
    assert_eq!(text, "in an immediate");
    let text = panic_of(|| {
        virtual_loop().block_on(async {
            let _held = Message("the future");
            set_immediate(|| panic!("in an immediate"));
            pending::<()>().await;
        })
    });
    assert_eq!(text, "in an immediate");
    // A future that panics itself, and one that an exit ends.
    let text = panic_of(|| virtual_loop().block_on(Panics(Message("the future"))));
    assert_eq!(text, "in a poll");
    let text = panic_of(|| {
        virtual_loop().block_on(async {
            let _held = Message("the future");
            exit(3);
            pending::<()>().await;
        })
    });
    assert_eq!(text, "the future");
    // A future that is done, and drops its output with it.
    let text = panic_of(|| virtual_loop().block_on(Done(Message("the future"))));
    assert_eq!(text, "the future");
}

/// Panics when it is polled, and when it is dropped.
struct Panics(Message);

impl Future for Panics {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        assert_eq!(self.0.0, "the future");
        panic!("in a poll")
    }
}

/// Done at once. It panics when it is dropped, and so does its output.
struct Done(Message);

impl Future for Done {
    type Output = Message;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Message> {
        assert_eq!(self.0.0, "the future");
        Poll::Ready(Message("the output"))
    }
}

// E-01, E-07. What a job that never ran has captured, and the input of one that no worker has begun.
#[test]
fn what_a_job_holds_that_never_ran_is_dropped_apart_from_the_panic_of_its_callback() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        let (token, held) = (CancelToken::new(), Message("captured"));
        token.cancel();
        let job = work(move |_| drop(held)).cancel_token(&token).submit();
        job.on_complete(|_| panic!("of the job"));

        let pool = WorkerPool::<Message, ()>::new(1, || -> fn(Message) { panic!("no handler") });
        let job = pool.unwrap().run(Message("input"));
        job.on_complete(|_| panic!("of the worker's job"));
    };
    check(scenario, &["!of the job", "!of the worker's job"]);
}

// E-01, E-07.
#[test]
fn a_call_that_is_cancelled_completes_though_the_destructor_of_its_answer_panics() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        let (here, there) = open_channel::<Call<(), Message>, ()>();
        let canceller = Slot::<Canceller>::new();
        let cancels = canceller.clone();
        there.on_message(move |call| {
            call.reply(Message("the answer")); // On its way: the call has not seen it.
            cancels.get().cancel().ok();
        });
        let call = here.call(());
        canceller.put(call.canceller());
        let seen = trace.clone();
        call.on_complete(move |answer| seen.say(format!("{:?}", answer.err())));
        set_timeout(ms(1), move || there.close());
    };
    check(scenario, &["!the answer", "Some(Cancelled)"]);
}

// E-07.
#[test]
fn who_waits_at_a_port_hears_that_it_is_detached_though_the_destructor_of_its_handler_panics() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        let (_here, there) = open_channel::<(), ()>();
        let handler = bomb("handler");
        there.on_message(move |()| handler.touch());
        let (waits, seen) = (there.clone(), trace.clone());
        drop(spawn(async move { seen.say(format!("{:?}", waits.recv().await)) }));
        set_immediate(move || drop(there.detach()));
    };
    check(scenario, &["!handler", "None"]);
}

// E-07.
#[test]
fn the_error_of_a_worker_that_nobody_takes_is_uncaught_apart_from_another_panic() {
    let scenario = |trace: &Trace| {
        let seen = trace.clone();
        on_uncaught(move |uncaught| seen.say(format!("!{}", uncaught.message())));
        let worker = Worker::<(), ()>::spawn(|_| panic!("an accident")).unwrap();
        let shutdown = worker.shutdown(ms(1000));
        set_timeout(ms(2000), move || {
            let _held = shutdown; // Its answer is there by now.
            panic!("in a timer");
        });
        set_timeout(ms(3000), trace.says("the loop goes on"));
    };
    check(scenario, &["!in a timer", "!the worker panicked: an accident", "the loop goes on"]);
}
