//! Bytes and text on their way between JavaScript and Rust.

#![allow(unsafe_code)] // Reading a view's bytes has no safe form: see the comment.

use rquickjs::function::This;
use rquickjs::{
    ArrayBuffer, Ctx, Error, FromJs, Function, IntoJs, Object, Result, TypedArray, Value,
};

/// Bytes. They come as a copy of a Uint8Array (a Buffer is one), and go as an ArrayBuffer that
/// owns them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'js> FromJs<'js> for Bytes {
    fn from_js(_ctx: &Ctx<'js>, value: Value<'js>) -> Result<Bytes> {
        with(&value, |bytes| Bytes(bytes.to_vec()))
    }
}

impl<'js> IntoJs<'js> for Bytes {
    fn into_js(self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        ArrayBuffer::new(ctx.clone(), self.0).map(ArrayBuffer::into_value)
    }
}

/// Shows the bytes of a Uint8Array to `f`, which must not call JavaScript. One whose buffer was
/// transferred away has none.
pub(crate) fn with<R>(value: &Value<'_>, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
    let no_bytes = || Error::new_from_js(value.type_name(), "Uint8Array");
    let array: &TypedArray<'_, u8> =
        value.as_object().and_then(Object::as_typed_array).ok_or_else(no_bytes)?;
    // SAFETY: the bytes are valid until JavaScript runs, which `f` does not let happen: it gets no
    // way into the engine from here, and the callers in this program call nothing of it.
    let bytes = unsafe { array.as_bytes() };
    Ok(f(bytes.unwrap_or_default()))
}

/// Text. A lone surrogate, which UTF-8 does not have, comes as U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

impl<'js> FromJs<'js> for Text {
    fn from_js(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Text> {
        let Some(string) = value.as_string() else {
            return Err(Error::new_from_js(value.type_name(), "string"));
        };
        match string.to_string() {
            Ok(text) => Ok(Text(text)),
            Err(Error::Utf8(_)) => well_formed(ctx, value.clone()).map(Text),
            Err(error) => Err(error),
        }
    }
}

fn well_formed<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<String> {
    let class: Object = ctx.globals().get("String")?;
    let prototype: Object = class.get("prototype")?;
    let method: Function = prototype.get("toWellFormed")?;
    method.call((This(value),))
}
