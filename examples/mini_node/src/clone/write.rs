//! From a value to a tree.

use std::collections::{HashMap, HashSet};

use rquickjs::{Ctx, Error, Function, Object, Result, Value};

use super::raw::{self, Classes, Kind, Properties, Text};
use super::shared::SharedBlock;
use super::{Body, Bytes, Node, Slot, View};
use crate::engine;

/// What a message takes with it instead of copying it.
#[derive(Default)]
pub(crate) struct Transfer<'js> {
    /// Array buffers. They are detached when all is written.
    pub(crate) buffers: Vec<Object<'js>>,
    /// Ports.
    pub(crate) ports: Vec<Object<'js>>,
}

/// Makes a tree of a value. Getters of the value may run.
///
/// # Errors
/// What a getter threw; a `DataCloneError` for what has no clone. Then nothing was transferred.
pub(crate) fn write<'js>(
    ctx: &Ctx<'js>,
    value: Value<'js>,
    transfer: &Transfer<'js>,
) -> Result<Body> {
    let places = |objects: &[Object<'js>]| {
        objects.iter().enumerate().map(|(place, object)| (raw::identity(object), place)).collect()
    };
    let mut writer = Writer {
        ctx,
        classes: Classes::learn(ctx)?,
        helpers: None,
        moved: transfer.buffers.iter().map(raw::identity).collect(),
        ports: places(&transfer.ports),
        seen: HashMap::new(),
        objects: Vec::new(),
        nodes: Vec::new(),
        frames: Vec::new(),
    };
    let root = writer.slot(value)?;
    writer.walk()?;
    let Writer { mut nodes, seen, .. } = writer;
    for buffer in &transfer.buffers {
        // Also those that are not in the value are gone for the sender.
        let bytes = raw::take(buffer);
        if let (Some(bytes), Some(place)) = (bytes, seen.get(&raw::identity(buffer))) {
            nodes[*place] = Node::Buffer(bytes);
        }
    }
    Ok(Body { root, nodes })
}

/// The walk over a value, depth first: what is met is written before what comes after it.
struct Writer<'a, 'js> {
    /// The engine.
    ctx: &'a Ctx<'js>,
    /// Its classes.
    classes: Classes,
    /// `js/internal/clone.js`, once it is needed.
    helpers: Option<Object<'js>>,
    /// The buffers that are transferred.
    moved: HashSet<usize>,
    /// The places of the transferred ports.
    ports: HashMap<usize, usize>,
    /// The places of the objects that were met.
    seen: HashMap<usize, usize>,
    /// These objects, which must live until the walk ends: a getter may have made them.
    objects: Vec<Object<'js>>,
    /// What has been written.
    nodes: Vec<Node>,
    /// The compounds that the walk is in, the innermost last.
    frames: Vec<Frame<'js>>,
}

/// A compound of which a part is still to be written.
struct Frame<'js> {
    /// Its place.
    node: usize,
    /// What is left of it.
    rest: Rest<'js>,
}

/// What is left of a compound.
enum Rest<'js> {
    /// Properties.
    Properties(Properties<'js>),
    /// The items of a `Map` or a `Set`.
    Items(std::vec::IntoIter<Value<'js>>),
}

impl<'js> Writer<'_, 'js> {
    fn walk(&mut self) -> Result<()> {
        while let Some(frame) = self.frames.last_mut() {
            let node = frame.node;
            let (key, value) = match &mut frame.rest {
                Rest::Properties(rest) => match rest.next()? {
                    Some((key, value)) => (Some(key), value),
                    None => {
                        self.frames.pop();
                        continue;
                    }
                },
                Rest::Items(rest) => match rest.next() {
                    Some(value) => (None, value),
                    None => {
                        self.frames.pop();
                        continue;
                    }
                },
            };
            let slot = self.slot(value)?;
            match (&mut self.nodes[node], key) {
                (Node::Object(properties) | Node::Array(_, properties), Some(key)) => {
                    properties.push((key, slot));
                }
                (Node::Map(items) | Node::Set(items), None) => items.push(slot),
                _ => unreachable!("a frame is of a compound with parts"),
            }
        }
        Ok(())
    }

    /// The place for a value. What is in it follows.
    fn slot(&mut self, value: Value<'js>) -> Result<Slot> {
        if value.is_undefined() {
            Ok(Slot::Undefined)
        } else if value.is_null() {
            Ok(Slot::Null)
        } else if let Some(value) = value.as_bool() {
            Ok(Slot::Bool(value))
        } else if let Some(number) = value.as_number() {
            Ok(Slot::Number(number))
        } else if value.is_string() {
            Text::of(&value).map(Slot::Text)
        } else if value.is_big_int() {
            Text::of(&value).map(Slot::BigInt)
        } else if value.is_object() {
            match value.clone().into_object() {
                Some(object) => self.object(object),
                None => self.refuse(value),
            }
        } else {
            self.refuse(value)
        }
    }

    fn object(&mut self, object: Object<'js>) -> Result<Slot> {
        let identity = raw::identity(&object);
        if let Some(place) = self.seen.get(&identity) {
            return Ok(Slot::Node(*place));
        }
        match self.classes.kind(&object) {
            Kind::Plain => self.plain(object),
            Kind::Array => {
                let length: f64 = object.get("length")?;
                let node = self.add(&object, Node::Array(length as u32, Vec::new()));
                self.enter(node, Rest::Properties(Properties::of(object)?))
            }
            Kind::Map => {
                let items: Vec<Value> = self.helper("entries", &object)?;
                let node = self.add(&object, Node::Map(Vec::with_capacity(items.len())));
                self.enter(node, Rest::Items(items.into_iter()))
            }
            Kind::Set => {
                let items: Vec<Value> = self.helper("values", &object)?;
                let node = self.add(&object, Node::Set(Vec::with_capacity(items.len())));
                self.enter(node, Rest::Items(items.into_iter()))
            }
            Kind::Date => {
                let time = self.helper("time", &object)?;
                Ok(Slot::Node(self.add(&object, Node::Date(time))))
            }
            Kind::RegExp => {
                let [source, flags] = self.parts("regexpParts", &object)?;
                let node = Node::RegExp(self.slot(source)?, self.slot(flags)?);
                Ok(Slot::Node(self.add(&object, node)))
            }
            Kind::Boxed => {
                let inner: Value = self.helper("unbox", &object)?;
                let node = Node::Boxed(self.slot(inner)?);
                Ok(Slot::Node(self.add(&object, node)))
            }
            Kind::Error => self.error(object),
            Kind::Buffer => {
                let bytes = if self.moved.contains(&identity) {
                    raw::bytes(&object).map(|_| Vec::new()) // Taken when all is written.
                } else {
                    raw::copy(&object)
                };
                match bytes {
                    Some(bytes) => {
                        let node = Node::Buffer(Bytes::Copied(bytes));
                        Ok(Slot::Node(self.add(&object, node)))
                    }
                    None => self.fail("detached", object.into_value()),
                }
            }
            Kind::SharedBuffer => {
                let block =
                    raw::bytes(&object).and_then(|(start, len)| SharedBlock::of(start, len));
                match block {
                    Some(block) => Ok(Slot::Node(self.add(&object, Node::Shared(block)))),
                    None => self.refuse(object.into_value()),
                }
            }
            Kind::TypedArray(element) => {
                let Ok((buffer, offset, length)) = raw::place(&object) else {
                    drop(object.ctx().catch()); // In the engine's words.
                    return self.fail("detached", object.into_value());
                };
                let buffer = self.slot(buffer)?;
                let view = View { element: Some(element), buffer, offset, length };
                Ok(Slot::Node(self.add(&object, Node::View(view))))
            }
            Kind::DataView => {
                let [buffer, offset, length] = self.parts("viewParts", &object)?;
                let number = |value: Value| value.as_number().unwrap_or_default() as usize;
                let (offset, length) = (number(offset), number(length));
                let buffer = self.slot(buffer)?;
                let view = View { element: None, buffer, offset, length };
                Ok(Slot::Node(self.add(&object, Node::View(view))))
            }
            Kind::Other => self.refuse(object.into_value()),
        }
    }

    /// An object without inner state: a port, or what its properties say.
    fn plain(&mut self, object: Object<'js>) -> Result<Slot> {
        if let Some(place) = self.ports.get(&raw::identity(&object)) {
            let node = Node::Port(*place);
            return Ok(Slot::Node(self.add(&object, node)));
        }
        if self.helper("isPort", &object)? {
            return self.fail("notListed", object.into_value());
        }
        let node = self.add(&object, Node::Object(Vec::new()));
        self.enter(node, Rest::Properties(Properties::of(object)?))
    }

    fn error(&mut self, object: Object<'js>) -> Result<Slot> {
        // Noted before its cause, which may be the error itself.
        let node = self.add(&object, Node::Set(Vec::new()));
        let [name, message, stack, has_cause, cause] = self.parts("errorParts", &object)?;
        let texts = [self.slot(name)?, self.slot(message)?, self.slot(stack)?];
        let has_cause = has_cause.as_bool().unwrap_or_default();
        let cause = if has_cause { Some(self.slot(cause)?) } else { None };
        self.nodes[node] = Node::Error(texts, cause);
        Ok(Slot::Node(node))
    }

    fn add(&mut self, object: &Object<'js>, node: Node) -> usize {
        let place = self.nodes.len();
        self.seen.insert(raw::identity(object), place);
        self.objects.push(object.clone());
        self.nodes.push(node);
        place
    }

    fn enter(&mut self, node: usize, rest: Rest<'js>) -> Result<Slot> {
        self.frames.push(Frame { node, rest });
        Ok(Slot::Node(node))
    }

    /// Calls a function of `js/internal/clone.js`.
    fn helper<T: rquickjs::FromJs<'js>>(&mut self, name: &str, object: &Object<'js>) -> Result<T> {
        let helpers = match &self.helpers {
            Some(helpers) => helpers,
            None => self.helpers.insert(helpers(self.ctx)?),
        };
        helpers.get::<_, Function>(name)?.call((object.clone(),))
    }

    fn parts<const N: usize>(
        &mut self,
        name: &str,
        object: &Object<'js>,
    ) -> Result<[Value<'js>; N]> {
        let parts: Vec<Value> = self.helper(name, object)?;
        parts.try_into().map_err(|_| Error::Unknown)
    }

    /// There is no clone of the value.
    fn refuse(&mut self, value: Value<'js>) -> Result<Slot> {
        self.fail("refusal", value)
    }

    /// Throws what a function of `js/internal/clone.js` makes of the value.
    fn fail(&mut self, name: &str, value: Value<'js>) -> Result<Slot> {
        let error = helpers(self.ctx)?.get::<_, Function>(name)?.call::<_, Value>((value,))?;
        Err(self.ctx.throw(error))
    }
}

/// `js/internal/clone.js`.
pub(super) fn helpers<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let exports = engine::current().require(ctx, "internal/clone")?;
    exports.into_object().ok_or(Error::Unknown)
}
