//! A line for whoever sits at a terminal: which workload of how many is running, and how long the
//! rest takes.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How far a run of the bench is. It says nothing where there is no terminal.
pub(crate) struct Progress {
    /// How many workloads there are, and how many rounds each has.
    workloads: usize,
    rounds: usize,
    begun: Instant,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(workloads: usize, rounds: usize) -> Progress {
        Progress { workloads, rounds, begun: Instant::now(), is_shown: stderr().is_terminal() }
    }

    /// A round begins; both count from 0.
    pub(crate) fn at(&self, name: &str, workload: usize, round: usize) {
        let done = workload * self.rounds + round;
        let left = self.workloads * self.rounds - done;
        // A first workload says too little of the others.
        let time = match done.checked_div(self.rounds) {
            Some(0) | None => String::new(),
            Some(_) => in_words(self.begun.elapsed() * left as u32 / done as u32),
        };
        self.show(&format!("[{} of {}] {name}{time}", workload + 1, self.workloads));
    }

    /// The line goes, so that another can have its place.
    pub(crate) fn clear(&self) {
        self.show("");
    }

    fn show(&self, words: &str) {
        if self.is_shown {
            eprint!("\r\x1b[K{words}");
            // Whether it is seen makes no difference to the run.
            drop(stderr().flush());
        }
    }
}

fn in_words(left: Duration) -> String {
    match left.as_secs() {
        seconds @ ..90 => format!(" · about {seconds} s left"),
        seconds => format!(" · about {} min left", seconds.div_ceil(60)),
    }
}
