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
    /// What each row took, all its rounds on all peers together, to tell how long the next time
    /// will be.
    #[serde(default)]
    pub(crate) seconds: BTreeMap<String, f64>,
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

/// The spread of a cell that says little any more.
const NOISY: f64 = 0.2;

impl Summary {
    /// Half the distance between the smallest and the largest figure, as a share of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.max - self.min) / 2.0 / self.median.max(f64::MIN_POSITIVE)
    }

    /// It may serve as a hint, and proves nothing.
    pub(crate) fn is_noisy(&self) -> bool {
        self.spread() > NOISY
    }

    /// The difference between the two is within the noise: one's figures overlap with the other's.
    pub(crate) fn is_level_with(&self, other: &Summary) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    /// What two things take that are done one after the other.
    pub(crate) fn and(self, other: Summary) -> Summary {
        Summary {
            median: self.median + other.median,
            min: self.min + other.min,
            max: self.max + other.max,
        }
    }
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Missed,
    /// One of its figures has a spread that lets nobody say.
    Noisy,
    /// One of its figures is missing.
    Unknown,
}

/// A target, compared with what came out.
pub(crate) struct Verdict<'a> {
    pub(crate) target: &'a Target,
    /// The figure itself, or the ratio if the target is one; nothing when one of the two is
    /// missing.
    pub(crate) reached: Option<f64>,
    pub(crate) outcome: Outcome,
}

impl Verdict<'_> {
    /// As in "≤ 0.3 × runite: 0.25 ok".
    pub(crate) fn words(&self) -> String {
        let Target { at_most, of, row, .. } = self.target;
        let of = match (of, row) {
            (Some(peer), Some(row)) => format!(" × {peer} in {row}"),
            (Some(peer), None) => format!(" × {peer}"),
            _ => String::new(),
        };
        let word = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Missed => "missed",
            Outcome::Noisy => "noisy",
            Outcome::Unknown => return format!("≤ {at_most}{of}: no figure"),
        };
        format!("≤ {at_most}{of}: {} {word}", self.reached.map(short).unwrap_or_default())
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

    /// How a row stands against each of its targets.
    pub(crate) fn verdicts<'a>(&self, row: &'a Row) -> Vec<Verdict<'a>> {
        row.targets.iter().map(|target| self.verdict(row, target)).collect()
    }

    fn verdict<'a>(&self, row: &Row, target: &'a Target) -> Verdict<'a> {
        let unknown = Verdict { target, reached: None, outcome: Outcome::Unknown };
        let Some(ours) = self.summary(&row.name, "ours") else { return unknown };
        let Some(peer) = &target.of else {
            let is_kept = ours.median <= target.at_most;
            return Verdict {
                target,
                reached: Some(ours.median),
                outcome: outcome(is_kept, &[ours]),
            };
        };
        let other = self.summary(target.row.as_ref().unwrap_or(&row.name), peer);
        let Some(other) = other else { return unknown };
        let reached = ours.median / other.median;
        // To be no worse than another is to be better, or level.
        let is_level = target.at_most == 1.0 && ours.is_level_with(&other);
        let outcome = outcome(reached <= target.at_most || is_level, &[ours, other]);
        Verdict { target, reached: Some(reached), outcome }
    }

    /// Puts these rows in the place of those of an earlier run.
    ///
    /// # Errors
    /// When that was made on another machine, with other peers or with another number of rounds:
    /// what stands in one table was measured in one way.
    pub(crate) fn put_among(self, mut earlier: Results) -> io::Result<Results> {
        let of_others = |results: &Results| {
            let mut peers = results.peers.clone();
            peers.remove("ours");
            (results.machine.clone(), results.rounds, peers)
        };
        if of_others(&self) != of_others(&earlier) {
            let text = "the results on file are of another machine, other peers or other rounds";
            return Err(io::Error::other(text));
        }
        earlier.peers = self.peers;
        earlier.runs += self.runs;
        earlier.disturbed += self.disturbed;
        earlier.seconds.extend(self.seconds);
        earlier.rows.extend(self.rows);
        Ok(earlier)
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

fn outcome(is_kept: bool, figures: &[Summary]) -> Outcome {
    match is_kept {
        _ if figures.iter().any(Summary::is_noisy) => Outcome::Noisy,
        true => Outcome::Ok,
        false => Outcome::Missed,
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
            [("worker_move 1 MiB", [1.9, 2.1, 2.0]), ("worker_move 1 KiB", [3.0, 3.1, 3.0])]
        {
            let row = results.rows.entry(name.to_owned()).or_default();
            row.insert("ours".to_owned(), figures.to_vec());
        }
        let judged = results.verdicts(row);
        let judged: Vec<_> =
            judged.iter().map(|verdict| (verdict.reached, verdict.outcome)).collect();
        assert_eq!(judged, [(Some(2.0 / 3.0), Outcome::Ok)]);
    }

    #[test]
    fn rows_measured_anew_stand_among_those_of_the_same_machine_only() {
        let earlier = || results("a", &[("ours", [1.0; 3])]);
        let mut anew = results("b", &[("ours", [2.0; 3])]);
        anew.peers.insert("ours".into(), "a later one".into());
        let all = anew.put_among(earlier()).expect("the same machine");
        assert_eq!(all.rows.keys().collect::<Vec<_>>(), ["a", "b"]);
        let elsewhere = Results { machine: "another".into(), ..Results::default() };
        assert!(elsewhere.put_among(earlier()).is_err());
    }

    fn results(row: &str, figures: &[(&str, [f64; 3])]) -> Results {
        let mut results = Results::default();
        for (peer, figures) in figures {
            let row = results.rows.entry(row.to_owned()).or_default();
            row.insert((*peer).to_owned(), figures.to_vec());
        }
        results
    }

    #[test]
    fn what_varies_by_more_than_a_fifth_is_never_ok() {
        let rows = crate::rows::all();
        let row = rows.iter().find(|row| row.name == "memory live timer").expect("a row");
        let outcome = |figures| results(&row.name, &[("ours", figures)]).verdicts(row)[0].outcome;
        assert_eq!(outcome([50.0, 51.0, 52.0]), Outcome::Ok);
        assert_eq!(outcome([90.0, 91.0, 92.0]), Outcome::Missed);
        assert_eq!(outcome([10.0, 51.0, 52.0]), Outcome::Noisy);
    }

    #[test]
    fn who_is_to_be_no_worse_may_be_level() {
        let rows = crate::rows::all();
        let row = rows.iter().find(|row| row.name == "process_spawn").expect("a row");
        let outcome = |ours, libuv| {
            let results = results(&row.name, &[("ours", ours), ("libuv", libuv)]);
            let verdicts = results.verdicts(row);
            let of_libuv = |verdict: &&Verdict| verdict.target.of.as_deref() == Some("libuv");
            verdicts.iter().find(of_libuv).expect("a target").outcome
        };
        assert_eq!(outcome([101.0, 102.0, 103.0], [99.0, 100.0, 101.0]), Outcome::Ok);
        assert_eq!(outcome([102.0, 103.0, 104.0], [99.0, 100.0, 101.0]), Outcome::Missed);
        assert_eq!(outcome([90.0, 91.0, 92.0], [99.0, 100.0, 101.0]), Outcome::Ok);
    }
}
