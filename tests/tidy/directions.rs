//! The direction of imports: a file names what stands on its own line of DESIGN.md, or below.

use std::collections::{BTreeSet, HashMap};

use crate::{code, read, rust_files};

/// What names something above itself: a file or folder under `src/`, and the room that it names. DESIGN.md says why.
const UPWARD: [(&str, &str); 15] = [
    ("state/mod.rs", "phase"),
    ("state/mod.rs", "pool"),
    ("state/mod.rs", "task"),
    ("state/hooks.rs", "callback"),
    ("state/hooks.rs", "unhandled"),
    ("unhandled/known.rs", "channel"),
    ("unhandled/known.rs", "dns"),
    ("unhandled/known.rs", "fs"),
    ("unhandled/known.rs", "pool"),
    ("unhandled/known.rs", "time"),
    ("unhandled/known.rs", "worker"),
    ("trace/teller.rs", "report"),
    ("threads/remote.rs", "callback"),
    ("threads/mailbox/mod.rs", "virtual_time"),
    ("virtual_time/", "state"),
];

/// How high each room stands in the picture of DESIGN.md.
fn heights(design: &str) -> HashMap<String, usize> {
    let (_, rest) = design.split_once("The direction of imports").unwrap_or_default();
    let picture = rest.split("```").nth(1).unwrap_or("");
    let lines = picture.lines().skip(1).collect::<Vec<_>>().into_iter().rev().enumerate();
    let rooms = lines.flat_map(|(at, line)| line.split_whitespace().map(move |word| (word, at)));
    rooms.map(|(word, at)| (word.trim_end_matches(".rs").to_owned(), at)).collect()
}

/// The rooms of the crate that a file names.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let lines = code(text).flat_map(|(_, line)| line.split("crate::").skip(1));
    // A list of rooms would hide them: each has a line of its own.
    let lines = lines.inspect(|rest| assert!(!rest.starts_with('{'), "crate::{rest}"));
    lines.map(|rest| rest.chars().take_while(|c| is_part(*c)).collect()).collect()
}

/// What of a file's imports runs upwards, and rooms that have no height. `name` is its path under `src/`.
fn upward(name: &str, text: &str, heights: &HashMap<String, usize>) -> Vec<(String, String)> {
    let own = name.split('/').next().unwrap_or(name).trim_end_matches(".rs");
    let own = heights.get(own);
    let is_upward = |room: &String| match (own, heights.get(room)) {
        (Some(own), Some(height)) => height > own,
        (None, _) => true,
        // A macro or a verb of the crate's own page.
        (_, None) => false,
    };
    let rooms = named(text).into_iter().filter(is_upward);
    rooms.map(|room| (name.to_owned(), room)).collect()
}

/// The guide has programs and no code of the crate; the crate's page names all.
fn is_above_all(name: &str) -> bool {
    name == "lib.rs" || name.starts_with("guide/")
}

#[test]
fn imports_go_down_but_for_those_that_are_listed() {
    let heights = heights(&read("DESIGN.md"));
    assert!(heights.len() > 30, "{heights:?}");
    let files = rust_files("src");
    let names = files.iter().map(|path| (path, path.trim_start_matches("src/")));
    let inner = names.filter(|(_, name)| !is_above_all(name));
    let found: Vec<_> =
        inner.flat_map(|(path, name)| upward(name, &read(path), &heights)).collect();
    let is = |(file, room): &(String, String), listed: &(&str, &str)| {
        file.starts_with(listed.0) && room == listed.1
    };
    let is_listed = |one: &&(String, String)| UPWARD.iter().any(|listed| is(one, listed));
    let stray: Vec<_> = found.iter().filter(|one| !is_listed(one)).collect();
    assert!(stray.is_empty(), "names what stands above it: {stray:?}");
    let is_there = |listed: &&(&str, &str)| found.iter().any(|one| is(one, listed));
    let gone: Vec<_> = UPWARD.iter().filter(|listed| !is_there(listed)).collect();
    assert!(gone.is_empty(), "is listed and names it no more: {gone:?}");
}

#[test]
fn the_checker_of_directions_finds_what_it_looks_for() {
    let picture =
        "The direction of imports: down.\n\n```text\nlib.rs (verbs)   top\nlow other\n```\n";
    let heights = heights(picture);
    let upward = |name: &str, text: &str| upward(name, text, &heights).len();
    assert_eq!(upward("low/a.rs", "use crate::top::Top;\n"), 1);
    assert_eq!(upward("low.rs", "fn f() { crate::top::f(crate::other::g()) }\n"), 1);
    assert_eq!(upward("low/a.rs", "use crate::other::Other;\nuse crate::low::b;\n"), 0);
    assert_eq!(upward("top/a.rs", "use crate::low::Low;\n"), 0);
    assert_eq!(upward("low/a.rs", "//! See crate::top.\n#[cfg(test)]\nuse crate::top::Top;\n"), 0);
    assert_eq!(upward("new/a.rs", "use crate::low::Low;\n"), 1, "a room without a height");
}
