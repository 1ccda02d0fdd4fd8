//! What is told of an error that nobody caught: the place, the line, a caret, and the error.
//!
//! `tests/reports/programs.js` has small programs, and `reports.txt` what Node 20 printed of each
//! as an error, without folders and frames, and its exit code. V8 underlines whole words, so a row
//! of carets counts as one. With `NODE=node` in the environment the programs are run there as well,
//! and have to print the same.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What stands between two programs, and between two reports.
const BETWEEN: &str = "====\n";

/// What a program prints as an error, and how it ends.
fn report(program: impl AsRef<OsStr>, folder: &Path, text: &str) -> String {
    fs::write(folder.join("program.js"), text).unwrap();
    let mut command = Command::new(program);
    let output = command.arg("program.js").current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors = errors.replace(&format!("{}/", folder.display()), "");
    let frame = "    at ";
    let lines = errors.lines().filter(|line| !line.starts_with(frame)).map(|line| {
        let is_caret = line.contains('^') && line.trim_matches([' ', '^']).is_empty();
        let line = line.strip_prefix("mini_node, after ").unwrap_or(line);
        if is_caret { format!("{}^\n", line.trim_end_matches('^')) } else { format!("{line}\n") }
    });
    let code = output.status.code().unwrap_or(-1);
    format!("{}exit code {code}\n", lines.collect::<String>())
}

/// Checks the report of each program by `program`.
fn check(program: &OsStr, folder: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let read = |name: &str| fs::read_to_string(tests.join(name)).unwrap();
    let (programs, reports) = (read("programs.js"), read("reports.txt"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).unwrap();
    let folder = fs::canonicalize(folder).unwrap();
    let (programs, reports): (Vec<_>, Vec<_>) =
        (programs.split(BETWEEN).collect(), reports.split(BETWEEN).collect());
    assert_eq!(programs.len(), reports.len());
    for (text, expected) in programs.iter().zip(reports) {
        assert_eq!(report(program, &folder, text), *expected, "of\n{text}");
    }
}

#[test]
fn what_nobody_caught_is_shown_where_it_was_thrown_as_on_node() {
    check(env!("CARGO_BIN_EXE_mini_node").as_ref(), "reports_here");
    if let Some(node) = env::var_os("NODE") {
        check(&node, "reports_node");
    }
}
