//! The example `udp_time`, run as the program that it is.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use common::*;

/// Whether the text is a time of day that the system's own program places between two moments.
fn is_between(answer: &str, from: u64, to: u64) -> bool {
    let said = Command::new("date").args(["-u", "-d", answer.trim_end(), "+%s"]).output().unwrap();
    let seconds: u64 = text(&said.stdout).trim_end().parse().expect("a time of day");
    (from..=to).contains(&seconds)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn udp_time_answers_whoever_asks_with_the_time_until_ctrl_c() {
    bounded(|| {
        let mut command = example("udp_time");
        command.args(["--address", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("the time, from ").unwrap();
        for _ in 0..3 {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(address).unwrap();
            let asked = now();
            client.send(b"").unwrap();
            let mut buffer = [0; 64];
            let len = client.recv(&mut buffer).unwrap();
            assert!(is_between(text(&buffer[..len]), asked, now()), "{buffer:?}");
        }
        by_netcat(address);
        let number = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &number]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
    });
}

/// Asks by `nc`, where there is one.
fn by_netcat(address: &str) {
    let (host, port) = address.split_once(':').unwrap();
    let mut command = Command::new("nc");
    command.args(["-u", "-w", "1", host, port]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut nc) = command.spawn() else { return };
    let asked = now();
    nc.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut line = String::new();
    BufReader::new(nc.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(is_between(&line, asked, now()), "{line:?}");
    nc.kill().unwrap();
    nc.wait().unwrap();
}

#[test]
fn udp_time_with_short_asks_itself_and_ends() {
    let begun = now();
    let output = example("udp_time").arg("--short").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let line = text(&output.stdout).lines().nth(1).expect("an answer");
    assert!(is_between(line, begun, now()), "{line}");
}

#[test]
fn udp_time_says_why_it_does_not_begin() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = example("udp_time").args(["--address", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address), "{output:?}");
}
