//! The table: in Markdown for the results folder, in plain text for the terminal.

use std::fmt::Write;

use crate::peers::NAMES;
use crate::results::{Outcome, Results, Summary, Verdict, short};
use crate::rows::Row;
use crate::terminal::{Colour, paint};

const HOW_TO_READ: &str = "\
A cell has the median of the rounds, half the distance between the smallest and the largest figure in per cent of it,
and how many times ours it is: above 1 it is worse than ours, and = is within the noise, which is where the figures of
the one overlap with those of the other. Lower is better. A spread above 20 % makes a cell grey, with a ~ before it,
and a target that needs it *noisy*, which is neither kept nor missed. *baseline* is a plain program, written by hand for
the row alone; ours is below it here and there. Why a target is missed stands [below](#notes).
";

/// The whole of results/table.md.
pub(crate) fn markdown(results: &Results, rows: &[Row]) -> String {
    let mut text = String::from("<!-- Written by benches/compare; see its README. -->\n\n");
    let peers = NAMES.iter().filter_map(|name| results.peers.get(*name));
    let peers: Vec<&str> = peers.map(String::as_str).collect();
    line(&mut text, &format!("{}. {} rounds.", results.machine, results.rounds));
    line(&mut text, &format!("Compared: {}.\n", peers.join("; ")));
    text += HOW_TO_READ;
    if results.disturbed > 0 {
        let (disturbed, runs) = (results.disturbed, results.runs);
        line(
            &mut text,
            &format!("\n**The machine was not quiet for {disturbed} of {runs} runs.**"),
        );
    }
    line(&mut text, &format!("\n{}\n", counts(results, rows)));
    let header = NAMES.map(|name| format!(" {name} |")).concat();
    line(&mut text, &format!("| workload | unit |{header} targets |"));
    line(&mut text, &format!("|---|---|{}---|", NAMES.map(|_| "---:|").concat()));
    let mut notes = Vec::new();
    for row in rows.iter().filter(|row| results.rows.contains_key(&row.name)) {
        let cells = NAMES.map(|name| format!(" {} |", cell(results, row, name))).concat();
        let verdicts = results.verdicts(row);
        let mut targets: Vec<String> = verdicts.iter().map(Verdict::words).collect();
        let is_kept = |verdict: &Verdict| verdict.outcome == Outcome::Ok;
        if let Some(answer) = row.answer.as_ref().filter(|_| !verdicts.iter().all(is_kept)) {
            notes.push(format!("**{}**: {answer}", row.name));
            targets.push(format!("[note {}](#notes)", notes.len()));
        }
        let (name, what, unit) = (&row.name, &row.what, &row.unit);
        let targets = targets.join("<br>");
        line(&mut text, &format!("| **{name}**<br>{what} | {unit} |{cells} {targets} |"));
    }
    line(&mut text, "\n## Notes\n");
    for (index, note) in notes.iter().enumerate() {
        line(&mut text, &format!("{}. {note}", index + 1));
    }
    text
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}

/// How many targets there are of each outcome, as a sentence.
pub(crate) fn counts(results: &Results, rows: &[Row]) -> String {
    let measured = rows.iter().filter(|row| results.rows.contains_key(&row.name));
    let verdicts = measured.flat_map(|row| results.verdicts(row));
    let outcomes: Vec<Outcome> = verdicts.map(|verdict| verdict.outcome).collect();
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let (kept, missed, noisy) = (count(Outcome::Ok), count(Outcome::Missed), count(Outcome::Noisy));
    let all = outcomes.len();
    let unknown = match count(Outcome::Unknown) {
        0 => String::new(),
        unknown => format!(", {unknown} lack a figure"),
    };
    format!(
        "Of {all} targets {kept} are kept, {missed} are missed, {noisy} are too noisy to say{unknown}."
    )
}

/// How a figure stands to ours.
pub(crate) fn ratio(ours: &Summary, other: &Summary) -> String {
    match ours.median > 0.0 {
        _ if ours.is_level_with(other) => "=".into(),
        true => format!("{}×", short(other.median / ours.median)),
        // Nothing is there to be multiplied.
        false => "more".into(),
    }
}

/// Makes words grey that say little. Where colours are not shown, the sign says so.
pub(crate) fn greyed(words: &str) -> String {
    format!("<span style=\"color:#888\">~{words}</span>")
}

/// A median, its spread and how many times ours it is; a dash where there is none.
fn cell(results: &Results, row: &Row, peer: &str) -> String {
    let Some(summary) = results.summary(&row.name, peer) else { return "–".into() };
    let mut cell = short(summary.median);
    if !row.kind.is_counted() {
        write!(cell, " ±{:.0}%", summary.spread() * 100.0).expect("a string");
    }
    if summary.is_noisy() {
        cell = greyed(&cell);
    }
    let ours = results.summary(&row.name, "ours").filter(|_| peer != "ours");
    ours.map_or(cell.clone(), |ours| format!("{cell}<br>{}", ratio(&ours, &summary)))
}

/// The same for a terminal: medians, each followed by how many times ours it is.
pub(crate) fn plain(results: &Results, rows: &[Row]) -> String {
    let mut text = format!("{:38} {:>6}", "", "unit");
    NAMES.iter().for_each(|name| write!(text, "{name:>18}").expect("a string"));
    text.push('\n');
    for row in rows.iter().filter(|row| results.rows.contains_key(&row.name)) {
        write!(text, "{:38} {:>6}", row.name, row.unit).expect("a string");
        let ours = results.summary(&row.name, "ours");
        for name in NAMES {
            let Some(summary) = results.summary(&row.name, name) else {
                write!(text, "{:>18}", "–").expect("a string");
                continue;
            };
            let ours = ours.filter(|_| name != "ours");
            let ratio = ours.map_or(String::new(), |ours| format!(" ({})", ratio(&ours, &summary)));
            let cell = format!("{:>18}", short(summary.median) + &ratio);
            text += &if summary.is_noisy() { paint(&cell, Colour::Grey) } else { cell };
        }
        text.push('\n');
    }
    text
}

/// Each row with its targets, and whether they are kept.
pub(crate) fn targets(results: &Results, rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| results.rows.contains_key(&row.name)) {
        for verdict in results.verdicts(row) {
            let words = match verdict.outcome {
                Outcome::Ok => paint(&verdict.words(), Colour::Green),
                Outcome::Missed => paint(&verdict.words(), Colour::Red),
                Outcome::Noisy | Outcome::Unknown => paint(&verdict.words(), Colour::Grey),
            };
            line(&mut text, &format!("{:38} {words}", row.name));
        }
    }
    text + &counts(results, rows) + "\n"
}
