//! Files: looking at one, reading one, 64 requests at a time; watching directories.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use common::inputs::{Directories, file_4k};
use common::{Figures, Laps, system};
use windlass::Loop;
use windlass::fs::Watcher;

use crate::timed;

struct Work {
    left: Cell<u64>,
    path: PathBuf,
}

impl Work {
    /// Runs `next` 64 times, which goes on by itself for as long as there is work.
    fn run(items: u64, next: fn(Rc<Work>)) -> Figures {
        let work = Rc::new(Work { left: Cell::new(items), path: file_4k() });
        timed(items, || (0..64).for_each(|_| next(work.clone())))
    }

    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

pub(crate) fn stat(items: u64) -> Figures {
    fn next(work: Rc<Work>) {
        if work.take() {
            windlass::fs::metadata(&work.path).on_complete(move |metadata| {
                assert_eq!(metadata.expect("a file").len(), 4096);
                next(work);
            });
        }
    }
    Work::run(items, next)
}

pub(crate) fn read(items: u64) -> Figures {
    fn next(work: Rc<Work>) {
        if work.take() {
            windlass::fs::read(&work.path).on_complete(move |bytes| {
                assert_eq!(bytes.expect("a file").len(), 4096);
                next(work);
            });
        }
    }
    Work::run(items, next)
}

/// What is under way while directories are watched.
struct Watching {
    directories: Directories,
    watchers: Vec<Watcher>,
    /// Events that have not come yet of those that have happened.
    awaited: usize,
    batches_left: u64,
    laps: Laps,
}

impl Watching {
    /// Has things happen, or ends.
    fn go_on(&mut self) {
        if self.batches_left == 0 {
            return self.watchers.drain(..).for_each(|watcher| watcher.close());
        }
        self.batches_left -= 1;
        self.directories.change();
        self.awaited = Directories::COUNT * Directories::ROUNDS;
        self.laps.start();
    }

    fn heard(&mut self) {
        self.awaited -= 1;
        if self.awaited == 0 {
            self.laps.stop();
            self.go_on();
        }
    }
}

/// Things happen, and then it is time to hear of them. `bytes` is the memory of a watch.
pub(crate) fn watch(items: u64) -> Figures {
    let event_loop = Loop::new().expect("a loop");
    let batches = Directories::batches(items);
    let mut bytes = 0;
    let watching = Rc::new(RefCell::new(Watching {
        directories: Directories::new(),
        watchers: Vec::with_capacity(Directories::COUNT),
        awaited: 0,
        batches_left: batches,
        laps: Laps::default(),
    }));
    event_loop.run(|| {
        let before = system::resident_own();
        let mut begun = watching.borrow_mut();
        for index in 0..Directories::COUNT {
            let watcher = windlass::fs::watch(&begun.directories.paths()[index]).expect("a watch");
            let heard = watching.clone();
            watcher.on_event(move |event| {
                event.expect("an event");
                heard.borrow_mut().heard();
            });
            begun.watchers.push(watcher);
        }
        bytes = system::resident_own() - before;
        begun.go_on();
    });
    let events = batches * (Directories::COUNT * Directories::ROUNDS) as u64;
    let bytes = bytes as f64 / Directories::COUNT as f64;
    let watching = watching.borrow();
    watching.laps.figures(events).with("bytes", bytes)
}
