//! Several futures that wait for one source: none of them takes the place of another, or takes it along.

mod support;

use std::future::{Future, poll_fn};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::Poll;

use support::*;
use windlass::block_on;
use windlass::fs::File;
use windlass::fs::stream::ReadStream;

/// Three futures of one task wait for the same thing, all but the one with the number `kept` are given up,
/// and what they waited for comes. The output of the one that was kept: it is polled when the task is woken,
/// not before.
async fn all_but_one_give_up<F: Future>(
    kept: usize,
    make: impl Fn() -> F,
    provoke: impl FnOnce(),
) -> F::Output {
    let mut futures: Vec<_> = (0..3).map(|_| Box::pin(make())).collect();
    let mut provoke = Some(provoke);
    let mut left: Option<Pin<Box<F>>> = None;
    poll_fn(move |cx| {
        if let Some(future) = &mut left {
            return future.as_mut().poll(cx);
        }
        for future in &mut futures {
            assert!(future.as_mut().poll(cx).is_pending(), "nothing is there yet");
        }
        left = Some(futures.swap_remove(kept));
        futures.clear();
        provoke.take().unwrap()();
        Poll::Pending
    })
    .await
}

// FS streams: the futures have one waker, so it cannot say which of them goes.
#[test]
fn a_wait_for_a_chunk_that_is_given_up_leaves_the_others_of_its_task() {
    bounded(|| {
        for kept in 0..3 {
            block_on(async {
                let (reader, mut writer) = std::io::pipe().unwrap();
                let file = std::fs::File::from(OwnedFd::from(reader));
                let stream = ReadStream::new(File::from_std(file));
                let write = move || writer.write_all(b"chunk").unwrap();
                let chunk = all_but_one_give_up(kept, || stream.next(), write).await;
                assert_eq!(chunk.unwrap().unwrap(), b"chunk");
            });
        }
    });
}
