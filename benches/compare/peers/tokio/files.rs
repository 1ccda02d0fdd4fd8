//! Files: looking at one, reading one, 64 tasks at a time; watching directories.

use std::cell::Cell;
use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::rc::Rc;

use common::inputs::{Directories, file_4k};
use common::{Figures, Laps, Stopwatch, system};
use inotify::{EventMask, Inotify, WatchMask};
use tokio::task::LocalSet;
use tokio_stream::StreamExt;

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

/// inotify as a stream, with a table of what is watched: what `notify` does too, which has a thread
/// of its own
/// besides.
pub(crate) fn watch(items: u64) -> Figures {
    let (mut directories, mut laps) = (Directories::new(), Laps::default());
    let batches = Directories::batches(items);
    let bytes = runtime().block_on(async {
        let before = system::resident_own();
        let inotify = Inotify::init().expect("inotify");
        let mut watched = HashMap::new();
        for path in directories.paths() {
            let mask = WatchMask::CREATE | WatchMask::DELETE | WatchMask::MODIFY | WatchMask::MOVE;
            let watch = inotify.watches().add(path, mask).expect("a watch");
            watched.insert(watch, path.clone());
        }
        let mut events = inotify.into_event_stream(vec![0; 64 * 1024]).expect("a stream");
        let bytes = system::resident_own() - before;
        for _ in 0..batches {
            directories.change();
            laps.start();
            for _ in 0..Directories::COUNT * Directories::ROUNDS {
                let event = events.next().await.expect("no end").expect("an event");
                assert!(event.mask.intersects(EventMask::CREATE | EventMask::DELETE));
                black_box(watched[&event.wd].join(event.name.expect("a name")));
            }
            laps.stop();
        }
        bytes
    });
    let events = batches * (Directories::COUNT * Directories::ROUNDS) as u64;
    laps.figures(events).with("bytes", bytes as f64 / Directories::COUNT as f64)
}
