//! What JavaScript cannot see of a value by itself.

#![allow(unsafe_code)] // A proxy's parts have no safe form for all kinds of targets.

use rquickjs::promise::PromiseState;
use rquickjs::{Ctx, Object, Result, Value, qjs};

use crate::native::Natives;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("promiseDetails", promise_details)?;
    natives.add("isPromise", is_promise)?;
    natives.add("isProxy", is_proxy)?;
    natives.add("proxyDetails", proxy_details)?;
    natives.add("isError", is_error)?;
    natives.add("gc", gc)?;
    Ok(natives.into_object())
}

/// `[0]` of a pending promise, `[1, value]` of a fulfilled one, `[2, reason]` of a rejected one.
fn promise_details<'js>(ctx: Ctx<'js>, value: Value<'js>) -> Result<Vec<Value<'js>>> {
    let number = |n| Value::new_int(ctx.clone(), n);
    let Some(promise) = value.as_promise() else { return Ok(Vec::new()) };
    Ok(match promise.state() {
        PromiseState::Pending => vec![number(0)],
        state => {
            let result = match promise.result::<Value>() {
                Some(Ok(value)) => value,
                _ => ctx.catch(),
            };
            vec![number(if state == PromiseState::Resolved { 1 } else { 2 }), result]
        }
    })
}

fn is_promise(value: Value<'_>) -> bool {
    value.is_promise()
}

fn is_proxy(value: Value<'_>) -> bool {
    value.is_proxy()
}

/// The target and the handler; both null if it is revoked.
fn proxy_details<'js>(ctx: Ctx<'js>, proxy: Value<'js>) -> Vec<Value<'js>> {
    if !proxy.is_proxy() {
        return Vec::new();
    }
    let (raw, value) = (ctx.as_raw().as_ptr(), proxy.as_raw());
    // SAFETY: the value is a proxy of this context. Both calls give a value of our own, or an
    // exception, which is taken.
    let parts =
        unsafe { [qjs::JS_GetProxyTarget(raw, value), qjs::JS_GetProxyHandler(raw, value)] };
    let taken = |part| {
        // SAFETY: as above; the value is ours.
        let value = unsafe { Value::from_raw(ctx.clone(), part) };
        if value.is_exception() {
            drop(ctx.catch());
            return Value::new_null(ctx.clone());
        }
        value
    };
    parts.into_iter().map(taken).collect()
}

fn is_error(value: Value<'_>) -> bool {
    value.is_error()
}

fn gc(ctx: Ctx<'_>) {
    ctx.run_gc();
}
