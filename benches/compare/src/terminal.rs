//! What a person at a terminal sees: colours, and how far a run is.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// A colour of words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Red,
    Green,
    Grey,
}

/// Words for the standard output, in a colour if it is a terminal and nobody has said `NO_COLOR`.
pub(crate) fn paint(words: &str, colour: Colour) -> String {
    let code = match colour {
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Grey => 90,
    };
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_unwanted || !stdout().is_terminal() {
        return words.to_owned();
    }
    format!("\x1b[{code}m{words}\x1b[0m")
}

/// Says on the standard error which of how many rows is under way, and how long the rest takes.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The seconds that each row is thought to take.
    expected: Vec<f64>,
    /// The row that is under way, from 0.
    index: usize,
    begun: Instant,
    row_begun: Instant,
}

impl Progress {
    pub(crate) fn new(expected: Vec<f64>) -> Progress {
        let now = Instant::now();
        Progress { expected, index: 0, begun: now, row_begun: now }
    }

    /// A row begins.
    pub(crate) fn begin(&mut self, name: &str) {
        self.row_begun = Instant::now();
        if !stderr().is_terminal() {
            eprintln!("{}", self.words(name, 0.0));
        }
    }

    /// So much of the row is done, from 0 to 1. Only a terminal has a line that can be written
    /// anew.
    pub(crate) fn at(&self, name: &str, share: f64) {
        if stderr().is_terminal() {
            eprint!("\r\x1b[K{}", self.words(name, share));
            // Whether it is seen makes no difference to the run.
            drop(stderr().flush());
        }
    }

    /// The row has ended. Returns the seconds that it took.
    pub(crate) fn end(&mut self) -> f64 {
        self.index += 1;
        if stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
        self.row_begun.elapsed().as_secs_f64()
    }

    fn words(&self, name: &str, share: f64) -> String {
        let left = left(&self.expected, self.index, share, self.begun.elapsed());
        format!("[{} of {}] {name} · {}", self.index + 1, self.expected.len(), in_words(left))
    }
}

/// How long the rest takes, if rows take as many times what is expected as they did so far.
fn left(expected: &[f64], index: usize, share: f64, elapsed: Duration) -> Duration {
    let row = expected.get(index).copied().unwrap_or(0.0);
    let done = expected[..index].iter().sum::<f64>() + row * share;
    let rest = expected.iter().sum::<f64>() - done;
    // Until some rows have been seen, what was expected is the better guess.
    let pace = if done > 20.0 { elapsed.as_secs_f64() / done } else { 1.0 };
    Duration::from_secs_f64(rest * pace)
}

fn in_words(left: Duration) -> String {
    match left.as_secs() {
        seconds @ ..90 => format!("{seconds} s left"),
        seconds => format!("{} min left", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_the_pace_of_what_is_done() {
        let expected = [30.0, 30.0, 60.0];
        let left = |index, share, seconds| {
            left(&expected, index, share, Duration::from_secs(seconds)).as_secs()
        };
        assert_eq!(left(0, 0.0, 0), 120);
        assert_eq!(left(0, 0.5, 30), 105, "too early to say");
        assert_eq!(left(1, 0.0, 60), 180);
        assert_eq!(left(2, 0.5, 45), 15);
    }

    #[test]
    fn a_time_is_in_seconds_or_in_minutes() {
        assert_eq!(in_words(Duration::from_secs(89)), "89 s left");
        assert_eq!(in_words(Duration::from_secs(601)), "11 min left");
    }
}
