//! A JavaScript function that native code keeps: the one way from the loop into the engine.

use std::rc::Rc;

use rquickjs::function::{Args, IntoArgs};
use rquickjs::{Ctx, Function, Persistent, Result, Value};
use windlass::observe::Label;

use crate::engine::{self, Engine};
use crate::label;
use crate::observed;

/// A function that the loop will call.
///
/// It must not be held by anything that lives in the engine itself (a native function's closure):
/// the engine lives as long as its callbacks, and would then never end.
#[derive(Clone)]
pub(crate) struct Callback {
    /// The function. Before the engine, in whose heap it is.
    function: Persistent<Function<'static>>,
    /// The engine.
    engine: Rc<Engine>,
    /// The label under which the function was given.
    label: Option<Label>,
}

impl Callback {
    /// Keeps a function.
    pub(crate) fn new<'js>(ctx: &Ctx<'js>, function: Function<'js>) -> Callback {
        let function = Persistent::save(ctx, function);
        Callback { function, engine: engine::current(), label: label::now() }
    }

    /// Calls the function. An exception goes to the process: to its handlers, else it is printed,
    /// and the program ends with code 1; a worker ends, and its parent hears of it.
    pub(crate) fn call(&self, args: impl for<'js> IntoArgs<'js>) {
        self.enter(|_, function| function.call::<_, Value<'_>>(args).map(drop));
    }

    /// Calls the function with what `push` gives: arguments that have to be made in the engine.
    pub(crate) fn call_with(
        &self,
        push: impl for<'js> FnOnce(&Ctx<'js>, &mut Args<'js>) -> Result<()>,
    ) {
        self.enter(|ctx, function| {
            let mut args = Args::new_unsized(ctx.clone());
            push(ctx, &mut args)?;
            args.apply::<Value<'_>>(&function).map(drop)
        });
    }

    fn enter(&self, f: impl for<'js> FnOnce(&Ctx<'js>, Function<'js>) -> Result<()>) {
        if engine::must_stop() {
            return;
        }
        observed::called();
        label::within(self.label, || {
            self.engine.with(|ctx| {
                let outcome =
                    self.function.clone().restore(&ctx).and_then(|function| f(&ctx, function));
                self.engine.settle(&ctx, outcome);
            });
        });
    }
}
