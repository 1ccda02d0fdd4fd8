//! The native part of `process`: what the system says of it, its output, and its end.

use std::io::{self, Write};
use std::time::Duration;
use std::{env, fs};

use rquickjs::{BigInt, Ctx, Exception, Function, Object, Result};

use super::umask::umask;
use crate::clock;
use crate::engine::{self, Hook};
use crate::errno;
use crate::native::Natives;
use crate::observed;
use crate::program;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    let program = program::current();
    natives.set("argv", program.argv.clone())?;
    natives.set("isMainThread", windlass::worker::is_main())?;
    natives.set("pid", std::process::id())?;
    natives.set("ppid", std::os::unix::process::parent_id())?;
    natives.set("platform", if env::consts::OS == "macos" { "darwin" } else { env::consts::OS })?;
    natives.set("arch", if env::consts::ARCH == "x86_64" { "x64" } else { env::consts::ARCH })?;
    natives.add("env", environment)?;
    natives.add("cwd", cwd)?;
    natives.add("chdir", chdir)?;
    natives.add("umask", umask)?;
    natives.add("hrtime", hrtime)?;
    natives.add("hrtimeBigInt", hrtime_bigint)?;
    natives.add("uptime", uptime)?;
    natives.add("memoryUsage", memory_usage)?;
    natives.add("write", write)?;
    natives.add("reallyExit", really_exit)?;
    natives.add("setExitCode", set_exit_code)?;
    natives.add("abort", abort)?;
    natives.add("onUncaught", on_uncaught)?;
    natives.add("onBeforeExit", on_before_exit)?;
    natives.add("onExit", on_exit)?;
    natives.add("onInterrupted", on_interrupted)?;
    natives.add("onCaller", on_caller)?;
    Ok(natives.into_object())
}

/// Names and values. What is no UTF-8 in them is replaced, as Node does.
fn environment() -> Vec<Vec<String>> {
    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
    env::vars_os().map(|(name, value)| vec![text(name), text(value)]).collect()
}

fn cwd(ctx: Ctx<'_>) -> Result<String> {
    match env::current_dir() {
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(error) => Err(Exception::throw_message(&ctx, &format!("{error}, uv_cwd"))),
    }
}

/// Gives the number of an error, or 0.
fn chdir(path: String) -> i32 {
    env::set_current_dir(path).map_or_else(|error| errno::of(&error), |()| 0)
}

fn hrtime() -> Vec<f64> {
    let time = clock::elapsed() + Duration::from_secs(1);
    vec![time.as_secs() as f64, f64::from(time.subsec_nanos())]
}

fn hrtime_bigint<'js>(ctx: Ctx<'js>) -> Result<BigInt<'js>> {
    let time = clock::elapsed() + Duration::from_secs(1);
    BigInt::from_u64(ctx, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Seconds.
fn uptime() -> f64 {
    clock::elapsed().as_secs_f64()
}

/// The process's resident memory, and this engine's heap as the counting allocator sees it.
fn memory_usage() -> Vec<f64> {
    const PAGE: f64 = 4096.0;
    let resident = fs::read_to_string("/proc/self/statm").ok();
    let resident = resident.and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    vec![resident.unwrap_or(0.0) * PAGE, windlass::alloc::allocated().max(0) as f64]
}

/// Writes to a standard stream at once, as Node does to files and pipes. Gives the number of an error, or 0.
fn write(fd: i32, text: String) -> i32 {
    if fd == 1 && observed::said(&text) {
        return 0;
    }
    let result = match fd {
        1 => {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        _ => io::stderr().lock().write_all(text.as_bytes()),
    };
    result.map_or_else(|error| errno::of(&error), |()| 0)
}

/// Ends the program, and all JavaScript with it: nothing after the call runs.
fn really_exit(ctx: Ctx<'_>, code: i32) -> Result<()> {
    engine::current().exit(code);
    Err(engine::unwinding(&ctx))
}

fn set_exit_code(code: i32) {
    windlass::set_exit_code(code);
}

fn abort() {
    std::process::abort();
}

fn on_uncaught<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Uncaught, f);
}

fn on_before_exit<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::BeforeExit, f);
}

fn on_exit<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Exit, f);
}

fn on_interrupted<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Interrupted, f);
}

fn on_caller<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Caller, f);
}
