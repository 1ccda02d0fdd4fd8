//! Both ends of a peer that copies its standard input to its standard output, which are pipes.

use std::io::{self, Read, Write};
use std::process::{ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::inputs::READ_MAX;
use common::system;

use crate::run::{self, Figures};

/// Time and CPU of the peer for each chunk of 64 KiB, which is also what a pipe holds.
pub(crate) fn measure(words: &[String], chunks: u64) -> io::Result<Figures> {
    let mut child = run::command(words, &run::cores(1)).stdin(Stdio::piped()).spawn()?;
    system::pin_thread(0);
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    let warm = chunks.div_ceil(10);
    // It shares this thread's core, and gives its end back, so that the peer goes on until it is
    // killed.
    let writer = thread::spawn(move || -> io::Result<ChildStdin> {
        let chunk = vec![7; READ_MAX];
        (0..warm + chunks).try_for_each(|_| input.write_all(&chunk))?;
        Ok(input)
    });
    let mut buffer = vec![0; READ_MAX];
    let mut read = |chunks| (0..chunks).try_for_each(|_| output.read_exact(&mut buffer));
    let measured = read(warm).and_then(|()| {
        let (start, before) = (Instant::now(), system::cpu_time_of(child.id())?);
        read(chunks)?;
        Ok((start.elapsed(), system::cpu_time_of(child.id())? - before))
    });
    // In any case: then the writer hears that nobody reads any more.
    child.kill()?;
    child.wait()?;
    let written = writer.join().expect("the writer");
    let (wall, cpu) = measured?;
    written?;
    let each = |time: Duration| time.as_nanos() as f64 / chunks as f64;
    Ok(Figures::from([("ns".into(), each(wall)), ("cpu".into(), each(cpu))]))
}
