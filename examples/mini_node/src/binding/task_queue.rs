//! `process.nextTick`, `queueMicrotask`, and what the process hears of promises.

use rquickjs::function::Rest;
use rquickjs::{Ctx, Function, Object, Result, Value};

use crate::callback::Callback;
use crate::engine::{self, Hook};

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("nextTick", Function::new(ctx.clone(), next_tick)?)?;
    object.set("enqueueJob", Function::new(ctx.clone(), enqueue_job)?)?;
    object.set("onRejection", Function::new(ctx.clone(), on_rejection)?)?;
    object.set("onDrained", Function::new(ctx.clone(), on_drained)?)?;
    Ok(object)
}

/// One tick of the loop for each `nextTick`.
fn next_tick<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    let callback = Callback::new(&ctx, f);
    windlass::next_tick(move || callback.call(()));
}

/// One job of the engine, among those of promises.
fn enqueue_job<'js>(f: Function<'js>, args: Rest<Value<'js>>) -> Result<()> {
    f.defer((args,))
}

fn on_rejection<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Rejection, f);
}

fn on_drained<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Drained, f);
}
