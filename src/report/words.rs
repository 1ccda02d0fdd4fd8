//! Durations as a person reads them.

use std::fmt;
use std::time::Duration;

use crate::clock::{Nanos, saturating_nanos};

/// A duration in words: two digits or whole units, as "350 ns", "1.5 ms", "10 ms" or "2 min".
#[derive(Clone, Copy, Debug)]
pub(crate) struct InWords(pub(crate) Nanos);

/// The units, each with its length. The next one is used from its own length on.
const UNITS: [(u128, &str); 6] = [
    (1, "ns"),
    (1_000, "µs"),
    (1_000_000, "ms"),
    (1_000_000_000, "s"),
    (60_000_000_000, "min"),
    (3_600_000_000_000, "h"),
];

impl From<Duration> for InWords {
    fn from(duration: Duration) -> InWords {
        InWords(saturating_nanos(duration))
    }
}

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u128::from(self.0);
        let rounded = |parts: u128, length: u128| (nanos * parts + length / 2) / length;
        let (mut length, mut unit) = UNITS[0];
        for (next, name) in UNITS {
            // Rounded before it is compared: 999.96 ms is 1 s.
            if rounded(1, length) * length >= next {
                (length, unit) = (next, name);
            }
        }
        let tenths = rounded(10, length);
        if tenths >= 100 {
            return write!(f, "{} {unit}", rounded(1, length));
        }
        match tenths % 10 {
            0 => write!(f, "{} {unit}", tenths / 10),
            tenth => write!(f, "{}.{tenth} {unit}", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_words_that_a_person_reads() {
        let cases = [
            (0, "0 ns"),
            (1, "1 ns"),
            (350, "350 ns"),
            (1_540, "1.5 µs"),
            (9_960, "10 µs"),
            (10_000_000, "10 ms"),
            (12_499_999, "12 ms"),
            (999_960_000, "1 s"),
            (1_500_000_000, "1.5 s"),
            (9_999_970_000, "10 s"),
            (59_960_000_000, "1 min"),
            (150_000_000_000, "2.5 min"),
            (7_200_000_000_000, "2 h"),
        ];
        for (nanos, words) in cases {
            assert_eq!(InWords(nanos).to_string(), words);
        }
    }
}
