//! The examples that copy and print files, run as the programs that they are.

mod common;

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::*;

/// Runs a program with this as its standard input.
fn run_with(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn cat_prints_files_and_its_input_and_goes_on_after_an_error() {
    let dir = directory("cat");
    let big: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    std::fs::write(dir.join("big"), &big).unwrap();
    std::fs::write(dir.join("small"), "small\n").unwrap();
    let mut cat = example("cat");
    cat.current_dir(&dir).args(["small", "missing", "-", "big"]);
    let output = run_with(cat, b"from the input\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout) == format!("small\nfrom the input\n{big}"));
    assert!(text(&output.stderr).contains("missing"), "{}", text(&output.stderr));
    let output = run_with(example("cat"), b"only the input");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "only the input"));
}

#[test]
fn cat_says_so_when_its_output_fails() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = example("cat").arg("Cargo.toml").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("standard output"), "{}", text(&output.stderr));
    // A reader that has gone is no error to report, but an end.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = example("cat").arg("Cargo.toml").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), ""));
    assert_eq!(example("cat").arg("--what").output().unwrap().status.code(), Some(2));
}

#[test]
fn copy_tree_copies_all_that_it_can_and_reports_the_rest() {
    let dir = directory("copy-tree");
    let from = dir.join("from");
    std::fs::create_dir_all(from.join("a/b")).unwrap();
    std::fs::create_dir_all(from.join("empty")).unwrap();
    for number in 0..300 {
        std::fs::write(from.join(format!("a/{number}")), number.to_string()).unwrap();
    }
    let big = vec![7; 3_000_000];
    std::fs::write(from.join("a/b/big"), &big).unwrap();
    std::fs::set_permissions(from.join("a/b/big"), PermissionsExt::from_mode(0o640)).unwrap();
    symlink("b/big", from.join("a/link")).unwrap();
    // A socket cannot be copied.
    let _socket = std::os::unix::net::UnixListener::bind(from.join("s")).unwrap();
    let to = dir.join("new/to");
    let output = example("copy_tree").args(["--jobs", "3"]).args([&from, &to]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).lines().count(), 1);
    assert!(text(&output.stderr).contains("neither a file, a directory nor a link"));
    let last = text(&output.stdout).lines().last().unwrap();
    // 10 digits, 90 times 2, 200 times 3, and the big one.
    let expected = "copied 301 files, 4 directories, 1 links: 3000790 bytes; 1 failed";
    assert_eq!(last, expected);
    assert_eq!(text(&output.stdout).lines().count(), 302, "a line for each file");
    assert!(std::fs::read(to.join("a/b/big")).unwrap() == big);
    let mode = std::fs::metadata(to.join("a/b/big")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(std::fs::read_link(to.join("a/link")).unwrap(), Path::new("b/big"));
    assert!(
        (0..300)
            .all(|n| std::fs::read(to.join(format!("a/{n}"))).unwrap() == n.to_string().as_bytes())
    );
    assert!(to.join("empty").is_dir());
}

#[test]
fn copy_tree_replaces_what_is_there_and_spares_a_source_that_the_target_leads_to() {
    let dir = directory("copy-again");
    let (from, to) = (dir.join("from"), dir.join("to"));
    std::fs::create_dir_all(&from).unwrap();
    std::fs::create_dir_all(&to).unwrap();
    std::fs::write(from.join("new"), "new").unwrap();
    std::fs::write(to.join("new"), "something older").unwrap();
    symlink("new", from.join("link")).unwrap();
    symlink("old", to.join("link")).unwrap();
    std::fs::write(from.join("kept"), "kept").unwrap();
    symlink("../from/kept", to.join("kept")).unwrap();
    let output = example("copy_tree").args([&from, &to]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("kept: the target is the same file"));
    let last = text(&output.stdout).lines().last().unwrap();
    assert_eq!(last, "copied 1 files, 1 directories, 1 links: 3 bytes; 1 failed");
    assert_eq!(std::fs::read(from.join("kept")).unwrap(), b"kept");
    assert_eq!(std::fs::read(to.join("new")).unwrap(), b"new");
    assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("new"));
}

#[test]
fn copy_tree_does_not_copy_a_directory_into_itself() {
    let dir = directory("copy-itself");
    std::fs::write(dir.join("file"), "x").unwrap();
    let output = example("copy_tree").args([&dir, &dir.join("new/below")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("into itself"));
    assert!(!dir.join("new").exists());
    assert_eq!(example("copy_tree").arg("one").output().unwrap().status.code(), Some(2));
}
