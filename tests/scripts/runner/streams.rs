//! Connections of a script: what arrives is what was sent, or the beginning of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use windlass::net::{TcpListener, TcpStream};

use super::{Body, Callback, Describe, Thing, World, is_of_the_end};

/// What both ends of a connection know of it.
struct Sent {
    /// All that is sent, in this order.
    bytes: Vec<u8>,
    /// The end was sent behind it, without an error.
    is_ended: Cell<bool>,
    /// A write was cancelled or has failed, so its bytes are perhaps missing.
    has_gap: Cell<bool>,
}

/// Sends so many bytes at a time through a connection of its own, and then the end.
pub(super) fn connect(world: &Rc<World>, sizes: &[u8], body: &Body) {
    let listener = match TcpListener::bind("127.0.0.1:0") {
        Ok(listener) => listener,
        Err(error) if is_of_the_end(&error) => return,
        Err(error) => return world.ledger.fault(format!("no listener: {error}")),
    };
    let count = sizes.iter().map(|size| usize::from(*size)).sum();
    let bytes = (0..count).map(|at| (at * 7 + at / 251) as u8).collect();
    let sent = Rc::new(Sent { bytes, is_ended: Cell::new(false), has_gap: Cell::new(false) });
    let end = Callback::new(world, "end", body);
    accept(world, &listener, &sent, end);

    let asked = TcpStream::connect(listener.local_addr().expect("it is bound"));
    world.add(Thing::Listener(listener));
    let callback = Callback::new(world, "connected", &Body::default()).due();
    let sizes = sizes.to_vec();
    asked.on_complete(move |result| {
        let world = callback.world.clone();
        callback.call_once(&result.describe());
        if let Ok(stream) = result {
            send(&world, stream, &sizes, sent);
        }
    });
}

fn accept(world: &Rc<World>, listener: &TcpListener, sent: &Rc<Sent>, end: Callback) {
    let (world, sent, end) = (world.clone(), sent.clone(), Cell::new(Some(end)));
    let own = listener.clone();
    listener.on_connection(move |result| {
        own.close();
        let (Ok(stream), Some(end)) = (result, end.take()) else { return };
        receive(&stream, sent.clone(), end);
        world.add(Thing::Stream(stream));
    });
}

/// Writes all, then the end, and reads to the end of what comes back: nothing.
fn send(world: &Rc<World>, stream: TcpStream, sizes: &[u8], sent: Rc<Sent>) {
    let mut rest = &sent.bytes[..];
    for size in sizes {
        let (piece, others) = rest.split_at(usize::from(*size));
        rest = others;
        let request = stream.write(piece);
        world.add(Thing::Request(request.canceller()));
        let (own, written) =
            (sent.clone(), Callback::new(world, "written", &Body::default()).due());
        request.on_complete(move |result| {
            own.has_gap.set(own.has_gap.get() | result.is_err());
            written.call_once(&result.describe());
        });
    }
    let own = sent.clone();
    let shut = Callback::new(world, "shut", &Body::default()).due();
    stream.shutdown().on_complete(move |result| {
        own.is_ended.set(result.is_ok());
        shut.call_once(&result.describe());
    });
    let ledger = world.ledger.clone();
    stream.read_start(move |stream, result| match result {
        Ok(bytes) if !bytes.is_empty() => ledger.fault("bytes from nobody".to_owned()),
        Ok(_) | Err(_) => stream.close(),
    });
    world.add(Thing::Stream(stream));
}

fn receive(stream: &TcpStream, sent: Rc<Sent>, end: Callback) {
    let (received, end) = (RefCell::new(Vec::new()), Cell::new(Some(end)));
    stream.read_start(move |stream, result| {
        let outcome = result.describe();
        match result {
            Ok(bytes) if !bytes.is_empty() => {
                return received.borrow_mut().extend_from_slice(bytes);
            }
            Ok(_) | Err(_) => stream.close(),
        }
        let received = received.take();
        let is_right = if sent.has_gap.get() {
            received.len() <= sent.bytes.len()
        } else if outcome == " ok" && sent.is_ended.get() {
            received == sent.bytes
        } else {
            sent.bytes.starts_with(&received)
        };
        let Some(end) = end.take() else { return };
        if !is_right {
            let (got, of) = (received.len(), sent.bytes.len());
            end.world.ledger.fault(format!("{}: {got} bytes of {of} arrived, or others", end.name));
        }
        end.call_once(&format!(" {}{outcome}", received.len()));
    });
}
