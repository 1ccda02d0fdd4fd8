//! Files through io_uring: looking at one, reading one, 64 tasks at a time.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use common::Figures;
use common::inputs::file_4k;

use crate::timed_async;

/// Does `work` again and again in 64 tasks, so many times in all.
fn in_flight<F: Future<Output = usize> + 'static>(items: u64, work: fn(PathBuf) -> F) -> Figures {
    let (left, path) = (Rc::new(Cell::new(items)), file_4k());
    timed_async(items, async move {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (left, path) = (left.clone(), path.clone());
                runite::spawn(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        assert_eq!(work(path.clone()).await, 4096);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
    })
}

pub(crate) fn stat(items: u64) -> Figures {
    in_flight(items, |path| async move {
        runite::fs::metadata(path).await.expect("a file").len() as usize
    })
}

pub(crate) fn read(items: u64) -> Figures {
    in_flight(items, |path| async move { runite::fs::read(path).await.expect("a file").len() })
}
