//! Runs the same workloads on this crate and on its peers, in turn, and prints a table.
//!
//! ```text
//! cargo run --release                               # all of it, five rounds; written to results/
//! cargo run --release -- --only timers,loop_count   # the rows whose names have one of these in them
//! cargo run --release -- --short                    # only to see that all programs run
//! cargo run --release -- --targets                  # what the last full run kept and missed
//! cargo run --release -- --instructions             # against results/instructions.txt
//! ```

mod brief;
mod chart;
mod counted;
mod echo;
mod http;
mod instructions;
mod machine;
mod peers;
mod pipe;
mod results;
mod rows;
mod run;
mod table;
mod terminal;
mod udp;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use peers::Peer;
use results::Results;
use rows::{Kind, Row};
use terminal::Progress;

const HELP: &str = "\
Runs the same workloads on this crate and on its peers, and prints a table.

usage: cargo run --release -- [options]

  --rounds N        how often each program runs, in turn with the others (default 5)
  --only A,B        the rows whose names have A or B in them; nothing is written but with --write
  --peers A,B       of ours, baseline, libuv, tokio, runite, node (default: all)
  --short           one tiny round, to see that every program runs; nothing is written
  --write           put the rows of --only among those on file, which are of this machine
  --no-wait         do not wait for a quiet machine
  --targets         print the targets against the results on file, and run nothing
  --render          write table and chart anew from the results on file
  --instructions    count instructions instead of time; fail when one has grown by more than 5 %
  --update          ... and write the counts down
  --list            print the names of the rows
  --help            this text
";

/// Between these the crate's README has the table.
const TABLE_BEGIN: &str = "<!-- The table of benches/compare: written by it. -->";
const TABLE_END: &str = "<!-- The end of the table. -->";

/// How long a whole comparison may wait for a quiet machine.
const WAIT_MAX: Duration = Duration::from_secs(20 * 60);

#[derive(Debug, Default)]
struct Options {
    rounds: usize,
    only: Vec<String>,
    peers: Vec<String>,
    short: bool,
    write: bool,
    no_wait: bool,
    targets: bool,
    render: bool,
    instructions: bool,
    update: bool,
    list: bool,
    help: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { rounds: 5, ..Options::default() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        let list = |text: String| text.split(',').map(str::to_owned).collect();
        match argument.as_str() {
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                options.rounds = rounds.ok_or("--rounds wants a number above 0")?;
            }
            "--only" => options.only = list(value()?),
            "--peers" => options.peers = list(value()?),
            "--short" => options.short = true,
            "--write" => options.write = true,
            "--no-wait" => options.no_wait = true,
            "--targets" => options.targets = true,
            "--render" => options.render = true,
            "--instructions" => options.instructions = true,
            "--update" => options.update = true,
            "--list" => options.list = true,
            "--help" | "-h" => options.help = true,
            _ => return Err(format!("there is no option {argument}; see --help")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("compare: {message}");
            return ExitCode::from(2);
        }
    };
    match compare(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the results are kept.
fn folder() -> PathBuf {
    peers::home().join("results")
}

/// Does what is asked for; false when something failed or has grown.
fn compare(options: &Options) -> io::Result<bool> {
    // Before anything pins this thread.
    common::system::cores();
    let all = rows::all();
    let is_wanted = |row: &&Row| {
        options.only.is_empty() || options.only.iter().any(|part| row.name.contains(part))
    };
    let rows: Vec<&Row> = all.iter().filter(is_wanted).collect();
    if options.help {
        print!("{HELP}");
    } else if options.list {
        rows.iter().for_each(|row| println!("{}", row.name));
    } else if options.targets {
        print!("{}", table::targets(&Results::read(&folder())?, &all));
    } else if options.render {
        render(&Results::read(&folder())?, &all)?;
    } else if options.update && !(options.instructions && options.only.is_empty()) {
        return Err(io::Error::other("--update goes with --instructions, and without --only"));
    } else if options.instructions {
        let asked =
            if options.peers.is_empty() { vec!["ours".into()] } else { options.peers.clone() };
        let peers = peers::build(&asked);
        let file = folder().join("instructions.txt");
        return instructions::run(&peers, &rows, &file, options.update);
    } else {
        return run_all(options, &rows, &all);
    }
    Ok(true)
}

fn run_all(options: &Options, rows: &[&Row], all: &[Row]) -> io::Result<bool> {
    let peers = peers::build(&options.peers);
    if options.peers.is_empty() && !peers.iter().any(|peer| peer.name == "ours") {
        return Err(io::Error::other("without ours there is nothing to compare"));
    }
    say_what_is_missing(rows);
    let mut results = Results {
        machine: machine::description(),
        rounds: if options.short { 1 } else { options.rounds },
        peers: peers.iter().map(|peer| (peer.name.to_owned(), peer.version.clone())).collect(),
        ..Results::default()
    };
    let limit = if options.no_wait { Duration::ZERO } else { WAIT_MAX };
    let mut quiet = machine::Quiet::new(limit);
    let mut failures = 0;
    let runs = sharing(rows);
    let expected = runs.iter().map(|rows| seconds_expected(rows[0], &results, options.short));
    let mut progress = Progress::new(expected.collect());
    for sharing in &runs {
        let row = sharing[0];
        let rounds = if row.kind.is_counted() { 1 } else { results.rounds };
        progress.begin(&row.name);
        for turn in 0..rounds * peers.len() {
            let peer = &peers[turn % peers.len()];
            let share = turn as f64 / (rounds * peers.len()) as f64;
            progress.at(&format!("{}: {}", row.name, peer.name), share);
            if !options.short && !row.kind.is_counted() {
                quiet.wait();
            }
            failures += usize::from(!run_one(peer, sharing, options.short, &mut results));
        }
        results.seconds.insert(row.name.clone(), progress.end());
    }
    (results.runs, results.disturbed) = (quiet.looks, quiet.disturbed);
    print!("{}", table::plain(&results, all));
    if !options.short {
        print!("\n{}", table::targets(&results, all));
    }
    if failures > 0 {
        println!("{failures} runs failed");
    }
    let is_all = options.only.is_empty() && options.peers.is_empty() && !options.short;
    if is_all || options.write {
        let results =
            if is_all { results } else { results.put_among(Results::read(&folder())?)? };
        results.write(&folder())?;
        render(&results, all)?;
    }
    Ok(failures == 0)
}

/// The rows in groups that share their runs, in the order of the table.
fn sharing<'a>(rows: &[&'a Row]) -> Vec<Vec<&'a Row>> {
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| group[0].key() == row.key()) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// How long a row takes, by the last full run; a guess where that does not know it.
fn seconds_expected(row: &Row, results: &Results, short: bool) -> f64 {
    static LAST: OnceLock<Results> = OnceLock::new();
    let last = LAST.get_or_init(|| Results::read(&folder()).unwrap_or_default());
    match last.seconds.get(&row.name) {
        _ if short => 2.0,
        Some(seconds) => seconds * results.rounds as f64 / last.rounds.max(1) as f64,
        None => 4.0 * results.rounds as f64,
    }
}

/// Runs a peer once, for all rows that share the run; false when it failed.
fn run_one(peer: &Peer, rows: &[&Row], short: bool, results: &mut Results) -> bool {
    let figures = match run::once(peer, rows[0], short) {
        Ok(Some(figures)) => figures,
        Ok(None) => return true,
        Err(error) => {
            eprintln!("failed: {} on {}: {error}", rows[0].name, peer.name);
            return false;
        }
    };
    for row in rows {
        let Some(figure) = figures.get(&row.figure) else {
            eprintln!("failed: {} on {}: no figure {}", row.name, peer.name, row.figure);
            return false;
        };
        let row = results.rows.entry(row.name.clone()).or_default();
        row.entry(peer.name.to_owned()).or_default().push(*figure);
    }
    true
}

/// Says which rows are skipped on this machine, and why.
fn say_what_is_missing(rows: &[&Row]) {
    let needs = |kinds: &[Kind]| rows.iter().any(|row| kinds.contains(&row.kind));
    if needs(&[Kind::Http]) && !http::has_wrk() {
        println!("skipped: http_hello: there is no wrk here");
    }
    if needs(&[Kind::Instructions, Kind::EchoInstructions]) && !counted::has_valgrind() {
        println!("skipped: instructions: there is no valgrind here");
    }
    if needs(&[Kind::Calls, Kind::EchoCalls]) && !counted::has_strace() {
        println!("skipped: system calls: there is no strace here, or it may not trace");
    }
}

/// Puts the table between its marks in the crate's README.
fn write_readme(table: &str) -> io::Result<()> {
    let readme = peers::home().join("../../README.md");
    let text = fs::read_to_string(&readme)?;
    let parts = text.split_once(TABLE_BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(TABLE_END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or(io::Error::other("README.md has no place for the table"))?;
    fs::write(readme, format!("{before}{TABLE_BEGIN}\n{table}{TABLE_END}{after}"))
}

fn render(results: &Results, rows: &[Row]) -> io::Result<()> {
    let folder = folder();
    fs::write(folder.join("table.md"), table::markdown(results, rows))?;
    let briefs = rows::brief();
    fs::write(folder.join("chart.svg"), chart::svg(results, &briefs))?;
    write_readme(&brief::markdown(results, rows, &briefs))?;
    println!("written to {}", folder.display());
    Ok(())
}
