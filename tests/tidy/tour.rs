//! The tour: that each program of examples/tour is small, opens with its question and its trace, and is in the list of
//! examples/README.md, which has no other, and in README.md. And the tiny loop: that it is tiny, and that its page shows all of it as it is.

use std::fs;
use std::ops::RangeInclusive;

use crate::source::lines_of_code;
use crate::{has_word, read};

/// Lines of code that a program may have.
const CODE: RangeInclusive<usize> = 12..=35;
/// Columns that a line may have.
const COLUMNS_MAX: usize = 100;

/// Lines of code that the tiny loop may have, without what it imports and its main program.
const TINY_MAX: usize = 150;

/// What is wrong with the program called `name`.
fn faults_of_program(name: &str, source: &str, manifest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let count = lines_of_code(source);
    if !CODE.contains(&count) {
        faults.push(format!("{count} lines of code, where {CODE:?} are due"));
    }
    if source.lines().any(|line| line.chars().count() > COLUMNS_MAX) {
        faults.push(format!("a line has more than {COLUMNS_MAX} columns"));
    }
    if question(source).is_none() {
        faults.push("it does not open with its question".to_owned());
    }
    let command = format!("//! ```text\n//! $ cargo run --example {name}\n//! ");
    let trace = source.split_once(&command).map_or("", |(_, rest)| rest);
    if trace.is_empty() || trace.starts_with("```") {
        faults.push("its header has no trace beneath the command that runs it".to_owned());
    }
    if !manifest.contains(&format!("\nname = \"{name}\"\npath = \"examples/tour/{name}.rs\"\n")) {
        faults.push("Cargo.toml does not have it".to_owned());
    }
    faults
}

/// The question that a program answers.
fn question(source: &str) -> Option<&str> {
    let first = source.lines().next()?.strip_prefix("//! ")?;
    first.ends_with('?').then_some(first)
}

/// The rows of the list in examples/README.md: names and questions.
fn rows(readme: &str) -> Vec<(&str, &str)> {
    let rows = readme.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| [`")?.split_once("`](tour/")?;
        let (file, question) = rest.split_once(".rs) | ")?;
        (file == name).then_some((name, question.strip_suffix(" |")?))
    });
    rows.collect()
}

#[test]
fn each_program_of_the_tour_is_small_and_opens_with_its_question_and_trace() {
    let paths = fs::read_dir("examples/tour").unwrap().map(|entry| entry.unwrap().path());
    let (readme, list) = (read("README.md"), read("examples/README.md"));
    let manifest = read("Cargo.toml");
    let mut rows = rows(&list);
    assert!(rows.len() >= 18, "the list is found");
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let source = read(path.to_str().unwrap());
        let faults = faults_of_program(name, &source, &manifest);
        assert!(faults.is_empty(), "{}:\n{}", path.display(), faults.join("\n"));
        let link = format!("[`{name}`](examples/tour/{name}.rs)");
        assert!(readme.contains(&link), "README.md lacks {name}");
        let listed =
            rows.iter().position(|row| Some(*row) == question(&source).map(|it| (name, it)));
        rows.remove(listed.unwrap_or_else(|| panic!("the list lacks {name} with its question")));
    }
    assert_eq!(rows, [], "the list has what is not there, or has it twice");
}

#[test]
fn every_example_is_in_the_list() {
    let list = read("examples/README.md");
    for entry in fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = if path.join("main.rs").is_file() {
            format!("{name}/main.rs")
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            format!("{name}.rs")
        } else {
            continue; // What examples share, and the tour.
        };
        let row = format!("| [`{name}`]({file}) | ");
        assert!(list.contains(&row), "examples/README.md lacks {name}");
    }
}

/// What is wrong with the tiny loop, and with the page that goes through it.
fn faults_of_tiny_loop(source: &str, page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (own, _) = source.split_once("\nfn main() {").unwrap_or((source, ""));
    let count = lines_of_code(own) - own.lines().filter(|line| line.starts_with("use ")).count();
    if count > TINY_MAX {
        faults.push(format!("{count} lines of code, {TINY_MAX} at most"));
    }
    let lines: Vec<_> = own.lines().map(str::trim).collect();
    let blocks = page.split("```rs\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(""));
    let blocks: Vec<Vec<_>> = blocks.map(|block| block.lines().map(str::trim).collect()).collect();
    for block in &blocks {
        if !lines.windows(block.len().max(1)).any(|some| some == block) {
            faults.push(format!("the page shows what is not there: {}", block.join(" ")));
        }
    }
    let is_shown = |line: &&str| blocks.iter().any(|block| block.contains(line));
    let functions = lines.iter().filter(|line| has_word(line, "fn") && line.ends_with('{'));
    faults
        .extend(functions.filter(|line| !is_shown(line)).map(|line| format!("not shown: {line}")));
    faults
}

#[test]
fn the_tiny_loop_is_tiny_and_its_page_shows_all_of_it() {
    let (source, page) = (read("examples/tiny_loop.rs"), read("src/guide/tiny_loop.md"));
    assert_eq!(faults_of_tiny_loop(&source, &page), [""; 0]);
}

#[test]
fn the_checker_of_the_tiny_loop_finds_what_it_looks_for() {
    let source = "use a;\n    fn b() {\n        c();\n    }\n\nfn main() {\n    d();\n}\n";
    let page = "# A\n```rs\nfn b() {\n    c();\n}\n```\n";
    assert_eq!(faults_of_tiny_loop(source, page), [""; 0]);
    assert_eq!(faults_of_tiny_loop(source, &page.replace("c()", "e()")).len(), 1);
    assert_eq!(faults_of_tiny_loop(source, "# A\n"), ["not shown: fn b() {"]);
    let long = source.replace("c();\n", &"c();\n".repeat(149));
    assert_eq!(faults_of_tiny_loop(&long, page).len(), 2);
}

#[test]
fn the_checker_of_the_tour_finds_what_it_looks_for() {
    let header = "//! Why?\n//!\n//! ```text\n//! $ cargo run --example a\n//! b\n//! ```\n";
    let manifest = "\nname = \"a\"\npath = \"examples/tour/a.rs\"\n";
    let good = header.to_owned() + &"f();\n".repeat(12);
    let faults = |source: &str| faults_of_program("a", source, manifest).len();
    assert_eq!(faults(&good), 0);
    assert_eq!(faults_of_program("a", &good, "").len(), 1);
    assert_eq!(faults(&good.replacen("f();\n", "// f();\n", 1)), 1);
    assert_eq!(faults(&(good.clone() + &"f();\n".repeat(24))), 1);
    assert_eq!(faults(&good.replace("Why?", "Why.")), 1);
    assert_eq!(faults(&good.replace("//! b\n", "")), 1);
    assert_eq!(faults(&good.replace("example a", "example b")), 1);
    assert_eq!(faults(&good.replace("f();\n", &"f".repeat(101))), 2);
    assert_eq!(rows("| [`a`](tour/a.rs) | Why? |\n| [`a`](b.rs) | Why? |"), [("a", "Why?")]);
}
