//! The tables of DESIGN.md: the words, the ways from a call to its callback, and the numbers.

use crate::source::words;
use crate::{has_word, missing, read, rust_files, tests_named};
use std::fs;

/// The ways from a call to its callback, by their headings, and the hops that each may have.
const WAYS: [(&str, usize); 4] =
    [("A timer", 20), ("Bytes in, and a write out", 16), ("A job", 20), ("A message", 16)];

/// A chapter of a document: what stands beneath its heading, up to the next one of its kind.
fn chapter<'a>(document: &'a str, heading: &str) -> Option<&'a str> {
    let kind = &heading[..=heading.find(' ')?];
    let begin = format!("\n{heading}\n");
    let (_, rest) = document.split_once(&begin)?;
    Some(rest.split_once(&format!("\n{kind}")).map_or(rest, |(chapter, _)| chapter))
}

/// The rows of all tables in a text, each as its cells, without headings.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_row = |line: &str| line.starts_with('|') && !line.starts_with("|--");
    let is_heading = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("|--"));
    let rows = lines.iter().enumerate().filter(|(at, line)| is_row(line) && !is_heading(*at));
    rows.map(|(_, line)| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What is wrong with the table of words, given all words of the sources.
fn faults_of_glossary(design: &str, used: &[String]) -> Vec<String> {
    let Some(chapter) = chapter(design, "## Glossary") else {
        return vec!["there is no glossary".to_owned()];
    };
    let (mut faults, mut seen) = (Vec::new(), Vec::new());
    for row in rows(chapter) {
        let word = row[0].trim_matches('*');
        if row.len() != 3 || row.iter().any(|cell| cell.is_empty()) || word == row[0] {
            faults.push(format!("not a word in bold, its meaning, and libuv's or Node's: {row:?}"));
        }
        if seen.contains(&word) {
            faults.push(format!("two meanings of `{word}`"));
        }
        seen.push(word);
        let parts = words(word);
        let is_used = used.windows(parts.len().max(1)).any(|some| *some == parts[..]);
        if !is_used {
            faults.push(format!("nothing in the sources says `{word}`"));
        }
    }
    if seen.len() < 25 {
        faults.push(format!("{} words are no glossary", seen.len()));
    }
    faults
}

/// What is wrong with the ways from a call to its callback. `source` reads a file of the sources.
fn faults_of_ways(design: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Some(text) = chapter(design, "## From call to callback") else {
        return vec!["there is no chapter of the ways from call to callback".to_owned()];
    };
    let mut faults = Vec::new();
    for (way, limit) in WAYS {
        let Some(text) = chapter(text, &format!("### {way}")) else {
            faults.push(format!("{way}: there is no such way"));
            continue;
        };
        let is_hop = |line: &&str| {
            let digits = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
            digits.len() < line.trim_start().len() && digits.starts_with(". ")
        };
        let hops: Vec<_> = text.lines().filter(is_hop).collect();
        if hops.is_empty() || hops.len() > limit {
            faults.push(format!("{way}: {} hops, {limit} at most", hops.len()));
        }
        for hop in hops {
            let Some((file, function)) = quoted(hop).find_map(|quoted| quoted.split_once("::"))
            else {
                faults.push(format!("{way}: no `file::function`: {hop}"));
                continue;
            };
            // Of a method its type may be named.
            let function = function.rsplit("::").next().unwrap_or(function);
            let exists =
                source(file).is_some_and(|text| has_word(&text, &format!("fn {function}")));
            if !exists {
                faults.push(format!("{way}: there is no {file}::{function}"));
            }
        }
    }
    faults
}

/// What is wrong with the stops of a first reading: each a file, the lines that it has, functions in it, and a question.
fn faults_of_stops(design: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let Some(chapter) = chapter(design, "## Read the source in an hour") else {
        return vec!["there are no stops".to_owned()];
    };
    let (mut faults, rows) = (Vec::new(), rows(chapter));
    if rows.len() != 8 {
        faults.push(format!("{} stops, and not eight", rows.len()));
    }
    for row in rows {
        let [_, file, said, functions, question] = row[..] else {
            faults.push(format!("not number, file, lines, functions and question: {row:?}"));
            continue;
        };
        let Some(text) = source(file.trim_matches('`')) else {
            faults.push(format!("there is no {file}"));
            continue;
        };
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        // It need not be exact: a change of the file is no change of the stop.
        if said.parse().is_ok_and(|said: usize| said.abs_diff(lines) * 5 > lines) {
            faults.push(format!("{file} has {lines} lines"));
        }
        for function in quoted(functions) {
            if !has_word(&text, &format!("fn {function}")) {
                faults.push(format!("{file} has no {function}"));
            }
        }
        if quoted(functions).count() == 0
            || said.parse::<usize>().is_err()
            || !question.ends_with('?')
        {
            faults.push(format!("{file}: lines, a function and a question are due"));
        }
    }
    faults
}

/// A number with a unit, as the table has it, in the smallest unit: bytes or nanoseconds, or plain.
fn number_said(cell: &str) -> Option<u128> {
    let mut parts = cell.split([' ', ',']).filter(|part| !part.is_empty());
    let first = parts.next()?;
    // A comma with three digits behind it is inside a number.
    let whole: String = cell.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    let whole = whole.trim_end_matches(',');
    let number: u128 = whole.replace(',', "").parse().ok()?;
    let unit = cell[whole.len()..].trim_start().split([' ', ',']).next().unwrap_or("");
    debug_assert!(whole.starts_with(&first[..1]));
    Some(match unit {
        "KiB" => number << 10,
        "MiB" => number << 20,
        "ns" => number,
        "µs" => number * 1_000,
        "ms" => number * 1_000_000,
        "s" => number * 1_000_000_000,
        _ => number,
    })
}

/// The value of a constant's expression: numbers, times, shifted, or made a duration. Other constants of the file may
/// be named.
fn value(expression: &str, file: &str) -> Option<u128> {
    let expression = expression.trim().trim_end_matches(';').trim();
    for (sign, of) in [
        (" << ", (|a, b| a << b) as fn(u128, u128) -> u128),
        (" + ", |a, b| a + b),
        (" - ", |a, b| a - b),
        (" * ", |a, b| a * b),
        (" / ", |a, b| a / b),
    ] {
        if let Some((left, right)) = expression.rsplit_once(sign) {
            return Some(of(value(left, file)?, value(right, file)?));
        }
    }
    let units = [("nanos", 1), ("micros", 1_000), ("millis", 1_000_000), ("secs", 1_000_000_000)];
    for (unit, nanoseconds) in units {
        if let Some((_, argument)) = expression.split_once(&format!("from_{unit}(")) {
            return Some(value(argument.trim_end_matches(')'), file)? * nanoseconds);
        }
    }
    let digits = expression.replace('_', "");
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end > 0 {
        return digits[..end].parse().ok();
    }
    // Another constant, by its name.
    let name = expression.rsplit("::").next()?;
    let is_name = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
    value(constant(file, name).filter(|_| is_name)?, file)
}

/// The expression of a constant in a source file.
fn constant<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("const {name}: "))?;
    let (_, expression) = rest.split_once(" =")?;
    expression.split_once(';').map(|(expression, _)| expression.trim())
}

/// What is wrong with the tables of numbers. `source` reads a file of the sources.
fn faults_of_numbers(page: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let (mut faults, rows) = (Vec::new(), rows(page));
    if rows.len() < 8 {
        faults.push(format!("{} numbers are too few", rows.len()));
    }
    for row in rows {
        let [number, place, reason, test] = row[..] else {
            faults.push(format!("not number, where, reason and test: {row:?}"));
            continue;
        };
        if reason.is_empty() || tests_named(test).count() == 0 {
            faults.push(format!("{number}: a reason and a test are due"));
        }
        faults.extend(missing(test).iter().map(|test| format!("{number}: there is no {test}")));
        let Some((file, name)) = quoted(place).find_map(|quoted| quoted.split_once(": ")) else {
            faults.push(format!("{number}: where is no `file: CONSTANT`: {place}"));
            continue;
        };
        let text = source(file).unwrap_or_default();
        match constant(&text, name) {
            None => faults.push(format!("{number}: there is no {file}: {name}")),
            Some(expression) => {
                let (is, said) = (value(expression, &text), number_said(number));
                if is.is_none() || is != said {
                    faults.push(format!("{number}: {file}: {name} is {expression}"));
                }
            }
        }
    }
    faults
}

/// A file of the sources, by its path under `src/`.
fn source(path: &str) -> Option<String> {
    fs::read_to_string(format!("src/{path}")).ok()
}

#[test]
fn the_design_has_a_glossary_whose_words_are_used() {
    let used: Vec<_> = rust_files("src").iter().flat_map(|path| words(&read(path))).collect();
    assert_eq!(faults_of_glossary(&read("DESIGN.md"), &used), [""; 0], "DESIGN.md");
}

#[test]
fn every_hop_from_a_call_to_its_callback_exists() {
    assert_eq!(faults_of_ways(&read("DESIGN.md"), source), [""; 0], "DESIGN.md");
}

#[test]
fn the_stops_of_a_first_reading_are_there() {
    assert_eq!(faults_of_stops(&read("DESIGN.md"), source), [""; 0], "DESIGN.md");
}

#[test]
fn every_number_that_shapes_behaviour_is_the_one_in_the_sources() {
    let page = "src/guide/numbers.md";
    assert_eq!(faults_of_numbers(&read(page), source), [""; 0], "{page}");
}

#[test]
fn the_checker_of_the_glossary_finds_what_it_looks_for() {
    let used = words("a poll, a pool thread and a port");
    let faults = |rows: &[&str]| {
        let table = rows.join("\n");
        let text = format!(
            "\n## Glossary\n\n| word | means | libuv |\n|---|---|---|\n{table}\n\n## Next\n| **x** |\n"
        );
        let mut faults = faults_of_glossary(&text, &used);
        assert_eq!(faults.pop(), Some(format!("{} words are no glossary", rows.len())));
        faults
    };
    assert_eq!(
        faults(&["| **poll** | waits | `a` |", "| **pool thread** | runs jobs | – |"]),
        [""; 0]
    );
    assert_eq!(
        faults(&["| **thread pool** | waits | a |"]),
        ["nothing in the sources says `thread pool`"]
    );
    assert_eq!(
        faults(&["| **port** | a | b |", "| **port** | c | d |"]),
        ["two meanings of `port`"]
    );
    assert_eq!(faults(&["| port | a | b |"]).len(), 1, "not in bold");
    assert_eq!(faults(&["| **port** | a |"]).len(), 1, "a cell is missing");
    assert_eq!(faults_of_glossary("", &used), ["there is no glossary"]);
}

#[test]
fn the_checker_of_the_ways_finds_what_it_looks_for() {
    let source =
        |path: &str| (path == "a/b.rs").then(|| "fn one() {}\npub fn two() {}\n".to_owned());
    let faults = |hops: &[&str]| {
        let ways = WAYS.map(|(way, _)| {
            let hops = if way == "A job" { hops.join("\n") } else { "1. `a/b.rs::one`".to_owned() };
            format!("### {way}\n\nThe call:\n\n{hops}\n")
        });
        faults_of_ways(
            &format!("\n## From call to callback\n\n{}\n## Next\n", ways.concat()),
            source,
        )
    };
    assert_eq!(faults(&["1. `a/b.rs::one` does it", "2. calls `a/b.rs::B::two`"]), [""; 0]);
    assert_eq!(faults(&["1. `a/b.rs::three`"]), ["A job: there is no a/b.rs::three"]);
    assert_eq!(faults(&["1. `a/c.rs::one`"]), ["A job: there is no a/c.rs::one"]);
    assert_eq!(faults(&["1. it is called"]), ["A job: no `file::function`: 1. it is called"]);
    assert_eq!(faults(&[]), ["A job: 0 hops, 20 at most"]);
    assert_eq!(faults(&["1. `a/b.rs::one`"; 21]), ["A job: 21 hops, 20 at most"]);
    assert_eq!(
        faults_of_ways("", source),
        ["there is no chapter of the ways from call to callback"]
    );
    assert_eq!(faults_of_ways("\n## From call to callback\n", source).len(), 4);
}

#[test]
fn the_checker_of_the_numbers_finds_what_it_looks_for() {
    let text = "const A: usize = 1_024;\nconst B: Duration = Duration::from_micros(50);\n\
        const C: usize = 8 * KIB;\nconst KIB: usize = 1 << 10;\n";
    let source = |path: &str| (path == "a/b.rs").then(|| text.to_owned());
    let test = "`tidy::the_phases_stand_in_one_order_everywhere`";
    let faults = |row: &str| {
        let good = format!("| 1,024 posts | `a/b.rs: A` | few | {test} |\n").repeat(8);
        let head = "\n| number | where | reason | test |\n|---|---|---|---|\n";
        faults_of_numbers(&format!("{head}{good}{row}\n"), source)
    };
    assert_eq!(faults(""), [""; 0]);
    assert_eq!(faults(&format!("| 50 µs | `a/b.rs: B` | a reason | {test} |")), [""; 0]);
    assert_eq!(faults(&format!("| 8 KiB | `a/b.rs: C` | a reason | {test} |")), [""; 0]);
    let wrong = format!("| 50 ms | `a/b.rs: B` | a reason | {test} |");
    assert_eq!(faults(&wrong), ["50 ms: a/b.rs: B is Duration::from_micros(50)"]);
    assert_eq!(faults(&format!("| 1 | `a/b.rs: D` | r | {test} |")), ["1: there is no a/b.rs: D"]);
    assert_eq!(faults("| 1,024 | `a/b.rs: A` | r | `a::b_c` |"), ["1,024: there is no a::b_c"]);
    assert_eq!(
        faults("| 1,024 | `a/b.rs: A` | r | none |"),
        ["1,024: a reason and a test are due"]
    );
    assert_eq!(faults("| 1,024 | `a/b.rs: A` | r |").len(), 1);
    assert_eq!(faults_of_numbers("", source), ["0 numbers are too few"]);
    let said = ["64 looks, 4 pauses", "1,024", "8 MiB", "1 s"].map(number_said);
    assert_eq!(said, [64, 1_024, 8 << 20, 1_000_000_000].map(Some));
    assert_eq!(number_said("some"), None);
}

#[test]
fn the_checker_of_the_stops_finds_what_it_looks_for() {
    let source = |path: &str| (path == "a/b.rs").then(|| "fn one() {\n}\n".repeat(5));
    let faults = |row: &str| {
        let head = "\n## Read the source in an hour\n\n| stop | open | lines | look at | question |\n|---|---|---|---|---|\n";
        let good = "| 1 | `a/b.rs` | 11 | `one` | Why? |\n".repeat(7);
        faults_of_stops(&format!("{head}{good}{row}\n\n## Next\n"), source)
    };
    assert_eq!(faults("| 8 | `a/b.rs` | 9 | `one`, `one` | Why? |"), [""; 0]);
    assert_eq!(faults(""), ["7 stops, and not eight"]);
    assert_eq!(faults("| 8 | `a/b.rs` | 14 | `one` | Why? |"), ["`a/b.rs` has 10 lines"]);
    assert_eq!(faults("| 8 | `a/c.rs` | 9 | `one` | Why? |"), ["there is no `a/c.rs`"]);
    assert_eq!(faults("| 8 | `a/b.rs` | 9 | `two` | Why? |"), ["`a/b.rs` has no two"]);
    assert_eq!(faults("| 8 | `a/b.rs` | 9 | `one` | So. |").len(), 1);
    assert_eq!(faults_of_stops("", source), ["there are no stops"]);
}
