//! What all runs gave, as it is kept in results/raw.json.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::rows::{Row, Target};

/// One run of the whole comparison.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// What it ran on.
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    /// How many runs began although the machine was never quiet, and how many there were.
    pub(crate) disturbed: u32,
    pub(crate) runs: u32,
    /// Each peer that was there, with its version.
    pub(crate) peers: BTreeMap<String, String>,
    /// The figures of each row and peer, in the order of the rounds.
    pub(crate) rows: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

/// A median, and the smallest and the largest figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// A target, compared with what came out.
pub(crate) struct Verdict<'a> {
    pub(crate) target: &'a Target,
    /// The figure itself, or the ratio if the target is one; nothing when one of the two is missing.
    pub(crate) reached: Option<f64>,
}

impl Verdict<'_> {
    pub(crate) fn is_ok(&self) -> bool {
        self.reached
            .is_some_and(|reached| reached <= self.target.at_most * (1.0 + self.target.noise))
    }

    /// As in "≤ 0.3 × runite: 0.25 ok".
    pub(crate) fn words(&self) -> String {
        let Target { at_most, of, row, .. } = self.target;
        let of = match (of, row) {
            (Some(peer), Some(row)) => format!(" × {peer} in {row}"),
            (Some(peer), None) => format!(" × {peer}"),
            _ => String::new(),
        };
        match self.reached {
            None => format!("≤ {at_most}{of}: no figure"),
            Some(reached) => {
                let word = if self.is_ok() { "ok" } else { "missed" };
                format!("≤ {at_most}{of}: {} {word}", short(reached))
            }
        }
    }
}

impl Results {
    pub(crate) fn summary(&self, row: &str, peer: &str) -> Option<Summary> {
        let mut figures = self.rows.get(row)?.get(peer)?.clone();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Summary { median: (low + high) / 2.0, min, max })
    }

    fn median(&self, row: &str, peer: &str) -> Option<f64> {
        self.summary(row, peer).map(|summary| summary.median)
    }

    /// How a row stands against each of its targets.
    pub(crate) fn verdicts<'a>(&self, row: &'a Row) -> Vec<Verdict<'a>> {
        let ours = self.median(&row.name, "ours");
        let judge = |target: &'a Target| {
            let reached = match &target.of {
                None => ours,
                Some(peer) => {
                    let other = self.median(target.row.as_ref().unwrap_or(&row.name), peer);
                    ours.zip(other).map(|(ours, other)| ours / other)
                }
            };
            Verdict { target, reached }
        };
        row.targets.iter().map(judge).collect()
    }

    pub(crate) fn read(folder: &Path) -> io::Result<Results> {
        let text = fs::read_to_string(folder.join("raw.json"))?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("raw.json"), serde_json::to_string_pretty(self)? + "\n")
    }
}

/// A number with three digits that count.
pub(crate) fn short(number: f64) -> String {
    let digits = match number.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.0995 => 3,
        _ => 4,
    };
    let plain = format!("{number:.digits$}");
    // 1234567 as 1,234,567.
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        let cases = [
            (0.0, "0"),
            (0.03571, "0.0357"),
            (0.25, "0.250"),
            (2.345, "2.35"),
            (27.04, "27.0"),
            (99.96, "100"),
            (1234567.8, "1,234,568"),
            (-1234.0, "-1,234"),
        ];
        for (number, words) in cases {
            assert_eq!(short(number), words, "{number}");
        }
    }

    #[test]
    fn a_target_is_judged_by_medians_of_the_row_it_names() {
        let rows = crate::rows::all();
        let row = rows.iter().find(|row| row.name == "worker_move 1 MiB").expect("a row");
        let mut results = Results::default();
        assert!(results.verdicts(row).iter().all(|verdict| verdict.reached.is_none()));
        for (name, figures) in
            [("worker_move 1 MiB", [1.0, 9.0, 2.0]), ("worker_move 1 KiB", [2.0, 4.0, 3.0])]
        {
            let row = results.rows.entry(name.to_owned()).or_default();
            row.insert("ours".to_owned(), figures.to_vec());
        }
        let reached: Vec<_> = results.verdicts(row).iter().map(|verdict| verdict.reached).collect();
        assert_eq!(reached, [Some(2.0 / 3.0)]);
    }
}
