//! What the options of this thread ask for: see [`crate::node_options`].

use rquickjs::{Ctx, Object, Result};

use crate::native::Natives;
use crate::node_options::{self, NodeOptions};
use crate::program;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    let program = program::current();
    let options = &program.options;
    natives.set("given", options.given.clone())?;
    natives.set("abortsOnUncaught", options.aborts_on_uncaught)?;
    natives.set("exposesGc", node_options::exposes_gc())?;
    natives.set("noDeprecation", options.no_deprecation)?;
    natives.set("noWarnings", options.no_warnings)?;
    natives.set("throwDeprecation", options.throw_deprecation)?;
    natives.set("traceDeprecation", options.trace_deprecation)?;
    natives.set("traceWarnings", options.trace_warnings)?;
    natives.set("unhandledRejections", options.unhandled_rejections())?;
    natives.add("refused", refused)?;
    Ok(natives.into_object())
}

/// Of a worker's arguments, those that are no options.
fn refused(arguments: Vec<String>) -> Vec<String> {
    NodeOptions::of_arguments(&arguments).err().unwrap_or_default()
}
