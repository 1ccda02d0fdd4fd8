//! The peers: building them, and asking what they have.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// In the order in which they take turns.
pub(crate) const NAMES: [&str; 6] = ["ours", "baseline", "libuv", "tokio", "runite", "node"];

/// A peer that is there.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What it runs on, with a version.
    pub(crate) version: String,
    /// The command line before the workload.
    command: Vec<PathBuf>,
    /// Servers that are programs of their own, with their command lines.
    servers: BTreeMap<&'static str, Vec<String>>,
    /// What it can run and serve besides.
    has: Vec<String>,
}

/// The folder of this package.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Peer {
    pub(crate) fn has(&self, program: &str) -> bool {
        self.has.iter().any(|has| has == program) || self.servers.contains_key(program)
    }

    /// The command that runs so many items of a workload.
    pub(crate) fn run(&self, program: &str, items: u64) -> Vec<String> {
        self.with(&[program, &items.to_string()])
    }

    /// The command that serves.
    pub(crate) fn serve(&self, server: &str) -> Vec<String> {
        self.servers.get(server).cloned().unwrap_or_else(|| self.with(&["--serve", server]))
    }

    fn with(&self, arguments: &[&str]) -> Vec<String> {
        let own = self.command.iter().map(|word| word.display().to_string());
        own.chain(arguments.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// Builds all peers, in release mode. One that cannot be built is left out, with a line.
pub(crate) fn build(wanted: &[String]) -> Vec<Peer> {
    let wanted = |name: &&str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    NAMES
        .into_iter()
        .filter(wanted)
        .filter_map(|name| {
            eprintln!("building {name}");
            match build_one(name) {
                Ok(peer) => Some(peer),
                Err(error) => {
                    eprintln!("skipped: {name}: {error}");
                    None
                }
            }
        })
        .collect()
}

fn build_one(name: &'static str) -> io::Result<Peer> {
    let mut servers = BTreeMap::new();
    let command = if name == "node" {
        vec!["node".into(), home().join("peers/node/peer.mjs")]
    } else {
        let program = format!("peer_{name}");
        if name == "ours" {
            servers = our_servers()?;
        }
        let manifest = home().join("Cargo.toml");
        vec![cargo_build(&manifest, &["--bin", &program, "--features", name])?]
    };
    let mut peer = Peer { name, version: String::new(), command, servers, has: Vec::new() };
    peer.has = output(&peer.with(&["--list"]))?.lines().map(str::to_owned).collect();
    peer.version = version(name)?;
    Ok(peer)
}

/// The HTTP servers on this crate: its example, alone and with a recorder, and hyper.
fn our_servers() -> io::Result<BTreeMap<&'static str, Vec<String>>> {
    let example = cargo_build(&home().join("../../Cargo.toml"), &["--example", "server"])?;
    // No peer watches for stalls.
    let options =
        "--addr 127.0.0.1:0 --max-connections 20000 --idle-timeout-ms 600000 --stall-ms 0";
    let with = |more: &[&str]| -> Vec<String> {
        let program = std::iter::once(example.display().to_string());
        program.chain(options.split(' ').chain(more.iter().copied()).map(str::to_owned)).collect()
    };
    let mut servers = BTreeMap::from([
        ("http", with(&[])),
        ("golden", with(&[])),
        ("http recorded", with(&["--record", "/dev/null"])),
    ]);
    let manifest = home().join("Cargo.toml");
    match cargo_build(&manifest, &["--bin", "server_hyper", "--features", "hyper"]) {
        Ok(hyper) => drop(servers.insert("http on hyper", vec![hyper.display().to_string()])),
        Err(error) => eprintln!("skipped: hyper on ours: {error}"),
    }
    Ok(servers)
}

/// Builds one program and returns where it is.
fn cargo_build(manifest: &Path, what: &[&str]) -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(manifest)
        .args(what)
        .stderr(Stdio::inherit())
        .output()?;
    if !built.status.success() {
        return Err(io::Error::other("it does not build here"));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut programs = messages
        .filter_map(|message: serde_json::Value| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().ok_or_else(|| io::Error::other("cargo built no program"))
}

fn version(name: &str) -> io::Result<String> {
    match name {
        "node" => Ok(format!("Node {}", output(&["node", "--version"])?.trim())),
        "baseline" => Ok("baseline: std and libc, by hand".into()),
        "ours" => {
            let commit = output(&[
                "git",
                "-C",
                &home().display().to_string(),
                "describe",
                "--always",
                "--dirty",
            ]);
            Ok(format!("windlass {}", commit.unwrap_or_default().trim()))
        }
        "libuv" => Ok(format!("libuv {}", locked("libuv-sys2")?)),
        "tokio" => Ok(format!("tokio {}, hyper {}", locked("tokio")?, locked("hyper")?)),
        _ => Ok(format!("{name} {}", locked(name)?)),
    }
}

/// The version of a dependency that was built.
fn locked(package: &str) -> io::Result<String> {
    let text = std::fs::read_to_string(home().join("Cargo.lock"))?;
    let after = text.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
    Ok(after.and_then(|rest| rest.split('"').next()).unwrap_or("?").to_owned())
}

/// What a program prints.
pub(crate) fn output(command: &[impl AsRef<std::ffi::OsStr>]) -> io::Result<String> {
    let output = Command::new(&command[0]).args(&command[1..]).stderr(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("it ended with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
