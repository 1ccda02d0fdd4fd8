//! What the options of this thread ask for: see [`crate::node_options`].

use rquickjs::{Ctx, Function, Object, Result};

use crate::node_options::{self, NodeOptions};
use crate::program;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    let program = program::current();
    let options = &program.options;
    object.set("given", options.given.clone())?;
    object.set("abortsOnUncaught", options.aborts_on_uncaught)?;
    object.set("exposesGc", node_options::exposes_gc())?;
    object.set("noDeprecation", options.no_deprecation)?;
    object.set("noWarnings", options.no_warnings)?;
    object.set("throwDeprecation", options.throw_deprecation)?;
    object.set("traceDeprecation", options.trace_deprecation)?;
    object.set("traceWarnings", options.trace_warnings)?;
    object.set("unhandledRejections", options.unhandled_rejections())?;
    object.set("refused", Function::new(ctx.clone(), refused)?)?;
    Ok(object)
}

/// Of a worker's arguments, those that are no options.
fn refused(arguments: Vec<String>) -> Vec<String> {
    NodeOptions::of_arguments(&arguments).err().unwrap_or_default()
}
