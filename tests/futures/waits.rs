//! What a function that polls holds: the loop, for as long as its task waits, and no longer.
//!
//! The traits have no cancel, so no destructor tells that a task has turned to something else.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::{Either, join_all, pending, select};
use futures_util::io::AsyncReadExt;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, pin_mut, select_biased};
use windlass::net::{UdpSocket, UnixStream};
use windlass::time::sleep;
use windlass::worker::{channel, channel_bounded};
use windlass::{Loop, RunMode, spawn};

use crate::common::bounded;

const MOMENT: Duration = Duration::from_millis(1);

/// Runs a program whose loop is to end by itself.
fn ends(main: impl FnOnce() + Send + 'static) {
    bounded(|| windlass::run(main));
}

/// A stream that never ends and to which nothing comes: here are both ends.
struct Silent(UnixStream, #[allow(dead_code)] UnixStream);

impl Silent {
    fn new() -> Silent {
        let (one, other) = UnixStream::pair().unwrap();
        Silent(one, other)
    }

    /// Reads by the trait, for ever.
    async fn read(&self) -> io::Result<usize> {
        let mut stream = &self.0;
        AsyncReadExt::read(&mut stream, &mut [0; 8]).await
    }
}

#[test]
fn a_read_that_lost_a_select_in_a_task_no_longer_holds_the_loop() {
    ends(|| {
        drop(spawn(async {
            let silent = Silent::new();
            select_biased! {
                _ = silent.read().fuse() => unreachable!("nothing comes"),
                () = sleep(MOMENT).fuse() => {}
            }
            // The stream lives on, and so does the task.
            pending::<()>().await;
        }));
    });
}

#[test]
fn a_read_that_lost_a_select_in_block_on_does_not_hold_the_next_run() {
    bounded(|| {
        let event_loop = Loop::new().unwrap();
        let silent = event_loop.block_on(async {
            let silent = Silent::new();
            futures_util::select! {
                _ = silent.read().fuse() => unreachable!("nothing comes"),
                () = sleep(MOMENT).fuse() => {}
            }
            silent
        });
        event_loop.run(|| ());
        drop(silent);
    });
}

#[test]
fn the_other_future_of_a_select_may_be_kept_and_awaited_later() {
    ends(|| {
        drop(spawn(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut buffer = [0; 8];
            let mut stream = &ours;
            let read = AsyncReadExt::read(&mut stream, &mut buffer);
            let timer = sleep(MOMENT);
            let Either::Right(((), read)) = select(read, timer).await else {
                unreachable!("nothing has come")
            };
            sleep(MOMENT).await;
            drop(theirs.write(b"late"));
            assert_eq!(read.await.unwrap(), 4);
        }));
    });
}

#[test]
fn a_read_in_a_set_that_was_dropped_no_longer_holds_the_loop() {
    ends(|| {
        drop(spawn(async {
            let silent = Silent::new();
            let mut set = FuturesUnordered::new();
            set.push(silent.read().map(drop).boxed_local());
            set.push(sleep(MOMENT).boxed_local());
            assert_eq!(set.next().await, Some(()));
            drop(set);
            pending::<()>().await;
        }));
    });
}

/// Turns a loop without waiting, as one does who hosts it.
fn turn(event_loop: &Loop) -> bool {
    event_loop.turn(RunMode::NoWait)
}

#[test]
fn reads_in_a_set_hold_the_loop_while_others_of_the_set_are_done() {
    let event_loop = Loop::new().unwrap();
    let sum = Rc::new(Cell::new(0));
    let total = sum.clone();
    let mut peers: Vec<StdStream> = Vec::new();
    event_loop.enter(|| {
        let mut set = FuturesUnordered::new();
        for _ in 0..3 {
            let (ours, theirs) = StdStream::pair().unwrap();
            peers.push(theirs);
            let mut ours = UnixStream::from_std(ours).unwrap();
            set.push(async move { AsyncReadExt::read(&mut ours, &mut [0; 8]).await.unwrap() });
        }
        drop(spawn(async move {
            while let Some(count) = set.next().await {
                total.set(total.get() + count);
            }
        }));
    });
    for (index, mut peer) in peers.into_iter().enumerate() {
        for _ in 0..5 {
            assert!(turn(&event_loop), "those that are left still wait");
            assert_eq!(event_loop.poll_timeout(), None);
        }
        peer.write_all(b"word").unwrap();
        while sum.get() < 4 * (index + 1) {
            turn(&event_loop);
        }
    }
    assert!(!turn(&event_loop));
}

#[test]
fn reads_that_are_joined_hold_the_loop_until_the_last() {
    // Few are polled all together; of many each has a waker of its own.
    for count in [3, 50] {
        let event_loop = Loop::new().unwrap();
        let (mut peers, done) = (Vec::new(), Rc::new(Cell::new(false)));
        let end = done.clone();
        event_loop.enter(|| {
            let reads: Vec<_> = (0..count)
                .map(|_| {
                    let (ours, theirs) = StdStream::pair().unwrap();
                    peers.push(theirs);
                    let mut ours = UnixStream::from_std(ours).unwrap();
                    async move { AsyncReadExt::read(&mut ours, &mut [0; 8]).await.unwrap() }
                })
                .collect();
            drop(spawn(async move {
                assert_eq!(join_all(reads).await, vec![1; count]);
                end.set(true);
            }));
        });
        for mut peer in peers {
            assert!((0..3).all(|_| turn(&event_loop)));
            peer.write_all(b"x").unwrap();
        }
        while !done.get() {
            assert!(turn(&event_loop) || done.get());
        }
        assert!(!turn(&event_loop));
    }
}

/// An executor of one future, which lives in the callback of a notifier that holds nothing.
struct Elsewhere {
    notifier: windlass::handle::Notifier,
}

impl Wake for Elsewhere {
    fn wake(self: Arc<Self>) {
        self.notifier.notify();
    }
}

#[test]
fn a_future_that_another_executor_polls_in_a_callback_holds_the_loop() {
    let event_loop = Loop::new().unwrap();
    let (ours, mut theirs) = StdStream::pair().unwrap();
    let polls = Rc::new(Cell::new(0));
    let done = Rc::new(Cell::new(false));
    let (count, end) = (polls.clone(), done.clone());
    event_loop.enter(|| {
        let mut ours = UnixStream::from_std(ours).unwrap();
        let read = async move { AsyncReadExt::read(&mut ours, &mut [0; 8]).await.unwrap() };
        let mut read: Pin<Box<dyn Future<Output = usize>>> = Box::pin(read);
        let own: Rc<RefCell<Option<Waker>>> = Rc::default();
        let waker = own.clone();
        let notifier = windlass::handle::Notifier::new(move || {
            count.set(count.get() + 1);
            let waker = waker.borrow().clone().unwrap();
            if let Poll::Ready(read) = read.as_mut().poll(&mut Context::from_waker(&waker)) {
                assert_eq!(read, 4);
                end.set(true);
            }
        });
        notifier.unref();
        notifier.notify();
        own.replace(Some(Waker::from(Arc::new(Elsewhere { notifier }))));
    });
    // Something has to be alive for the loop to turn at all.
    event_loop.enter(|| windlass::set_immediate(|| ()));
    turn(&event_loop);
    while polls.get() < 3 {
        assert!(turn(&event_loop), "it is asked, and answers in the next iteration");
    }
    theirs.write_all(b"word").unwrap();
    while !done.get() {
        assert!(turn(&event_loop) || done.get());
    }
    for _ in 0..2 {
        turn(&event_loop);
    }
    assert!(!event_loop.is_alive());
}

#[test]
fn no_function_that_polls_holds_the_loop_once_its_task_has_turned_to_something_else() {
    /// Polls once, and forgets it.
    async fn once<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) {
        poll_fn(|cx| {
            assert!(poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    ends(|| {
        drop(spawn(async {
            let silent = Silent::new();
            while silent.0.try_write(&[0; 65536]).is_ok() {}
            once(|cx| silent.0.poll_write(cx, b"more")).await;
            once(|cx| silent.0.poll_read(cx, &mut [0; 8])).await;

            let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
            once(|cx| listener.poll_accept(cx)).await;

            let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
            once(|cx| datagrams.poll_recv_from(cx, &mut [0; 8])).await;

            let (here, there) = channel::<u8, u8>();
            let (here, there) = (here.open(), there.open());
            once(|cx| here.poll_recv(cx)).await;

            let (tight, other) = channel_bounded::<u8, u8>(1);
            let (tight, other) = (tight.open(), other.open());
            tight.try_post(1).unwrap();
            once(|cx| tight.poll_reserve(cx)).await;

            let signal = windlass::signal::Signal::watch(libc::SIGUSR2).unwrap();
            once(|cx| signal.poll_recv(cx)).await;

            let watcher = windlass::fs::watch("tests/futures").unwrap();
            once(|cx| watcher.poll_next(cx)).await;

            pending::<()>().await;
            drop((there, other));
        }));
    });
}

#[test]
fn a_wait_for_connections_ends_with_its_future() {
    ends(|| {
        drop(spawn(async {
            let listener = windlass::net::TcpListener::bind("127.0.0.1:0").unwrap();
            {
                let incoming = listener.incoming();
                let timer = sleep(MOMENT);
                pin_mut!(incoming, timer);
                assert!(matches!(select(incoming.next(), timer).await, Either::Right(_)));
            }
            pending::<()>().await;
        }));
    });
}

#[test]
fn who_waits_by_a_function_that_polls_is_not_asked_while_something_else_holds_the_loop() {
    ends(|| {
        let polls = Rc::new(Cell::new(0));
        let count = polls.clone();
        drop(spawn(async move {
            let silent = Silent::new();
            poll_fn(|cx| {
                count.set(count.get() + 1);
                silent.0.poll_read(cx, &mut [0; 8])
            })
            .await
        }));
        let mut left = 10;
        windlass::set_interval(MOMENT, move |_| {
            left -= 1;
            if left == 0 {
                assert_eq!(polls.get(), 1);
                windlass::exit(0);
            }
        });
    });
}

#[test]
fn an_unreferenced_stream_is_not_held_by_who_polls_it() {
    ends(|| {
        drop(spawn(async {
            let silent = Silent::new();
            silent.0.unref();
            silent.read().await
        }));
    });
}
