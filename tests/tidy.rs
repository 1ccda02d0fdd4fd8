//! The rules that the compiler cannot see. An error names the file, the line and the reason.

use std::fs;
use std::path::Path;

#[path = "tidy/book.rs"]
mod book;
#[path = "tidy/design.rs"]
mod design;
#[path = "tidy/directions.rs"]
mod directions;
#[path = "tidy/items.rs"]
mod items;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tour.rs"]
mod tour;

/// A word, the places under `src/` that may have it in their code, and why no other may.
type Fence = (&'static [&'static str], &'static [&'static str], &'static str);

#[rustfmt::skip]
const FENCES: &[Fence] = &[
    (&["mio", "libc", "socket2", "aws_lc_sys"], &["sys/"], "only sys/ talks to the system and to C"),
    // alloc.rs is a global allocator, which is an unsafe trait; running.rs and ring.rs read 'static references back from atomics.
    (&["unsafe"], &["queue/closure.rs", "queue/ring.rs", "state/current.rs", "task/scoped.rs", "task/local.rs",
        "sys/unix.rs", "sys/unix_socket.rs", "sys/udp.rs", "sys/dir.rs", "sys/file.rs", "sys/inotify.rs", "sys/process.rs", "sys/resolver.rs", "sys/scrypt.rs", "sys/signal.rs",
        "sys/descriptor.rs", "sys/terminal.rs", "alloc.rs", "trace/running.rs", "trace/ring.rs"],
        "unsafe code stands in few files, each of which says what it rests on"),
    (&["call_first", "call_in_place"], &["callback/", "queue/"], "stored callbacks are called by callback/"),
    (&["atomic", "Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock", "mpsc"],
        &["threads/", "pool/", "channel/", "worker/", "virtual_time/", "handle/notifier.rs", "task/waker.rs", "report/metrics.rs", "clock.rs", "sys/signal.rs", "sys/process.rs", "sys/terminal.rs", "sys/descriptor.rs",
            "event_loop/", "error.rs", "trace/", "observe/", "inspect/mod.rs", "inspect/summary.rs"],
        "what threads share stands behind doors 2 and 3, and at the seam"),
    (&["waker.wake()", "writer.wake()", "task.wake()", "Waker::wake"], &["task/waiters.rs", "task/signal.rs", "threads/"],
        "a waker is called by waiters::wake, for its panic costs its caller nothing"),
    (&["thread::Builder", "thread::spawn"], &["pool/", "worker/", "observe/stalls.rs", "inspect/mod.rs"], "only pool, workers, a stall watch and a view start threads"),
    (&["Instant::now", "SystemTime::now", "monotonic_nanos"], &["clock.rs", "sys/"], "only clock.rs reads the clock"),
    (&["crate::stream", "crate::net", "crate::fs", "crate::dns", "crate::crypto", "crate::worker", "crate::signal", "crate::process"],
        &["stream/", "net/", "process/", "pipe.rs", "stdio/", "tty.rs", "fs/", "dns/", "crypto/", "worker/", "signal.rs", "futures/", "hyper/", "inspect/", "lib.rs", "unhandled/known.rs"],
        "the loop knows nothing that is built on it"),
    (&["RandomState", "getrandom"], &["fs/temp.rs", "crypto/mod.rs"], "random numbers are drawn where a simulation has them from its seed"),
    // Those of timers and look-ups are only looked into, and hold no value of a user.
    (&["HashMap", "HashSet"], &["phase/timers/", "dns/shared.rs", "trace/", "observe/", "inspect/"], "its order is another one in each run, and users' values would be dropped in it"),
    (&["catch_unwind"], &["callback/", "event_loop/", "lib.rs", "task/mod.rs", "pool/", "worker/start.rs", "sim/mod.rs"],
        "panics are caught in callback/ and where a thread or a future ends"),
    // explore.rs has a line of progress, and tells of variables that are set. Printed by macro, so that a test keeps it with its own output.
    (&["println!", "eprintln!", "print!", "eprint!"], &["sim/explore.rs"], "no stray print"),
    (&["dbg!", "todo!", "unimplemented!"], &[], "nothing unfinished"),
    (&["let _ ="], &[], "what is dropped is dropped by name"),
];

/// Words that are out, the files that may have them in another sense, and the field's own word.
#[rustfmt::skip]
const FENCES_OF_WORDS: &[Fence] = &[
    (&["rouse", "rouses", "roused", "rousing", "poke", "pokes", "poked", "poking"], &[], "wake"),
    (&["nudge", "nudges", "nudged", "nudging"], &[], "unpark; it leaves a token"),
    // Of the alphabet, in the names of temporary files.
    (&["letter", "letters"], &["fs/temp.rs"], "a message, or what is incoming"),
    (&["lie down", "lies down", "lay down", "lying down", "doze", "dozes", "dozed", "dozing"], &[], "sleep, or park"),
    (&["heir", "heirs"], &[], "on_unclaimed"),
    (&["spoonful", "spoonfuls"], &[], "a round, or a batch"),
    (&["seat", "seats", "seated"], &[], "a place in the schedule"),
    (&["summon", "summons", "summoned"], &[], "call, or wake"),
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
    // No modules: the beginnings of the programs of the guide.
    let begins_programs = ["guide/recorder.rs", "guide/program.rs"].contains(&name);
    if !text.starts_with("//!") && !begins_programs {
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
        if name.starts_with("sys/") && line.replace("crate::sys", "").contains("crate::") {
            faults.push(format!("src/{name}:{at}: sys/ names nothing above itself"));
        }
        let door = name.starts_with("callback/") || name.starts_with("queue/");
        let by_door = line.contains("callback::call") || line.contains("callback::invoke(");
        let calls = line.contains(".call(") || line.contains(".call_result(");
        if calls && !by_door && !door {
            faults.push(format!("src/{name}:{at}: stored callbacks are called by callback/"));
        }
    }
    faults
}

/// The phases named in the boxes of a diagram, from top to bottom.
fn phases_drawn(text: &str) -> Vec<&str> {
    text.split('│').map(str::trim).filter(|piece| PHASES.contains(piece)).collect()
}

/// The phases named in the boxes of the picture, in the order of its source.
fn phases_pictured(text: &str) -> Vec<&str> {
    let boxes = text.split("class=\"phase\">").skip(1);
    boxes.filter_map(|rest| rest.split_once('<')).map(|(phase, _)| phase).collect()
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

/// The conformance scenarios that a document names, as three digits and words between backticks.
fn scenarios_named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|quoted| {
        let plain =
            quoted.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let number = quoted.split('-').next().unwrap_or("");
        plain && number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// What a document names and the repository does not have.
fn missing(document: &str) -> Vec<String> {
    let has_scenario = |name: &&str| Path::new(&format!("tests/conformance/{name}.json")).is_file();
    let tests = tests_named(document).filter(|(file, test)| !has_test(file, test));
    let tests = tests.map(|(file, test)| format!("{file}::{test}"));
    let scenarios = scenarios_named(document).filter(|name| !has_scenario(name));
    tests.chain(scenarios.map(str::to_owned)).collect()
}

/// A numbered statement of the guide.
struct Statement {
    number: String,
    /// What it says, and the tests it names.
    words: String,
    /// The example beneath it.
    example: String,
}

/// The statements of a page of the guide, and what stands there in a list without being one.
fn statements(page: &str) -> (Vec<Statement>, Vec<String>) {
    let (mut statements, mut strays) = (Vec::<Statement>::new(), Vec::new());
    let (mut in_example, mut open) = (false, false);
    for line in page.lines().map(str::trim_start) {
        let number = line.strip_prefix("- **O-").and_then(|rest| rest.split_once("** "));
        if line.starts_with("```") {
            in_example = !in_example;
        } else if let Some((number, words)) = number {
            open = true;
            let (number, words) = (number.to_owned(), words.to_owned());
            statements.push(Statement { number, words, example: String::new() });
        } else if in_example || (open && !line.is_empty()) {
            // A heading begins with a `#` and so does a hidden line of an example.
            open = in_example || !line.starts_with('#');
            if let Some(last) = statements.last_mut().filter(|_| open) {
                let part = if in_example { &mut last.example } else { &mut last.words };
                part.extend(["\n", line]);
            }
        }
        if !in_example && number.is_none() && line.starts_with("- ") {
            strays.push(line.to_owned());
        }
    }
    (statements, strays)
}

/// What is wrong with a page of the guide.
fn faults_of_guide(page: &str) -> Vec<String> {
    let (statements, mut faults) = statements(page);
    faults.iter_mut().for_each(|stray| stray.insert_str(0, "without a number: "));
    let mut numbers: Vec<_> = statements.iter().map(|one| one.number.parse().ok()).collect();
    numbers.sort();
    let expected = (1..=numbers.len()).map(Some);
    if let Some((found, number)) = numbers.into_iter().zip(expected).find(|(a, b)| a != b) {
        faults.push(format!(
            "not one statement for each number: {found:?} is where {number:?} is due"
        ));
    }
    for Statement { number, words, example } in &statements {
        let named = tests_named(words).count() + scenarios_named(words).count();
        if named == 0 && !example.contains("assert") {
            faults.push(format!("O-{number} has no test"));
        }
        faults.extend(missing(words).iter().map(|name| format!("O-{number}: there is no {name}")));
    }
    faults
}

/// The numbers of the guide's statements that a text cites, as in O-1.
fn statements_cited(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("O-").filter_map(|(at, _)| {
        let part_of_a_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '/');
        let rest = &text[at + 2..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (digits > 0 && !part_of_a_word).then(|| &rest[..digits])
    })
}

/// What is wrong with a fault of .ci/mutants: see .ci/mutate. Its lines must stand in the sources once, and its tests
/// must exist.
fn faults_of_mutant(text: &str, sources: &[Vec<String>]) -> Vec<String> {
    let mut lines = text.splitn(3, '\n');
    let (what, test) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let rest = lines.next().unwrap_or("");
    let mut faults = Vec::new();
    if !what.ends_with('.') {
        faults.push("its first line says what is wrong".to_owned());
    }
    let seeds = rest.split_once('\n').filter(|(line, _)| line.starts_with("seeds "));
    let (seeds, hunks) = seeds.map_or((None, rest), |(line, hunks)| (Some(line), hunks));
    for (line, word) in std::iter::once((test, "test ")).chain(seeds.map(|line| (line, "seeds "))) {
        match line.strip_prefix(word).and_then(|test| test.split_once("::")) {
            Some((file, name)) if has_test(file, name) => {}
            _ => faults.push(format!("there is no such test: {line}")),
        }
    }
    for hunk in hunks.trim_end().split("\n\n") {
        let stays = |line: &&str| !line.starts_with('+');
        let before = hunk.lines().filter(stays).map(|line| line.get(2..).unwrap_or("").trim());
        let before: Vec<_> = before.collect();
        let places = sources.iter().map(|source| {
            source.windows(before.len().max(1)).filter(|lines| **lines == before[..]).count()
        });
        let count = places.sum::<usize>();
        if count != 1 {
            faults.push(format!("{count} places instead of one have {before:?}"));
        }
    }
    faults
}

/// Whether there is a test of this name: of a file of tests/, of the library, or of tests/loom.
fn has_test(file: &str, name: &str) -> bool {
    let paths = match file {
        "lib" => rust_files("src"),
        "loom" => rust_files("tests/loom/src"),
        // A long one has a folder of modules.
        _ => {
            let folder = format!("tests/{file}");
            let modules =
                if Path::new(&folder).is_dir() { rust_files(&folder) } else { Vec::new() };
            modules.into_iter().chain([folder + ".rs"]).collect()
        }
    };
    let name = format!("fn {}", name.rsplit("::").next().unwrap_or(""));
    let sources = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    sources.into_iter().any(|source| has_word(&source, &name))
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
    let has_iterate = |path: &String| read(path).contains("fn iterate(");
    let turn = rust_files("src/event_loop").into_iter().find(has_iterate).expect("the iteration");
    assert_eq!(phases_run(&read(&turn)), PHASES[1..], "{turn}: iterate");
    // A ring: the timers stand there once.
    let picture = read("src/guide/phases.svg");
    assert_eq!(phases_pictured(&picture), PHASES[..7], "src/guide/phases.svg: the boxes");
}

#[test]
fn no_test_sleeps_to_force_an_order() {
    for path in rust_files("tests").iter().filter(|path| !path.starts_with("tests/tidy")) {
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
    assert!(tests_named(&read("DESIGN.md")).count() > 20, "the design names its tests");
    for path in ["DESIGN.md", "src/guide/numbers.md", "src/guide/why_fast.md"] {
        assert_eq!(missing(&read(path)), [""; 0], "{path} names what is not there");
    }
}

#[test]
fn every_statement_of_the_guide_has_a_test_that_exists() {
    let guide = read("src/guide/order.md");
    assert!(statements(&guide).0.len() > 50, "the statements are found");
    let faults = faults_of_guide(&guide);
    assert!(faults.is_empty(), "src/guide/order.md:\n{}", faults.join("\n"));
}

#[test]
fn every_statement_that_is_cited_exists() {
    let (statements, _) = statements(&read("src/guide/order.md"));
    let exists = |number: &str| statements.iter().any(|one| one.number == number);
    let documents = ["README.md", "DESIGN.md", "CHANGELOG.md"].map(str::to_owned);
    let sources = rust_files("src").into_iter().chain(rust_files("tests"));
    for path in sources.chain(documents).filter(|path| !path.starts_with("tests/tidy")) {
        for number in statements_cited(&read(&path)) {
            assert!(exists(number), "{path} cites O-{number}, which the guide does not have");
        }
    }
}

/// So that none of them is lost when code moves or changes.
#[test]
fn every_fault_made_on_purpose_can_be_made_and_names_a_test_that_exists() {
    if !Path::new(".ci").is_dir() {
        return; // A package has no such folder.
    }
    let lines = |path: &String| read(path).lines().map(|line| line.trim().to_owned()).collect();
    let sources: Vec<Vec<String>> = rust_files("src").iter().map(lines).collect();
    let paths = fs::read_dir(".ci/mutants").unwrap().map(|entry| entry.unwrap().path());
    let paths: Vec<_> = paths.collect();
    assert!(paths.len() >= 40, "the faults are where they are looked for");
    let all = paths.iter().flat_map(|path| {
        let faults = faults_of_mutant(&read(path.to_str().unwrap()), &sources);
        faults.into_iter().map(|fault| format!("{}: {fault}", path.display()))
    });
    let all: Vec<_> = all.collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

/// A fault is called by its number: each has one, and none has two names.
#[test]
fn the_faults_made_on_purpose_are_numbered_from_one_on() {
    if !Path::new(".ci").is_dir() {
        return; // A package has no such folder.
    }
    let names = fs::read_dir(".ci/mutants").unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    for (name, number) in names.iter().zip(1..) {
        assert!(name.starts_with(&format!("{number:02}-")), "{name} is number {number}");
    }
}

#[test]
fn the_checker_finds_what_it_looks_for() {
    let faulty = |name: &str, line: &str| faults(name, &format!("//! Doc.\n{line}\n"));
    for (name, line) in [
        ("net/x.rs", "use mio::Poll;"),
        ("sys/unix.rs", "use crate::clock::Nanos;"),
        ("handle.rs", "let x = unsafe { y };"),
        ("phase/poll.rs", "    m: Mutex<u8>, // why"),
        ("fs/mod.rs", "std::thread::spawn(f);"),
        ("phase/timers.rs", "let now = Instant::now();"),
        ("phase/poll.rs", "use crate::net::TcpStream;"),
        ("handle.rs", "panic::catch_unwind(f)"),
        ("sys/mod.rs", "dbg!(x);"),
        ("fs/mod.rs", "let _ = f();"),
        ("fs/mod.rs", "// TODO: more"),
        ("phase/check.rs", "immediate.call();"),
        ("phase/timers.rs", "callback.call(timer);"),
        ("phase/check.rs", "state.ticks.call_first();"),
        ("request.rs", "f.call_result(value);"),
    ] {
        let found = faulty(name, line);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].starts_with(&format!("src/{name}:2: ")), "{found:?}");
    }
    for (name, line) in [
        ("sys/mod.rs", "use mio::Poll;"),
        ("sys/mod.rs", "use crate::sys::unix;"),
        ("handle.rs", "// unsafe, a Mutex, println!"),
        ("handle.rs", "use crate::network; // crate::net"),
        ("handle.rs", "#![deny(unsafe_code)]"),
        ("phase/check.rs", "callback::call(state, at, || immediate.call());"),
        ("fs/mod.rs", "#[cfg(test)]\nuse std::sync::Mutex;"),
    ] {
        assert_eq!(faulty(name, line), [""; 0], "{line}");
    }
    assert_eq!(faults("x.rs", "use y;"), ["src/x.rs:1: a file opens with its module doc"]);
    assert_eq!(phases_drawn("│   poll   │ waits\n│ ▼ │\n│  check  │"), ["poll", "check"]);
    let run =
        "fn iterate(&self) {\n a::run(s);\n b::wait(s);\n b::dispatch(s);\n    }\n c::run(s);";
    assert_eq!(phases_run(run), ["a", "b"]);
    assert!(tests_named("as `timers::a_b` and `x` and `crate::y`").eq([("timers", "a_b")]));
    let picture = "<text class=\"phase\">poll</text>\n<text>check</text>";
    assert_eq!(phases_pictured(picture), ["poll"]);
}

#[test]
fn the_checker_of_the_faults_made_on_purpose_finds_what_it_looks_for() {
    let sources = [vec!["a();".to_owned(), "b();".to_owned()], vec!["b();".to_owned()]];
    let faults = |test: &str, hunks: &str| {
        faults_of_mutant(&format!("Something is wrong.\ntest {test}\n{hunks}\n"), &sources)
    };
    let good = "tidy::the_phases_stand_in_one_order_everywhere";
    assert_eq!(faults(good, "  a();\n- b();\n+ c();"), [""; 0]);
    assert_eq!(faults(good, "- b();"), ["2 places instead of one have [\"b();\"]"]);
    assert_eq!(faults(good, "- a();\n\n- c();"), ["0 places instead of one have [\"c();\"]"]);
    assert_eq!(faults("tidy::a_b", "- a();"), ["there is no such test: test tidy::a_b"]);
    assert_eq!(faults_of_mutant("no\n", &sources).len(), 3);
}

#[test]
fn the_checker_of_the_guide_finds_what_it_looks_for() {
    let page = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let tested = "- **O-1** One (`tidy::the_phases_stand_in_one_order_everywhere`).";
    let example = ["- **O-2** Two.", "", "```", "# use a::*;", "assert!(true);", "```"];
    let good = [&[tested][..], &example, &["# Heading", "Words."]].concat();
    assert_eq!(faults_of_guide(&page(&good)), [""; 0]);
    let fault = |lines: &[&str]| {
        let faults = faults_of_guide(&page(lines));
        assert_eq!(faults.len(), 1, "{lines:?}: {faults:?}");
        faults.into_iter().next().unwrap_or_default()
    };
    assert_eq!(fault(&["- **O-1** One."]), "O-1 has no test");
    // An example under the next heading is not its own.
    assert_eq!(fault(&["- **O-1** One.", "# Heading", "`a::b_c`"]), "O-1 has no test");
    assert_eq!(fault(&["- **O-1** One.", "```", "x();", "```"]), "O-1 has no test");
    assert_eq!(fault(&["- **O-1** One (`a::b_c`)."]), "O-1: there is no a::b_c");
    let wrapped = ["- **O-1** One, with words", "  (`999-no-such`)."];
    assert_eq!(fault(&wrapped), "O-1: there is no 999-no-such");
    assert!(fault(&[tested, tested]).starts_with("not one statement for each number"));
    assert!(fault(&[tested, &tested.replace('1', "3")]).starts_with("not one statement"));
    assert_eq!(fault(&[tested, "- Two."]), "without a number: - Two.");
    assert!(scenarios_named("`012-a-b`, `12-a`, `a-b`, 013-c").eq(["012-a-b"]));
    assert!(statements_cited("O-12, I/O-3, FOO-4, O-x and (O-5)").eq(["12", "5"]));
}
