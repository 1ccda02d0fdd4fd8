//! Two threads that call the system straight, with nobody waiting for any single answer.

use std::path::{Path, PathBuf};
use std::thread;

use common::Figures;
use common::inputs::file_4k;
use common::measure::measure;

const THREADS: u64 = 2;

fn on_threads(items: u64, work: fn(&Path) -> usize) -> Figures {
    let path: PathBuf = file_4k();
    let each = items.div_ceil(THREADS);
    measure(each * THREADS, || {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..each).for_each(|_| assert_eq!(work(&path), 4096)));
            }
        });
    })
}

pub(crate) fn stat(items: u64) -> Figures {
    on_threads(items, |path| std::fs::metadata(path).expect("a file").len() as usize)
}

pub(crate) fn read(items: u64) -> Figures {
    on_threads(items, |path| std::fs::read(path).expect("a file").len())
}
