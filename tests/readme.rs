//! README.md: that its first program, which people copy, is the one that is tested and is right about
//! streams, and that its commands name what there is.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::*;

/// The program, as README.md has it.
mod program {
    include!("readme/first_program.rs");

    pub(super) fn run() -> std::io::Result<()> {
        main()
    }
}

/// Tells a child of this test to be the program.
const BE_THE_PROGRAM: &str = "WINDLASS_BE_THE_PROGRAM";

/// The program as a process of its own, killed when its test ends.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts the test called `name` once more, which then is the program.
    fn start(name: &str) -> Program {
        let mut child = test_as_a_process(name)
            .env(BE_THE_PROGRAM, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.lines().map(Result::unwrap);
        // The harness may have begun the line.
        let address = lines.find_map(|line| line.split("listening on ").nth(1)?.parse().ok());
        Program { child, address: address.expect("it prints its address") }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        client.set_nodelay(true).unwrap();
        client
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Closes this side, and sorts the lines of all that was answered: two workers share the sums.
fn answers(mut client: TcpStream) -> Vec<String> {
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_first_program_of_the_readme_is_right_about_streams() {
    if std::env::var_os(BE_THE_PROGRAM).is_some() {
        return program::run().unwrap();
    }
    let program = Program::start("the_first_program_of_the_readme_is_right_about_streams");
    // Several lines in one packet.
    let mut client = program.connect();
    client.write_all(b"10\n20\n").unwrap();
    assert_eq!(answers(client), ["fib(10) = 55", "fib(20) = 6765"]);
    // Each byte by itself, and ends of lines in both ways.
    let mut client = program.connect();
    for byte in b"12\r\n1\n" {
        client.write_all(&[*byte]).unwrap();
    }
    assert_eq!(answers(client), ["fib(1) = 1", "fib(12) = 144"]);
    // What is no number, or too large, is no reason to give up, and a line without end is none.
    let mut client = program.connect();
    client.write_all(b"x\n\n51\n-1\n\xff\n7\n30").unwrap();
    assert_eq!(answers(client), ["fib(7) = 13"]);
    // A line has its limit.
    let mut client = program.connect();
    client.write_all(&[b'1'; 21]).unwrap();
    assert!(matches!(client.read(&mut [0; 1]), Ok(0)), "the connection is closed");
}

#[test]
fn the_first_program_of_the_readme_is_the_one_that_is_tested() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let first = readme.split("```rust\n").nth(1).unwrap().split("```\n").next().unwrap();
    assert_eq!(first, include_str!("readme/first_program.rs"));
}

/// The commands of a document: the lines of its blocks for a shell.
fn commands(document: &str) -> impl Iterator<Item = &str> {
    let blocks = document.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines)
}

/// What a command names and the repository does not have.
fn missing(command: &str) -> Vec<String> {
    let words: Vec<_> = command.split(" #").next().unwrap().split_whitespace().collect();
    let behind = |option| {
        let at = words.iter().position(|word| *word == option);
        at.and_then(|at| words.get(at + 1)).copied()
    };
    let exists = |path: &str| Path::new(path).exists();
    let example = behind("--example").filter(|name| {
        let paths = ["{}.rs", "{}/main.rs", "tour/{}.rs"].map(|path| path.replace("{}", name));
        !paths.iter().any(|path| exists(&format!("examples/{path}")))
    });
    let test = behind("--test").filter(|name| !exists(&format!("tests/{name}.rs")));
    let script = words.first().filter(|word| word.starts_with(".ci/") && !exists(word));
    let folder = behind("cd").filter(|name| name.contains('/') && !exists(name));
    [example, test, script.copied(), folder].into_iter().flatten().map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readmes_name_what_there_is() {
    for path in ["README.md", "examples/README.md"] {
        let document = std::fs::read_to_string(path).unwrap();
        assert!(commands(&document).count() >= 4, "{path}: the commands are found");
        for command in commands(&document) {
            assert_eq!(missing(command), [""; 0], "{path}: {command}");
        }
    }
    let wrong = "cargo run --example nowhere --test neither";
    assert_eq!(missing(wrong), ["nowhere", "neither"]);
    assert_eq!(missing("cd benches/nowhere && cargo run"), ["benches/nowhere"]);
}
