//! What the crate's README shows: ten rows in plain words, and what they say.

use std::fmt::Write;

use crate::results::{Results, Summary, short};
use crate::rows::{Brief, Row};
use crate::table::{counts, greyed};

/// The peers that the README has: those that a program could be built on.
pub(crate) const PEERS: [&str; 4] = ["libuv", "tokio", "runite", "node"];

/// The figure of a peer in a row of the README: those of several rows of the table together.
pub(crate) fn summary(results: &Results, brief: &Brief, peer: &str) -> Option<Summary> {
    let figures = brief.rows.iter().map(|row| results.summary(row, peer));
    figures.collect::<Option<Vec<_>>>()?.into_iter().reduce(Summary::and)
}

/// The rows of which there are figures of ours, with these.
pub(crate) fn measured<'a>(results: &Results, briefs: &'a [Brief]) -> Vec<(&'a Brief, Summary)> {
    let ours = |brief| Some((brief, summary(results, brief, "ours")?));
    briefs.iter().filter_map(ours).collect()
}

/// A figure with a unit that suits it.
pub(crate) fn human(figure: f64, unit: &str) -> String {
    let steps: &[(f64, &str)] = match unit {
        "ns" => &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")],
        "B" => &[(1.0, "B"), (1024.0, "KiB"), (1024.0 * 1024.0, "MiB")],
        _ => return format!("{} {unit}", short(figure)),
    };
    let step = steps.iter().rev().find(|(size, _)| figure >= *size).unwrap_or(&steps[0]);
    format!("{} {}", short(figure / step.0), step.1)
}

fn unit<'a>(brief: &Brief, rows: &'a [Row]) -> &'a str {
    let row = rows.iter().find(|row| brief.rows.contains(&row.name));
    row.map_or("", |row| row.unit.as_str())
}

/// What stands between the marks: the verdict, then the rows.
pub(crate) fn markdown(results: &Results, rows: &[Row], briefs: &[Brief]) -> String {
    let shown = measured(results, briefs);
    let mut text =
        verdict(results, rows, &shown) + "\n\n| | ours | libuv | tokio | runite | Node |\n";
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    for (brief, ours) in &shown {
        let figure = human(ours.median, unit(brief, rows));
        let figure = if ours.is_noisy() { greyed(&figure) } else { figure };
        write!(text, "| {} | {figure} |", brief.label).expect("a string");
        for peer in PEERS {
            write!(text, " {} |", cell(ours, summary(results, brief, peer))).expect("a string");
        }
        text.push('\n');
    }
    text
}

/// How many times ours; bold where ours is the worse one.
fn cell(ours: &Summary, other: Option<Summary>) -> String {
    let Some(other) = other else { return "–".into() };
    if ours.is_level_with(&other) {
        return "=".into();
    }
    let ratio = match other.median / ours.median {
        ratio if ratio.is_finite() => format!("{}×", short(ratio)),
        _ => "more".into(),
    };
    match other.median < ours.median {
        _ if other.is_noisy() || ours.is_noisy() => greyed(&ratio),
        true => format!("**{ratio}**"),
        false => ratio,
    }
}

/// Four sentences: how often ours is first, where it is not, what the whole table says of it, and
/// of its targets.
fn verdict(results: &Results, rows: &[Row], shown: &[(&Brief, Summary)]) -> String {
    let best = |others: Vec<(&'static str, Summary)>| {
        others.into_iter().min_by(|one, other| one.1.median.total_cmp(&other.1.median))
    };
    // Who is better than ours by more than the noise, and how many times ours takes.
    let ahead = |ours: &Summary, others| {
        let (peer, best) = best(others)?;
        let is_behind = best.median < ours.median && !ours.is_level_with(&best);
        // Infinite where the other needs none at all.
        is_behind.then(|| (peer, ours.median / best.median))
    };
    let mut behind = Vec::new();
    for (brief, ours) in shown {
        let others = PEERS.iter().filter_map(|peer| Some((*peer, summary(results, brief, peer)?)));
        if let Some((peer, times)) = ahead(ours, others.collect()) {
            behind.push(format!("{} takes {}", brief.label, behind_words(times, peer)));
        }
    }
    let (mut compared, mut last) = (0, Vec::new());
    for row in rows {
        let Some(ours) = results.summary(&row.name, "ours") else { continue };
        let others: Vec<_> = PEERS
            .iter()
            .filter_map(|peer| Some((*peer, results.summary(&row.name, peer)?)))
            .collect();
        if !others.is_empty() {
            compared += 1;
            last.extend(ahead(&ours, others).map(|(peer, times)| (times, &row.name, peer)));
        }
    }
    last.sort_by(|one, other| other.0.total_cmp(&one.0));
    let worst: Vec<String> = last
        .iter()
        .take(3)
        .map(|(times, row, peer)| format!("`{row}` ({})", behind_words(*times, peer)))
        .collect();
    let first = format!(
        "Of the rows below ours is first, or within the noise of the first, in {} of {}.",
        shown.len() - behind.len(),
        shown.len()
    );
    let second = match behind.is_empty() {
        true => "It is behind in none.".into(),
        false => format!("It is behind where {}.", behind.join(", and where ")),
    };
    let third = match worst.is_empty() {
        true => format!("In all {compared} rows that have a peer it is never behind."),
        false => format!(
            "Of all {compared} rows that have a peer it is behind in {}, and furthest in {}.",
            last.len(),
            worst.join(", ")
        ),
    };
    [first, second, third, counts(results, rows)].join("\n")
}

/// How far ours is behind a peer.
fn behind_words(times: f64, peer: &str) -> String {
    match times.is_finite() {
        true => format!("{} times {}'s", short(times), proper(peer)),
        false => format!("more than {}'s, which is none", proper(peer)),
    }
}

fn proper(peer: &str) -> &str {
    if peer == "node" { "Node" } else { peer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_suits_them() {
        let cases = [
            (66.4, "ns", "66.4 ns"),
            (5257.0, "ns", "5.26 µs"),
            (15_199_047.0, "ns", "15.2 ms"),
            (208.0, "B", "208 B"),
            (20_726.0, "B", "20.2 KiB"),
            (0.5, "calls", "0.500 calls"),
        ];
        for (figure, unit, words) in cases {
            assert_eq!(human(figure, unit), words);
        }
    }

    #[test]
    fn a_cell_says_level_or_how_many_times_and_marks_what_is_better_than_ours() {
        let around = |median: f64, spread: f64| Summary {
            median,
            min: median * (1.0 - spread),
            max: median * (1.0 + spread),
        };
        let ours = around(100.0, 0.02);
        assert_eq!(cell(&ours, None), "–");
        assert_eq!(cell(&ours, Some(around(103.0, 0.02))), "=");
        assert_eq!(cell(&ours, Some(around(150.0, 0.02))), "1.50×");
        assert_eq!(cell(&ours, Some(around(50.0, 0.02))), "**0.500×**");
        assert!(cell(&ours, Some(around(300.0, 0.3))).contains("~3.00×"));
    }

    #[test]
    fn nothing_is_so_many_times_nothing() {
        assert_eq!(behind_words(1.426, "node"), "1.43 times Node's");
        assert_eq!(behind_words(0.7 / 0.0, "tokio"), "more than tokio's, which is none");
    }

    #[test]
    fn ten_rows_of_the_table_are_the_readmes() {
        assert_eq!(crate::rows::brief().len(), 10);
    }
}
