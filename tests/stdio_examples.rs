//! The examples of the standard streams and the terminal, run as the programs that they are.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;

use common::*;

#[test]
fn lines_changes_letters_and_no_other_byte_through_pipes() {
    bounded(|| {
        let bytes = noise(7, 3_000_000);
        let expected = bytes.to_ascii_uppercase();
        let mut child =
            example("lines").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = thread::spawn(move || stdin.write_all(&bytes).unwrap());
        let mut seen = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
        writer.join().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(seen == expected);
    });
}

#[test]
fn lines_reads_and_writes_files_and_says_so_when_that_fails() {
    let dir = directory("lines");
    let bytes = noise(8, 1_000_000);
    fs::write(dir.join("from"), &bytes).unwrap();
    let input = || File::open(dir.join("from")).unwrap();
    let output = File::create(dir.join("to")).unwrap();
    let status = example("lines").stdin(input()).stdout(output).status().unwrap();
    assert!(status.success());
    assert!(fs::read(dir.join("to")).unwrap() == bytes.to_ascii_uppercase());

    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = example("lines").stdin(input()).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("the standard output: No space left"), "{said}");

    let directory = File::open(&dir).unwrap();
    let output = example("lines").stdin(directory).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the standard input: Is a directory"));
}

#[test]
fn lines_counts_seconds_while_it_waits_for_its_input() {
    bounded(|| {
        let mut child = example("lines")
            .arg("--ticks")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "1 s\n");
        drop(input);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn lines_on_a_terminal_answers_each_line_and_ctrl_c_leaves_the_terminal_as_it_was() {
    bounded(|| {
        let pty = Pty::open();
        let before = (pty.modes(), descriptor_flags(std::os::fd::AsRawFd::as_raw_fd(&pty.slave)));
        let mut child = pty.start(example("lines"));
        pty.type_in(b"one line\n");
        pty.read_until("ONE LINE");
        pty.type_in(b"and another\n");
        pty.read_until("AND ANOTHER");
        pty.type_in(b"\x03");
        assert_eq!(child.wait().unwrap().signal(), Some(2));
        let after = (pty.modes(), descriptor_flags(std::os::fd::AsRawFd::as_raw_fd(&pty.slave)));
        assert_eq!(after, before);
        // And by the key for the end of the input.
        let mut child = pty.start(example("lines"));
        pty.type_in(b"last\n\x04");
        pty.read_until("LAST");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn tens_of_megabytes_go_through_lines_in_a_pipeline_without_loss_in_flat_memory() {
    bounded(|| {
        const LEN: usize = 64 << 20;
        let dir = directory("pipeline");
        let path = dir.join("file");
        let chunk = noise(9, 1 << 20);
        let mut file = File::create(&path).unwrap();
        for _ in 0..LEN / chunk.len() {
            file.write_all(&chunk).unwrap();
        }
        // cat < file | lines | wc -c, where lines prints its peak when it is done.
        let mut cat = Command::new("cat")
            .stdin(File::open(&path).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = example("lines")
            .stdin(cat.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = lines.stdout.take().unwrap();
        let mut buffer = vec![0; 1 << 16];
        let (mut count, mut peak) = (0, 0);
        let expected = chunk.to_ascii_uppercase();
        loop {
            let got = output.read(&mut buffer).unwrap();
            if got == 0 {
                break;
            }
            for (at, byte) in buffer[..got].iter().enumerate() {
                assert!(*byte == expected[(count + at) % expected.len()], "byte {}", count + at);
            }
            count += got;
            if count < LEN {
                peak = resident_peak(&lines).unwrap_or(peak);
            }
        }
        assert_eq!(count, LEN);
        assert!(lines.wait().unwrap().success() && cat.wait().unwrap().success());
        assert!(0 < peak && peak < 20_000, "{peak} kB");
    });
}

/// The most memory that a child has had, in kilobytes. None once it has ended.
fn resident_peak(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn keys_moves_its_mark_and_leaves_the_terminal_as_it_was_however_it_ends() {
    bounded(|| {
        for (end, code) in [("q", 0), ("\x03", 0), ("p", 1), ("SIGTERM", 143), ("SIGINT", 130)] {
            let pty = Pty::open();
            pty.resize(80, 24);
            let before = pty.modes();
            let mut child = pty.start(example("keys"));
            pty.read_until("\x1b[12;40H@");
            assert!(!pty.modes().by_line && !pty.modes().echo && !pty.modes().signals);
            pty.type_in(b"\x1b[C\x1b[C");
            pty.read_until("\x1b[12;42H@");
            pty.type_in(b"\x1b");
            pty.type_in(b"[B");
            pty.read_until("\x1b[13;42H@");
            // The mark stays within the window.
            pty.resize(20, 5);
            pty.read_until("\x1b[5;20H@");
            if let Some(signal) = end.strip_prefix("SIG") {
                let pid = child.id().to_string();
                let kill = Command::new("kill").args(["-s", signal, &pid]).status();
                assert!(kill.unwrap().success());
            } else {
                pty.type_in(end.as_bytes());
            }
            match code {
                0 => drop(pty.read_until("the mark is at column 20, row 5")),
                1 => drop(pty.read_until("p was pressed")),
                _ => {}
            }
            assert_eq!(child.wait().unwrap().code(), Some(code), "{end:?}");
            assert_eq!(pty.modes(), before, "{end:?}");
        }
    });
}

#[test]
fn keys_says_so_when_there_is_no_terminal() {
    let output = example("keys").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("it is no terminal"), "{}", text(&output.stderr));
}

#[test]
fn tail_f_prints_the_end_of_a_file_and_what_comes_after_it() {
    bounded(|| {
        let dir = directory("tail-f");
        let path = dir.join("log");
        fs::write(&path, "x".repeat(5000) + "\nlast line\n").unwrap();
        let mut child = example("tail_f").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut next = || {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            line
        };
        assert_eq!(next().len(), 1024 - 10, "not all of it");
        assert_eq!(next(), "last line\n");
        let add = |text: &str| {
            OpenOptions::new()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        };
        add("one\n");
        assert_eq!(next(), "one\n");
        add("two\nthree\n");
        assert_eq!((next(), next()), ("two\n".to_owned(), "three\n".to_owned()));
        // Cut off, and begun anew.
        fs::write(&path, "again\n").unwrap();
        assert_eq!(next(), "again\n");
        // Rotated: what was added to the old one comes first.
        add("the old one's last\n");
        fs::rename(&path, dir.join("log.1")).unwrap();
        fs::write(&path, "new\n").unwrap();
        assert_eq!(next(), "the old one's last\n");
        assert_eq!(next(), "new\n");
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
