//! Which channels work between loops?
//!
//! All whose futures keep to wakers. Here a queue of jobs (flume) is shared by two workers, and the
//! results come back by another crate (async-channel). Such a channel knows no loop and holds none:
//! the future of `block_on` and the main script of `spawn_async` do. A port would do for one
//! worker; a queue that several take from is what ports do not have.
//!
//! ```text
//! $ cargo run --bin channels
//! the squares of 0 to 999 add up to 332833500; both workers had a share
//! ```

use std::io;

use windlass::worker::Worker;

fn main() -> io::Result<()> {
    windlass::block_on(async {
        let (jobs, queue) = flume::bounded::<u64>(16);
        let (results, squares) = async_channel::bounded(16);
        for number in 0..2 {
            let (queue, results) = (queue.clone(), results.clone());
            Worker::<(), ()>::spawn_async(move |_port| async move {
                while let Ok(job) = queue.recv_async().await {
                    results.send((number, job * job)).await.expect("main waits for all");
                    // The other worker has its turn, as it would where jobs take a while.
                    windlass::yield_now().await;
                }
            })?;
        }
        drop((queue, results));
        windlass::spawn_try(async move {
            for job in 0..1000 {
                jobs.send_async(job).await?;
            }
            Ok::<(), flume::SendError<u64>>(())
        });
        let (mut sum, mut shares) = (0, [0; 2]);
        while let Ok((number, square)) = squares.recv().await {
            sum += square;
            shares[number] += 1;
        }
        assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
        println!("the squares of 0 to 999 add up to {sum}; both workers had a share");
        Ok(())
    })
}
