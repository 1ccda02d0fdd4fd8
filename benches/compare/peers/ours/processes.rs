//! Child processes.

use common::Figures;
use windlass::process::Command;

use crate::timed;

/// One after the other.
pub(crate) fn spawn(items: u64) -> Figures {
    fn next(left: u64) {
        if left > 0 {
            let child = Command::new("/bin/true").spawn().expect("a child");
            child.on_exit(move |status| {
                assert!(status.success());
                next(left - 1);
            });
        }
    }
    timed(items, || next(items))
}
