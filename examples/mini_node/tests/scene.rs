//! The scene of `scene/`: a server whose slow page is computed on the loop, then in a worker.
//!
//! It prints here what it prints on Node, and its README shows both. With `NODE=node` in the
//! environment it is run on Node as well.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn scene(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scene").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(scene(name)).unwrap()
}

/// What the scene prints, errors too.
fn run(program: impl AsRef<OsStr>) -> String {
    let file = scene("parent.js");
    let output = Command::new(program).arg(file).stdin(Stdio::null()).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn the_fast_page_waits_for_the_slow_one_on_the_loop_and_not_in_a_worker_as_on_node() {
    let expected = read("parent.out");
    if let Some(node) = env::var_os("NODE") {
        assert_eq!(run(node), expected, "on node");
    }
    assert_eq!(run(env!("CARGO_BIN_EXE_mini_node")), expected);
}

#[test]
fn the_page_of_the_scene_shows_both_outputs_beside_each_other() {
    let page = read("README.md");
    let shown: Vec<&str> = page.lines().skip_while(|line| !line.starts_with("$ node")).collect();
    let column = shown[0].find("$ mini_node").unwrap();
    for (line, printed) in shown[1..].iter().zip(read("parent.out").lines()) {
        assert_eq!(line[..column.min(line.len())].trim_end(), printed, "on node");
        assert_eq!(line.get(column..).unwrap_or_default(), printed, "here");
    }
    let count = read("parent.out").lines().count();
    assert!(shown.len() > count && shown[1 + count] == "```", "the page shows all of it");
}

#[test]
fn the_speeds_are_measured_one_a_line() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("speed.js");
    let output =
        Command::new(env!("CARGO_BIN_EXE_mini_node")).arg(file).arg("20").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = text.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let expected = [
        "process.nextTick",
        "queueMicrotask",
        "await",
        "setImmediate",
        "message to a worker",
        "terminate, busy",
    ];
    assert_eq!(names, expected, "{text}");
    assert!(text.lines().all(|line| line.ends_with(" ns")), "{text}");
}
