//! Queues give back what a burst has made large. This file is a program of its own, because it counts what
//! the whole process allocates.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::*;
use windlass::block_on;
use windlass::worker::{BroadcastChannel, Port, PortEnd, Worker, channel, channel_bounded};

/// What is small beside a burst, and more than anything else here needs.
const LITTLE: usize = 200_000;

/// Messages of eight bytes: 2 MB and more in a queue.
const BURST: u64 = 200_000;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new(4096);

/// Expects that `burst` leaves next to nothing allocated.
async fn expect_little_after<F: Future<Output = ()>>(what: &str, burst: impl FnOnce() -> F) {
    let before = ALLOCATOR.bytes();
    burst().await;
    // What the loop itself keeps of a burst is not the question here: there is one notice for all.
    let more = ALLOCATOR.bytes().saturating_sub(before);
    assert!(more < LITTLE, "{what}: {more} bytes are kept");
}

/// Counts what comes, and says when it is a burst.
fn count_to_burst() -> (Rc<Cell<u64>>, impl FnMut(u64) + 'static) {
    let count = Rc::new(Cell::new(0));
    let inner = count.clone();
    (count, move |_| inner.set(inner.get() + 1))
}

async fn bursts_leave_little() {
    let open = |(one, other): (PortEnd<u64, u64>, PortEnd<u64, u64>)| (one.open(), other.open());
    let post = |port: &Port<u64, u64>| (0..BURST).for_each(|number| port.post(number));

    let (here, there) = open(channel());
    expect_little_after("to a handler", async || {
        let (count, handler) = count_to_burst();
        there.on_message(handler);
        post(&here);
        until(|| count.get() == BURST).await;
    })
    .await;

    expect_little_after("to a handler that then goes", async || {
        let (count, mut handler) = count_to_burst();
        let (own, seen) = (there.clone(), count.clone());
        there.on_message(move |number| {
            handler(number);
            if seen.get() == BURST {
                own.off_message();
            }
        });
        post(&here);
        until(|| count.get() == BURST).await;
    })
    .await;

    for behind in [1, BURST] {
        expect_little_after("to who receives, and more meanwhile", async || {
            post(&here);
            for number in 0..BURST {
                assert_eq!(there.recv().await, Some(number));
            }
            (0..behind).for_each(|number| here.post(number));
            assert_eq!(there.recv().await, Some(0));
            (0..behind).for_each(|number| here.post(number));
            (1..2 * behind).for_each(|_| assert!(there.try_recv().is_some()));
            assert_eq!(there.try_recv(), None);
        })
        .await;
    }

    let (here, there) = channel_bounded::<u64, u64>(BURST as usize);
    let (here, there) = (here.open(), there.open());
    expect_little_after("in a channel with a bound", async || {
        (0..BURST).for_each(|number| here.try_post(number).unwrap());
        (0..BURST).for_each(|_| assert!(there.try_recv().is_some()));
    })
    .await;

    let open = || BroadcastChannel::<u64>::new("memory");
    let (here, there) = (open(), open());
    expect_little_after("in a broadcast", async || {
        (0..BURST).for_each(|number| here.post(number));
        (0..BURST).for_each(|_| assert!(there.try_recv().is_some()));
    })
    .await;

    let worker = Worker::<u64, u64>::spawn_async(async |port| {
        while let Some(message) = port.recv().await {
            port.post(message);
        }
    })
    .unwrap();
    worker.post(0);
    worker.recv().await.unwrap();
    expect_little_after("to a worker and back", async || {
        (0..BURST).for_each(|number| worker.post(number));
        for number in 0..BURST {
            assert_eq!(worker.recv().await, Some(number));
        }
    })
    .await;
}

// One test, since whatever runs beside it would be counted too.
#[test]
fn a_queue_gives_back_what_a_burst_took_and_a_steady_load_does_not_allocate() {
    bounded(|| {
        block_on(bursts_leave_little());
        virtual_loop().block_on(bursts_leave_little());

        block_on(async {
            let (here, there) = channel::<u64, ()>();
            let (here, there) = (here.open(), there.open());
            let count = Rc::new(Cell::new(0));
            let seen = count.clone();
            there.on_message(move |_| seen.set(seen.get() + 1));
            let mut before = 0;
            for round in 0..200 {
                if round == 2 {
                    before = ALLOCATOR.large();
                }
                (0..4_000).for_each(|number| here.post(number));
                until(|| count.get() == (round + 1) * 4_000).await;
            }
            assert_eq!(ALLOCATOR.large(), before);
            there.close();
        });
    });
}
