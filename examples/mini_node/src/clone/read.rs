//! From a tree to a value.

use rquickjs::{Array, ArrayBuffer, Ctx, Error, Function, Object, Result, Value};

use super::raw;
use super::write::helpers;
use super::{Body, Bytes, Key, Node, Slot};

/// Makes a value of a tree, in this engine. `ports` are those of the message, opened, in the order
/// of its transfer list.
///
/// # Errors
/// When the engine has no memory left.
pub(crate) fn read<'js>(ctx: &Ctx<'js>, body: Body, ports: &[Value<'js>]) -> Result<Value<'js>> {
    let mut reader = Reader { ctx, helpers: None, ports, values: Vec::new(), parts: Vec::new() };
    // First all compounds, empty, so that one can hold another whatever their order.
    for node in body.nodes {
        let value = reader.make(node)?;
        reader.values.push(value);
    }
    for (place, parts) in std::mem::take(&mut reader.parts) {
        reader.fill(place, parts)?;
    }
    reader.value(&body.root)
}

/// What makes a value.
struct Reader<'a, 'js> {
    /// The engine.
    ctx: &'a Ctx<'js>,
    /// `js/internal/clone.js`, once it is needed.
    helpers: Option<Object<'js>>,
    /// The message's ports.
    ports: &'a [Value<'js>],
    /// The compounds that have been made, by their places.
    values: Vec<Value<'js>>,
    /// What is still to be put into some of them.
    parts: Vec<(usize, Parts)>,
}

/// The contents of a compound.
enum Parts {
    /// Properties, or elements.
    Properties(Vec<(Key, Slot)>),
    /// The items of a `Map`: keys and values in turn.
    Map(Vec<Slot>),
    /// The items of a `Set`.
    Set(Vec<Slot>),
    /// The cause of an error.
    Cause(Slot),
}

impl<'js> Reader<'_, 'js> {
    fn value(&self, slot: &Slot) -> Result<Value<'js>> {
        let ctx = self.ctx.clone();
        match slot {
            Slot::Undefined => Ok(Value::new_undefined(ctx)),
            Slot::Null => Ok(Value::new_null(ctx)),
            Slot::Bool(value) => Ok(Value::new_bool(ctx, *value)),
            Slot::Number(number) => Ok(raw::number(ctx, *number)),
            Slot::Text(text) => text.value(self.ctx),
            Slot::BigInt(digits) => {
                let bigint: Function = self.ctx.globals().get("BigInt")?;
                bigint.call((digits.value(self.ctx)?,))
            }
            Slot::Node(place) => self.values.get(*place).cloned().ok_or(Error::Unknown),
        }
    }

    /// A compound, without the parts that may name others.
    fn make(&mut self, node: Node) -> Result<Value<'js>> {
        let place = self.values.len();
        let ctx = self.ctx.clone();
        match node {
            Node::Object(properties) => {
                self.parts.push((place, Parts::Properties(properties)));
                Ok(Object::new(ctx)?.into_value())
            }
            Node::Array(length, elements) => {
                let array = Array::new(ctx)?;
                if elements.len() as u32 != length {
                    array.as_object().set("length", length)?;
                }
                self.parts.push((place, Parts::Properties(elements)));
                Ok(array.into_value())
            }
            Node::Map(items) => {
                self.parts.push((place, Parts::Map(items)));
                self.helper("map")?.call(())
            }
            Node::Set(items) => {
                self.parts.push((place, Parts::Set(items)));
                self.helper("set")?.call(())
            }
            Node::Date(time) => self.helper("date")?.call((time,)),
            Node::RegExp(source, flags) => {
                let parts = (self.value(&source)?, self.value(&flags)?);
                self.helper("regexp")?.call(parts)
            }
            Node::Boxed(inner) => {
                let inner = self.value(&inner)?;
                self.helper("box")?.call((inner,))
            }
            Node::Error([name, message, stack], cause) => {
                if let Some(cause) = cause {
                    self.parts.push((place, Parts::Cause(cause)));
                }
                let texts = (self.value(&name)?, self.value(&message)?, self.value(&stack)?);
                self.helper("error")?.call(texts)
            }
            Node::Buffer(Bytes::Copied(bytes)) => Ok(ArrayBuffer::new(ctx, bytes)?.into_value()),
            Node::Buffer(Bytes::Moved(mut block)) => {
                block.count();
                Ok(ArrayBuffer::from_source(ctx, block)?.into_value())
            }
            Node::Shared(block) => block.buffer(self.ctx),
            Node::View(view) => {
                let buffer = self.value(&view.buffer)?;
                match view.element {
                    Some(element) => {
                        raw::typed_array(self.ctx, element, &buffer, view.offset, view.length)
                    }
                    None => {
                        self.helper("view")?.call((buffer, view.offset as f64, view.length as f64))
                    }
                }
            }
            Node::Port(place) => self.ports.get(place).cloned().ok_or(Error::Unknown),
        }
    }

    /// Puts the contents into a compound.
    fn fill(&mut self, place: usize, parts: Parts) -> Result<()> {
        let target = self.values[place].clone();
        match parts {
            Parts::Properties(properties) => {
                let target = target.into_object().ok_or(Error::Unknown)?;
                for (key, slot) in &properties {
                    raw::define(&target, key, self.value(slot)?)?;
                }
                Ok(())
            }
            Parts::Map(items) => {
                let put = self.helper("mapSet")?;
                for pair in items.chunks_exact(2) {
                    let (key, value) = (self.value(&pair[0])?, self.value(&pair[1])?);
                    put.call::<_, ()>((target.clone(), key, value))?;
                }
                Ok(())
            }
            Parts::Set(items) => {
                let put = self.helper("setAdd")?;
                for item in &items {
                    put.call::<_, ()>((target.clone(), self.value(item)?))?;
                }
                Ok(())
            }
            Parts::Cause(cause) => {
                let cause = self.value(&cause)?;
                self.helper("setCause")?.call((target, cause))
            }
        }
    }

    /// A function of `js/internal/clone.js`.
    fn helper(&mut self, name: &str) -> Result<Function<'js>> {
        let helpers = match &self.helpers {
            Some(helpers) => helpers,
            None => self.helpers.insert(helpers(self.ctx)?),
        };
        helpers.get(name)
    }
}
