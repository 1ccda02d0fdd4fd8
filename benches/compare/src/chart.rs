//! The chart: for each row, how many times our figure each peer needs, on a logarithmic scale.

use std::fmt::Write;

use crate::peers::NAMES;
use crate::results::{Results, short};
use crate::rows::Row;

const LEFT: f64 = 270.0;
const RIGHT: f64 = 930.0;
const TOP: f64 = 64.0;
const STEP: f64 = 22.0;
/// The ends of the scale, as powers of ten; what is beyond stands at the end.
const POWERS: (i32, i32) = (-1, 3);

/// Colours that are told apart without seeing colours, too (Okabe and Ito).
fn colour(peer: &str) -> &'static str {
    match peer {
        "ours" => "#000000",
        "limit" => "#999999",
        "libuv" => "#0072b2",
        "tokio" => "#d55e00",
        "runite" => "#cc79a7",
        _ => "#009e73",
    }
}

fn across(ratio: f64) -> f64 {
    let (low, high) = (f64::from(POWERS.0), f64::from(POWERS.1));
    let power = ratio.max(f64::MIN_POSITIVE).log10().clamp(low, high);
    LEFT + (power - low) / (high - low) * (RIGHT - LEFT)
}

/// The whole of results/chart.svg.
pub(crate) fn svg(results: &Results, rows: &[Row]) -> String {
    // Rows where there is someone to compare with.
    let compared = |row: &&Row| {
        let ours = results.summary(&row.name, "ours");
        ours.is_some_and(|ours| ours.median > 0.0) && results.rows[&row.name].len() > 1
    };
    let shown: Vec<&Row> = rows.iter().filter(compared).collect();
    let bottom = TOP + STEP * shown.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\">Times our figure, for the same work: right of the line is slower than ours</text>\n",
        bottom + 30.0
    );
    let mut x = LEFT;
    for name in NAMES.iter().filter(|name| results.peers.contains_key(**name)) {
        writeln!(
            text,
            "<circle cx=\"{x}\" cy=\"38\" r=\"5\" fill=\"{}\"/><text x=\"{}\" y=\"42\">{name}</text>",
            colour(name),
            x + 10.0
        )
        .expect("a string");
        x += 80.0;
    }
    for power in POWERS.0..=POWERS.1 {
        let (x, ratio) = (across(10_f64.powi(power)), 10_f64.powi(power));
        let stroke = if power == 0 { "#000000" } else { "#dddddd" };
        writeln!(
            text,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\" stroke=\"{stroke}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{ratio}×</text>",
            TOP - 10.0,
            bottom + 18.0
        )
        .expect("a string");
    }
    for (index, row) in shown.iter().enumerate() {
        let y = TOP + STEP * (index as f64 + 0.5) - 4.0;
        writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            y + 4.0,
            row.name
        )
        .expect("a string");
        row_dots(&mut text, results, row, y);
    }
    text + "</svg>\n"
}

fn row_dots(text: &mut String, results: &Results, row: &Row, y: f64) {
    let Some(ours) = results.summary(&row.name, "ours") else { return };
    // Ours last, on top.
    for name in NAMES.iter().rev() {
        let Some(summary) = results.summary(&row.name, name) else { continue };
        let ratio = |figure: f64| figure / ours.median.max(f64::MIN_POSITIVE);
        let (low, middle, high) =
            (across(ratio(summary.min)), across(ratio(summary.median)), across(ratio(summary.max)));
        writeln!(
            text,
            "<line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{0}\" stroke-width=\"2\" opacity=\"0.5\"/>\
             <circle cx=\"{middle:.1}\" cy=\"{y}\" r=\"5\" fill=\"{0}\"><title>{name}: {1} {2}, {3}×</title></circle>",
            colour(name),
            short(summary.median),
            row.unit,
            short(ratio(summary.median))
        )
        .expect("a string");
    }
}
