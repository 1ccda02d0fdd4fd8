//! Values of one loop that pass for `Send`: they are used and dropped on their own thread only.

mod common;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;

use windlass::task::Local;
use windlass::{Loop, RunMode};

fn is_send_and_sync<T: Send + Sync>(value: T) -> T {
    value
}

/// Runs on another thread, and returns the message of its panic.
fn message_from_elsewhere<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> String {
    let f = move || panic::catch_unwind(AssertUnwindSafe(f));
    let payload = thread::spawn(f).join().unwrap().err().expect("it panics");
    *payload.downcast::<String>().expect("with a message")
}

/// Says on which thread it was dropped, if at all.
struct Dropped(Rc<Cell<Option<thread::ThreadId>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(Some(thread::current().id()));
    }
}

#[test]
fn a_value_of_one_loop_passes_a_bound_that_is_asked_and_not_used() {
    windlass::block_on(async {
        let mut local = is_send_and_sync(Local::new(Rc::new(Cell::new(1))));
        local.set(local.get() + 1);
        *local = Rc::new(Cell::new(local.get() + 1));
        assert!(local.is_here());
        assert_eq!(local.clone().get(), 3);
        assert_eq!(format!("{local:?}"), "Local(Cell { value: 3 })");
        assert_eq!(local.into_inner().get(), 3);
    });
}

#[test]
fn a_future_of_one_loop_passes_such_a_bound_and_stays_pinned() {
    let answer = windlass::block_on(async {
        let one = Rc::new(Cell::new(1));
        let inner = one.clone();
        let future: Pin<Box<dyn Future<Output = u32> + Send>> = Box::pin(Local::new(async move {
            let borrowed = &inner;
            windlass::yield_now().await;
            borrowed.get()
        }));
        one.set(42);
        windlass::spawn(future).await.unwrap()
    });
    assert_eq!(answer, 42);
}

#[test]
fn a_use_on_another_thread_panics_and_names_both_loops() {
    let ours = Loop::builder().name("ours").build().unwrap();
    let local = Arc::new(ours.enter(|| Local::new(Rc::new(7))));
    let [one, two, three] = [(); 3].map(|()| local.clone());

    let message = message_from_elsewhere(move || {
        let theirs = Loop::builder().name("theirs").build().unwrap();
        theirs.enter(|| ***one + 1)
    });
    assert!(message.contains("the loop \"ours\""), "{message}");
    assert!(message.contains("on the loop \"theirs\""), "{message}");
    assert!(message.contains("tests/local.rs"), "{message}");

    let message = message_from_elsewhere(move || drop(Local::clone(&two)));
    assert!(message.contains("a thread without a loop"), "{message}");

    // Not a use.
    let shown = thread::spawn(move || (three.is_here(), format!("{three:?}"))).join().unwrap();
    assert_eq!(shown, (false, "Local(..)".to_owned()));
    assert_eq!(**local, Rc::new(7));
}

#[test]
fn what_cannot_be_used_here_is_neither_polled_nor_given_back() {
    let ours = Loop::new().unwrap();
    let polled = Rc::new(Cell::new(false));
    let says = polled.clone();
    let future = poll_fn(move |_| {
        says.set(true);
        Poll::Ready(())
    });
    let mut future = ours.enter(|| Local::new(future));
    let message = message_from_elsewhere(move || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut future).poll(&mut context)
    });
    assert!(message.contains("its own thread only"), "{message}");
    let value = ours.enter(|| Local::new(Rc::new(1)));
    message_from_elsewhere(move || drop(value.into_inner()));
    assert!(!polled.get());
}

#[test]
fn a_value_that_is_dropped_elsewhere_goes_back_and_is_dropped_on_its_own_thread() {
    let ours = Loop::new().unwrap();
    let dropped = Rc::new(Cell::new(None));
    let local = ours.enter(|| Local::new(Dropped(dropped.clone())));
    thread::spawn(move || drop(local)).join().unwrap();
    assert_eq!(dropped.get(), None);
    assert!(ours.turn(RunMode::Default) || dropped.get().is_some());
    assert_eq!(dropped.get(), Some(thread::current().id()));
}

#[test]
fn a_value_on_its_way_back_is_dropped_with_its_loop() {
    let ours = Loop::new().unwrap();
    let dropped = Rc::new(Cell::new(None));
    let local = ours.enter(|| Local::new(Dropped(dropped.clone())));
    thread::spawn(move || drop(local)).join().unwrap();
    drop(ours);
    assert_eq!(dropped.get(), Some(thread::current().id()));
}

#[test]
fn after_the_end_of_its_loop_a_value_is_dropped_on_its_own_thread_or_never() {
    let ours = Loop::builder().name("gone").build().unwrap();
    let (one, two) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
    let [here, elsewhere] = [&one, &two].map(|it| ours.enter(|| Local::new(Dropped(it.clone()))));
    drop(ours);
    assert!(here.0.get().is_none(), "it can still be used");
    drop(here);
    assert_eq!(one.get(), Some(thread::current().id()));
    let said = thread::spawn(|| common::warnings_of(|| drop(elsewhere))).join().unwrap();
    assert_eq!(two.get(), None);
    assert!(said[0].contains("a value of the loop \"gone\""), "{said:?}");
}

#[test]
fn a_job_is_on_another_thread_in_virtual_time_too_and_what_it_drops_goes_back() {
    struct Ticks(Rc<Cell<bool>>);
    impl Drop for Ticks {
        fn drop(&mut self) {
            let ticked = self.0.clone();
            windlass::next_tick(move || ticked.set(true));
        }
    }
    for is_virtual in [false, true] {
        let event_loop = Loop::builder().virtual_time(is_virtual).build().unwrap();
        let ticked = Rc::new(Cell::new(false));
        event_loop.run(|| {
            let local = Local::new(Ticks(ticked.clone()));
            let job = windlass::queue_work(move || {
                assert!(!local.is_here());
                panic::catch_unwind(AssertUnwindSafe(|| local.0.get())).unwrap_err();
            });
            job.on_complete(|outcome| outcome.expect("a use is refused, and the rest goes on"));
        });
        assert!(ticked.get(), "dropped where its loop is current, in virtual time: {is_virtual}");
    }
}

#[test]
fn a_panic_of_a_destructor_that_went_back_is_one_of_the_post() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor");
        }
    }
    let seen = Arc::new(AtomicBool::new(false));
    let sees = seen.clone();
    windlass::run(move || {
        windlass::on_uncaught(move |uncaught| {
            assert_eq!(uncaught.message(), "a destructor");
            assert!(uncaught.registered_at().unwrap().file().ends_with("local.rs"));
            sees.store(true, Ordering::Relaxed);
        });
        let bomb = Local::new(Bomb);
        thread::spawn(move || drop(bomb)).join().unwrap();
    });
    assert!(seen.load(Ordering::Relaxed));
}

#[cfg(feature = "futures")]
#[test]
fn a_stream_keeps_its_traits_and_passes_for_send() {
    use futures_core::Stream;
    use futures_io::{AsyncRead, AsyncWrite};

    fn is_sent<S: AsyncRead + AsyncWrite + Unpin + Send>(stream: S) -> S {
        stream
    }

    windlass::block_on(async {
        let (ours, theirs) = windlass::net::UnixStream::pair().unwrap();
        let mut ours = is_sent(Local::new(ours));
        assert_eq!(poll_fn(|cx| Pin::new(&mut ours).poll_write(cx, b"there")).await.unwrap(), 5);
        let mut buffer = [0; 10];
        assert_eq!(theirs.read(&mut buffer).await.unwrap(), 5);
        theirs.write(b"back").await.unwrap();
        assert_eq!(poll_fn(|cx| Pin::new(&mut ours).poll_read(cx, &mut buffer)).await.unwrap(), 4);
        poll_fn(|cx| Pin::new(&mut ours).poll_close(cx)).await.unwrap();
        assert_eq!(theirs.read(&mut buffer).await.unwrap(), 0);

        let mut beat = Local::new(windlass::time::interval(std::time::Duration::from_millis(1)));
        poll_fn(|cx| Pin::new(&mut beat).poll_next(cx)).await.unwrap();
    });
}
