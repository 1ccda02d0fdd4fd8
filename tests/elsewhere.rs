//! Ids and sleeps on other threads than their loop's.

mod common;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use windlass::time::{Sleep, sleep};
use windlass::{Loop, RunMode};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

/// Counts its wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn is_ready(sleep: &mut Sleep, count: &Arc<Count>) -> bool {
    let waker = Waker::from(count.clone());
    Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_ready()
}

/// Does something on another thread.
fn elsewhere<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(f).join().unwrap()
}

#[test]
fn the_id_of_a_timer_or_an_immediate_does_nothing_on_another_thread() {
    let called = Rc::new(Cell::new(0));
    let counts = called.clone();
    windlass::run(move || {
        let also = counts.clone();
        let timer = windlass::set_timeout(SHORT, move || also.set(also.get() + 1));
        let immediate = windlass::set_immediate(move || counts.set(counts.get() + 10));
        elsewhere(move || {
            // Also where another loop is current.
            Loop::new().unwrap().enter(|| {
                timer.clear();
                timer.refresh();
                timer.unref();
                immediate.clear();
                immediate.set_ref(false);
                assert!(!timer.is_active() && !timer.has_ref() && timer.due_in().is_none());
                assert!(!immediate.has_ref());
            });
        });
        assert!(timer.is_active() && timer.has_ref() && immediate.has_ref());
    });
    assert_eq!(called.get(), 11);
}

#[test]
fn the_id_of_a_timer_does_nothing_in_a_pool_job_in_virtual_time_either() {
    let event_loop = Loop::builder().virtual_time(true).build().unwrap();
    let fired = Rc::new(Cell::new(false));
    let fires = fired.clone();
    event_loop.run(move || {
        let timer = windlass::set_timeout(HOUR, move || fires.set(true));
        drop(windlass::queue_work(move || timer.clear()));
    });
    assert!(fired.get());
}

#[test]
fn a_sleep_that_is_polled_elsewhere_is_woken_by_the_loop_that_made_it() {
    let (ours, count) = (Loop::new().unwrap(), Arc::new(Count::default()));
    let mut sleep = ours.enter(|| sleep(SHORT));
    let also = count.clone();
    let mut sleep = elsewhere(move || {
        assert!(!is_ready(&mut sleep, &also));
        sleep
    });
    assert!(!ours.turn(RunMode::Default));
    assert_eq!(count.get(), 1);
    assert!(is_ready(&mut sleep, &count));
    assert!(is_ready(&mut sleep, &count), "and it stays ready");
}

#[test]
fn a_sleep_that_is_dropped_elsewhere_clears_its_timer_by_a_post() {
    let (ours, count) = (Loop::new().unwrap(), Arc::new(Count::default()));
    let mut long = ours.enter(|| sleep(HOUR));
    assert!(!is_ready(&mut long, &count));
    elsewhere(move || drop(long));
    // Else it would take an hour.
    assert!(!ours.turn(RunMode::Default));
    assert_eq!(count.get(), 0, "nobody waits any more");
}

#[test]
fn a_sleep_that_is_reset_elsewhere_counts_anew_when_its_loop_hears_of_it() {
    let (ours, count) = (Loop::builder().virtual_time(true).build().unwrap(), Arc::default());
    let mut sleep = ours.enter(|| sleep(HOUR));
    assert!(!ours.turn(RunMode::Default));
    assert!(is_ready(&mut sleep, &count));
    let mut sleep = elsewhere(move || {
        sleep.reset();
        sleep
    });
    assert!(!is_ready(&mut sleep, &count), "what came before does not count");
    let before = ours.now();
    assert!(!ours.turn(RunMode::Default));
    assert_eq!(ours.now() - before, HOUR);
    assert!(is_ready(&mut sleep, &count));
}

#[test]
fn a_sleep_that_fires_while_a_reset_is_on_its_way_is_not_ready() {
    let (ours, count) = (Loop::new().unwrap(), Arc::new(Count::default()));
    let short = ours.enter(|| sleep(SHORT));
    let (send, receive) = mpsc::channel();
    let inner = send.clone();
    ours.enter(|| {
        // Timers come before posts in a turn.
        windlass::set_timeout(SHORT, move || inner.send(()).unwrap());
    });
    while ours.poll_timeout() != Some(Duration::ZERO) {
        thread::yield_now();
        ours.update_time();
    }
    let mut short = elsewhere(move || {
        short.reset();
        short
    });
    ours.turn(RunMode::NoWait);
    receive.try_recv().expect("the timers have fired");
    assert!(!is_ready(&mut short, &count));
    assert!(!ours.turn(RunMode::Default));
    assert!(is_ready(&mut short, &count));
}

#[test]
fn a_sleep_is_ready_after_the_end_of_its_loop_wherever_it_is() {
    let (ours, count) = (Loop::new().unwrap(), Arc::new(Count::default()));
    let [mut here, mut there, late] = [(); 3].map(|()| ours.enter(|| sleep(HOUR)));
    assert!(!is_ready(&mut here, &count) && !is_ready(&mut there, &count));
    drop(ours);
    assert_eq!(count.get(), 2, "who waits is told");
    assert!(is_ready(&mut here, &count));
    elsewhere(move || {
        late.reset();
        for mut sleep in [there, late] {
            assert!(is_ready(&mut sleep, &count));
        }
    });
}

#[test]
fn a_loop_awaits_the_sleep_of_another_one() {
    let (send, receive) = mpsc::channel();
    let other = thread::spawn(move || {
        windlass::run(|| {
            send.send(sleep(SHORT)).unwrap();
        });
    });
    windlass::block_on(receive.recv().unwrap());
    other.join().unwrap();
}

#[test]
fn a_panic_of_a_detached_task_is_logged_with_its_place_and_ends_nothing() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it was dropped");
        }
    }
    let said = common::log_of(log::Level::Error, || {
        windlass::run(|| {
            windlass::on_uncaught(|uncaught| unreachable!("{}", uncaught.message()));
            windlass::spawn_detached(async {
                windlass::yield_now().await;
                panic!("by accident");
            });
            let bomb = Bomb;
            let mut first = true;
            windlass::spawn_detached(poll_fn(move |cx| {
                let _of_the_future = &bomb;
                cx.waker().wake_by_ref();
                if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
            }));
            windlass::set_immediate(|| {
                windlass::set_immediate(|| log::error!("the loop goes on"));
            });
        });
    });
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("tests/elsewhere.rs") && said[0].ends_with("as it was dropped"));
    assert!(said[1].contains("tests/elsewhere.rs") && said[1].ends_with("by accident"));
    assert_eq!(said[2], "the loop goes on");
}

#[test]
fn an_error_of_a_detached_task_is_heard_of() {
    let heard = Rc::new(Cell::new(false));
    let hears = heard.clone();
    windlass::run(move || {
        windlass::on_unhandled(move |unhandled| {
            assert_eq!((unhandled.kind, unhandled.error.as_str()), ("task", "out of order"));
            hears.set(true);
        });
        windlass::spawn_detached(async { Err::<(), _>("out of order") });
    });
    assert!(heard.get());
}
