//! The table: in Markdown for the results folder, in plain text for the terminal.

use std::fmt::Write;

use crate::peers::NAMES;
use crate::results::{Results, short};
use crate::rows::Row;

/// The whole of results/table.md.
pub(crate) fn markdown(results: &Results, rows: &[Row]) -> String {
    let mut text = String::from("<!-- Written by benches/compare; see its README. -->\n\n");
    write!(
        text,
        "{}. {} rounds, of which each cell shows the median and half the distance between the\n\
         smallest and the largest figure, in per cent of it; below, how many times ours it is. Lower is better.\n",
        results.machine, results.rounds
    )
    .expect("a string");
    let peers = NAMES.iter().filter_map(|name| results.peers.get(*name));
    let peers: Vec<&str> = peers.map(String::as_str).collect();
    writeln!(text, "Compared: {}.", peers.join("; ")).expect("a string");
    if results.disturbed > 0 {
        let (disturbed, runs) = (results.disturbed, results.runs);
        writeln!(
            text,
            "\n**The machine was not quiet for {disturbed} of {runs} runs: these figures are a smoke test.**"
        )
        .expect("a string");
    }
    let header = NAMES.map(|name| format!(" {name} |")).concat();
    let line = NAMES.map(|_| "---:|").concat();
    writeln!(text, "\n| workload | unit |{header} targets |").expect("a string");
    writeln!(text, "|---|---|{line}---|").expect("a string");
    for row in rows.iter().filter(|row| results.rows.contains_key(&row.name)) {
        let cells = NAMES.map(|name| format!(" {} |", cell(results, row, name))).concat();
        let mut targets: Vec<String> =
            results.verdicts(row).iter().map(|verdict| verdict.words()).collect();
        if results.verdicts(row).iter().any(|verdict| !verdict.is_ok()) {
            targets.extend(row.answer.clone());
        }
        let (name, what, unit) = (&row.name, &row.what, &row.unit);
        let targets = targets.join("<br>");
        writeln!(text, "| **{name}**<br>{what} | {unit} |{cells} {targets} |").expect("a string");
    }
    text
}

/// The table as the crate's README has it: medians, and what became of the targets.
pub(crate) fn brief(results: &Results, rows: &[Row]) -> String {
    let header = NAMES.map(|name| format!(" {name} |")).concat();
    let line = NAMES.map(|_| "---:|").concat();
    let mut text = format!("| workload |{header} targets |\n|---|{line}---|\n");
    for row in rows.iter().filter(|row| results.rows.contains_key(&row.name)) {
        let median = |name| results.summary(&row.name, name).map(|summary| short(summary.median));
        let cells = NAMES.map(|name| format!(" {} |", median(name).unwrap_or_else(|| "–".into())));
        let verdicts = results.verdicts(row);
        let missed: Vec<String> = verdicts
            .iter()
            .filter(|verdict| !verdict.is_ok())
            .map(|verdict| verdict.words())
            .chain(row.answer.clone())
            .collect();
        let targets = match (verdicts.is_empty(), missed.len() > usize::from(row.answer.is_some()))
        {
            (true, _) => String::new(),
            (false, false) => "ok".into(),
            (false, true) => missed.join("; "),
        };
        let (name, unit, cells) = (&row.name, &row.unit, cells.concat());
        writeln!(text, "| {name}, {unit} |{cells} {targets} |").expect("a string");
    }
    text
}

/// A median, its spread and how many times ours it is; a dash where there is none.
fn cell(results: &Results, row: &Row, peer: &str) -> String {
    let Some(summary) = results.summary(&row.name, peer) else { return "–".into() };
    let spread = (summary.max - summary.min) / 2.0 / summary.median.max(f64::MIN_POSITIVE) * 100.0;
    let mut cell = short(summary.median);
    if !row.kind.is_counted() {
        write!(cell, " ±{spread:.0}%").expect("a string");
    }
    let ours = results.summary(&row.name, "ours").filter(|_| peer != "ours");
    if let Some(ours) = ours.filter(|ours| ours.median > 0.0) {
        write!(cell, "<br>{}×", short(summary.median / ours.median)).expect("a string");
    }
    cell
}

/// The same for a terminal: medians, each followed by how many times ours it is.
pub(crate) fn plain(results: &Results, rows: &[Row]) -> String {
    let mut text = format!("{:38} {:>6}", "", "unit");
    NAMES.iter().for_each(|name| write!(text, "{name:>18}").expect("a string"));
    text.push('\n');
    for row in rows.iter().filter(|row| results.rows.contains_key(&row.name)) {
        write!(text, "{:38} {:>6}", row.name, row.unit).expect("a string");
        let ours = results.summary(&row.name, "ours").map(|summary| summary.median);
        for name in NAMES {
            let cell = results.summary(&row.name, name).map(|summary| {
                let ours = ours.filter(|ours| name != "ours" && *ours > 0.0);
                let ratio = ours.map(|ours| summary.median / ours);
                let ratio = ratio.map_or(String::new(), |ratio| format!(" ({}×)", short(ratio)));
                short(summary.median) + &ratio
            });
            write!(text, "{:>18}", cell.unwrap_or_else(|| "–".into())).expect("a string");
        }
        text.push('\n');
    }
    text
}

/// Each row with its targets, and whether they are kept.
pub(crate) fn targets(results: &Results, rows: &[Row]) -> String {
    let (mut text, mut ok, mut all) = (String::new(), 0, 0);
    for row in rows.iter().filter(|row| !row.targets.is_empty()) {
        for verdict in results.verdicts(row) {
            all += 1;
            ok += usize::from(verdict.is_ok());
            writeln!(text, "{:38} {}", row.name, verdict.words()).expect("a string");
        }
    }
    writeln!(text, "{ok} of {all} targets are kept").expect("a string");
    text
}
