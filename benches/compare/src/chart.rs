//! The chart of the README's rows: how many times ours each peer takes, on a logarithmic scale.
//!
//! It is narrow, so that its words can be read on a telephone, and has the colours of light and of
//! dark pages.

use std::fmt::Write;

use crate::brief::{self, PEERS};
use crate::results::{Results, Summary};
use crate::rows::Brief;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 14.0;
const RIGHT: f64 = 386.0;
/// The ends of the scale, as powers of ten; what is beyond stands at the end.
const POWERS: (f64, f64) = (-0.5, 3.0);
/// The radius of a peer's mark.
const RADIUS: f64 = 7.0;
/// How far apart two marks are that would cover each other.
const LANE: f64 = 2.0 * RADIUS + 1.0;

/// Words and lines have the colour of the page's words; the peers' are told apart without seeing
/// colours, too (Okabe
/// and Ito), and each mark has the peer's first letter.
const STYLE: &str = "\
<style>
  :root { color: #1f2328; }
  @media (prefers-color-scheme: dark) { :root { color: #e6edf3; } }
  svg { font: 12px system-ui, \"Segoe UI\", Roboto, \"DejaVu Sans\", sans-serif; }
  text { fill: currentColor; }
  .group { font-weight: 600; }
  .middle { text-anchor: middle; }
  .end { text-anchor: end; }
  .scale { stroke: currentColor; stroke-opacity: .18; }
  .ours { stroke: currentColor; stroke-width: 1.5; }
  .noise { fill: currentColor; fill-opacity: .18; }
  .mark { font-size: 9px; font-weight: 700; fill: #ffffff; text-anchor: middle; }
  .libuv { fill: #0072b2; }
  .tokio { fill: #c44e00; }
  .runite { fill: #a8568a; }
  .node { fill: #00795a; }
  .noisy { fill: #888888; }
</style>
";

fn across(ratio: f64) -> f64 {
    let power = ratio.max(f64::MIN_POSITIVE).log10().clamp(POWERS.0, POWERS.1);
    LEFT + (power - POWERS.0) / (POWERS.1 - POWERS.0) * (RIGHT - LEFT)
}

/// A peer's figures in a row, as multiples of ours.
struct Mark {
    peer: &'static str,
    ratio: Summary,
    is_noisy: bool,
    /// How many lanes below the row's first it stands, so that none covers another.
    lane: usize,
}

fn marks(results: &Results, brief: &Brief, ours: &Summary) -> Vec<Mark> {
    let times = |figure: f64| figure / ours.median.max(f64::MIN_POSITIVE);
    let mark = |peer: &'static str| {
        let other = brief::summary(results, brief, peer)?;
        let (median, min, max) = (times(other.median), times(other.min), times(other.max));
        let is_noisy = other.is_noisy() || ours.is_noisy();
        Some(Mark { peer, ratio: Summary { median, min, max }, is_noisy, lane: 0 })
    };
    let mut marks: Vec<Mark> = PEERS.into_iter().filter_map(mark).collect();
    marks.sort_by(|one, other| one.ratio.median.total_cmp(&other.ratio.median));
    // Where each lane ends so far.
    let mut ends: Vec<f64> = Vec::new();
    for mark in &mut marks {
        let x = across(mark.ratio.median);
        mark.lane = ends.iter().position(|end| *end <= x).unwrap_or(ends.len());
        ends.resize(ends.len().max(mark.lane + 1), 0.0);
        ends[mark.lane] = x + LANE;
    }
    marks
}

/// The whole of results/chart.svg.
pub(crate) fn svg(results: &Results, briefs: &[Brief]) -> String {
    let (mut rows, mut y, mut group) = (String::new(), 56.0, "");
    for (brief, ours) in brief::measured(results, briefs) {
        if brief.group != group {
            group = &brief.group;
            y += 22.0;
            put(&mut rows, &format!("<text class=\"group\" x=\"{LEFT}\" y=\"{y}\">{group}</text>"));
            y += 4.0;
        }
        y += row(&mut rows, results, brief, &ours, y);
    }
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\">\n\
         <title>How many times ours the peers take</title>\n{STYLE}\
         <text x=\"{LEFT}\" y=\"16\">How many times ours each takes, for the same work.</text>\n\
         <text x=\"{LEFT}\" y=\"32\">Right of the line ours is better; shaded is the noise.</text>\n",
        y + 30.0
    );
    let mut x = LEFT + RADIUS;
    for peer in PEERS.into_iter().filter(|peer| results.peers.contains_key(*peer)) {
        circle(&mut text, x, 50.0, peer, peer);
        let (at, name) = (x + RADIUS + 4.0, if peer == "node" { "Node" } else { peer });
        put(&mut text, &format!("<text x=\"{at}\" y=\"54\">{name}</text>"));
        x += 80.0;
    }
    scale_words(&mut text, y + 18.0);
    text + &rows + "</svg>\n"
}

/// The multiples of ours that have a line.
fn powers() -> impl Iterator<Item = f64> {
    (0..=POWERS.1 as i32).map(|power| 10_f64.powi(power))
}

/// What the lines of the scale mean.
fn scale_words(text: &mut String, y: f64) {
    for times in powers() {
        let word = if times == 1.0 { "ours".into() } else { format!("{times}×") };
        let class = if across(times) < RIGHT { "middle" } else { "end" };
        let x = across(times);
        put(text, &format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y}\">{word}</text>"));
    }
}

/// The lines of the scale, beside one row, so that none crosses its words.
fn scale(text: &mut String, top: f64, height: f64) {
    for times in powers() {
        let (x, class) = (across(times), if times == 1.0 { "ours" } else { "scale" });
        let (x, bottom) = (format!("{x:.1}"), top + height);
        put(
            text,
            &format!(
                "<line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>"
            ),
        );
    }
}

/// Draws a row from `y` downwards, and returns its height.
fn row(text: &mut String, results: &Results, brief: &Brief, ours: &Summary, y: f64) -> f64 {
    let marks = marks(results, brief, ours);
    let lanes = marks.iter().map(|mark| mark.lane + 1).max().unwrap_or(1) as f64;
    let (words, top) = (y + 14.0, y + 19.0);
    put(text, &format!("<text x=\"{LEFT}\" y=\"{words}\">{}</text>", brief.label));
    let times = |figure: f64| figure / ours.median.max(f64::MIN_POSITIVE);
    scale(text, top, lanes * LANE);
    noise(text, times(ours.min), times(ours.max), top, lanes * LANE);
    for mark in &marks {
        let middle = top + mark.lane as f64 * LANE + LANE / 2.0;
        noise(text, mark.ratio.min, mark.ratio.max, middle - 3.0, 6.0);
        let class = if mark.is_noisy { "noisy" } else { mark.peer };
        circle(text, across(mark.ratio.median), middle, class, mark.peer);
    }
    19.0 + lanes * LANE + 4.0
}

/// A band from the smallest to the largest figure.
fn noise(text: &mut String, min: f64, max: f64, y: f64, height: f64) {
    let (x, width) = (across(min), (across(max) - across(min)).max(1.0));
    put(
        text,
        &format!(
            "<rect class=\"noise\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\"/>"
        ),
    );
}

fn circle(text: &mut String, x: f64, y: f64, class: &str, peer: &str) {
    let letter = peer[..1].to_uppercase();
    put(
        text,
        &format!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"{RADIUS}\"/>\
             <text class=\"mark\" x=\"{x:.1}\" y=\"{}\">{letter}</text>",
            y + 3.0
        ),
    );
}

fn put(text: &mut String, element: &str) {
    writeln!(text, "{element}").expect("a string");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_would_cover_each_other_stand_in_lanes() {
        let brief =
            Brief { label: "a row".into(), group: "a group".into(), rows: vec!["row".into()] };
        let mut results = Results::default();
        let figures = [("ours", 100.0), ("libuv", 101.0), ("tokio", 102.0), ("node", 1000.0)];
        for (peer, figure) in figures {
            results.rows.entry("row".into()).or_default().insert(peer.into(), vec![figure]);
        }
        let ours = brief::summary(&results, &brief, "ours").expect("a figure");
        let marks = marks(&results, &brief, &ours);
        let lanes: Vec<_> = marks.iter().map(|mark| (mark.peer, mark.lane)).collect();
        assert_eq!(lanes, [("libuv", 0), ("tokio", 1), ("node", 0)]);
        assert!(svg(&results, &[brief]).ends_with("</svg>\n"));
    }
}
