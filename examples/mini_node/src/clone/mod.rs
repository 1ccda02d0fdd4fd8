//! Structured clones: a value of one engine as a tree that belongs to none.
//!
//! [`write`] walks a value and makes a [`Message`] of it, which may cross threads; [`read`] makes a
//! value of it again, in the engine that gets it. What is transferred is not copied: the memory of
//! an `ArrayBuffer` moves with the message and is gone at the sender, and a port moves as an end of
//! a windlass channel.
//!
//! The tree is flat: compounds stand in one list and name each other by their place in it. So a
//! cycle is nothing special, and neither the walk nor a drop can run out of stack.
//!
//! What a message may hold is what the standard says (HTML, "safe passing of structured data"). How
//! Node words a refusal is in `js/internal/clone.js`, as is all that JavaScript itself can do best.

mod raw;
mod read;
mod shared;
mod write;

use windlass::worker::PortEnd;

pub(crate) use raw::bytes;
pub(crate) use read::read;
pub(crate) use shared::share_buffers;
pub(crate) use write::{Transfer, write};

use crate::memory::Block;
use raw::Text;
use shared::SharedBlock;

/// An end of a channel between two engines.
pub(crate) type End = PortEnd<Message, Message>;

/// A value on its way from one engine to another, with the ports that go with it.
pub(crate) struct Message {
    /// The value.
    pub(crate) body: Body,
    /// The ports of its transfer list, in that order.
    pub(crate) ports: Vec<End>,
}

/// A value that belongs to no engine.
#[derive(Clone)]
pub(crate) struct Body {
    /// The value itself.
    root: Slot,
    /// The compounds in it, in the order in which the walk met them.
    nodes: Vec<Node>,
}

impl Body {
    /// How many bytes it has allocated, those aside that were moved: so many go from the sender's
    /// count to the receiver's.
    pub(crate) fn size(&self) -> usize {
        let nodes = self.nodes.capacity() * size_of::<Node>();
        nodes + self.root.size() + self.nodes.iter().map(Node::size).sum::<usize>()
    }
}

/// A place for a value.
#[derive(Clone)]
enum Slot {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(Text),
    /// A bigint, in decimal digits.
    BigInt(Text),
    /// A compound, by its place in the list.
    Node(usize),
}

impl Slot {
    /// What it has allocated, in bytes.
    fn size(&self) -> usize {
        if let Slot::Text(text) | Slot::BigInt(text) = self { text.size() } else { 0 }
    }
}

/// A property of an object, or an element of an array.
#[derive(Clone)]
enum Key {
    /// An array index.
    Index(u32),
    /// Any other name.
    Name(Text),
}

/// A compound value.
#[derive(Clone)]
enum Node {
    /// An object, by its own enumerable properties.
    Object(Vec<(Key, Slot)>),
    /// An array of this length, by the elements that are there, and its other properties.
    Array(u32, Vec<(Key, Slot)>),
    /// A `Map`, in its order: keys and values in turn.
    Map(Vec<Slot>),
    /// A `Set`, in its order.
    Set(Vec<Slot>),
    /// A `Date`, in milliseconds since 1970.
    Date(f64),
    /// A `RegExp`: source and flags.
    RegExp(Slot, Slot),
    /// A primitive in an object.
    Boxed(Slot),
    /// An error: its constructor's name, its message and its stack, undefined where it has none,
    /// and its cause, if it has one.
    Error([Slot; 3], Option<Slot>),
    /// An `ArrayBuffer`.
    Buffer(Bytes),
    /// A `SharedArrayBuffer`.
    Shared(SharedBlock),
    /// A view on a buffer.
    View(View),
    /// A port, by its place in the transfer list.
    Port(usize),
}

impl Node {
    /// What it has allocated, in bytes.
    fn size(&self) -> usize {
        let slots = |slots: &[Slot]| slots.iter().map(Slot::size).sum::<usize>();
        match self {
            Node::Object(properties) | Node::Array(_, properties) => {
                let size = |(key, slot): &(Key, Slot)| match key {
                    Key::Index(_) => slot.size(),
                    Key::Name(name) => name.size() + slot.size(),
                };
                let list = properties.capacity() * size_of::<(Key, Slot)>();
                list + properties.iter().map(size).sum::<usize>()
            }
            Node::Map(items) | Node::Set(items) => {
                items.capacity() * size_of::<Slot>() + slots(items)
            }
            Node::RegExp(source, flags) => source.size() + flags.size(),
            Node::Boxed(inner) => inner.size(),
            Node::Error(texts, _) => slots(texts),
            Node::Buffer(Bytes::Copied(bytes)) => bytes.capacity(),
            Node::Buffer(Bytes::Moved(_))
            | Node::Date(_)
            | Node::Shared(_)
            | Node::View(_)
            | Node::Port(_) => 0,
        }
    }
}

/// The contents of an `ArrayBuffer`.
enum Bytes {
    /// A copy of them.
    Copied(Vec<u8>),
    /// The memory itself, which the sender has no more. It counts for no thread on its way.
    Moved(Block),
}

impl Clone for Bytes {
    fn clone(&self) -> Bytes {
        match self {
            Bytes::Copied(bytes) => Bytes::Copied(bytes.clone()),
            Bytes::Moved(block) => Bytes::Copied(block.bytes().to_vec()),
        }
    }
}

/// A typed array or a `DataView`.
#[derive(Clone)]
struct View {
    /// The engine's number for the element type. None for a `DataView`.
    element: Option<i32>,
    /// Its buffer, which stands before it in the list.
    buffer: Slot,
    /// Where it begins, in bytes.
    offset: usize,
    /// How many elements it has; of a `DataView`, how many bytes.
    length: usize,
}
