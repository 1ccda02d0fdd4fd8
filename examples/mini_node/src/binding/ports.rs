//! Channels between engines: ports and broadcast channels of windlass, by numbers that JavaScript
//! holds. `js/internal/messaging.js` makes objects of them.
//!
//! A number is good from when its port is opened until its close is told, or until it is
//! transferred; a broadcast channel's until it is closed. After that all functions ignore it.

use std::cell::RefCell;
use std::sync::Arc;

use rquickjs::function::Args;
use rquickjs::{Ctx, Error, Function, Object, Result, Value};
use slab::Slab;
use windlass::worker::{BroadcastChannel, Port, channel};
use windlass::{KeepAlive, Loop};

use crate::callback::Callback;
use crate::clone::{self, Body, End, Message, Transfer};
use crate::engine;
use crate::native::Natives;

/// A port that is open on this thread's loop.
struct Entry {
    /// The port.
    port: Port<Message, Message>,
    /// Its messages are delivered.
    is_started: bool,
    /// It is to keep the loop alive.
    is_ref: bool,
    /// Keeps the loop alive for it until it is started.
    hold: Option<KeepAlive>,
}

thread_local! {
    /// The open ports of this thread.
    static PORTS: RefCell<Slab<Entry>> = const { RefCell::new(Slab::new()) };
    /// Its open broadcast channels.
    static BROADCASTS: RefCell<Slab<BroadcastChannel<Arc<Body>>>> =
        const { RefCell::new(Slab::new()) };
}

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add_registering("channel", make_channel)?;
    natives.add_registering("attach", attach)?;
    natives.add_registering("start", start)?;
    natives.add("stop", stop)?;
    natives.add_registering("setRef", set_ref)?;
    natives.add("close", close)?;
    natives.add("isOpen", is_open)?;
    natives.add("post", post)?;
    natives.add_registering("receive", receive)?;
    natives.add_registering("clone", structured_clone)?;
    natives.add_registering("afterCheck", after_check)?;
    natives.add_registering("openBroadcast", open_broadcast)?;
    natives.add("postBroadcast", post_broadcast)?;
    natives.add("receiveBroadcast", receive_broadcast)?;
    natives.add("setBroadcastRef", set_broadcast_ref)?;
    natives.add("closeBroadcast", close_broadcast)?;
    Ok(natives.into_object())
}

/// Gives a port of this loop a number.
pub(super) fn insert(port: Port<Message, Message>) -> usize {
    let entry = Entry { port, is_started: false, is_ref: false, hold: None };
    PORTS.with_borrow_mut(|ports| ports.insert(entry))
}

/// The place in a table that a number names; of -1, which stands for what is closed or transferred,
/// one that no table has.
fn place(number: f64) -> usize {
    if number < 0.0 { usize::MAX } else { number as usize }
}

/// The port with this number.
fn port(number: f64) -> Option<Port<Message, Message>> {
    PORTS.with_borrow(|ports| ports.get(place(number)).map(|entry| entry.port.clone()))
}

fn remove(number: usize) -> Option<Entry> {
    PORTS.with_borrow_mut(|ports| ports.try_remove(number))
}

/// The numbers of the two ends of a new channel.
fn make_channel() -> Vec<usize> {
    let (one, other) = channel();
    vec![insert(one.open()), insert(other.open())]
}

/// Has `closed` called when the port is closed, from either side.
fn attach<'js>(ctx: Ctx<'js>, number: f64, closed: Function<'js>) {
    let Some(port) = port(number) else { return };
    let callback = Callback::new(&ctx, closed);
    port.on_close(move || {
        drop(remove(place(number)));
        callback.call(());
    });
}

/// Has `deliver(data, ports, error)` called for each message.
fn start<'js>(ctx: Ctx<'js>, number: f64, deliver: Function<'js>) {
    let Some(port) = port(number) else { return };
    let callback = Callback::new(&ctx, deliver);
    port.on_message(move |message| call_with_message(&callback, message));
    let (is_ref, hold) = PORTS.with_borrow_mut(|ports| match ports.get_mut(place(number)) {
        Some(entry) => {
            entry.is_started = true;
            (entry.is_ref, entry.hold.take())
        }
        None => (true, None),
    });
    port.set_ref(is_ref);
    drop(hold);
}

/// Has no message delivered until the port is started again. It is not to keep the loop alive.
fn stop(number: f64) {
    let Some(port) = port(number) else { return };
    PORTS.with_borrow_mut(|ports| {
        if let Some(entry) = ports.get_mut(place(number)) {
            entry.is_started = false;
        }
    });
    port.off_message();
}

fn set_ref(number: f64, on: bool) {
    let Some(port) = port(number) else { return };
    // Made and dropped outside of the borrow.
    let hold = on.then(|| Loop::current().keep_alive());
    let hold = PORTS.with_borrow_mut(|ports| {
        let entry = ports.get_mut(place(number))?;
        entry.is_ref = on;
        if entry.is_started { hold } else { std::mem::replace(&mut entry.hold, hold) }
    });
    if PORTS.with_borrow(|ports| ports.get(place(number)).is_some_and(|it| it.is_started)) {
        port.set_ref(on);
    }
    drop(hold);
}

fn close(number: f64) {
    if let Some(port) = port(number) {
        port.close();
    }
}

/// Whether the port is open. It may be closed without having been told of it.
fn is_open(number: f64) -> bool {
    port(number).is_some_and(|port| !port.is_closed())
}

/// Makes a message of a value. What it transfers is gone here, whatever becomes of the message.
pub(super) fn pack<'js>(
    ctx: &Ctx<'js>,
    value: Value<'js>,
    buffers: Vec<Object<'js>>,
    ports: Vec<Object<'js>>,
    numbers: Vec<f64>,
) -> Result<Message> {
    let transfer = Transfer { buffers, ports };
    let body = clone::write(ctx, value, &transfer)?;
    // A getter may have closed a port meanwhile: then an end goes that is closed.
    let end = |number| remove(place(number)).map_or_else(|| channel().0, |it| it.port.detach());
    Ok(Message { body, ports: numbers.into_iter().map(end).collect() })
}

/// Makes a value of a message, with its ports as objects.
pub(super) fn unpack<'js>(
    ctx: &Ctx<'js>,
    message: Message,
) -> Result<(Value<'js>, Vec<Value<'js>>)> {
    windlass::alloc::received(message.body.size());
    let ports = adopt(ctx, message.ports)?;
    Ok((clone::read(ctx, message.body, &ports)?, ports))
}

/// Opens ends on this loop, and gives their objects.
fn adopt<'js>(ctx: &Ctx<'js>, ends: Vec<End>) -> Result<Vec<Value<'js>>> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let messaging = engine::current().require(ctx, "internal/messaging")?;
    let adopt: Function = messaging.into_object().ok_or(Error::Unknown)?.get("adopt")?;
    ends.into_iter().map(|end| adopt.call((insert(end.open()),))).collect()
}

/// Calls `f(data, ports, error)`.
pub(super) fn call_with_message(callback: &Callback, message: Message) {
    callback.call_with(|ctx, args| match unpack(ctx, message) {
        Ok((value, ports)) => {
            args.push_arg(value)?;
            args.push_arg(ports)
        }
        Err(error) => push_failure(ctx, args, error),
    });
}

/// A message could not be read: pushes why in the third place.
fn push_failure<'js>(ctx: &Ctx<'js>, args: &mut Args<'js>, error: Error) -> Result<()> {
    let thrown = engine::thrown(ctx, error);
    args.push_arg(Value::new_undefined(ctx.clone()))?;
    args.push_arg(Value::new_undefined(ctx.clone()))?;
    args.push_arg(thrown)
}

/// Posts a value. Says whether the channel was lost: its other end was posted to itself.
fn post<'js>(
    ctx: Ctx<'js>,
    number: f64,
    value: Value<'js>,
    buffers: Vec<Object<'js>>,
    ports: Vec<Object<'js>>,
    numbers: Vec<f64>,
) -> Result<bool> {
    let message = pack(&ctx, value, buffers, ports, numbers)?;
    let Some(port) = port(number) else { return Ok(false) };
    if message.ports.iter().any(|end| port.is_peer(end)) {
        return Ok(true); // Dropped with the message, it closes the channel.
    }
    windlass::alloc::sent(message.body.size());
    port.post(message);
    Ok(false)
}

/// Takes the oldest message: its value in a list, or nothing.
fn receive<'js>(ctx: Ctx<'js>, number: f64) -> Result<Option<Vec<Value<'js>>>> {
    match port(number).and_then(|port| port.try_recv()) {
        Some(message) => unpack(&ctx, message).map(|(value, _)| Some(vec![value])),
        None => Ok(None),
    }
}

fn structured_clone<'js>(
    ctx: Ctx<'js>,
    value: Value<'js>,
    buffers: Vec<Object<'js>>,
    ports: Vec<Object<'js>>,
    numbers: Vec<f64>,
) -> Result<Value<'js>> {
    let message = pack(&ctx, value, buffers, ports, numbers)?;
    let ports = adopt(&ctx, message.ports)?;
    clone::read(&ctx, message.body, &ports)
}

/// Calls `f` in the close phase, as when a handle has been closed now.
fn after_check<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    let callback = Callback::new(&ctx, f);
    let closed = channel::<(), ()>().0.open();
    closed.close();
    closed.on_close(move || callback.call(()));
}

fn broadcast(number: f64) -> Option<BroadcastChannel<Arc<Body>>> {
    BROADCASTS.with_borrow(|channels| channels.get(place(number)).cloned())
}

/// Opens a broadcast channel. Has `deliver(data, error)` called for each message.
fn open_broadcast<'js>(ctx: Ctx<'js>, name: String, deliver: Function<'js>) -> usize {
    let callback = Callback::new(&ctx, deliver);
    let channel = BroadcastChannel::<Arc<Body>>::new(name);
    channel.on_message(move |body| {
        callback.call_with(|ctx, args| match clone::read(ctx, own(body), &[]) {
            Ok(value) => args.push_arg(value),
            Err(error) => {
                let thrown = engine::thrown(ctx, error);
                args.push_arg(Value::new_undefined(ctx.clone()))?;
                args.push_arg(thrown)
            }
        });
    });
    BROADCASTS.with_borrow_mut(|channels| channels.insert(channel))
}

/// The body that may be another's too.
fn own(body: Arc<Body>) -> Body {
    Arc::try_unwrap(body).unwrap_or_else(|body| Body::clone(&body))
}

fn post_broadcast<'js>(ctx: Ctx<'js>, number: f64, value: Value<'js>) -> Result<()> {
    let body = clone::write(&ctx, value, &Transfer::default())?;
    if let Some(channel) = broadcast(number) {
        channel.post(Arc::new(body));
    }
    Ok(())
}

fn receive_broadcast<'js>(ctx: Ctx<'js>, number: f64) -> Result<Option<Vec<Value<'js>>>> {
    match broadcast(number).and_then(|channel| channel.try_recv()) {
        Some(body) => Ok(Some(vec![clone::read(&ctx, own(body), &[])?])),
        None => Ok(None),
    }
}

fn set_broadcast_ref(number: f64, on: bool) {
    if let Some(channel) = broadcast(number) {
        channel.set_ref(on);
    }
}

fn close_broadcast(number: f64) {
    let place = place(number);
    let channel = BROADCASTS.with_borrow_mut(|channels| channels.try_remove(place));
    if let Some(channel) = channel {
        channel.close();
    }
}
