//! Figures that noise cannot touch: instructions by callgrind, system calls by strace.

use std::io;
use std::path::PathBuf;

use crate::echo::{Client, Load};
use crate::peers::{Peer, output};
use crate::rows::Row;
use crate::run::{self, Figures, Server};

/// A file of this process for a tool to write to.
fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("windlass-compare-{}-{name}", std::process::id()))
}

/// Whether callgrind is there.
pub(crate) fn has_valgrind() -> bool {
    output(&["valgrind", "--version"]).is_ok()
}

/// Whether strace is there, and may trace.
pub(crate) fn has_strace() -> bool {
    output(&["strace", "-c", "-o", "/dev/null", "true"]).is_ok()
}

fn under_callgrind(command: Vec<String>, out: &std::path::Path) -> Vec<String> {
    let tool = ["valgrind", "--quiet", "--tool=callgrind"].map(str::to_owned);
    let file = format!("--callgrind-out-file={}", out.display());
    tool.into_iter().chain([file]).chain(command).collect()
}

/// The total that callgrind has written down.
fn read_total(out: &std::path::Path) -> io::Result<f64> {
    let text = std::fs::read_to_string(out)?;
    std::fs::remove_file(out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| io::Error::other("callgrind counted nothing"))
}

/// Instructions for each item: twice as many items less once, so that the start does not count. Nothing
/// without valgrind.
pub(crate) fn instructions(peer: &Peer, program: &str, items: u64) -> io::Result<Option<f64>> {
    if !has_valgrind() || peer.name == "node" {
        return Ok(None);
    }
    let count = |items| {
        let out = scratch("callgrind");
        run::print(&under_callgrind(peer.run(program, items), &out), &run::cores(1))?;
        read_total(&out)
    };
    Ok(Some((count(2 * items)? - count(items)?) / items as f64))
}

/// What a server spends on so many requests, in whatever `count` reads when it has ended.
fn served(
    peer: &Peer,
    row: &Row,
    requests: u64,
    short: bool,
    tool: impl Fn(Vec<String>) -> Vec<String>,
) -> io::Result<()> {
    let load = Load::of(row, requests, short);
    let mut server = Server::start(&tool(peer.serve("echo")), &run::cores(1))?;
    let ran =
        Client::connect(&server.address, &load).and_then(|mut client| client.run(load.requests));
    // In any case: a tool that is killed leaves its program running.
    server.end()?;
    ran
}

/// Instructions of an echo server for each request.
pub(crate) fn echo_instructions(
    peer: &Peer,
    row: &Row,
    requests: u64,
    short: bool,
) -> io::Result<Option<Figures>> {
    // Valgrind does not know io_uring: runite's server never hears of a signal under it.
    if !has_valgrind() || matches!(peer.name, "node" | "runite") {
        return Ok(None);
    }
    let count = |requests| {
        let out = scratch("callgrind");
        served(peer, row, requests, short, |command| under_callgrind(command, &out))?;
        read_total(&out)
    };
    let each = (count(2 * requests)? - count(requests)?) / requests as f64;
    Ok(Some(Figures::from([("ns".into(), each)])))
}

fn under_strace(command: Vec<String>, row: &Row, out: &std::path::Path) -> Vec<String> {
    let (calls, out) = (row.calls.join(","), out.display().to_string());
    let tool = ["strace", "-f", "-c", "-e", &calls, "-o", &out].map(str::to_owned);
    tool.into_iter().chain(command).collect()
}

/// How many calls strace has counted.
fn read_calls(row: &Row, out: &std::path::Path) -> io::Result<f64> {
    let text = std::fs::read_to_string(out)?;
    std::fs::remove_file(out)?;
    let counts = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Share, seconds, microseconds a call, calls, perhaps errors, name.
        let name = words.last().filter(|name| row.calls.iter().any(|call| call == *name));
        name.and_then(|_| words.get(3)?.parse::<f64>().ok())
    });
    Ok(counts.sum())
}

/// System calls for each item. Nothing without strace.
pub(crate) fn calls(peer: &Peer, row: &Row, items: u64) -> io::Result<Option<Figures>> {
    if !has_strace() {
        return Ok(None);
    }
    let count = |items| {
        let out = scratch("strace");
        let command = peer.run(row.program(peer.name), items);
        run::print(&under_strace(command, row, &out), &run::cores(row.cores))?;
        read_calls(row, &out)
    };
    // Where threads meet at random the longer run may happen to make fewer of them.
    let each = (count(2 * items)? - count(items)?).max(0.0) / items as f64;
    Ok(Some(Figures::from([("ns".into(), each)])))
}

/// System calls of an echo server for each request.
pub(crate) fn echo_calls(
    peer: &Peer,
    row: &Row,
    requests: u64,
    short: bool,
) -> io::Result<Option<Figures>> {
    if !has_strace() {
        return Ok(None);
    }
    let count = |requests| {
        let out = scratch("strace");
        served(peer, row, requests, short, |command| under_strace(command, row, &out))?;
        read_calls(row, &out)
    };
    let each = (count(2 * requests)? - count(requests)?) / requests as f64;
    Ok(Some(Figures::from([("ns".into(), each)])))
}
