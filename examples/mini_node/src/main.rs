//! Runs a file of JavaScript as `node FILE.js` does, on the loop of windlass.
//!
//! The package's README says what there is of Node, and what there is not.

mod beside;
mod binding;
mod builtin;
mod bytes;
mod callback;
mod clock;
mod clone;
mod engine;
mod errno;
mod files;
mod http_message;
mod memory;
mod node_options;
mod observed;
mod options;
mod program;
mod text;

use std::process::ExitCode;

use lexopt::Parser;
use windlass::Loop;
use windlass::alloc::Counting;
use windlass::sim::Sim;

use engine::Engine;
use memory::Keeping;
use options::{Act, Options, Time};
use program::Program;

/// Counts what each thread has, for `process.memoryUsage` and the memory limits of workers.
#[global_allocator]
static ALLOCATOR: Counting<Keeping> = Counting::around(Keeping);

fn main() -> ExitCode {
    match options::parse(Parser::from_env()) {
        Ok(Some(options)) => match options.act {
            Act::Beside => beside(&options),
            Act::Explain | Act::Events => observed::run(&options, run),
            Act::Run => run(&options),
        },
        Ok(None) => {
            println!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mini_node: {error}\n{}", options::USAGE);
            ExitCode::from(9) // Node's code for bad arguments.
        }
    }
}

/// Prints what Node and we do, and fails if that differs.
fn beside(options: &Options) -> ExitCode {
    match beside::run(&options.time_arguments(), &options.file) {
        Ok((text, same)) => {
            print!("{text}");
            if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// Runs a program on a loop of its own, to its end.
fn run(options: &Options) -> ExitCode {
    let event_loop = match make_loop(options.time) {
        Ok(event_loop) => event_loop,
        Err(error) => return fail(&format!("no loop could be made: {error}")),
    };
    // Ends after the loop, whose callbacks live in it.
    let engine = match Engine::start() {
        Ok(engine) => engine,
        Err(error) => return fail(&format!("no engine could be made: {error}")),
    };
    if options.exposes_gc {
        node_options::expose_gc();
    }
    let program = Program { argv: options.argv(), options: options.node.clone() };
    event_loop.run(|| program::main(program, "internal/run_main"));
    let code = event_loop.exit_code();
    drop(event_loop);
    drop(engine);
    ExitCode::from(code as u8) // The system keeps 8 bits.
}

/// A loop whose time comes from there, for this process's only program.
fn make_loop(time: Time) -> std::io::Result<Loop> {
    match time {
        Time::Real => Loop::new(),
        Time::Virtual => {
            clock::set_virtual(0);
            Loop::builder().virtual_time(true).build()
        }
        Time::Simulated(seed) => {
            clock::set_virtual(seed);
            Ok(Sim::new(seed).event_loop())
        }
    }
}

/// Says why there is no program.
fn fail(why: &str) -> ExitCode {
    eprintln!("mini_node: {why}");
    ExitCode::FAILURE
}
