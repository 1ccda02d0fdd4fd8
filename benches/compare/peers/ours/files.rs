//! Files: looking at one, reading one, 64 requests at a time.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use common::Figures;
use common::inputs::file_4k;

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
