//! The example `chat`, run as the program that it is.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::*;

/// The program, what it prints, and where it listens.
struct Chat {
    child: Child,
    prints: BufReader<ChildStdout>,
    address: String,
    path: PathBuf,
}

impl Chat {
    fn start(test: &str, args: &[&str]) -> Chat {
        let path = std::env::temp_dir().join(format!("windlass-{test}-{}", std::process::id()));
        let mut command = example("chat");
        command.args(["--tcp", "127.0.0.1:0", "--unix"]).arg(&path).args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut prints = BufReader::new(child.stdout.take().unwrap());
        let mut listens = || line(&mut prints).strip_prefix("listening on ").unwrap().to_owned();
        let (address, own) = (listens(), listens());
        assert_eq!(own, path.to_str().unwrap());
        Chat { child, prints, address, path }
    }

    /// A guest over TCP, with its name.
    fn by_tcp(&self, name: &str) -> BufReader<TcpStream> {
        greeted(TcpStream::connect(&self.address).unwrap(), name)
    }

    /// A guest over the Unix socket, with its name.
    fn by_unix(&self, name: &str) -> BufReader<UnixStream> {
        greeted(UnixStream::connect(&self.path).unwrap(), name)
    }

    /// Ends it by a signal, `-INT` for Ctrl-C.
    fn end(mut self, signal: &str) {
        let number = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &number]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        assert!(!self.path.exists(), "the socket file is removed");
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn greeted<S: Read + Write>(stream: S, name: &str) -> BufReader<S> {
    let mut guest = BufReader::new(stream);
    assert_eq!(line(&mut guest), "your name?");
    say(&mut guest, name);
    assert_eq!(line(&mut guest), format!("* you are {name}"));
    guest
}

fn say<S: Read + Write>(guest: &mut BufReader<S>, text: &str) {
    guest.get_mut().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn guests_over_tcp_and_unix_hear_each_other_and_ctrl_c_tells_everybody() {
    bounded(|| {
        let chat = Chat::start("talk", &[]);
        let mut ann = chat.by_tcp("ann");
        let mut bob = chat.by_unix("bob");
        assert_eq!(line(&mut ann), "* bob is here");
        say(&mut ann, "hello");
        assert_eq!(line(&mut bob), "ann: hello");
        say(&mut bob, "hello yourself");
        assert_eq!(line(&mut ann), "bob: hello yourself");
        let mut other = BufReader::new(UnixStream::connect(&chat.path).unwrap());
        assert_eq!(line(&mut other), "your name?");
        say(&mut other, "ann");
        assert_eq!(line(&mut other), "that name is taken");
        drop(other);
        drop(bob);
        assert_eq!(line(&mut ann), "* bob has left");
        chat.end("-INT");
        assert_eq!(line(&mut ann), "* the house closes");
        assert_eq!(line(&mut ann), "");
    });
}

#[test]
fn sigterm_leaves_no_socket_file_behind_that_the_next_start_would_meet() {
    bounded(|| {
        let chat = Chat::start("term", &[]);
        let mut ann = chat.by_tcp("ann");
        let output = example("chat")
            .args(["--tcp", "127.0.0.1:0", "--unix"])
            .arg(&chat.path)
            .output()
            .unwrap();
        let path = chat.path.display();
        let expected = format!("chat: {path}: Address already in use (os error 98)\n");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), &*expected));
        chat.end("-TERM");
        assert_eq!(line(&mut ann), "* the house closes");
    });
}

#[test]
fn a_guest_that_does_not_read_is_cut_off_and_the_others_go_on() {
    bounded(|| {
        let mut chat = Chat::start("slow", &["--limit", "100000"]);
        let mut ann = chat.by_tcp("ann");
        let slow = chat.by_unix("slow");
        let mut bob = chat.by_unix("bob");
        assert_eq!(line(&mut ann), "* slow is here");
        assert_eq!(line(&mut ann), "* bob is here");
        let much = "x".repeat(4000);
        let mut rounds = 0;
        loop {
            say(&mut ann, &much);
            // Bob reads each: nobody but the slow one falls behind.
            let heard = line(&mut bob);
            if heard == "* slow reads too slowly and is cut off" {
                break;
            }
            assert_eq!(heard.len(), "ann: ".len() + much.len());
            rounds += 1;
            assert!(rounds < 100_000, "nobody was cut off");
        }
        while line(&mut chat.prints) != "slow is cut off" {}
        say(&mut bob, "still here");
        while line(&mut ann) != "bob: still here" {}
        drop(slow);
        chat.end("-INT");
    });
}

#[test]
fn who_reads_nothing_is_cut_off_without_a_name_too() {
    bounded(|| {
        let chat = Chat::start("nameless", &["--limit", "100000"]);
        let mut ann = chat.by_tcp("ann");
        let mut flood = UnixStream::connect(&chat.path).unwrap();
        // Each line is answered.
        let sent = (0..2000).take_while(|_| flood.write_all(&[b'\n'; 4096]).is_ok()).count();
        assert!(sent < 2000, "all of it was answered");
        say(&mut ann, "");
        let mut bob = chat.by_unix("bob");
        assert_eq!(line(&mut ann), "* bob is here");
        say(&mut ann, "hello");
        assert_eq!(line(&mut bob), "ann: hello");
        chat.end("-INT");
    });
}

#[test]
fn a_line_may_have_4096_bytes_however_they_come() {
    bounded(|| {
        let chat = Chat::start("long", &[]);
        let mut ann = chat.by_tcp("ann");
        for pieces in [1, 3] {
            let mut bob = chat.by_unix("bob");
            assert_eq!(line(&mut ann), "* bob is here");
            say(&mut bob, &"x".repeat(4095));
            assert_eq!(line(&mut ann).len(), "bob: ".len() + 4095);
            let long = format!("{}\n", "y".repeat(4096));
            for piece in long.as_bytes().chunks(long.len().div_ceil(pieces)) {
                bob.get_mut().write_all(piece).unwrap();
            }
            assert_eq!(line(&mut bob), "* that line is too long");
            assert_eq!(line(&mut bob), "");
            assert_eq!(line(&mut ann), "* bob has left");
        }
        chat.end("-INT");
    });
}

#[test]
fn the_short_form_lets_two_guests_of_its_own_talk() {
    let output = example("chat").arg("--short").output().unwrap();
    assert!(output.status.success());
    let said = text(&output.stdout);
    assert!(said.contains("ann hears   bob: hello from a Unix socket\n"), "{said}");
    assert!(said.contains("bob hears   ann: hello from TCP\n"), "{said}");
}
