//! Files of scripts: what they are called, and functions of what is in them.

use std::fs;
use std::path::Path;

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use crate::builtin;
use crate::native::Natives;

/// What a file of CommonJS gets.
const PARAMETERS: &str = "exports, require, module, __filename, __dirname";

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("compile", compile)?;
    natives.add("runScript", run_script)?;
    natives.set("prefixLength", builtin::prefix(PARAMETERS).len())?;
    natives.add("readFile", read_file)?;
    natives.add("realpath", realpath)?;
    natives.add("kindOf", kind_of)?;
    natives.add("absolute", absolute)?;
    Ok(natives.into_object())
}

/// The function of a file of CommonJS.
fn compile<'js>(ctx: Ctx<'js>, source: String, file: String) -> Result<Function<'js>> {
    // The first line may be for the system.
    let source = match source.strip_prefix("#!") {
        Some(rest) => format!("//{rest}"),
        None => source,
    };
    builtin::compile_function(&ctx, &source, &file, PARAMETERS, false)
}

/// Runs a script that is no module: what it declares is global.
fn run_script<'js>(ctx: Ctx<'js>, source: String, file: String) -> Result<()> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(file);
    ctx.eval_with_options::<Value, _>(source, options).map(drop)
}

/// A file's text. What is no UTF-8 in it is replaced, as Node does.
fn read_file(ctx: Ctx<'_>, path: String) -> Result<String> {
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(Exception::throw_message(&ctx, &format!("{error}, open '{path}'"))),
    }
}

/// The path without links, or the path itself if there is none.
fn realpath(path: String) -> String {
    let real = fs::canonicalize(&path).ok();
    real.and_then(|path| path.into_os_string().into_string().ok()).unwrap_or(path)
}

/// 0 for a file, 1 for a folder, -1 for nothing.
fn kind_of(path: String) -> i32 {
    fs::metadata(path).map_or(-1, |found| i32::from(found.is_dir()))
}

/// `path` as seen from the folder `from`, without `.` and `..`.
fn absolute(path: String, from: String) -> String {
    let joined = Path::new(&from).join(path);
    let mut parts: Vec<String> = Vec::new();
    for part in joined.to_string_lossy().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name.to_owned()),
        }
    }
    format!("/{}", parts.join("/"))
}
