//! The native part of `http`: a parser as an object of functions.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::{Array, Ctx, Object, Result};

use crate::bytes::{self, Bytes};
use crate::http_message::{Fault, Found, Parser};
use crate::native::Natives;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("createParser", create_parser)?;
    Ok(natives.into_object())
}

/// A parser of requests or of responses: `read(bytes)` and `end()` give a list of what was found,
/// each a head as an object, bytes of a body, or null for the end of a message; and a fault as
/// `[code, text]` behind them, at which the parser is done for. `expectNoBody(on)` is for the
/// response that comes next.
fn create_parser<'js>(ctx: Ctx<'js>, reads_requests: bool) -> Result<Object<'js>> {
    let parser = Rc::new(RefCell::new(Parser::new(reads_requests)));
    let natives = Natives::new(&ctx)?;
    let shared = parser.clone();
    let read = move |ctx: Ctx<'js>, value: rquickjs::Value<'js>| {
        let mut found = Vec::new();
        let outcome = bytes::with(&value, |bytes| shared.borrow_mut().read(bytes, &mut found))?;
        list(&ctx, found, outcome)
    };
    natives.add("read", read)?;
    let shared = parser.clone();
    let end = move |ctx: Ctx<'js>| {
        let mut found = Vec::new();
        let outcome = shared.borrow_mut().end(&mut found);
        list(&ctx, found, outcome)
    };
    natives.add("end", end)?;
    let expect = move |on: bool| parser.borrow_mut().expect_no_body(on);
    natives.add("expectNoBody", expect)?;
    Ok(natives.into_object())
}

fn list<'js>(
    ctx: &Ctx<'js>,
    found: Vec<Found>,
    outcome: std::result::Result<(), Fault>,
) -> Result<Array<'js>> {
    let array = Array::new(ctx.clone())?;
    for (at, one) in found.into_iter().enumerate() {
        match one {
            Found::Head(head) => {
                let object = Object::new(ctx.clone())?;
                object.set("method", head.method)?;
                object.set("url", head.url)?;
                object.set("statusCode", head.status)?;
                object.set("statusMessage", head.reason)?;
                object.set("minor", head.minor)?;
                object.set("headers", head.headers)?;
                array.set(at, object)?;
            }
            Found::Body(bytes) => array.set(at, Bytes(bytes))?,
            Found::End => array.set(at, rquickjs::Value::new_null(ctx.clone()))?,
        }
    }
    if let Err((code, text)) = outcome {
        array.set(array.len(), vec![code, text])?;
    }
    Ok(array)
}
