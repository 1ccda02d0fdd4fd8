//! Tasks that are ready at once, in place of microtasks; yields, in place of iterations.

use std::cell::Cell;
use std::hint::black_box;

use common::Figures;
use common::measure::measure;
use tokio::task::{LocalSet, spawn_local, yield_now};

use crate::runtime;

const BATCH: u64 = 1000;

pub(crate) fn microtask_batch(items: u64) -> Figures {
    let count: &'static Cell<u64> = Box::leak(Box::new(Cell::new(0)));
    let (runtime, batches) = (runtime(), items.div_ceil(BATCH));
    let figures = LocalSet::new().block_on(&runtime, async {
        measure_async(batches * BATCH, async {
            for batch in 1..=batches {
                for _ in 0..BATCH {
                    spawn_local(async { count.set(count.get() + 1) });
                }
                while count.get() < batch * BATCH {
                    yield_now().await;
                }
            }
        })
        .await
    });
    assert_eq!(count.get(), batches * BATCH);
    figures
}

pub(crate) fn microtask_chain(items: u64) -> Figures {
    fn next(left: u64, done: tokio::sync::oneshot::Sender<()>) {
        if left > 0 {
            spawn_local(async move { next(left - 1, done) });
        } else {
            done.send(()).expect("someone waits");
        }
    }
    LocalSet::new().block_on(&runtime(), async {
        let (sender, done) = tokio::sync::oneshot::channel();
        measure_async(items, async {
            next(items, sender);
            done.await.expect("the end of the chain");
        })
        .await
    })
}

/// A yield resumes after the runtime has looked at its driver.
pub(crate) fn loop_count(items: u64) -> Figures {
    let runtime = runtime();
    measure(items, || {
        runtime.block_on(async {
            for _ in 0..items {
                yield_now().await;
            }
        });
    })
}

pub(crate) fn spawn_task(items: u64) -> Figures {
    LocalSet::new().block_on(&runtime(), async {
        measure_async(items, async {
            for item in 0..items {
                black_box(spawn_local(async move { item }).await.expect("a task"));
            }
        })
        .await
    })
}

pub(crate) async fn measure_async(items: u64, program: impl Future<Output = ()>) -> Figures {
    let stopwatch = common::Stopwatch::start();
    program.await;
    stopwatch.stop(items)
}
