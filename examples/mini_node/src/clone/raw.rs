//! What the engine's own interface must be asked for: of which class a value is, its strings as
//! they are, its properties without copies, and the bytes of its buffers.

#![allow(unsafe_code)] // The engine's interface is C: see the comments.

use std::ptr;
use std::slice;

use rquickjs::{Ctx, Error, Object, Result, Value, qjs};

use super::{Bytes, Key};
use crate::memory;

/// A string.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Text {
    /// One that is valid Unicode.
    Plain(Box<str>),
    /// One with a surrogate that has no partner: JavaScript allows it.
    Wide(Box<[u16]>),
}

/// What a value is, as far as cloning goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An object without inner state.
    Plain,
    /// An array.
    Array,
    /// An error.
    Error,
    /// A `Map`.
    Map,
    /// A `Set`.
    Set,
    /// A `Date`.
    Date,
    /// A `RegExp`.
    RegExp,
    /// An `ArrayBuffer`.
    Buffer,
    /// A `SharedArrayBuffer`.
    SharedBuffer,
    /// A typed array, with the engine's number for its element type.
    TypedArray(i32),
    /// A `DataView`.
    DataView,
    /// A number, string, boolean or bigint in an object.
    Boxed,
    /// All else: functions, promises, proxies, iterators. It has no clone.
    Other,
}

/// The engine's numbers of the classes that it has no question for.
#[derive(Clone, Copy)]
pub(super) struct Classes {
    /// Plain objects.
    plain: qjs::JSClassID,
    /// `SharedArrayBuffer`.
    shared: qjs::JSClassID,
    /// Number, string, boolean and bigint in an object.
    boxed: [qjs::JSClassID; 4],
}

impl Classes {
    /// Learns the numbers from one value of each class.
    pub(super) fn learn(ctx: &Ctx<'_>) -> Result<Classes> {
        let samples: Vec<Object> = ctx.eval(
            "[{}, new SharedArrayBuffer(0), Object(0), Object(''), Object(true), Object(0n)]",
        )?;
        match *samples.iter().map(|sample| class(sample)).collect::<Vec<_>>() {
            [plain, shared, a, b, c, d] => Ok(Classes { plain, shared, boxed: [a, b, c, d] }),
            _ => Err(Error::Unknown),
        }
    }

    /// What the object is.
    pub(super) fn kind(&self, object: &Object<'_>) -> Kind {
        let class = class(object);
        if class == self.plain {
            return Kind::Plain;
        }
        let raw = object.as_raw();
        // SAFETY: the value lives as long as `object`; these calls only look at its class.
        unsafe {
            if qjs::JS_IsProxy(raw) {
                Kind::Other
            } else if qjs::JS_IsArray(raw) {
                Kind::Array
            } else if qjs::JS_IsError(raw) {
                Kind::Error
            } else if qjs::JS_IsMap(raw) {
                Kind::Map
            } else if qjs::JS_IsSet(raw) {
                Kind::Set
            } else if qjs::JS_IsDate(raw) {
                Kind::Date
            } else if qjs::JS_IsRegExp(raw) {
                Kind::RegExp
            } else if class == self.shared {
                Kind::SharedBuffer
            } else if qjs::JS_IsArrayBuffer(raw) {
                Kind::Buffer
            } else if qjs::JS_IsDataView(raw) {
                Kind::DataView
            } else if qjs::JS_GetTypedArrayType(raw) >= 0 {
                Kind::TypedArray(qjs::JS_GetTypedArrayType(raw))
            } else if self.boxed.contains(&class) {
                Kind::Boxed
            } else {
                Kind::Other
            }
        }
    }
}

/// The engine's number for the class of an object.
fn class(object: &Object<'_>) -> qjs::JSClassID {
    // SAFETY: the value lives as long as `object`; the call reads a field of it.
    unsafe { qjs::JS_GetClassID(object.as_raw()) }
}

/// Which object this is: no other has this number while it lives.
pub(super) fn identity(object: &Object<'_>) -> usize {
    // SAFETY: an object's value holds a pointer.
    unsafe { qjs::JS_VALUE_GET_PTR(object.as_raw()) as usize }
}

fn raw_context(ctx: &Ctx<'_>) -> *mut qjs::JSContext {
    ctx.as_raw().as_ptr()
}

/// A value that the engine has given to us, or the exception that it has thrown.
fn owned<'js>(ctx: &Ctx<'js>, raw: qjs::JSValue) -> Result<Value<'js>> {
    // SAFETY: each caller passes what a call has just returned, whose owner is now this value.
    let value = unsafe { Value::from_raw(ctx.clone(), raw) };
    if value.is_exception() { Err(Error::Exception) } else { Ok(value) }
}

impl Text {
    /// The string of a value that is one; of a bigint, its digits.
    pub(super) fn of(value: &Value<'_>) -> Result<Text> {
        let ctx = raw_context(value.ctx());
        let mut len = 0;
        // SAFETY: the value lives, and the call gives `len` bytes that are ours until they are
        // given back. They are copied in between, and no JavaScript runs.
        unsafe {
            let start = qjs::JS_ToCStringLen2(ctx, &mut len, value.as_raw(), false);
            if start.is_null() {
                return Err(Error::Exception);
            }
            let bytes = slice::from_raw_parts(start.cast::<u8>(), len as usize);
            let plain = str::from_utf8(bytes).ok().map(Box::from);
            qjs::JS_FreeCString(ctx, start);
            if let Some(text) = plain {
                return Ok(Text::Plain(text));
            }
            let start = qjs::JS_ToCStringLenUTF16(ctx, &mut len, value.as_raw());
            if start.is_null() {
                return Err(Error::Exception);
            }
            let wide = slice::from_raw_parts(start, len as usize).into();
            qjs::JS_FreeCStringUTF16(ctx, start);
            Ok(Text::Wide(wide))
        }
    }

    /// What it has allocated, in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Text::Plain(text) => text.len(),
            Text::Wide(units) => size_of_val(&**units),
        }
    }

    /// As a string of this engine.
    pub(super) fn value<'js>(&self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        // SAFETY: the engine copies that many units from the start of the slice.
        let raw = unsafe {
            match self {
                Text::Plain(text) => {
                    qjs::JS_NewStringLen(raw_context(ctx), text.as_ptr().cast(), text.len() as _)
                }
                Text::Wide(units) => {
                    qjs::JS_NewStringUTF16(raw_context(ctx), units.as_ptr(), units.len() as _)
                }
            }
        };
        owned(ctx, raw)
    }
}

/// The own enumerable properties of an object with string names, as they were when this was made.
pub(super) struct Properties<'js> {
    /// The object.
    object: Object<'js>,
    /// The engine's table of names.
    table: *mut qjs::JSPropertyEnum,
    /// How many it has.
    len: u32,
    /// The next one.
    next: u32,
}

/// Marks a name that is an array index, in the engine.
const INDEX: qjs::JSAtom = 1 << 31;

impl<'js> Properties<'js> {
    pub(super) fn of(object: Object<'js>) -> Result<Properties<'js>> {
        let (mut table, mut len) = (ptr::null_mut(), 0);
        let flags = (qjs::JS_GPN_STRING_MASK | qjs::JS_GPN_ENUM_ONLY) as i32;
        // SAFETY: the object lives; on success the table of `len` names is ours.
        let code = unsafe {
            let ctx = raw_context(object.ctx());
            qjs::JS_GetOwnPropertyNames(ctx, &mut table, &mut len, object.as_raw(), flags)
        };
        if code < 0 {
            return Err(Error::Exception);
        }
        Ok(Properties { object, table, len, next: 0 })
    }

    /// The next property that is still there. Its getter may run.
    pub(super) fn next(&mut self) -> Result<Option<(Key, Value<'js>)>> {
        let ctx = self.object.ctx().clone();
        while self.next < self.len {
            // SAFETY: the place is within the table.
            let name = unsafe { (*self.table.add(self.next as usize)).atom };
            self.next += 1;
            // SAFETY: object and name live.
            let raw = unsafe { qjs::JS_GetProperty(raw_context(&ctx), self.object.as_raw(), name) };
            let value = owned(&ctx, raw)?;
            // SAFETY: as before.
            let is_gone = value.is_undefined()
                && unsafe {
                    qjs::JS_GetOwnProperty(
                        raw_context(&ctx),
                        ptr::null_mut(),
                        self.object.as_raw(),
                        name,
                    ) == 0
                };
            if !is_gone {
                return Ok(Some((key(&ctx, name)?, value)));
            }
        }
        Ok(None)
    }
}

impl Drop for Properties<'_> {
    fn drop(&mut self) {
        // SAFETY: the table came from the engine with this length, and is given back once.
        unsafe {
            qjs::JS_FreePropertyEnum(raw_context(self.object.ctx()), self.table, self.len);
        }
    }
}

fn key(ctx: &Ctx<'_>, name: qjs::JSAtom) -> Result<Key> {
    if name & INDEX != 0 {
        return Ok(Key::Index(name & !INDEX));
    }
    // SAFETY: the name lives in its table.
    let raw = unsafe { qjs::JS_AtomToString(raw_context(ctx), name) };
    Ok(Key::Name(Text::of(&owned(ctx, raw)?)?))
}

/// Gives an object a property of its own, whatever its prototype says of that name.
pub(super) fn define<'js>(object: &Object<'js>, key: &Key, value: Value<'js>) -> Result<()> {
    let ctx = object.ctx();
    let flags = qjs::JS_PROP_C_W_E as i32;
    let name = match key {
        Key::Index(_) => None,
        Key::Name(name) => Some(name.value(ctx)?),
    };
    // SAFETY: object and name live; the call takes over one reference to the value, which is made
    // for it here. The atom is ours and is given back.
    let code = unsafe {
        let ctx = raw_context(ctx);
        let value = qjs::JS_DupValue(ctx, value.as_raw());
        match (key, name) {
            (Key::Index(index), _) => {
                qjs::JS_DefinePropertyValueUint32(ctx, object.as_raw(), *index, value, flags)
            }
            (Key::Name(_), Some(name)) => {
                let atom = qjs::JS_ValueToAtom(ctx, name.as_raw());
                let code = qjs::JS_DefinePropertyValue(ctx, object.as_raw(), atom, value, flags);
                qjs::JS_FreeAtom(ctx, atom);
                code
            }
            (Key::Name(_), None) => unreachable!("a name has a value"),
        }
    };
    if code < 0 { Err(Error::Exception) } else { Ok(()) }
}

/// The bytes of a buffer, shared or not. None if it is detached.
pub(crate) fn bytes(buffer: &Object<'_>) -> Option<(*mut u8, usize)> {
    let mut len = 0;
    let ctx = raw_context(buffer.ctx());
    // SAFETY: the value lives; the call looks up a pointer in it.
    let start = unsafe { qjs::JS_GetArrayBuffer(ctx, &mut len, buffer.as_raw()) };
    if start.is_null() && buffer.ctx().has_exception() {
        drop(buffer.ctx().catch()); // Its own words for a detached buffer.
        return None;
    }
    Some((start, len as usize))
}

/// A copy of the bytes of a buffer. None if it is detached.
pub(super) fn copy(buffer: &Object<'_>) -> Option<Vec<u8>> {
    let (start, len) = bytes(buffer)?;
    if len == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the engine says that there are `len` bytes, and it does not run meanwhile.
    Some(unsafe { slice::from_raw_parts(start, len) }.to_vec())
}

/// Buffers below this size are copied when they are transferred: that costs less than to move them.
const MOVED_SIZE_MIN: usize = 4096;

/// Takes a buffer's memory away from JavaScript. None if it is detached already.
pub(super) fn take(buffer: &Object<'_>) -> Option<Bytes> {
    let (start, len) = bytes(buffer)?;
    // SAFETY: the value lives; the engine ignores what is no buffer.
    let detach =
        || unsafe { qjs::JS_DetachArrayBuffer(raw_context(buffer.ctx()), buffer.as_raw()) };
    if len >= MOVED_SIZE_MIN {
        return memory::keep(start, len, detach).map(Bytes::Moved);
    }
    let copy = copy(buffer);
    detach();
    copy.map(Bytes::Copied)
}

/// Where a typed array lies: its buffer, the offset in bytes, and the length in elements.
pub(super) fn place<'js>(array: &Object<'js>) -> Result<(Value<'js>, usize, usize)> {
    let (mut offset, mut len, mut size) = (0, 0, 0);
    // SAFETY: the value is a typed array that lives; the call writes the three numbers.
    let raw = unsafe {
        let ctx = raw_context(array.ctx());
        qjs::JS_GetTypedArrayBuffer(ctx, array.as_raw(), &mut offset, &mut len, &mut size)
    };
    let buffer = owned(array.ctx(), raw)?;
    Ok((buffer, offset as usize, (len / size.max(1)) as usize))
}

/// A typed array with elements of this type.
pub(super) fn typed_array<'js>(
    ctx: &Ctx<'js>,
    element: i32,
    buffer: &Value<'js>,
    offset: usize,
    length: usize,
) -> Result<Value<'js>> {
    let (offset, length) = (number(ctx.clone(), offset as f64), number(ctx.clone(), length as f64));
    let mut arguments = [buffer.as_raw(), offset.as_raw(), length.as_raw()];
    // SAFETY: three values that live, and a type that a typed array of this engine had.
    let raw =
        unsafe { qjs::JS_NewTypedArray(raw_context(ctx), 3, arguments.as_mut_ptr(), element as _) };
    owned(ctx, raw)
}

/// A number of this engine, which is an integer there if it can be.
pub(super) fn number(ctx: Ctx<'_>, number: f64) -> Value<'_> {
    let integer = number as i32;
    // Not equal bit by bit: there is a zero below zero.
    if f64::from(integer).to_bits() == number.to_bits() {
        Value::new_int(ctx, integer)
    } else {
        Value::new_float(ctx, number)
    }
}
