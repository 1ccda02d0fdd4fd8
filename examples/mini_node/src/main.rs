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
mod label;
mod memory;
mod native;
mod node_options;
mod observed;
mod options;
mod program;
mod text;
mod watched;

use std::env;
use std::io::{self, Write};
use std::path::Path;
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
    let variable = env::var("NODE_OPTIONS").unwrap_or_default();
    match options::parse(Parser::from_env(), &variable) {
        Ok(Some(options)) => match options.act {
            Act::Beside => beside(&options),
            Act::Explain | Act::Events => observed::run(&options, run),
            Act::Run => run(&options),
        },
        Ok(None) => print(&format!("{}\n", options::USAGE)),
        Err(error) => {
            complain(&format!("{error}\n{}", options::USAGE));
            ExitCode::from(9) // Node's code for bad arguments.
        }
    }
}

/// Prints what Node and we do, and fails if that differs.
fn beside(options: &Options) -> ExitCode {
    match beside::run(&options.time_arguments(), &options.node.given, &options.file) {
        Ok((text, same)) => {
            let printed = print(&text);
            if same { printed } else { ExitCode::FAILURE }
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
    // A line of the script costs something, and only they show it.
    let observes = matches!(options.act, Act::Explain | Act::Events);
    let label =
        (observes || options.watches.any()).then(|| label::want(Path::new(&options.file[0])));
    let watching = match options.watches.begin() {
        Ok(watching) => watching,
        Err(error) => return fail(&error.to_string()),
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
    let main = || {
        if let Err(error) = options.watches.begin_on_loop() {
            complain(&format!("--alive: {error}"));
        }
        program::main(program, "internal/run_main");
    };
    label::within(label, || event_loop.run(|| label::within(label, main)));
    drop(watching);
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
    complain(why);
    ExitCode::FAILURE
}

/// Tells the user something beside what the program prints.
fn complain(text: &str) {
    // There is nobody else to tell it to.
    writeln!(io::stderr(), "mini_node: {text}").ok();
}

/// Prints what was asked for. That the reader has gone is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error.to_string()),
        _ => ExitCode::SUCCESS,
    }
}
