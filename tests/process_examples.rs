//! The examples of child processes and file events, run as the programs that they are.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::*;

/// A script that can be run as a program.
fn script(folder: &Path, name: &str, lines: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
    path.to_str().unwrap().to_owned()
}

fn start(name: &str, args: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child =
        example(name).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

/// Reads up to the line that has this text.
fn line_with(reader: &mut impl BufRead, text: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the end before {text:?}");
        if line.contains(text) {
            return line;
        }
    }
}

/// Waits until no process has this among its arguments.
fn wait_for_the_end_of(argument: &str) {
    let has_it = |entry: std::io::Result<fs::DirEntry>| {
        let words = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
    };
    while fs::read_dir("/proc").unwrap().any(has_it) {}
}

fn interrupt(pid: u32) {
    signal(pid, "-INT");
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn run_prints_whole_lines_behind_names_and_starts_what_fails_again() {
    bounded(|| {
        let folder = directory("run");
        let twice = script(&folder, "twice", "echo out; echo err >&2; exit 3");
        let good = script(&folder, "good", "printf 'no '; printf 'end'");
        let args = ["--restarts", "1", &format!("a={twice}"), &format!("long={good}")];
        let (mut child, mut stdout) = start("run", &args);
        let mut said = String::new();
        stdout.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
        let count = |line: &str| said.lines().filter(|one| *one == line).count();
        assert_eq!(count("a    | out"), 2, "{said}");
        assert_eq!(count("a    | err"), 2, "{said}");
        assert_eq!(count("a    | ended (exit status: 3)"), 2, "{said}");
        assert_eq!(count("a    | again in 100 ms"), 1, "{said}");
        assert_eq!(count("a    | given up"), 1, "{said}");
        assert_eq!(count("long | no end"), 1, "{said}");
        assert_eq!(count("long | ended (exit status: 0)"), 1, "{said}");
    });
}

#[test]
fn run_prints_a_line_without_end_in_parts() {
    bounded(|| {
        let (mut child, mut stdout) = start("run", &["head -c 1000000 /dev/zero"]);
        let mut said = String::new();
        stdout.read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success());
        let zeros = said.lines().map(|line| line.matches('\0').count());
        // A read more than a part at most.
        assert!(zeros.clone().all(|count| count < 2 * 64 * 1024));
        assert_eq!(zeros.sum::<usize>(), 1_000_000);
    });
}

#[test]
fn run_has_a_colour_for_each_command_and_names_what_cannot_be_started() {
    bounded(|| {
        let args = ["--colour", "echo hello", "x=/no/such/program"];
        let output = example("run").args(args).stdin(Stdio::null()).output().unwrap();
        let said = text(&output.stdout);
        assert!(said.contains("\x1b[31mecho | \x1b[0mhello\n"), "{said:?}");
        assert!(said.contains("\x1b[32mx    | \x1b[0mNo such file or directory"), "{said:?}");
        assert_eq!(output.status.code(), Some(1));
    });
}

#[test]
fn run_passes_ctrl_c_on_and_kills_with_the_second() {
    bounded(|| {
        let folder = directory("run-ctrl-c");
        let wait = "echo up; while :; do sleep 0.01; done";
        let polite = script(&folder, "polite", &format!("trap 'echo bye; exit 0' INT; {wait}"));
        let stubborn = script(&folder, "stubborn", &format!("trap 'echo never' INT; {wait}"));
        let (mut child, mut stdout) = start("run", &[&polite, &stubborn]);
        line_with(&mut stdout, "up");
        line_with(&mut stdout, "up");
        interrupt(child.id());
        let (mut bye, mut never) = (false, false);
        while !(bye && never) {
            let line = line_with(&mut stdout, "e");
            bye |= line.contains("ended (exit status: 0)");
            never |= line.contains("never");
        }
        interrupt(child.id());
        line_with(&mut stdout, "stubborn | ended (signal: 9 (SIGKILL))");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn run_ends_with_ctrl_c_also_when_what_a_command_left_behind_holds_its_output() {
    bounded(|| {
        let folder = directory("run-left-behind");
        let held = folder.join("held");
        assert!(Command::new("mkfifo").arg(&held).status().unwrap().success());
        // It reads until somebody has written and gone, and its shell does not wait for it.
        let leaves = script(&folder, "leaves", &format!("cat {} & echo up", held.display()));
        let (mut child, mut stdout) = start("run", &[&leaves]);
        line_with(&mut stdout, "up");
        // The first one may still go to the shell. This cat ignores it, as what a shell runs behind `&`.
        while child.try_wait().unwrap().is_none() {
            interrupt(child.id());
        }
        line_with(&mut stdout, "leaves | ended");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let path = held.to_str().unwrap();
        wait_for_the_end_of(path);
    });
}

#[test]
fn run_passes_ctrl_c_on_to_what_a_script_runs() {
    bounded(|| {
        let folder = directory("run-group");
        let held = folder.join("held");
        assert!(Command::new("mkfifo").arg(&held).status().unwrap().success());
        let path = held.to_str().unwrap();
        // The shell goes at once, and knows nothing of what it has run.
        let runs = script(&folder, "runs", &format!("echo up; cat {path}; echo done"));
        let (mut child, mut stdout) = start("run", &[&runs]);
        line_with(&mut stdout, "up");
        signal(child.id(), "-TERM");
        line_with(&mut stdout, "runs | ended (signal: 15 (SIGTERM))");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        wait_for_the_end_of(path);
    });
}

#[test]
fn run_passes_the_end_of_its_terminal_on_but_not_under_nohup() {
    /// Sets of signals with the first one, which is SIGHUP, end with one of these digits.
    const ODD: [char; 8] = ['1', '3', '5', '7', '9', 'b', 'd', 'f'];
    bounded(|| {
        let folder = directory("run-hang-up");
        let lines = "trap 'echo hung up; exit 0' HUP; trap 'echo bye; exit 0' INT; echo up";
        let waits = script(&folder, "waits", &format!("{lines}; while :; do sleep 0.01; done"));
        // A test that runs under nohup itself hands that down.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !status.lines().any(|line| line.starts_with("SigIgn:") && line.ends_with(ODD)) {
            let (mut child, mut stdout) = start("run", &[&waits]);
            line_with(&mut stdout, "up");
            signal(child.id(), "-HUP");
            line_with(&mut stdout, "hung up");
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }

        let mut nohup = Command::new("nohup");
        nohup.arg(example("run").get_program()).arg(&waits);
        let mut child = nohup
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        line_with(&mut stdout, "up");
        signal(child.id(), "-HUP");
        interrupt(child.id());
        // A shell may also say what has become of its sleep.
        let first = loop {
            let line = line_with(&mut stdout, "waits");
            if line.contains("bye") || line.contains("hung up") {
                break line;
            }
        };
        assert_eq!(first, "waits | bye\n");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn watch_runs_its_command_once_for_all_that_changes_together_also_in_new_directories() {
    bounded(|| {
        let folder = directory("watch");
        fs::create_dir(folder.join("target")).unwrap();
        let command = script(&directory("watch-command"), "command", "echo ran");
        let path = folder.to_str().unwrap();
        let (mut child, mut stdout) = start("watch", &["--quiet", "50", path, &command]);
        // It says nothing before the first change, so changes are made until it has seen one.
        let hears = std::thread::spawn(move || {
            let first = line_with(&mut stdout, "command");
            line_with(&mut stdout, "ran");
            (first, stdout)
        });
        while !hears.is_finished() {
            fs::write(folder.join("probe"), "").unwrap();
            std::thread::park_timeout(ms(200));
        }
        let (first, mut stdout) = hears.join().unwrap();
        assert!(first.contains("/probe"), "{first}");
        // What is in an ignored directory does not count; the rest is told in one.
        fs::write(folder.join("target/ignored"), "").unwrap();
        fs::create_dir_all(folder.join("new/deep")).unwrap();
        fs::write(folder.join("new/deep/file"), "").unwrap();
        let second = line_with(&mut stdout, "/new");
        assert!(second.contains(" more: "), "{second}");
        line_with(&mut stdout, "ran");
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn watch_names_a_file_that_it_watches_as_it_was_given() {
    bounded(|| {
        let folder = directory("watch-file");
        let (file, command) = (folder.join("file"), script(&folder, "command", "echo ran"));
        fs::write(&file, "one").unwrap();
        let path = file.to_str().unwrap();
        let (mut child, mut stdout) = start("watch", &["--quiet", "1", path, &command]);
        let hears = std::thread::spawn(move || line_with(&mut stdout, "command"));
        while !hears.is_finished() {
            fs::write(&file, "two").unwrap();
            std::thread::park_timeout(ms(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(hears.join().unwrap(), format!("{path}: {command}\n"));
    });
}
