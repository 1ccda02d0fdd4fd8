//! The instruction counts that are kept in the repository, and the check against them.

use std::fmt::Write;
use std::io;
use std::path::Path;

use crate::counted;
use crate::machine;
use crate::peers::Peer;
use crate::results::short;
use crate::rows::Row;

/// How much a count may grow before it is an error.
const GROWTH_MAX: f64 = 1.05;

const HEADER: &str = "\
# Instructions of our loop for each item of the workloads that run on one thread, as callgrind counts them.
# Checked and refreshed, in benches/compare, with
#     cargo run --release -- --instructions
#     cargo run --release -- --instructions --update
";

/// What the file says.
struct Kept {
    /// What the counts were made with.
    made_with: String,
    counts: Vec<(String, f64)>,
}

fn has_grown(before: f64, now: f64) -> bool {
    now > before * GROWTH_MAX
}

fn made_with() -> String {
    format!("{}; {}", machine::rustc(), machine::libc_version())
}

fn parse(text: &str) -> Option<Kept> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let made_with = lines.next()?.strip_prefix("made with ")?.to_owned();
    let count = |line: &str| {
        let (name, count) = line.rsplit_once(' ')?;
        Some((name.trim_end().to_owned(), count.parse().ok()?))
    };
    Some(Kept { made_with, counts: lines.filter_map(count).collect() })
}

fn write(counts: &[(&str, Vec<Option<f64>>)]) -> String {
    let mut text = format!("{HEADER}\nmade with {}\n\n", made_with());
    for (name, counts) in counts {
        if let Some(Some(count)) = counts.first() {
            writeln!(text, "{name:28} {count:.1}").expect("a string");
        }
    }
    text
}

/// Counts ours, and prints the others beside it; false when one of ours has grown too much.
pub(crate) fn run(peers: &[Peer], rows: &[&Row], file: &Path, update: bool) -> io::Result<bool> {
    if !counted::has_valgrind() {
        println!("skipped: instructions: there is no valgrind here");
        return Ok(true);
    }
    if peers.first().is_none_or(|peer| peer.name != "ours") {
        return Err(io::Error::other("what is kept, and checked, are the counts of ours"));
    }
    let kept = std::fs::read_to_string(file).ok().and_then(|text| parse(&text));
    let same = kept.as_ref().is_none_or(|kept| kept.made_with == made_with());
    print!("{:28} {:>10}", "instructions for an item", "kept");
    peers.iter().for_each(|peer| print!(" {:>10}", peer.name));
    println!();
    let (mut counts, mut grown) = (Vec::new(), Vec::new());
    for row in rows {
        let Some(items) = row.instructions else { continue };
        let count = |peer: &Peer| {
            let program = row.program(peer.name);
            if !peer.has(program) { Ok(None) } else { counted::instructions(peer, program, items) }
        };
        let all: Vec<Option<f64>> = peers.iter().map(count).collect::<io::Result<_>>()?;
        let before = kept.as_ref().and_then(|kept| {
            kept.counts.iter().find(|(name, _)| *name == row.name).map(|(_, count)| *count)
        });
        let cell = |count: &Option<f64>| count.map_or("–".into(), short);
        print!("{:28} {:>10}", row.name, cell(&before));
        all.iter().for_each(|count| print!(" {:>10}", cell(count)));
        println!();
        match (before, all.first()) {
            (None, Some(Some(_))) => grown.push(format!("{} is not on file", row.name)),
            (Some(before), Some(Some(now))) if has_grown(before, *now) => {
                grown.push(format!(
                    "{} has grown from {} to {}",
                    row.name,
                    short(before),
                    short(*now)
                ));
            }
            _ => {}
        }
        counts.push((row.name.as_str(), all));
    }
    if update {
        std::fs::write(file, write(&counts))?;
        println!("written to {}", file.display());
        return Ok(true);
    }
    for line in &grown {
        println!("{}: {line}", if same { "error" } else { "warning" });
    }
    if let Some(kept) = kept.filter(|_| !same) {
        println!("warning: the counts were made with {}, this is {}", kept.made_with, made_with());
    }
    Ok(grown.is_empty() || !same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let counts = [("loop_count", vec![Some(1234.56)]), ("missing", vec![None])];
        let kept = parse(&write(&counts)).expect("a file of ours");
        assert_eq!(kept.made_with, made_with());
        assert_eq!(kept.counts, [("loop_count".to_owned(), 1234.6)]);
    }

    #[test]
    fn a_count_may_grow_by_five_per_cent_and_shrink_by_any() {
        assert!(!has_grown(100.0, 104.9));
        assert!(has_grown(100.0, 105.1));
        assert!(!has_grown(100.0, 1.0));
    }
}
