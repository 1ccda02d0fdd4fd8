//! The native part of `Buffer`: text to bytes and back, comparing and searching.

use std::cmp::Ordering;

use rquickjs::{Ctx, Function, Object, Result, String, Value};

use crate::bytes::{self, Bytes, Text};
use crate::native::Natives;
use crate::text;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("encode", encode)?;
    natives.add("decode", decode)?;
    natives.add("isUtf8", is_utf8)?;
    natives.add("compare", compare)?;
    natives.add("indexOf", index_of)?;
    Ok(natives.into_object())
}

fn encode(text: Text, encoding: std::string::String) -> Bytes {
    Bytes(text::encode(text.0, &encoding))
}

/// The text of a part of the bytes.
fn decode<'js>(
    ctx: Ctx<'js>,
    value: Value<'js>,
    encoding: std::string::String,
    from: usize,
    to: usize,
) -> Result<Value<'js>> {
    if encoding == "utf16le" {
        let units = bytes::with(&value, |bytes| text::utf16_units(part(bytes, from, to)))?;
        return from_units(&ctx, units);
    }
    let text = bytes::with(&value, |bytes| text::decode(part(bytes, from, to), &encoding))?;
    String::from_str(ctx, &text).map(String::into_value)
}

/// By the engine, which has strings with lone surrogates.
fn from_units<'js>(ctx: &Ctx<'js>, units: Vec<u16>) -> Result<Value<'js>> {
    const PARAMETERS_MAX: usize = 4096;
    let class: Object = ctx.globals().get("String")?;
    let from_char_code: Function = class.get("fromCharCode")?;
    let mut text = String::from_str(ctx.clone(), "")?.into_value();
    for some in units.chunks(PARAMETERS_MAX) {
        let more: Value = from_char_code.call((rquickjs::function::Rest(some.to_vec()),))?;
        let prototype: Object = class.get("prototype")?;
        let concat: Function = prototype.get("concat")?;
        text = concat.call((rquickjs::function::This(text), more))?;
    }
    Ok(text)
}

fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from..to.min(bytes.len())).unwrap_or_default()
}

fn is_utf8(value: Value<'_>) -> Result<bool> {
    bytes::with(&value, |bytes| std::str::from_utf8(bytes).is_ok())
}

/// -1, 0 or 1.
fn compare<'js>(a: Value<'js>, b: Value<'js>) -> Result<i32> {
    let ordering = bytes::with(&a, |a| bytes::with(&b, |b| a.cmp(b)))??;
    Ok(match ordering {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    })
}

/// Where the bytes have these bytes: first from `from` on, or last up to it. -1 for nowhere.
fn index_of<'js>(value: Value<'js>, wanted: Value<'js>, from: f64, forward: bool) -> Result<f64> {
    let found = bytes::with(&value, |all| {
        bytes::with(&wanted, |wanted| find(all, wanted, from as usize, forward))
    })??;
    Ok(found.map_or(-1.0, |at| at as f64))
}

fn find(all: &[u8], wanted: &[u8], from: usize, forward: bool) -> Option<usize> {
    if wanted.is_empty() {
        return Some(from.min(all.len()));
    }
    let last = all.len().checked_sub(wanted.len())?;
    let is_at = |&at: &usize| all[at..].starts_with(wanted);
    if forward { (from..=last).find(is_at) } else { (0..=last.min(from)).rev().find(is_at) }
}
