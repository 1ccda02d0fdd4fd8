//! JavaScript in the study: the files of a program, the process that runs them, and how it may fail.
//!
//! What runs them here is a shell script in the place of `mini_node`, so that each failure can be had.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::common::{example, text};

/// A program in the place of `mini_node`.
fn stand_in(name: &str, script: &str) -> PathBuf {
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
         echo '{BEGAN}'\n\
         echo '{{\"what\":\"said\",\"id\":1,\"text\":\"hello\"}}'\n\
         echo '{CALLBACK}'\n\
         echo \"{{\\\"what\\\":\\\"folder\\\",\\\"at\\\":\\\"$2\\\"}}\"\n"
    );
    let (output, lines) = run(&stand_in("good", &script), "good");
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("main: hello"), "{}", text(&output.stdout));
    assert_eq!(lines[0]["program"]["language"], "javascript");
    assert!(lines.iter().any(|line| line["what"] == "statement" && line["statement"] == "O-1"));
    let folder = lines.iter().find(|line| line["what"] == "folder").unwrap();
    // It is taken away on the pool, while the rest goes on.
    assert!(folder["at"].as_str().unwrap().ends_with("main.js"));
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
    ] {
        let (output, lines) = run(&stand_in(name, script), name);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let errors = lines.iter().filter(|line| line["what"] == "error");
        let errors: Vec<_> = errors.map(|line| line["text"].as_str().unwrap()).collect();
        assert!(errors.iter().any(|text| text.contains(expected)), "{name}: {errors:?}");
    }
}

#[test]
fn without_what_runs_javascript_it_says_what_is_missing() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-scripts/nowhere");
    std::fs::create_dir_all(nowhere.parent().unwrap()).unwrap();
    let (output, _) = run(&nowhere, "nowhere");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--mini-node"), "{}", text(&output.stderr));
}
