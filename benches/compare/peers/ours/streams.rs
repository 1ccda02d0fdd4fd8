//! The standard streams.

use common::inputs::READ_MAX;
use windlass::stdio::{stdin, stdout};

/// Copies the one to the other, and reads no more than has been written.
pub(crate) fn copy() {
    windlass::block_on(async {
        let (input, output) = (stdin(), stdout());
        let mut buffer = vec![0; READ_MAX];
        while let Ok(got @ 1..) = input.read(&mut buffer).await {
            if output.write(&buffer[..got]).await.is_err() {
                break;
            }
        }
    });
}
