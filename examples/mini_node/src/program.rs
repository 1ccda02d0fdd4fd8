//! A program: a script with its arguments, in an engine, on a loop. The main thread's and that of
//! each worker are begun and ended here.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::Function;

use crate::engine::{self, Hook};
use crate::node_options::NodeOptions;

/// What a thread runs.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// The executable, the script's path, and its arguments.
    pub(crate) argv: Vec<String>,
    /// The options of Node's.
    pub(crate) options: NodeOptions,
}

thread_local! {
    /// This thread's program.
    static CURRENT: RefCell<Rc<Program>> = RefCell::default();
}

/// This thread's program.
pub(crate) fn current() -> Rc<Program> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs the program's main script by a built-in module, within a loop and with an engine on this
/// thread. What follows from it is the loop's to do.
pub(crate) fn main(program: Program, runner: &str) {
    CURRENT.set(Rc::new(program));
    let engine = engine::current();
    windlass::on_before_exit(|| {
        engine::current().call_hook(Hook::BeforeExit);
    });
    windlass::on_exit(exiting);
    engine.with(|ctx| {
        let outcome = engine.require(&ctx, runner).and_then(|main| {
            let Some(main) = main.into_function() else { return Ok(()) };
            Function::call::<_, ()>(&main, ())
        });
        engine.settle(&ctx, outcome);
    });
}

/// Tells the program that it ends, unless it has been told by `process.exit`.
fn exiting(code: i32) {
    let engine = engine::current();
    if engine.is_exiting() {
        return;
    }
    let chosen = engine.call_hook(Hook::Exit);
    // As in Node: what handlers have put among the microtasks still runs, rejections are judged,
    // and nothing else.
    engine.drain();
    engine.judge();
    if let Some(chosen) = chosen
        && chosen as i32 != code
    {
        windlass::set_exit_code(chosen as i32);
    }
}
