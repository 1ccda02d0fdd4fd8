//! What all examples but those of the tour and the tiny loop promise, run as the programs that they are: `--help`, one
//! line for what they do not understand, and no panic when nobody reads on.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::*;

/// The names of these examples, and of those that are built without a feature.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir("examples").unwrap().map(|entry| entry.unwrap().path());
    let is_source = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "rs");
    let programs = entries.filter(|path| is_source(path) || path.join("main.rs").exists());
    let mut names: Vec<String> =
        programs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    // It stands on nothing, not even on what the examples share.
    names.retain(|name| name != "tiny_loop");
    if !cfg!(feature = "crypto") {
        names.retain(|name| name != "thread_pool");
    }
    assert!(names.len() >= 18, "the examples are where they are looked for: {names:?}");
    names
}

fn run(name: &str, args: &[&str]) -> Output {
    example(name).args(args).stdin(Stdio::null()).output().unwrap()
}

/// A path for what an example writes.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("all-examples").join(name);
    std::fs::remove_dir_all(&path).ok();
    std::fs::remove_file(&path).ok();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

/// Arguments with which an example does something short.
fn short(name: &str, path: &Path) -> Vec<String> {
    let path = path.to_str().unwrap();
    let args: &[&str] = match name {
        "against_node" => &["--print", "--count", "50"],
        "cat" => &["Cargo.toml", "README.md", "DESIGN.md"],
        "copy_tree" => &["src", path],
        "mandelbrot" | "trace" => &["--short", path],
        "scenario" => &["tests/conformance/001-phases.json"],
        "study" => &["starved"],
        "server" => &["--addr", "127.0.0.1:0"],
        "tail_f" => &["--short", "README.md"],
        _ => &["--short"],
    };
    let mut args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
    if name == "scenario" {
        let entries = std::fs::read_dir("tests/conformance").unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let files = paths.filter(|path| path.extension().is_some_and(|ext| ext == "json"));
        args = files.map(|path| path.to_str().unwrap().to_owned()).collect();
    }
    args
}

#[test]
fn each_example_says_what_it_does_and_how_it_is_called() {
    for name in names() {
        for option in ["--help", "-h"] {
            let output = run(&name, &[option]);
            let said = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{name} {option}");
            assert!(said.contains(&format!("\nusage: {name}")), "{name} {option}: {said}");
            assert!(said.contains("--help"), "{name} {option}: {said}");
            assert_eq!(text(&output.stderr), "", "{name} {option}");
        }
    }
}

#[track_caller]
fn expect_refusal(name: &str, args: &[&str]) {
    let output = run(name, args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{name} {args:?}: {said}");
    assert_eq!((said.lines().count(), text(&output.stdout)), (1, ""), "{name} {args:?}: {said}");
    assert!(said.starts_with(&format!("{name}: ")), "{name} {args:?}: {said}");
    assert!(said.ends_with("; see --help\n"), "{name} {args:?}: {said}");
}

#[test]
fn what_an_example_does_not_understand_is_one_line_and_exit_code_2() {
    for name in names() {
        for option in ["--nonsense", "--nonsense=1", "-x", "--shor", "--help=1", "-hx"] {
            expect_refusal(&name, &[option]);
        }
        if !matches!(
            &*name,
            "cat" | "copy_tree" | "mandelbrot" | "run" | "scenario" | "study" | "tail_f" | "trace"
        ) {
            expect_refusal(&name, &["nonsense"]);
        }
    }
    let cases: [(&str, &[&str]); 36] = [
        ("against_node", &["--real"]),
        ("against_node", &["--seed", "x"]),
        ("against_node", &["--count"]),
        ("cluster", &["--workers", "0"]),
        ("cluster", &["--workers", "many"]),
        ("copy_tree", &["--jobs", "0", "a", "b"]),
        ("copy_tree", &["one"]),
        ("copy_tree", &["one", "two", "three"]),
        ("golden_rule", &["--n", "0"]),
        ("golden_rule", &["--seconds", "NaN"]),
        ("keys", &["--ticks"]),
        ("lines", &["file"]),
        ("mandelbrot", &["one.png", "two.png"]),
        ("primes", &["--short=1"]),
        ("run", &[]),
        ("run", &["--restarts", "x", "true"]),
        ("run", &["name= "]),
        ("run", &["--short", "true"]),
        ("scenario", &[]),
        ("scenario", &["--real"]),
        ("scenario", &["--real", "--explain", "file"]),
        ("scenario", &["--predict", "one", "two"]),
        ("server", &["--workers=1025"]),
        ("server", &["--addr", "nowhere"]),
        ("study", &["one", "two"]),
        ("study", &["--record", "file"]),
        ("study", &["--addr", "nowhere"]),
        ("study", &["--addr", "0.0.0.0:80"]),
        ("tail_f", &["one", "two"]),
        ("trace", &["one", "two"]),
        ("udp_time", &["--address", "nowhere"]),
        ("udp_time", &["--address=127.0.0.1:65536"]),
        ("udp_time", &["--address", "localhost:1313"]),
        ("watch", &["--quiet", "never", "src", "true"]),
        ("watch", &["--short", "src", "true"]),
        ("watch", &["--ignore"]),
    ];
    for (name, args) in cases {
        expect_refusal(name, args);
    }
}

#[test]
fn what_goes_wrong_is_one_line_and_exit_code_1() {
    let cases: [(&str, &[&str]); 6] = [
        ("cat", &["/no/such/file"]),
        ("mandelbrot", &["--short", "/no/such/file"]),
        ("scenario", &["--explain", "/no/such/file"]),
        ("study", &["starved", "--record", "/no/such/file"]),
        ("tail_f", &["/no/such/file"]),
        ("trace", &["/no/such/file"]),
    ];
    for (name, args) in cases {
        let output = run(name, args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name} {args:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{name} {args:?}: {said}");
        assert!(said.starts_with(&format!("{name}: ")), "{name} {args:?}: {said}");
        let says_why = said.ends_with("/no/such/file: No such file or directory (os error 2)\n");
        assert!(says_why && said.matches("/no/such").count() == 1, "{name} {args:?}: {said}");
    }
}

#[test]
fn a_scenario_that_cannot_end_fails_alone() {
    let path = scratch("endless.json");
    let open = r#"{"op":"channel","a":"p","b":"q"},{"op":"listen","port":"q","id":"c","times":1}"#;
    std::fs::write(&path, format!(r#"{{"name":"endless","main":[{open}]}}"#)).unwrap();
    let path = path.to_str().unwrap();
    let output = run("scenario", &[path, "tests/conformance/001-tick-before-microtask.json"]);
    let said = text(&output.stdout);
    let lines: Vec<_> = said.lines().collect();
    let why = format!("{path}: windlass: in virtual time nothing can happen any more");
    assert!(lines.len() == 3 && lines[0].starts_with(&why), "{said}");
    assert!(lines[1].ends_with(": ok") && lines[2] == "1 passed, 1 failed", "{said}");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""));
    let output = run("scenario", &["--explain", path]);
    let said = text(&output.stderr);
    assert!(said.starts_with(&format!("scenario: {why}")) && said.lines().count() == 1, "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn after_the_last_seed_comes_the_first() {
    let last = u64::MAX.to_string();
    let output = run("against_node", &["--print", "--count", "5", "--seed", &last]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).matches("// seed ").count(), 5);
}

#[test]
fn an_option_may_be_written_in_either_way() {
    for args in
        [&["--print", "--count", "1", "--seed", "7"][..], &["--seed=7", "--count=1", "--print"]]
    {
        let output = run("against_node", args);
        assert!(text(&output.stdout).starts_with("// seed "), "{args:?}");
    }
}

/// Runs an example whose output nobody reads any more after so many lines.
fn run_unread(name: &str, args: &[String], lines: usize) -> (Option<i32>, String) {
    let mut child = example(name)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..lines {
        stdout.read_line(&mut String::new()).unwrap();
    }
    drop(stdout);
    if name == "server" && lines > 0 {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    }
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn no_example_minds_that_nobody_reads_on() {
    for name in names() {
        let path = scratch(&name);
        // A signal that comes before the server watches for it would end it.
        for lines in if name == "server" { [1, 2] } else { [0, 1] } {
            let (code, said) = run_unread(&name, &short(&name, &path), lines);
            // cat says by its exit code that not all was printed.
            let good =
                if name == "cat" { code == Some(0) || code == Some(1) } else { code == Some(0) };
            assert!(good, "{name}, closed after {lines} lines: {code:?}, {said}");
            assert!(!said.contains("stdout"), "{name}, closed after {lines} lines: {said}");
            assert!(!said.contains("Broken pipe"), "{name}, closed after {lines} lines: {said}");
        }
        // Those that do more than to print have done it.
        match &*name {
            "mandelbrot" => assert!(std::fs::metadata(&path).unwrap().len() > 1000),
            "copy_tree" => assert!(path.join("worker/mod.rs").exists()),
            _ => {}
        }
        let (code, said) = run_unread(&name, &["--help".to_owned()], 0);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{name} --help");
    }
}

#[test]
fn no_example_minds_that_nobody_hears_its_complaints() {
    for name in names() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = example(&name).arg("--nonsense").stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(2), "{name}");
    }
}

#[test]
fn an_output_that_fails_is_named() {
    for name in ["primes", "scenario"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let args = short(name, Path::new(""));
        let output = example(name).args(args).stdout(full).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("the standard output: No space left"), "{name}: {said}");
    }
}

#[test]
fn each_example_prints_the_log_when_asked() {
    for name in names() {
        let path = scratch(&format!("log-{name}"));
        let mut child = example(&name)
            .args(short(&name, &path))
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
        // It has said enough.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(first.starts_with('['), "{name}: {first:?}");
    }
}

#[test]
fn sim_kv_survives_its_seeds_and_finds_the_bug_that_was_planted() {
    let output = example("sim_kv").arg("--short").output().expect("the example");
    assert!(output.status.success(), "{output:?}");
    let output = example("sim_kv").args(["--bug", "lost-update"]).output().expect("the example");
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).expect("text");
    let (_, again) = text.split_once("to run it again: WINDLASS_SEED=").expect("how to run it");
    let seed = again.lines().next().expect("a seed").to_owned();
    // Each process runs it in the same way.
    let run_it = || run("sim_kv", &["--seed", "7"]).stdout;
    let told = String::from_utf8(run_it()).expect("text");
    assert!(told.contains("digest"), "{told}");
    assert_eq!(told.as_bytes(), run_it());
    // One that fails says so.
    let output = run("sim_kv", &["--bug", "lost-update", "--seed", &seed]);
    let told = format!("sim_kv: seed {seed}: ");
    assert!(
        String::from_utf8_lossy(&output.stderr).lines().any(|line| line.starts_with(&told)),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(1));
    // The seed alone shows the same.
    let mut one = example("sim_kv");
    let output = one.args(["--bug", "lost-update"]).env("WINDLASS_SEED", &seed).output();
    let alone = String::from_utf8(output.expect("the example").stderr).expect("text");
    let says =
        |text: &str| text.lines().find(|line| line.contains("was answered")).map(str::to_owned);
    assert_eq!(says(&text), says(&alone));
    assert!(says(&text).is_some());
    // And can be recorded: found anew, or alone.
    for is_alone in [false, true] {
        let record = scratch("sim_kv.json");
        let mut one = example("sim_kv");
        one.args(["--bug", "lost-update"]).env("WINDLASS_TRACE", &record);
        if is_alone {
            one.env("WINDLASS_SEED", &seed);
        }
        let output = one.output().expect("the example");
        let told = String::from_utf8(output.stderr).expect("text");
        assert_eq!(says(&told), says(&text));
        assert!(told.contains(&format!("its record: {}", record.display())), "{told}");
        let record = std::fs::read_to_string(record).expect("it was written");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        let events = record["traceEvents"].as_array().expect("a trace");
        assert!(events.len() > 100, "{} events", events.len());
    }
}

#[test]
fn programs_in_javascript_come_again_from_their_seeds() {
    let print = |seed: &str| {
        run("against_node", &["--js", "--print", "--count", "20", "--seed", seed]).stdout
    };
    let first = print("1");
    assert_eq!(first, print("1"));
    assert_ne!(first, print("2"));
    let text = text(&first);
    for what in [
        "process.nextTick(",
        "queueMicrotask(",
        "setImmediate(",
        "later(",
        "short(",
        "async ",
        "await ",
    ] {
        assert!(text.contains(what), "{what}");
    }
}
