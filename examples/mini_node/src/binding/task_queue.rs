//! `process.nextTick`, `queueMicrotask`, and what the process hears of promises.

use rquickjs::function::Rest;
use rquickjs::{Ctx, Function, Object, Result, Value};

use crate::callback::Callback;
use crate::engine::{self, Hook};
use crate::native::Natives;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add_registering("nextTick", next_tick)?;
    natives.add("enqueueJob", enqueue_job)?;
    natives.add("onRejection", on_rejection)?;
    natives.add("onDrained", on_drained)?;
    Ok(natives.into_object())
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
