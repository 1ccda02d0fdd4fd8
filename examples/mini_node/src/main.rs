//! Runs a file of JavaScript as `node FILE.js` does, on the loop of windlass.
//!
//! The package's README says what there is of Node, and what there is not.

mod binding;
mod builtin;
mod bytes;
mod callback;
mod engine;
mod errno;
mod files;
mod http_message;
mod program;
mod text;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use engine::Engine;
use program::Program;

/// Counts what each thread has, for `process.memoryUsage` and the memory limits of workers.
#[global_allocator]
static ALLOCATOR: windlass::alloc::Counting = windlass::alloc::Counting::new();

/// What `--help` prints.
const USAGE: &str = "\
usage: mini_node FILE.js [ARGUMENT...]
  Runs a file of JavaScript, as node does.";

fn main() -> ExitCode {
    match parse(Parser::from_env()) {
        Ok(Some(program)) => run(program),
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mini_node: {error}\n{USAGE}");
            ExitCode::from(9) // Node's code for bad arguments.
        }
    }
}

/// The program that the arguments ask for. None if they ask for help.
fn parse(mut arguments: Parser) -> Result<Option<Program>, lexopt::Error> {
    let text = |part: OsString| part.to_string_lossy().into_owned();
    match arguments.next()? {
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(None),
        Some(Arg::Value(file)) => {
            let mut argv = vec![executable(), text(file)];
            argv.extend(arguments.raw_args()?.map(text));
            Ok(Some(Program { argv }))
        }
        Some(other) => Err(other.unexpected()),
        None => Err("there is no FILE.js".into()),
    }
}

/// The path of this program.
fn executable() -> String {
    env::current_exe().map_or_else(|_| "mini_node".into(), |path| path.to_string_lossy().into())
}

/// Runs a program on a loop of its own, to its end.
fn run(program: Program) -> ExitCode {
    let event_loop = match windlass::Loop::new() {
        Ok(event_loop) => event_loop,
        Err(error) => return fail(&format!("no loop could be made: {error}")),
    };
    // Ends after the loop, whose callbacks live in it.
    let engine = match Engine::start() {
        Ok(engine) => engine,
        Err(error) => return fail(&format!("no engine could be made: {error}")),
    };
    event_loop.run(|| program::main(program));
    let code = event_loop.exit_code();
    drop(event_loop);
    drop(engine);
    ExitCode::from(code as u8) // The system keeps 8 bits.
}

/// Says why there is no program.
fn fail(why: &str) -> ExitCode {
    eprintln!("mini_node: {why}");
    ExitCode::FAILURE
}
