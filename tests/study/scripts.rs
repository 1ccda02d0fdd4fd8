//! JavaScript in the study: the files of a program, the process that runs them, and how it may fail.
//!
//! What runs them here is a shell script in the place of `mini_node`, so that each failure can be had.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::{example, text};
use super::served::Server;

/// What runs JavaScript in earnest, if it was built: MINI_NODE names it.
pub(crate) fn mini_node() -> Option<PathBuf> {
    let named = std::env::var_os("MINI_NODE").map(PathBuf::from);
    if named.is_none() {
        eprintln!("skipped: MINI_NODE names no mini_node");
    }
    named
}

/// A program in the place of `mini_node`.
pub(crate) fn stand_in(name: &str, script: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-scripts");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs a file of JavaScript on it, and returns the lines of the recording.
fn run(mini_node: &Path, name: &str) -> (Output, Vec<Value>) {
    let file = mini_node.with_file_name(format!("{name}.js"));
    std::fs::write(&file, "console.log('hello');\nthrow new Error('x');\n").unwrap();
    let lines = mini_node.with_file_name(format!("{name}.jsonl"));
    std::fs::remove_file(&lines).ok();
    let mut command = example("study");
    command.arg("--mini-node").arg(mini_node).arg("--record").arg(&lines).arg(file);
    let output = command.output().unwrap();
    let told = std::fs::read_to_string(&lines).unwrap_or_default();
    (output, told.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

const BEGAN: &str = r#"{"what":"began","at":0,"track":1,"id":1,"phase":"main","kind":"main"}"#;
const CALLBACK: &str =
    r#"{"what":"callback","at":0,"track":1,"id":1,"phase":"main","kind":"main"}"#;

#[test]
fn a_script_is_run_from_a_folder_of_its_own_and_its_callbacks_get_their_statements() {
    let script = format!(
        "[ \"$1\" = --events ] && grep -q hello \"$2\" || exit 9\n\
         echo '{{\"what\":\"meta\"}}'\n\
         echo '{BEGAN}'\n\
         echo '{{\"what\":\"statement\",\"id\":1,\"statement\":\"O-9\"}}'\n\
         echo '{{\"what\":\"said\",\"id\":1,\"text\":\"hello\"}}'\n\
         echo '{CALLBACK}'\n\
         echo \"{{\\\"what\\\":\\\"folder\\\",\\\"at\\\":\\\"$2\\\"}}\"\n"
    );
    let (output, lines) = run(&stand_in("good", &script), "good");
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("main: hello"), "{}", text(&output.stdout));
    assert_eq!(lines[0]["program"]["language"], "javascript");
    let of = |what: &str| lines.iter().filter(|line| line["what"] == *what).collect::<Vec<_>>();
    assert_eq!(of("meta").len(), 1);
    assert_eq!(of("statement").len(), 1);
    assert_eq!(of("statement")[0]["statement"], "O-1");
    let folder = lines.iter().find(|line| line["what"] == "folder").unwrap();
    // It is taken away on the pool, while the rest goes on.
    assert!(folder["at"].as_str().unwrap().ends_with("main.js"));
}

#[test]
fn the_scripts_beside_a_script_that_it_names_or_that_these_name_are_there_too() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-beside");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("own.js", "new Worker(`${__dirname}/worker.js`); // own.js"),
        ("worker.js", "require('./more.js');"),
        ("more.js", ""),
        ("other.js", "main.js"),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let list = "cd \"$(dirname \"$2\")\" && for name in *; do\n\
        echo \"{\\\"what\\\":\\\"file\\\",\\\"name\\\":\\\"$name\\\"}\"\ndone\n";
    let lines = folder.join("lines");
    let mut command = example("study");
    command.arg("--mini-node").arg(stand_in("list", list)).arg("--record").arg(&lines);
    let output = command.arg(folder.join("own.js")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = std::fs::read_to_string(lines).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let files: Vec<_> = lines.filter(|line| line["what"] == "file").collect();
    let names: Vec<_> = files.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["main.js", "more.js", "worker.js"]);
}

#[test]
fn an_uncaught_error_is_told_with_its_file_and_line() {
    let script = "echo \"$2:2\" >&2\necho 'Error: x' >&2\nexit 1\n";
    let (output, lines) = run(&stand_in("bad", script), "bad");
    assert_eq!(output.status.code(), Some(1));
    let error = lines.iter().find(|line| line["what"] == "error").expect("an error");
    assert_eq!((&error["file"], &error["line"]), (&"main.js".into(), &2.into()));
    assert!(error["text"].as_str().unwrap().contains("Error: x"));
}

#[test]
fn one_that_prints_without_end_or_nonsense_or_aborts_is_told_so() {
    for (name, script, expected) in [
        ("flood", "exec yes '{\"what\":\"x\"}'\n", "cut off: it printed more"),
        ("nonsense", "echo nonsense\n", "no event: nonsense"),
        ("abort", "kill -ABRT $$\n", "ended by signal 6"),
        ("silent", "exit 3\n", "without a word"),
        ("many", "yes '{\"what\":\"x\"}' | head -n 40000\necho oh >&2\nexit 1\n", "oh"),
    ] {
        let (output, lines) = run(&stand_in(name, script), name);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let errors = lines.iter().filter(|line| line["what"] == "error");
        let errors: Vec<_> = errors.map(|line| line["text"].as_str().unwrap()).collect();
        assert!(errors.iter().any(|text| text.contains(expected)), "{name}: {errors:?}");
        if name == "many" {
            // The limit is the page's, and no recording's.
            assert_eq!(lines.iter().filter(|line| line["what"] == "x").count(), 40_000);
        }
    }
}

#[test]
fn what_has_come_of_a_process_is_told_although_another_one_holds_its_output() {
    let script = "echo '{\"what\":\"x\"}'\nsleep 60 &\nexit 0\n";
    let started = Instant::now();
    let (output, lines) = run(&stand_in("left_behind", script), "left_behind");
    assert!(started.elapsed() < Duration::from_secs(50), "it is not waited for");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines.iter().filter(|line| line["what"] == "x").count(), 1, "{lines:?}");
    let error = lines.iter().find(|line| line["what"] == "error").expect("it is told");
    assert!(error["text"].as_str().unwrap().contains("goes on printing"), "{error}");
}

#[test]
fn the_page_gets_as_many_events_as_it_can_show_and_is_told_how_many_there_are_besides() {
    let stand_in = stand_in("many_shown", "yes '{\"what\":\"x\"}' | head -n 40000\n");
    let server = Server::with(&["--mini-node".as_ref(), stand_in.as_os_str()]);
    let (status, events) = server.run(&json!({"language": "javascript", "files": {"main.js": ""}}));
    assert_eq!(status, 200);
    assert_eq!(events.iter().filter(|line| line["what"] == "x").count(), 30_000);
    let lost = events.iter().find(|line| line["what"] == "lost").expect("what is left out");
    assert_eq!(lost["count"], 10_000);
}

/// What goes wrong when these files run on the real one, and what was printed up to there.
fn wrong_in(mini_node: &Path, files: &[(&str, &str)]) -> (Value, Vec<String>) {
    let server = Server::with(&["--mini-node".as_ref(), mini_node.as_os_str()]);
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let (status, events) = server.run(&json!({"language": "javascript", "files": files}));
    assert_eq!(status, 200);
    let of = |what: &'static str| events.iter().filter(move |event| event["what"] == what);
    let errors: Vec<_> = of("error").collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let said = of("said").map(|event| event["text"].as_str().unwrap().to_owned());
    (errors[0].clone(), said.collect())
}

#[test]
fn in_mini_node_what_goes_wrong_is_told_with_its_file_and_line_and_what_was_printed_before() {
    let Some(mini_node) = mini_node() else { return };
    let wrong = |files: &[(&str, &str)]| wrong_in(&mini_node, files);
    let at = |error: &Value| (error["file"].clone(), error["line"].clone());
    let place = |file: &str, line: u64| (Value::from(file), Value::from(line));

    let (error, said) = wrong(&[("main.js", "console.log('a');\n\nlet = ;\n")]);
    assert_eq!((at(&error), said), (place("main.js", 3), vec![]), "{error}");
    assert!(error["text"].as_str().unwrap().contains("SyntaxError"), "{error}");

    let (error, said) = wrong(&[("main.js", "console.log('a');\n\nnothing();\n")]);
    assert_eq!((at(&error), said), (place("main.js", 3), vec!["a".to_owned()]), "{error}");
    assert!(error["text"].as_str().unwrap().contains("ReferenceError"), "{error}");

    let begin = "const { Worker } = require('worker_threads');\n";
    let start = format!("{begin}new Worker(`${{__dirname}}/w.js`);\nconsole.log('a');\n");
    let (error, said) = wrong(&[("main.js", &start)]);
    assert_eq!(said, ["a"]);
    assert!(error["text"].as_str().unwrap().contains("w.js"), "{error}");

    let (error, _) = wrong(&[("main.js", &start), ("w.js", "\nlet x = y;\n")]);
    assert_eq!(at(&error), place("w.js", 2), "{error}");
}

#[test]
fn in_mini_node_a_script_without_an_end_is_cut_off_and_told_up_to_there() {
    let Some(mini_node) = mini_node() else { return };
    let worker = "const { Worker } = require('worker_threads');\nconsole.log('a');\n\
        new Worker(`${__dirname}/w.js`);\n";
    let flood = "console.log('a');\n(function again() { Promise.resolve().then(again); })();\n";
    let all: [&[(&str, &str)]; 3] = [
        &[("main.js", "console.log('a');\nwhile (true);\n")],
        &[("main.js", worker), ("w.js", "while (true);\n")],
        &[("main.js", flood)],
    ];
    thread::scope(|scope| {
        for files in all {
            let mini_node = &mini_node;
            scope.spawn(move || {
                let (error, said) = wrong_in(mini_node, files);
                assert!(error["text"].as_str().unwrap().starts_with("cut off after"), "{error}");
                assert_eq!(said, ["a"], "{files:?}");
            });
        }
    });
}

#[test]
fn without_what_runs_javascript_it_says_what_is_missing() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-scripts/nowhere");
    std::fs::create_dir_all(nowhere.parent().unwrap()).unwrap();
    let (output, _) = run(&nowhere, "nowhere");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("--mini-node") && told.contains("cargo build --release"), "{told}");
}
