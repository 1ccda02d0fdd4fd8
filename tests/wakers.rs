//! Wakers of other executors, which are anybody's code: one that panics costs nobody a value, a place or a
//! wake.
#![allow(unsafe_code)] // Only a waker's own table can make its clone panic.

mod common;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::UdpSocket as StdUdp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};

use common::*;
use windlass::net::{TcpListener, UdpSocket, UnixStream};
use windlass::process::{Command, Stdio};
use windlass::signal::Signal;
use windlass::worker::{BroadcastChannel, Worker, channel_bounded};
use windlass::{block_on, on_uncaught, spawn, yield_now};

/// What a waker does of which panics, if anything.
#[derive(Clone, Copy, PartialEq)]
enum Panics {
    Never,
    InClone,
    InWake,
    InDrop,
}

/// A waker that panics where it is told to, or does something when it is cloned. Never freed, as a
/// static is not.
struct Moody {
    panics: Cell<Panics>,
    on_clone: Cell<Option<Box<dyn FnOnce()>>>,
    wakes: Cell<u32>,
}

impl Moody {
    fn new(panics: Panics) -> (&'static Moody, Waker) {
        Moody::leak(panics, None)
    }

    fn that_does(on_clone: impl FnOnce() + 'static) -> (&'static Moody, Waker) {
        Moody::leak(Panics::Never, Some(Box::new(on_clone)))
    }

    fn leak(panics: Panics, on_clone: Option<Box<dyn FnOnce()>>) -> (&'static Moody, Waker) {
        let (panics, on_clone) = (Cell::new(panics), Cell::new(on_clone));
        let moody = Moody { panics, on_clone, wakes: Cell::new(0) };
        let moody: &'static Moody = Box::leak(Box::new(moody));
        // SAFETY: the pointer is one to a `Moody` that lives for ever, as the table expects. These
        // wakers stay on their thread.
        (moody, unsafe { Waker::from_raw(raw(moody)) })
    }

    fn may_panic(&self, here: Panics) {
        if self.panics.get() == here {
            self.panics.set(Panics::Never);
            panic!("a moody waker");
        }
    }

    fn clone_now(&self) {
        self.may_panic(Panics::InClone);
        if let Some(act) = self.on_clone.take() {
            act();
        }
    }

    fn wake_now(&self) {
        self.wakes.set(self.wakes.get() + 1);
        self.may_panic(Panics::InWake);
    }
}

fn raw(moody: *const Moody) -> RawWaker {
    // SAFETY, for all four: the pointer was made from a `Moody` that lives for ever.
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |moody| {
            let moody = moody.cast::<Moody>();
            // SAFETY: see above.
            unsafe { &*moody }.clone_now();
            raw(moody)
        },
        // SAFETY: see above.
        |moody| unsafe { &*moody.cast::<Moody>() }.wake_now(),
        // SAFETY: see above.
        |moody| unsafe { &*moody.cast::<Moody>() }.wake_now(),
        // SAFETY: see above.
        |moody| unsafe { &*moody.cast::<Moody>() }.may_panic(Panics::InDrop),
    );
    RawWaker::new(moody.cast(), &TABLE)
}

/// Polls a future, which is pending, with wakers that cannot be cloned: before it has another one and
/// afterwards. Then has `event` happen, for which it must have waited all the same.
async fn waits_on<T>(future: impl Future<Output = T>, event: impl FnOnce()) -> T {
    let mut future = pin!(future);
    for _ in 0..2 {
        let (_, waker) = Moody::new(Panics::InClone);
        let polled =
            catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut(), &waker).is_ready()));
        assert!(polled.is_err(), "the waker was cloned");
        assert!(poll_once(future.as_mut(), &Wakes::new().0).is_pending());
    }
    event();
    future.await
}

#[test]
fn a_waker_that_cannot_be_cloned_costs_no_request_task_or_timer_its_end() {
    bounded(|| {
        block_on(async {
            assert_eq!(waits_on(windlass::queue_work(|| 5), || ()).await.unwrap(), 5);
            let task = spawn(async {
                iterations(5).await;
                7
            });
            assert_eq!(waits_on(task, || ()).await.unwrap(), 7);
            waits_on(windlass::time::sleep(ms(1)), || ()).await;
            let mut beat = windlass::time::interval(ms(1));
            waits_on(poll_fn(|cx| beat.poll_tick(cx)), || ()).await;
            waits_on(yield_now(), || ()).await;
        });
    });
}

#[test]
fn a_waker_that_cannot_be_cloned_costs_no_port_worker_or_channel_its_message() {
    bounded(|| {
        block_on(async {
            let (one, other) = open_channel::<u8, u8>();
            assert_eq!(waits_on(one.recv(), || other.post(1)).await, Some(1));
            let (here, there) = channel_bounded::<u8, u8>(1);
            let (here, there) = (here.open(), there.open());
            here.reserve().await.unwrap().post(1).unwrap();
            let permit = waits_on(here.reserve(), || assert_eq!(there.try_recv(), Some(1))).await;
            permit.unwrap().post(2).unwrap();
            let open = || BroadcastChannel::<u8>::new("wakers");
            let (speaker, listener) = (open(), open());
            assert_eq!(waits_on(listener.recv(), || speaker.post(3)).await, Some(3));
            let worker = Worker::<u8, u8>::spawn(|port| {
                port.on_message({
                    let port = port.clone();
                    move |number| {
                        port.post(number);
                        port.close();
                    }
                });
            });
            let worker = worker.unwrap();
            assert_eq!(waits_on(worker.recv(), || worker.post(4)).await, Some(4));
            assert_eq!(worker.join().await.unwrap(), 0);
            let worker = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
            assert!(waits_on(worker.join(), || drop(worker.terminate())).await.is_err());
        });
    });
}

#[test]
fn a_waker_that_cannot_be_cloned_costs_no_stream_socket_or_descriptor_its_event() {
    bounded(|| {
        block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut buffer = [0; 8];
            let count = waits_on(ours.read(&mut buffer), || drop(theirs.write(b"abc"))).await;
            assert_eq!((count.unwrap(), &buffer[..3]), (3, &b"abc"[..]));
            // Full, until the other side reads.
            while ours.try_write(&[0; 4096]).is_ok() {}
            let write = poll_fn(|cx| ours.poll_write(cx, b"x"));
            let reads = theirs.clone();
            let begin = || reads.read_start(|_, _| ());
            assert_eq!(waits_on(write, begin).await.unwrap(), 1);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let connect = || drop(std::net::TcpStream::connect(address).unwrap());
            waits_on(listener.accept(), connect).await.unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let send = || drop(StdUdp::bind("127.0.0.1:0").unwrap().send_to(b"hello", address));
            let receive = poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer));
            assert_eq!(waits_on(receive, send).await.unwrap().0, 5);
            let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
            let watcher = windlass::handle::Poll::new(one);
            waits_on(watcher.readable(), || drop(other)).await.unwrap();
        });
    });
}

#[test]
fn a_waker_that_cannot_be_cloned_costs_no_child_signal_or_file_event() {
    let folder = directory("wakers");
    bounded(move || {
        block_on(async {
            let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let input = child.take_stdin().unwrap();
            assert!(waits_on(child.wait(), || input.close()).await.unwrap().success());
            let signal = Signal::watch(libc::SIGUSR1).unwrap();
            // SAFETY: the signal is watched.
            waits_on(signal.recv(), || assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0)).await;
            let watcher = windlass::fs::watch(&folder).unwrap();
            let change = || std::fs::write(folder.join("file"), "").unwrap();
            assert_eq!(waits_on(watcher.next(), change).await.unwrap().path.as_os_str(), "file");
            let path = folder.join("text");
            std::fs::write(&path, "text").unwrap();
            let stream = windlass::fs::stream::ReadStream::open(&path);
            assert_eq!(waits_on(stream.next(), || ()).await.unwrap().unwrap(), b"text");
        });
    });
}

#[test]
fn a_waker_that_panics_when_it_is_dropped_costs_its_task_no_value() {
    bounded(|| {
        block_on(async {
            let (one, other) = open_channel::<u8, u8>();
            let (_, waker) = Moody::new(Panics::Never);
            let mut message = pin!(one.recv());
            let (moody, later) = Moody::new(Panics::Never);
            assert!(poll_once(message.as_mut(), &later).is_pending());
            moody.panics.set(Panics::InDrop);
            other.post(1);
            // Polled before the loop has told of the message: the waker goes with the value.
            assert_eq!(poll_once(message.as_mut(), &waker), Poll::Ready(Some(1)));
            assert!(moody.panics.get() == Panics::Never, "it has panicked");
            std::mem::forget(later);
        });
    });
}

#[test]
fn a_waker_that_panics_when_it_is_called_costs_no_other_task_its_wake() {
    bounded(|| {
        let trace = Trace::new();
        let seen = trace.clone();
        windlass::run(move || {
            let uncaught = seen.clone();
            on_uncaught(move |panic| uncaught.say(panic.message()));
            drop(spawn(async move {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let (_, bad) = Moody::new(Panics::InWake);
                let mut first = pin!(listener.accept());
                assert!(poll_once(first.as_mut(), &bad).is_pending());
                let mut others = [(); 3].map(|()| Box::pin(listener.accept()));
                let wakes = [(); 3].map(|()| Wakes::new());
                for (other, (waker, _)) in others.iter_mut().zip(&wakes) {
                    assert!(poll_once(other.as_mut(), waker).is_pending());
                }
                let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                until(|| wakes.iter().all(|(_, wakes)| wakes.count() == 1)).await;
                others[2].as_mut().await.unwrap();
                seen.say("accepted");
            }));
        });
        trace.expect(&["a moody waker", "accepted"]);
    });
}

// The callback of an end comes once, so what is lost of it is lost for good.
#[test]
fn a_waker_that_panics_when_it_is_called_costs_no_callback_of_an_end_or_a_signal() {
    bounded(|| {
        let trace = Trace::new();
        let seen = trace.clone();
        windlass::run(move || {
            let uncaught = seen.clone();
            on_uncaught(move |panic| uncaught.say(panic.message()));
            let (exit, end, signal) = (seen.clone(), seen.clone(), seen.clone());
            drop(spawn(async move {
                let bad = || Moody::new(Panics::InWake).1;
                let told = |count| {
                    let seen = seen.clone();
                    until(move || seen.lines().len() == count)
                };
                let worker = Worker::<(), ()>::spawn(|_| ()).unwrap();
                worker.on_exit(move |_| exit.say("the exit of a worker"));
                let mut join = pin!(worker.join());
                assert!(poll_once(join.as_mut(), &bad()).is_pending());
                told(2).await;
                let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
                let input = child.take_stdin().unwrap();
                child.on_exit(move |_| end.say("the end of a child"));
                let mut wait = pin!(child.wait());
                assert!(poll_once(wait.as_mut(), &bad()).is_pending());
                input.close();
                told(4).await;
                let watcher = Signal::start(libc::SIGUSR2, move || signal.say("a signal")).unwrap();
                let mut receive = pin!(watcher.recv());
                assert!(poll_once(receive.as_mut(), &bad()).is_pending());
                // SAFETY: the signal has a handler.
                unsafe { libc::raise(libc::SIGUSR2) };
                told(6).await;
                watcher.stop();
            }));
        });
        let bad = "a moody waker";
        trace.expect(&["the exit of a worker", bad, "the end of a child", bad, "a signal", bad]);
    });
}

#[test]
fn a_waker_that_panics_when_it_is_called_costs_no_message_and_no_place_of_a_bounded_channel() {
    bounded(|| {
        let trace = Trace::new();
        block_on(async {
            let uncaught = trace.clone();
            on_uncaught(move |panic| uncaught.say(panic.message()));
            let (own, other) = channel_bounded::<u8, u8>(1);
            let (own, other) = (own.open(), other.open());
            own.try_post(1).unwrap();
            let waits = || Box::pin(own.reserve());
            let (mut first, mut second) = (waits(), waits());
            let bad = || Moody::new(Panics::InWake).1;
            assert!(poll_once(first.as_mut(), &bad()).is_pending());
            assert!(poll_once(second.as_mut(), &bad()).is_pending());
            assert_eq!(
                other.try_recv(),
                Some(1),
                "the first is woken, and the message is not lost"
            );
            drop(first); // Its place goes to the second, which is woken.
            second.await.unwrap().post(2).unwrap();
            assert_eq!(other.recv().await, Some(2));
        });
        trace.expect(&["a moody waker", "a moody waker"]);
    });
}

/// Polls a future with a waker whose clone brings about what it waits for. Ready at once, or the waker is
/// woken: else it would wait for ever.
async fn hears_of_what_its_clone_does<T>(
    future: impl Future<Output = T>,
    act: impl FnOnce() + 'static,
) -> T {
    let mut future = pin!(future);
    let (moody, waker) = Moody::that_does(act);
    if let Poll::Ready(value) = poll_once(future.as_mut(), &waker) {
        return value;
    }
    until(|| moody.wakes.get() > 0).await;
    future.await
}

#[test]
fn a_waker_that_panics_when_it_is_called_costs_a_worker_no_exit_event() {
    bounded(|| {
        for receives in [false, true] {
            let trace = Trace::new();
            block_on(async {
                let uncaught = trace.clone();
                on_uncaught(move |panic| uncaught.say(panic.message()));
                let worker = Worker::<(), ()>::spawn(|port| port.on_message(|()| ())).unwrap();
                let (_, waker) = Moody::new(Panics::InWake);
                let (mut end, mut message) = (pin!(worker.join()), pin!(worker.recv()));
                let waits = match receives {
                    true => poll_once(message.as_mut(), &waker).is_pending(),
                    false => poll_once(end.as_mut(), &waker).is_pending(),
                };
                assert!(waits);
                let log = trace.clone();
                worker.on_exit(move |code| log.say(format!("exit {code}")));
                assert_eq!(worker.terminate().await, 1);
                assert!(end.await.is_err());
                assert_eq!(message.await, None);
            });
            // A receive is woken when the port ends, and a join with the exit event.
            let mut told = trace.lines();
            told.sort();
            assert_eq!(told, ["a moody waker", "exit 1"]);
        }
    });
}

#[test]
fn a_waker_whose_clone_brings_about_what_is_waited_for_is_woken() {
    bounded(|| {
        block_on(async {
            let (one, _other) = open_channel::<u8, u8>();
            let closing = one.clone();
            assert_eq!(
                hears_of_what_its_clone_does(one.recv(), move || closing.close()).await,
                None
            );
            let (one, other) = open_channel::<u8, u8>();
            assert_eq!(
                hears_of_what_its_clone_does(one.recv(), move || other.post(1)).await,
                Some(1)
            );
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let closing = listener.clone();
            let accepted = hears_of_what_its_clone_does(listener.accept(), move || closing.close());
            assert!(accepted.await.is_err());
            let (stream, _peer) = UnixStream::pair().unwrap();
            let closing = stream.clone();
            let mut bytes = [0; 8];
            let read =
                hears_of_what_its_clone_does(stream.read(&mut bytes), move || closing.close());
            assert!(read.await.is_err());
            let (stream, _peer) = UnixStream::pair().unwrap();
            let bytes = vec![0; 1 << 20];
            let write = poll_fn(|cx| {
                loop {
                    match stream.poll_write(cx, &bytes) {
                        Poll::Ready(Ok(_)) => {}
                        other => return other,
                    }
                }
            });
            let closing = stream.clone();
            let written = hears_of_what_its_clone_does(write, move || closing.close());
            assert!(written.await.is_err());
        });
    });
}
