//! Datagrams of a script: what arrives is what was sent, whole; each once where nothing fails.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use windlass::net::UdpSocket;
use windlass::{set_immediate, set_timeout};

use super::{Body, Callback, Thing, World, is_of_the_end};

/// After this time all that was sent is here. By default a datagram travels 1 ms at most.
const TRAVEL: Duration = Duration::from_millis(100);

/// Sends datagrams of these sizes from a socket to another one of the same loop.
pub(super) fn exchange(world: &Rc<World>, sizes: &[u8], body: &Body) {
    let bind = || UdpSocket::bind("127.0.0.1:0");
    let (receiver, sender) = match (bind(), bind()) {
        (Ok(receiver), Ok(sender)) => (receiver, sender),
        (Err(error), _) | (_, Err(error)) if is_of_the_end(&error) => return,
        (Err(error), _) | (_, Err(error)) => {
            return world.ledger.fault(format!("no socket: {error}"));
        }
    };
    let to = receiver.local_addr().expect("it is bound");
    let sent: Rc<[Vec<u8>]> = (0..).zip(sizes).map(|(at, size)| content(at, *size)).collect();
    let counts = Rc::new(RefCell::new(vec![0; sent.len()]));
    let (ledger, own, expected) = (world.ledger.clone(), counts.clone(), sent.clone());
    receiver.recv_start(move |_, result| {
        // Only a datagram brings something: no error comes back to a socket that is not connected.
        let Ok(datagram) = result else { return ledger.fault("a receive that fails".to_owned()) };
        match expected.iter().position(|sent| sent == datagram.data) {
            Some(at) => own.borrow_mut()[at] += 1,
            None => ledger.fault(format!("{:?} was never sent", datagram.data)),
        }
    });
    let failed = Rc::new(Cell::new(false));
    for data in sent.iter() {
        let (failed, callback) =
            (failed.clone(), Callback::new(world, "sent", &Body::default()).due());
        sender.send_to(data, to).on_complete(move |result| {
            failed.set(failed.get() | result.is_err());
            callback.call_once(if result.is_ok() { " ok" } else { " failed" });
        });
    }
    let (callback, own) = (Callback::new(world, "datagrams", body), receiver.clone());
    let look = move || {
        let counts = counts.borrow();
        let is_whole = own.is_closing() || failed.get() || counts.iter().all(|count| *count == 1);
        let ledger = &callback.world.ledger;
        if counts.iter().any(|count| *count > 2) || !ledger.clock.has_faults() && !is_whole {
            ledger.fault(format!("{}: {counts:?} times", callback.name));
        }
        own.close();
        let (lost, twice) = (counts.contains(&0), counts.contains(&2));
        drop(counts);
        callback.call_once(match (lost, twice) {
            (false, false) => " whole",
            (true, false) => " lost",
            (false, true) => " twice",
            (true, true) => " lost and twice",
        });
    };
    // A loop that was busy all that time has yet to come to a poll phase.
    world.add(Thing::Timer(set_timeout(TRAVEL, || _ = set_immediate(look))));
    world.add(Thing::Datagrams(receiver));
    world.add(Thing::Datagrams(sender));
}

/// The bytes of the datagram with this number.
fn content(at: u8, size: u8) -> Vec<u8> {
    std::iter::once(at).chain((0..size).map(|byte| byte ^ at)).collect()
}
