//! The rules that the compiler cannot see. An error names the file, the line and the reason.

use std::fs;
use std::path::Path;

/// A word, the places under `src/` that may have it in their code, and why no other may.
type Fence = (&'static [&'static str], &'static [&'static str], &'static str);

#[rustfmt::skip]
const FENCES: &[Fence] = &[
    (&["mio", "libc", "socket2"], &["sys/"], "only sys/ talks to the system"),
    // alloc.rs is a global allocator, which is an unsafe trait; running.rs reads a 'static reference back from an atomic.
    (&["unsafe"], &["queue/closure.rs", "task/scoped.rs", "sys/unix.rs", "sys/signal.rs", "alloc.rs", "running.rs"],
        "unsafe code stands in six files"),
    (&["atomic", "Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock", "mpsc"],
        &["threads/", "worker/", "task/mod.rs", "metrics.rs", "clock.rs", "sys/signal.rs", "event_loop.rs", "error.rs", "running.rs"],
        "what threads share stands behind doors 2 and 3"),
    (&["thread::Builder", "thread::spawn"], &["threads/", "worker/"], "only pool and workers start threads"),
    (&["Instant::now", "SystemTime"], &["clock.rs"], "only clock.rs reads the clock"),
    (&["crate::net", "crate::fs", "crate::dns", "crate::crypto", "crate::worker", "crate::signal"],
        &["net/", "fs.rs", "dns.rs", "crypto.rs", "worker/", "signal.rs", "lib.rs"],
        "the loop knows nothing that is built on it"),
    (&["catch_unwind"], &["callback.rs", "event_loop.rs", "lib.rs", "task/mod.rs", "threads/pool.rs", "worker/builder.rs"],
        "panics are caught in callback.rs and where a thread or a future ends"),
    (&["println!", "eprintln!", "print!", "eprint!", "dbg!", "todo!", "unimplemented!"], &[], "nothing unfinished, no stray print"),
    (&["let _ ="], &[], "what is dropped is dropped by name"),
];

/// Every phase from the start of a turn to the end of its first iteration.
const PHASES: [&str; 8] =
    ["timers", "pending", "idle", "prepare", "poll", "check", "close", "timers"];

/// Whether `text` has `word`, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let whole = |(at, _): (usize, &str)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !part(before.chars().next_back()) && !part(after.chars().next())
    };
    text.match_indices(word).any(whole)
}

/// The lines of a source file without comments, up to its unit tests, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate();
    let bare = lines.map(|(at, line)| (at + 1, line.split(" //").next().unwrap_or("")));
    bare.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// What is wrong with one source file, `name` being its path under `src/`.
fn faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("src/{name}:1: a file opens with its module doc"));
    }
    for (at, line) in text.lines().enumerate() {
        if has_word(line, "TODO") || has_word(line, "FIXME") {
            faults.push(format!("src/{name}:{}: notes to oneself go elsewhere", at + 1));
        }
    }
    for (at, line) in code(text) {
        for (words, places, reason) in FENCES {
            let fenced = !places.iter().any(|place| name.starts_with(place));
            for word in words.iter().filter(|word| fenced && has_word(line, word)) {
                faults.push(format!("src/{name}:{at}: `{word}`: {reason}"));
            }
        }
        let door = ["callback.rs", "queue/deferred.rs"].contains(&name);
        if line.contains(".call()") && !line.contains("callback::call(") && !door {
            faults.push(format!("src/{name}:{at}: stored callbacks are called by callback.rs"));
        }
    }
    faults
}

/// The phases named in the boxes of a diagram, from top to bottom.
fn phases_drawn(text: &str) -> Vec<&str> {
    text.split('│').map(str::trim).filter(|piece| PHASES.contains(piece)).collect()
}

/// The phases that `iterate` runs, each once.
fn phases_run(text: &str) -> Vec<&str> {
    let body = text.split("fn iterate(").nth(1).unwrap_or("");
    let body = body.split("\n    }").next().unwrap_or("");
    let lines = body.lines().filter(|line| !line.contains("run_after_poll"));
    let mut run: Vec<_> = lines.filter_map(|line| line.trim().split_once("::")).collect();
    run.dedup_by_key(|(phase, _)| *phase);
    run.into_iter().map(|(phase, _)| phase).collect()
}

/// The tests that a document names, as `file::test` between backticks.
fn tests_named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| {
        let plain = quoted.bytes().all(|b| b.is_ascii_lowercase() || b"_:0123456789".contains(&b));
        let name = quoted.split_once("::").filter(|_| plain);
        name.filter(|(file, test)| !file.is_empty() && test.contains('_'))
    })
}

/// A file of the repository. Tests run in its root.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all Rust files below a folder.
fn rust_files(folder: &str) -> Vec<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths: Vec<_> = paths.map(|path| path.to_str().unwrap().to_owned()).collect();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|p| Path::new(p).is_dir());
    let files = files.into_iter().filter(|path| path.ends_with(".rs"));
    files.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

#[test]
fn every_source_file_keeps_within_its_fences() {
    let files = rust_files("src");
    assert!(files.len() > 30, "the sources are where they are looked for");
    let all: Vec<_> = files.iter().flat_map(|path| faults(&path[4..], &read(path))).collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn the_phases_stand_in_one_order_everywhere() {
    assert_eq!(phases_drawn(&read("src/lib.rs")), PHASES, "src/lib.rs: the diagram");
    assert_eq!(phases_drawn(&read("DESIGN.md")), PHASES, "DESIGN.md: the diagram");
    assert_eq!(phases_run(&read("src/event_loop.rs")), PHASES[1..], "src/event_loop.rs: iterate");
}

#[test]
fn no_test_sleeps_to_force_an_order() {
    for path in rust_files("tests").iter().filter(|path| *path != "tests/tidy.rs") {
        for (at, line) in code(&read(path)) {
            assert!(
                !has_word(line, "thread::sleep"),
                "{path}:{at}: waits for a clock, not an event"
            );
        }
    }
}

#[test]
fn every_test_that_the_design_names_exists() {
    let design = read("DESIGN.md");
    let named: Vec<_> = tests_named(&design).collect();
    assert!(named.len() > 20, "the design names its tests");
    for (file, test) in named {
        let found = has_word(&read(&format!("tests/{file}.rs")), &format!("fn {test}"));
        assert!(found, "DESIGN.md: tests/{file}.rs has no test {test}");
    }
}

#[test]
fn the_checker_finds_what_it_looks_for() {
    let faulty = |name: &str, line: &str| faults(name, &format!("//! Doc.\n{line}\n"));
    for (name, line) in [
        ("net/x.rs", "use mio::Poll;"),
        ("handle.rs", "let x = unsafe { y };"),
        ("phase/poll.rs", "    m: Mutex<u8>, // why"),
        ("fs.rs", "std::thread::spawn(f);"),
        ("phase/timers.rs", "let now = Instant::now();"),
        ("phase/poll.rs", "use crate::net::TcpStream;"),
        ("handle.rs", "panic::catch_unwind(f)"),
        ("sys/mod.rs", "dbg!(x);"),
        ("fs.rs", "let _ = f();"),
        ("fs.rs", "// TODO: more"),
        ("phase/check.rs", "immediate.call();"),
    ] {
        let found = faulty(name, line);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].starts_with(&format!("src/{name}:2: ")), "{found:?}");
    }
    for (name, line) in [
        ("sys/mod.rs", "use mio::Poll;"),
        ("handle.rs", "// unsafe, a Mutex, println!"),
        ("handle.rs", "use crate::network; // crate::net"),
        ("handle.rs", "#![deny(unsafe_code)]"),
        ("phase/check.rs", "callback::call(state, at, || immediate.call());"),
        ("fs.rs", "#[cfg(test)]\nuse std::sync::Mutex;"),
    ] {
        assert_eq!(faulty(name, line), [""; 0], "{line}");
    }
    assert_eq!(faults("x.rs", "use y;"), ["src/x.rs:1: a file opens with its module doc"]);
    assert_eq!(phases_drawn("│   poll   │ waits\n│ ▼ │\n│  check  │"), ["poll", "check"]);
    let run =
        "fn iterate(&self) {\n a::run(s);\n b::wait(s);\n b::dispatch(s);\n    }\n c::run(s);";
    assert_eq!(phases_run(run), ["a", "b"]);
    assert!(tests_named("as `timers::a_b` and `x` and `crate::y`").eq([("timers", "a_b")]));
}
