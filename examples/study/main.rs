//! Can you say what an event loop does next?
//!
//! Serves a page on which programs run on the real loop, step by step, forwards and back: lessons, an
//! editor, predictions, one program with one change. Without a browser it runs one program and prints
//! each callback with what armed it and why it comes there.
//!
//! ```text
//! $ cargo run --release --example study
//! open http://127.0.0.1:7071/ in a browser
//!
//! $ cargo run --release --example study -- --record lunch.jsonl tests/conformance/004-drain-alternates.json
//! ```
//!
//! A worker serves the page, and each program runs in a process of its own: one that never ends, or
//! aborts, harms nothing. A recording is a file of JSON lines; drop it on the page to see it.

#[path = "../common/mod.rs"]
mod common;
// What others use of these is not used here.
#[allow(dead_code)]
#[path = "../scenario/generator.rs"]
mod generator;
#[allow(dead_code)]
#[path = "../scenario/ledger.rs"]
mod ledger;
#[path = "../scenario/model.rs"]
mod model;
#[path = "../scenario/order.rs"]
mod order;
#[path = "../scenario/program.rs"]
mod program;
#[allow(dead_code)]
#[path = "../scenario/runner.rs"]
mod runner;

mod asked;
mod child;
mod complete;
mod http;
mod javascript;
mod lessons;
mod listing;
#[path = "../../src/inspect/page.rs"]
mod page;
mod questions;
mod races;
mod runs;
mod server;
mod skeleton;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use asked::{Asked, Clock, MAIN};
use common::{Long, Parser, Stop, Value, complain, mention, say};

const HELP: &str = "\
Shows what an event loop does, step by step, and asks what it does next.

usage: study [options]
       study [options] PROGRAM

  --addr ADDRESS:PORT   where to serve the page, on this machine only; port 0 takes a free
                        one (default 127.0.0.1:7071)
  --mini-node PATH      what runs JavaScript (default: where examples/mini_node is built)
  --record FILE         run PROGRAM, and write what its loops did to FILE, one JSON object
                        a line; the page shows it when it is dropped there
  --real                run PROGRAM on the real clock instead of in virtual time
  --help                this text

PROGRAM is a scenario (FILE.json), a script (FILE.js, with the scripts beside it that it names)
or the name of a lesson. It is run, and its callbacks are printed: what armed each, and the
statement of the guide that put it there.
Whoever may connect to the port may run programs here, as you; pages from elsewhere may not.
";

struct Options {
    addr: SocketAddr,
    mini_node: Option<PathBuf>,
    record: Option<PathBuf>,
    real: bool,
    program: Option<PathBuf>,
    /// This is the process of one run.
    is_child: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| match options {
        Options { is_child: true, .. } => match child::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        options => windlass::run_main(|| match options.program {
            Some(_) => drop(windlass::spawn(run_one(options))),
            None => serve(options),
        }),
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options {
        addr: SocketAddr::from(([127, 0, 0, 1], 7071)),
        mini_node: None,
        record: None,
        real: false,
        program: None,
        is_child: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("addr") => options.addr = parse_addr(&common::value(parser, "--addr")?)?,
            Long("mini-node") => {
                options.mini_node = Some(common::value(parser, "--mini-node")?.into());
            }
            Long("record") => options.record = Some(common::value(parser, "--record")?.into()),
            Long("real") => options.real = true,
            // How it starts itself for one run; not for people.
            Long("run") => options.is_child = true,
            Value(program) if options.program.is_none() => options.program = Some(program.into()),
            Value(program) => {
                let text = format!("one program at a time, not {} too", program.display());
                return Err(Stop::Wrong(text));
            }
            argument => return Err(common::other(argument)),
        }
    }
    if options.program.is_none() && (options.record.is_some() || options.real) {
        return Err(Stop::Wrong("--record and --real want a program to run".to_owned()));
    }
    Ok(options)
}

fn parse_addr(text: &OsStr) -> Result<SocketAddr, Stop> {
    let addr: Option<SocketAddr> = text.to_str().and_then(|text| text.parse().ok());
    match addr {
        Some(addr) if addr.ip().is_loopback() => Ok(addr),
        Some(addr) => Err(Stop::Wrong(format!(
            "{addr} can be reached from elsewhere, and this runs whatever program it is sent"
        ))),
        None => {
            let wanted = "--addr wants an address and a port, such as 127.0.0.1:7071";
            Err(Stop::Wrong(format!("{wanted}, not {text:?}")))
        }
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    complain!("{error}");
    ExitCode::FAILURE
}

// ---- with a browser ----

fn serve(options: Options) {
    let config = server::Config { addr: options.addr, mini_node: options.mini_node };
    let told = |ready: Result<SocketAddr, String>| match ready {
        Ok(addr) => mention!("open http://{addr}/ in a browser"),
        Err(why) => {
            complain!("{why}");
            windlass::exit(1);
        }
    };
    if let Err(error) = server::start(config, told) {
        complain!("{error}");
        windlass::exit(1);
    }
}

// ---- without one ----

/// Runs one program, prints its ledger, and writes its recording.
async fn run_one(options: Options) {
    let run = async {
        let asked = load(options.program.as_deref().unwrap_or(Path::new("")), options.real)?;
        let lines = runs::run(asked, options.mini_node.as_deref(), usize::MAX).await?;
        if let Some(file) = &options.record {
            let written = windlass::fs::write(file, lines.clone()).await;
            written.map_err(|error| error.to_string())?; // It names the file.
        }
        Ok::<_, String>(lines)
    };
    match run.await {
        Ok(lines) => print(&lines),
        Err(why) => {
            complain!("{why}");
            windlass::set_exit_code(1);
        }
    }
}

fn load(path: &Path, real: bool) -> Result<Asked, String> {
    let clock = if real { Clock::Real } else { Clock::Virtual };
    if let Some(program) = path.to_str().and_then(lessons::program) {
        return Ok(Asked::Scenario { program, pool: None, clock });
    }
    if path.extension().is_some_and(|end| end == "js") {
        let files = scripts(path).map_err(|error| format!("{}: {error}", path.display()))?;
        return Ok(Asked::Javascript { files, pool: None, clock });
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    let program = serde_json::from_str(&text);
    let program = program.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Asked::Scenario { program, pool: None, clock })
}

/// A script, and the scripts beside it that it names or that these name, such as those of its workers.
fn scripts(path: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::from([(MAIN.to_owned(), std::fs::read_to_string(path)?)]);
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        if name.ends_with(".js") && asked::is_file_name(&name) && !path.ends_with(&name) {
            beside.push(name);
        }
    }
    loop {
        let is_new = |name: &&String| !files.contains_key(*name);
        let is_named = |name: &&String| files.values().any(|text| text.contains(name.as_str()));
        let found = beside.iter().filter(is_new).find(is_named);
        let Some(name) = found else { return Ok(files) };
        files.insert(name.clone(), std::fs::read_to_string(folder.join(name))?);
    }
}

fn print(lines: &[u8]) {
    let ledger = complete::ledger_of(lines);
    say!("{}\n{}", ledger.table(), ledger.statements());
    for error in complete::errors(lines) {
        complain!("{error}");
        windlass::set_exit_code(1);
    }
}
