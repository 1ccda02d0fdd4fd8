//! `postMessageToThread`: messages from any thread to any other, by its number.
//!
//! The crate delivers those to workers. The main thread's loop has no number there: it listens on a
//! broadcast channel instead, from when it has its first worker on, and answers on a port that comes
//! with the message.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rquickjs::{Array, Ctx, Function, Object, Result, Value};
use windlass::worker::{self, BroadcastChannel, PortEnd, channel};

use super::ports;
use crate::callback::Callback;
use crate::clone::Message;
use crate::engine::{self, Hook};
use crate::label;
use crate::native::Natives;
use crate::observed;

/// What becomes of a message, by the numbers of `js/internal/threads.js`.
const NOBODY: u8 = 1;
const THREW: u8 = 2;

/// The name of the channel on which the main thread listens.
const MAIN: &str = "mini_node: the main thread";

/// A message for a worker.
struct ToWorker {
    /// The message.
    message: Message,
    /// What became of it, once the listener has returned.
    answer: Arc<AtomicU8>,
}

/// A message for the main thread, which takes it out.
type ToMain = Arc<Mutex<Option<Addressed>>>;

/// What the main thread takes.
struct Addressed {
    /// The number of the sender.
    from: u64,
    /// The message.
    message: Message,
    /// Where the answer goes.
    reply: PortEnd<u8, ()>,
}

thread_local! {
    /// The main thread listens.
    static LISTENS: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("onMessage", on_message)?;
    natives.add_registering("post", post)?;
    Ok(natives.into_object())
}

/// Has `f(value, from)` called for each message; it says what became of it.
fn on_message<'js>(ctx: Ctx<'js>, f: Function<'js>) {
    engine::current().set_hook(&ctx, Hook::Direct, f);
}

/// This thread can be posted to from now on: a worker when it begins, the main thread when it has
/// its first worker.
pub(super) fn listen() {
    let label = label::now();
    if !worker::is_main() {
        worker::on_direct_message(move |from, ToWorker { message, answer }| {
            let became = label::within(label, || deliver(from, message));
            answer.store(became, Ordering::Release);
        });
    } else if !LISTENS.replace(true) {
        let main = BroadcastChannel::<ToMain>::new(MAIN);
        main.set_ref(false);
        main.on_message(move |letter| {
            let letter = letter.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Addressed { from, message, reply }) = letter else { return };
            label::within(label, || {
                let reply = reply.open();
                reply.post(deliver(from, message));
                reply.close();
            });
        });
    }
}

/// Gives a message to this thread's listeners, and says what became of it.
fn deliver(from: u64, message: Message) -> u8 {
    let engine = engine::current();
    if engine::must_stop() {
        return NOBODY;
    }
    observed::called();
    engine.with(|ctx| {
        let Some(hook) = engine.hook(&ctx, Hook::Direct) else { return NOBODY };
        let answer = ports::unpack(&ctx, message)
            .and_then(|(value, _)| hook.call::<_, f64>((value, from as f64)));
        answer.map_or_else(
            |error| {
                drop(engine::thrown(&ctx, error));
                // A listener that ended the program has thrown nothing.
                if engine::must_stop() { NOBODY } else { THREW }
            },
            |answer| answer as u8,
        )
    })
}

/// Posts a value: `to` is the number of a thread, and a function that is called with what became of
/// the message.
fn post<'js>(
    ctx: Ctx<'js>,
    to: Array<'js>,
    value: Value<'js>,
    buffers: Vec<Object<'js>>,
    transferred: Vec<Object<'js>>,
    numbers: Vec<f64>,
) -> Result<()> {
    let (thread, done): (f64, Function) = (to.get(0)?, to.get(1)?);
    let message = ports::pack(&ctx, value, buffers, transferred, numbers)?;
    windlass::alloc::sent(message.body.size());
    let done = Callback::new(&ctx, done);
    if thread == 0.0 {
        to_main(message, done);
    } else {
        let answer = Arc::new(AtomicU8::new(NOBODY));
        let letter = ToWorker { message, answer: answer.clone() };
        // No number that is none names a worker.
        let number = if thread > 0.0 { thread as u64 } else { u64::MAX };
        worker::post_direct(number, letter, None).on_complete(move |delivered| {
            let answer = if delivered.is_ok() { answer.load(Ordering::Acquire) } else { NOBODY };
            done.call((answer,));
        });
    }
    Ok(())
}

/// Posts a message to the main thread.
fn to_main(message: Message, done: Callback) {
    let (reply, answers) = channel::<u8, ()>();
    let answers = answers.open();
    // The first of an answer and the end of the channel tells.
    let (answered, closed) = (Arc::new(AtomicU8::new(NOBODY)), answers.clone());
    let answer = answered.clone();
    answers.on_message(move |what| answer.store(what, Ordering::Relaxed));
    closed.on_close(move || done.call((answered.load(Ordering::Relaxed),)));
    let letter = Addressed { from: worker::id(), message, reply };
    let main = BroadcastChannel::<ToMain>::new(MAIN);
    main.post(Arc::new(Mutex::new(Some(letter))));
    main.close();
}
