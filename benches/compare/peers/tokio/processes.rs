//! Child processes.

use common::Figures;
use tokio::process::Command;

use crate::queues::measure_async;
use crate::runtime;

/// One after the other.
pub(crate) fn spawn(items: u64) -> Figures {
    runtime().block_on(measure_async(items, async {
        for _ in 0..items {
            let status = Command::new("/bin/true").status().await.expect("a child");
            assert!(status.success());
        }
    }))
}
