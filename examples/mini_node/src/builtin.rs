//! The built-in modules: sources of JavaScript within the program.
//!
//! Each is run once, when it is first required, as the body of
//! `function (exports, require, module, internalBinding, process)`. Those under `internal/` are for
//! the others only. `js/internal/loader.js` keeps what is loaded. They get `process`, and what else
//! the global object has they require: a program may put anything in the place of a global.

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use crate::engine::{self, Engine};
use crate::native::Natives;

macro_rules! sources {
    ($($id:literal),* $(,)?) => {
        /// The modules by their names.
        const SOURCES: &[(&str, &str)] =
            &[$(($id, include_str!(concat!("../js/", $id, ".js")))),*];
    };
}

// One a line, in the order of the alphabet.
sources!(
    "assert",
    "assert/strict",
    "buffer",
    "console",
    "crypto",
    "dns",
    "dns/promises",
    "events",
    "fs",
    "fs/promises",
    "http",
    "internal/abort_controller",
    "internal/assertion_error",
    "internal/atomics",
    "internal/bootstrap",
    "internal/buffer_numbers",
    "internal/clone",
    "internal/colors",
    "internal/comparisons",
    "internal/cwd",
    "internal/deprecate",
    "internal/dom_exception",
    "internal/encoding",
    "internal/environment",
    "internal/errno",
    "internal/errors",
    "internal/event_target",
    "internal/fatal",
    "internal/fs/operations",
    "internal/fs/streams",
    "internal/fs/utils",
    "internal/fs/watch_file",
    "internal/http/client",
    "internal/http/common",
    "internal/http/incoming",
    "internal/http/outgoing",
    "internal/http/server",
    "internal/inspect",
    "internal/io_errors",
    "internal/json",
    "internal/loader",
    "internal/logged",
    "internal/messaging",
    "internal/microtask",
    "internal/net/common",
    "internal/net/server",
    "internal/net/socket",
    "internal/promise_any",
    "internal/promises",
    "internal/run_main",
    "internal/run_worker",
    "internal/safe",
    "internal/stack",
    "internal/streams/destroy",
    "internal/streams/duplex",
    "internal/streams/finished",
    "internal/streams/iterate",
    "internal/streams/legacy",
    "internal/streams/pipe",
    "internal/streams/readable",
    "internal/streams/writable",
    "internal/symbols",
    "internal/table",
    "internal/threads",
    "internal/types",
    "internal/url",
    "internal/validators",
    "internal/virtual_time",
    "internal/words",
    "internal/worker",
    "internal/worker_errors",
    "internal/worker_stdio",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "perf_hooks",
    "process",
    "querystring",
    "stream",
    "stream/promises",
    "string_decoder",
    "timers",
    "timers/promises",
    "url",
    "util",
    "worker_threads",
);

/// Starts the modules: gives the `require` that finds them.
pub(crate) fn start<'js>(ctx: &Ctx<'js>, engine: &Engine) -> Result<Function<'js>> {
    let loader = compile(ctx.clone(), "internal/loader".into())?;
    let (exports, module) = (Object::new(ctx.clone())?, Object::new(ctx.clone())?);
    module.set("exports", exports.clone())?;
    let (none, process) = (Value::new_undefined(ctx.clone()), Object::new(ctx.clone())?);
    let binding = engine::internal_binding(ctx)?;
    loader.call::<_, ()>((exports, none, module.clone(), binding, process))?;
    let require: Function = module.get("exports")?;
    engine.set_realm(ctx, require.clone());
    require.call::<_, ()>(("internal/bootstrap",))?;
    Ok(require)
}

/// The native part of the loader.
pub(crate) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    let ids: Vec<&str> = SOURCES.iter().map(|(id, _)| *id).collect();
    natives.set("ids", ids)?;
    natives.add("compile", compile)?;
    Ok(natives.into_object())
}

/// The function of a built-in module.
fn compile<'js>(ctx: Ctx<'js>, id: String) -> Result<Function<'js>> {
    let Some((_, source)) = SOURCES.iter().find(|(known, _)| *known == id) else {
        return Err(Exception::throw_message(&ctx, &format!("No such built-in module: {id}")));
    };
    let parameters = "exports, require, module, internalBinding, process";
    compile_function(&ctx, source, &format!("node:{id}"), parameters, true)
}

/// A function of this body, which says in errors that it is from `file`.
///
/// All that stands before the body is on its first line, so lines are right, and so are columns
/// except on that line: see [`prefix`].
pub(crate) fn compile_function<'js>(
    ctx: &Ctx<'js>,
    body: &str,
    file: &str,
    parameters: &str,
    strict: bool,
) -> Result<Function<'js>> {
    let source = format!("{}{body}\n}})", prefix(parameters));
    let mut options = EvalOptions::default();
    options.strict = strict;
    options.filename = Some(file.to_owned());
    ctx.eval_with_options(source, options)
}

/// What stands before the body of a function.
pub(crate) fn prefix(parameters: &str) -> String {
    format!("(function ({parameters}) {{ ")
}
