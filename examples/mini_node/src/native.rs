//! Native functions of JavaScript, as objects of them.

use rquickjs::function::IntoJsFunc;
use rquickjs::{Ctx, Function, IntoJs, Object, Result};

use crate::label::Labelled;

/// An object whose properties are native functions.
pub(crate) struct Natives<'js>(Object<'js>);

impl<'js> Natives<'js> {
    pub(crate) fn new(ctx: &Ctx<'js>) -> Result<Natives<'js>> {
        Object::new(ctx.clone()).map(Natives)
    }

    /// Adds a function.
    pub(crate) fn add<P>(&self, name: &str, f: impl IntoJsFunc<'js, P> + 'js) -> Result<()> {
        self.set(name, Function::new(self.0.ctx().clone(), f)?)
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
