//! The native parts of the built-in modules: one *binding* a file, by the name that
//! `internalBinding` asks for.

mod atomics;
mod buffer;
mod crypto;
mod direct;
mod dns;
mod fs;
mod http_parser;
mod module;
mod options;
mod os;
mod ports;
mod process;
mod task_queue;
mod tcp;
mod timers;
mod umask;
mod util;
mod uv;
mod worker;

use rquickjs::{Ctx, Exception, Object, Result};

use crate::{builtin, clock};

/// The native part of this name.
pub(crate) fn get<'js>(ctx: Ctx<'js>, name: String) -> Result<Object<'js>> {
    match name.as_str() {
        "atomics" => atomics::binding(&ctx),
        "buffer" => buffer::binding(&ctx),
        "builtins" => builtin::binding(&ctx),
        "clock" => clock::binding(&ctx),
        "crypto" => crypto::binding(&ctx),
        "direct" => direct::binding(&ctx),
        "dns" => dns::binding(&ctx),
        "fs" => fs::binding(&ctx),
        "http_parser" => http_parser::binding(&ctx),
        "messaging" => ports::binding(&ctx),
        "module" => module::binding(&ctx),
        "options" => options::binding(&ctx),
        "os" => os::binding(&ctx),
        "process" => process::binding(&ctx),
        "task_queue" => task_queue::binding(&ctx),
        "tcp" => tcp::binding(&ctx),
        "timers" => timers::binding(&ctx),
        "util" => util::binding(&ctx),
        "uv" => uv::binding(&ctx),
        "worker" => worker::binding(&ctx),
        _ => Err(Exception::throw_message(&ctx, &format!("No such binding: {name}"))),
    }
}
