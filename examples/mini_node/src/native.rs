//! Native functions of JavaScript, as objects of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rquickjs::function::{IntoJsFunc, ParamRequirement, Params};
use rquickjs::{Ctx, Function, IntoJs, Object, Result, Value};

use crate::engine;
use crate::label::Labelled;

/// An object whose properties are native functions.
pub(crate) struct Natives<'js>(Object<'js>);

impl<'js> Natives<'js> {
    pub(crate) fn new(ctx: &Ctx<'js>) -> Result<Natives<'js>> {
        Object::new(ctx.clone()).map(Natives)
    }

    /// Adds a function.
    pub(crate) fn add<P>(&self, name: &str, f: impl IntoJsFunc<'js, P> + 'js) -> Result<()> {
        self.set(name, function(self.0.ctx(), f)?)
    }

    /// Adds a function that registers something on the loop.
    pub(crate) fn add_registering<P>(
        &self,
        name: &str,
        f: impl IntoJsFunc<'js, P> + 'js,
    ) -> Result<()> {
        self.add(name, Labelled(f))
    }

    /// Adds what is no function.
    pub(crate) fn set(&self, name: &str, value: impl IntoJs<'js>) -> Result<()> {
        self.0.set(name, value)
    }

    pub(crate) fn into_object(self) -> Object<'js> {
        self.0
    }
}

/// A native function by itself.
pub(crate) fn function<'js, P>(
    ctx: &Ctx<'js>,
    f: impl IntoJsFunc<'js, P> + 'js,
) -> Result<Function<'js>> {
    Function::new(ctx.clone(), Guarded(f))
}

/// A native function whose panic no script can take for an exception: it goes on below all JavaScript.
struct Guarded<F>(F);

impl<'js, P, F: IntoJsFunc<'js, P>> IntoJsFunc<'js, P> for Guarded<F> {
    fn param_requirements() -> ParamRequirement {
        F::param_requirements()
    }

    fn call<'a>(&self, params: Params<'a, 'js>) -> Result<Value<'js>> {
        let ctx = params.ctx().clone();
        catch_unwind(AssertUnwindSafe(|| self.0.call(params)))
            .unwrap_or_else(|panic| Err(engine::current().panicked(&ctx, panic)))
    }
}
