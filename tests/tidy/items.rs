//! The page of each public type and function: that it has an example.

use crate::{read, rust_files};

/// Public within a private module, and on no page.
const UNSEEN: &[(&str, &str)] = &[("net/address.rs", "Target")];

/// The public types, traits and functions of a file that have no example. Methods are shown by the example of their type.
fn without_example(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut has_example = false;
    for (at, line) in text.lines().enumerate() {
        if line == "#[cfg(test)]" {
            break;
        }
        if line.starts_with("///") {
            has_example |= line.contains("```");
        } else if !line.starts_with('#') && !line.starts_with(' ') && !line.starts_with(')') {
            let words: Vec<_> = line.split([' ', '<', '(', ';', ':', '{']).collect();
            let kind = words.iter().position(|word| KINDS.contains(word));
            let is_public = line.starts_with("pub ");
            if let (true, Some(kind), false) = (is_public, kind, has_example) {
                found.push((at + 1, words[kind + 1]));
            }
            has_example = false;
        }
    }
    found
}

/// What has a page of its own.
const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "union", "static"];

#[test]
fn every_public_type_and_function_has_an_example() {
    let mut faults = Vec::new();
    for path in rust_files("src") {
        let name = &path[4..];
        let text = read(&path);
        let lacking = without_example(&text).into_iter();
        let lacking = lacking.filter(|(_, item)| !UNSEEN.contains(&(name, item)));
        faults.extend(lacking.map(|(at, item)| format!("src/{name}:{at}: {item} has no example")));
    }
    assert!(faults.is_empty(), "\n{}\n{} in all", faults.join("\n"), faults.len());
}

/// The compiler shows these lines when a bound is not met, and with them what to do.
#[test]
fn the_bounds_that_are_missed_most_say_what_to_do() {
    for (path, bound) in [
        ("src/lib.rs", "main: impl FnOnce() -> R, // For a future use block_on."),
        ("src/event_loop/run.rs", "main: impl FnOnce() -> R, // For a future use block_on."),
        (
            "src/pool/work.rs",
            "work: impl FnOnce() -> T + Send + 'static, // Across threads: detach.",
        ),
    ] {
        assert!(read(path).contains(bound), "{path}: {bound}");
    }
    let bound = "Send + 'static, // Across threads: detach.";
    assert_eq!(
        read("src/worker/builder.rs").matches(bound).count(),
        3,
        "each way to start a worker"
    );
}

#[test]
fn the_checker_of_the_items_finds_what_it_looks_for() {
    let item = "#[derive(A)]\npub struct B<T> {\n    pub c: T,\n}\n";
    assert_eq!(without_example(&format!("/// B.\n{item}")), [(3, "B")]);
    assert_eq!(without_example(&format!("/// B.\n/// ```\n/// ```\n{item}")), []);
    assert_eq!(without_example("/// A.\npub async fn a() {}\n"), [(2, "a")]);
    assert_eq!(without_example("/// A.\npub(crate) fn a() {}\n    pub fn b() {}\n"), []);
    assert_eq!(without_example("/// A.\n/// ```\nfn a() {}\npub enum B {}\n"), [(4, "B")]);
}

#[test]
fn the_view_serves_every_file_of_its_page() {
    let list = read("src/inspect/page.rs");
    let entries = std::fs::read_dir("src/inspect/page").unwrap();
    for name in entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        assert!(list.contains(&format!("\n    \"{name}\",\n")), "src/inspect/page.rs lists {name}");
    }
}
