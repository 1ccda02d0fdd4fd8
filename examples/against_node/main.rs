//! Do random programs call back in the order that Node does?
//!
//! Generates programs from a seed, translates them to JavaScript, runs them in the `node` on the PATH and compares
//! what Node prints with the trace of the loop in virtual time:
//!
//! ```text
//! cargo run --release --example against_node -- --seed 1 --count 100
//! cargo run --release --example against_node -- --seed 17 --print
//! cargo run --release --example against_node -- --js --seed 1 --count 100
//! ```
//!
//! With `--js` the programs are JavaScript, with promises and async functions, and `examples/mini_node` runs them too:
//! see `js/generator.rs`. The rest of this page is about the others.
//!
//! Node runs on the real clock, so programs whose order real time decides are left out: those whose trace
//! changes on the model when everything takes a little longer. A program that differs is run twice more, for
//! a machine that is held up can spoil a run. Ends with 1 if one differs each time.

#[path = "../common/mod.rs"]
mod common;
#[path = "../scenario/generator.rs"]
mod generator;
mod javascript;
mod js;
#[path = "../scenario/model.rs"]
mod model;
#[path = "../scenario/program.rs"]
mod program;
#[path = "../scenario/runner.rs"]
mod runner;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use common::{Long, Parser, Stop, complain, say};
use generator::{Style, generate, shrink};
use program::Scenario;

const HELP: &str = "\
Compares random programs on the loop with the node on the PATH.

usage: against_node [options]

  --seed S    the first program's seed (default 1)
  --count N   how many programs (default 20)
  --shrink    look for the smallest program that differs
  --print     print the JavaScript instead of running it
  --js        programs in JavaScript, with promises and async functions, on mini_node and on node; a program that
              differs is made as small as can be
  --mini-node FILE  where mini_node is; without it, where cargo puts it
  --real      mini_node on the real clock instead of in virtual time
  --help      this text
";

/// How often Node may run a program until it agrees.
const TRIES: usize = 3;

struct Options {
    seed: u64,
    count: u64,
    /// Look for the smallest program that differs.
    shrink: bool,
    /// Print the JavaScript instead of running it.
    print: bool,
    /// Programs in JavaScript on both sides.
    js: bool,
    /// Where `mini_node` is.
    mini_node: Option<PathBuf>,
    /// `mini_node` on the real clock.
    real: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| match compare(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain!("{error}");
            ExitCode::from(2)
        }
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let (shrink, print, js, real, mini_node) = (false, false, false, false, None);
    let mut options = Options { seed: 1, count: 20, shrink, print, js, mini_node, real };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seed") => options.seed = common::number(parser, "--seed", 0, u64::MAX)?,
            Long("count") => options.count = common::number(parser, "--count", 0, u64::MAX)?,
            Long("shrink") => options.shrink = true,
            Long("print") => options.print = true,
            Long("js") => options.js = true,
            Long("real") => options.real = true,
            Long("mini-node") => {
                options.mini_node = Some(common::value(parser, "--mini-node")?.into());
            }
            argument => return Err(common::other(argument)),
        }
    }
    if !options.js && (options.real || options.mini_node.is_some()) {
        return Err(Stop::Wrong("--real and --mini-node go with --js".to_owned()));
    }
    Ok(options)
}

/// Whether all programs agree.
fn compare(options: &Options) -> io::Result<bool> {
    if options.js {
        let Options { seed, count, print, real, .. } = *options;
        let mini_node = options.mini_node.clone();
        return js::compare(&js::Options { seed, count, print, real, mini_node });
    }
    let file = std::env::temp_dir().join(format!("against_node_{}.js", std::process::id()));
    let (mut compared, mut labels, mut differing) = (0, 0, 0);
    let mut seed = options.seed;
    while compared < options.count {
        log::debug!("seed {seed}");
        let program = generate(seed, Style::Spaced);
        if let Some(expected) = model::without_race(&program) {
            compared += 1;
            labels += expected.len();
            if options.print {
                say!("// seed {seed}, prints {expected:?}\n{}", javascript::translate(&program));
            } else if let Some(differs) = difference(&program, &file)? {
                differing += 1;
                say!("seed {seed} differs:\n{differs}");
                if options.shrink {
                    print_smallest(&program, &file)?;
                }
            }
        }
        // After the last seed comes the first.
        seed = seed.wrapping_add(1);
    }
    if options.print {
        return Ok(true);
    }
    std::fs::remove_file(&file)?;
    say!(
        "seeds {} to {}: {} programs without a race, {labels} labels: {} agree, {differing} differ",
        options.seed,
        seed.wrapping_sub(1),
        compared,
        compared - differing
    );
    Ok(differing == 0)
}

/// What Node prints and what we do, if they differ each time.
fn difference(program: &Scenario, file: &Path) -> io::Result<Option<String>> {
    let ours = runner::run(program, true)?;
    let mut text = String::new();
    for _ in 0..TRIES {
        let node = run_in_node(program, file)?;
        if node == ours {
            return Ok(None);
        }
        text = format!("    node {node:?}\n    ours {ours:?}");
    }
    Ok(Some(text))
}

fn run_in_node(program: &Scenario, file: &Path) -> io::Result<Vec<String>> {
    std::fs::write(file, javascript::translate(program))?;
    let output = Command::new("node")
        .arg(file)
        .env("UV_THREADPOOL_SIZE", "1")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("node cannot be run: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}

fn print_smallest(program: &Scenario, file: &Path) -> io::Result<()> {
    let fails = |program: &Scenario| {
        model::without_race(program).is_some()
            && difference(program, file).is_ok_and(|difference| difference.is_some())
    };
    let smallest = shrink(program, fails);
    let differs = difference(&smallest, file)?.unwrap_or_default();
    say!("{}\n{differs}", serde_json::to_string_pretty(&smallest)?);
    Ok(())
}
