//! Child processes.

use std::process::Command;

use common::Figures;
use common::measure::measure;

/// One after the other, each waited for with the whole thread.
pub(crate) fn spawn(items: u64) -> Figures {
    measure(items, || {
        for _ in 0..items {
            assert!(Command::new("/bin/true").status().expect("a child").success());
        }
    })
}
