//! The native parts of the built-in modules: one *binding* a file, by the name that
//! `internalBinding` asks for.

mod module;
mod process;
mod task_queue;
mod timers;
mod util;

use rquickjs::{Ctx, Exception, Object, Result};

use crate::builtin;

/// The native part of this name.
pub(crate) fn get<'js>(ctx: Ctx<'js>, name: String) -> Result<Object<'js>> {
    match name.as_str() {
        "builtins" => builtin::binding(&ctx),
        "module" => module::binding(&ctx),
        "process" => process::binding(&ctx),
        "task_queue" => task_queue::binding(&ctx),
        "timers" => timers::binding(&ctx),
        "util" => util::binding(&ctx),
        _ => Err(Exception::throw_message(&ctx, &format!("No such binding: {name}"))),
    }
}
