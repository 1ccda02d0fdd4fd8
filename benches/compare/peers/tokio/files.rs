//! Files: looking at one, reading one, 64 tasks at a time.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use common::inputs::file_4k;
use common::{Figures, Stopwatch};
use tokio::task::LocalSet;

use crate::runtime;

/// Does `work` again and again in 64 tasks, so many times in all.
fn in_flight<F: Future<Output = usize> + 'static>(items: u64, work: fn(PathBuf) -> F) -> Figures {
    let (runtime, tasks) = (runtime(), LocalSet::new());
    let (left, path) = (Rc::new(Cell::new(items)), file_4k());
    let stopwatch = Stopwatch::start();
    for _ in 0..64 {
        let (left, path) = (left.clone(), path.clone());
        tasks.spawn_local(async move {
            while left.get() > 0 {
                left.set(left.get() - 1);
                assert_eq!(work(path.clone()).await, 4096);
            }
        });
    }
    runtime.block_on(tasks);
    stopwatch.stop(items)
}

pub(crate) fn stat(items: u64) -> Figures {
    in_flight(items, |path| async move {
        tokio::fs::metadata(path).await.expect("a file").len() as usize
    })
}

pub(crate) fn read(items: u64) -> Figures {
    in_flight(items, |path| async move { tokio::fs::read(path).await.expect("a file").len() })
}
