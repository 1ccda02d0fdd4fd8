//! The native part of `net`: sockets of the loop as objects of functions.
//!
//! A number of 0 is success, another the system's error. A function that JavaScript gives for
//! several calls (`readStart`, `listen`) is kept by the loop until the socket closes.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use rquickjs::function::Opt;
use rquickjs::{Ctx, Function, IntoJs, Object, Result, Value};
use windlass::net::{TcpListener, TcpStream};

use crate::bytes::{self, Bytes, Text};
use crate::callback::Callback;
use crate::errno;
use crate::native::{Natives, function};

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add_registering("connect", connect)?;
    natives.add_registering("listen", listen)?;
    Ok(natives.into_object())
}

/// The address of a text that JavaScript knows to be one.
fn address(host: &str, port: u16) -> std::io::Result<SocketAddr> {
    let ip: std::result::Result<IpAddr, _> = host.parse();
    match ip {
        Ok(ip) => Ok(SocketAddr::new(ip, port)),
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::InvalidInput)),
    }
}

/// Connects to an address: `done(number, stream)`. Returns a function that gives up.
fn connect<'js>(
    ctx: Ctx<'js>,
    host: Text,
    port: u16,
    done: Function<'js>,
) -> Result<Function<'js>> {
    let callback = Callback::new(&ctx, done);
    let request = match address(&host.0, port) {
        Ok(address) => TcpStream::connect(address),
        Err(_) => TcpStream::connect(format!("{}:{port}", host.0)),
    };
    let canceller = request.canceller();
    request.on_complete(move |result| tell_stream(&callback, result));
    function(&ctx, move || canceller.cancel().is_ok())
}

/// Listens: `[number, listener]`. `on_connection(number, stream)` is called for each connection.
fn listen<'js>(
    ctx: Ctx<'js>,
    host: Text,
    port: u16,
    backlog: u32,
    on_connection: Function<'js>,
) -> Result<Vec<Value<'js>>> {
    let bound = address(&host.0, port)
        .and_then(|address| TcpListener::builder().backlog(backlog).bind(address));
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => return Ok(vec![errno::of(&error).into_js(&ctx)?]),
    };
    let callback = Callback::new(&ctx, on_connection);
    listener.on_connection(move |connection| tell_stream(&callback, connection));
    Ok(vec![0.into_js(&ctx)?, listener_object(&ctx, listener)?.into_value()])
}

/// Calls `f(number, stream)`.
fn tell_stream(callback: &Callback, stream: std::io::Result<TcpStream>) {
    callback.call_with(|ctx, args| match stream {
        Ok(stream) => {
            args.push_arg(0)?;
            args.push_arg(stream_object(ctx, stream)?)
        }
        Err(error) => args.push_arg(errno::of(&error)),
    });
}

fn listener_object<'js>(ctx: &Ctx<'js>, listener: TcpListener) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    let handle = listener.clone();
    natives.add("address", move |ctx| name(&ctx, handle.local_addr()))?;
    let handle = listener.clone();
    let set_ref = move |on: bool| {
        handle.set_ref(on);
    };
    natives.add("setRef", set_ref)?;
    let handle = listener.clone();
    natives.add("hasRef", move || handle.has_ref())?;
    natives.set("fd", listener.as_raw_fd())?;
    let close = move |ctx: Ctx<'js>, done: Opt<Function<'js>>| {
        let callback = done.0.map(|done| Callback::new(&ctx, done));
        // Without a function too: as in Node the loop lives until all that it closes is closed.
        listener.on_close(move || callback.iter().for_each(|callback| callback.call(())));
        listener.close();
    };
    natives.add_registering("close", close)?;
    Ok(natives.into_object())
}

fn stream_object<'js>(ctx: &Ctx<'js>, stream: TcpStream) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    reading(&natives, &stream)?;
    writing(&natives, &stream)?;
    ending(&natives, &stream)?;
    let handle = stream.clone();
    natives.add("address", move |ctx| name(&ctx, handle.local_addr()))?;
    let handle = stream.clone();
    natives.add("peer", move |ctx| name(&ctx, handle.peer_addr()))?;
    let handle = stream.clone();
    let set_ref = move |on: bool| {
        handle.set_ref(on);
    };
    natives.add("setRef", set_ref)?;
    let handle = stream.clone();
    natives.add("hasRef", move || handle.has_ref())?;
    let handle = stream.clone();
    let no_delay = move |on: bool| number(handle.set_nodelay(on));
    natives.add("setNoDelay", no_delay)?;
    let keep_alive = move |on: bool, seconds: f64| {
        number(stream.set_keepalive(on.then(|| Duration::from_secs_f64(seconds.clamp(1.0, 1e6)))))
    };
    natives.add("setKeepAlive", keep_alive)?;
    Ok(natives.into_object())
}

/// `readStart(f)`: `f(number, bytes)`, with no bytes at the end of the stream. `readStop()`.
fn reading<'js>(natives: &Natives<'js>, stream: &TcpStream) -> Result<()> {
    let handle = stream.clone();
    let start = move |ctx: Ctx<'js>, on_read: Function<'js>| {
        let callback = Callback::new(&ctx, on_read);
        handle.read_start(move |_, bytes| {
            callback.call_with(|_, args| match bytes {
                Ok([]) => args.push_arg(0),
                Ok(bytes) => {
                    args.push_arg(0)?;
                    args.push_arg(Bytes(bytes.to_vec()))
                }
                Err(error) => args.push_arg(errno::of(&error)),
            });
        });
    };
    natives.add_registering("readStart", start)?;
    let handle = stream.clone();
    natives.add("readStop", move || handle.read_stop())
}

/// `write(bytes, done)`: true when the system has taken all at once, and `done` is not called;
/// else it is, with a number. `shutdown(done)`.
fn writing<'js>(natives: &Natives<'js>, stream: &TcpStream) -> Result<()> {
    let handle = stream.clone();
    let write = move |ctx: Ctx<'js>, bytes: Value<'js>, done: Function<'js>| -> Result<bool> {
        let rest = bytes::with(&bytes, |bytes| {
            // An error is met again by the write of what is left, and told in its turn.
            let taken = handle.try_write(bytes).unwrap_or(0);
            (taken < bytes.len()).then(|| bytes[taken..].to_vec())
        })?;
        let Some(rest) = rest else { return Ok(true) };
        let callback = Callback::new(&ctx, done);
        handle.write_owned(rest).on_complete(move |result| callback.call((number(result),)));
        Ok(false)
    };
    natives.add_registering("write", write)?;
    let handle = stream.clone();
    let shutdown = move |ctx: Ctx<'js>, done: Function<'js>| {
        let callback = Callback::new(&ctx, done);
        handle.shutdown().on_complete(move |result| callback.call((number(result),)));
    };
    natives.add_registering("shutdown", shutdown)?;
    let handle = stream.clone();
    let queued = move || handle.write_queue_size() as f64;
    natives.add("writeQueueSize", queued)
}

/// `close(done)`, `reset(done)`: the function is called in the close phase.
fn ending<'js>(natives: &Natives<'js>, stream: &TcpStream) -> Result<()> {
    let handle = stream.clone();
    let close = move |ctx: Ctx<'js>, done: Function<'js>| {
        let callback = Callback::new(&ctx, done);
        handle.on_close(move || callback.call(()));
        handle.close();
    };
    natives.add_registering("close", close)?;
    let handle = stream.clone();
    let reset = move |ctx: Ctx<'js>, done: Function<'js>| {
        let callback = Callback::new(&ctx, done);
        handle.on_close(move || callback.call(()));
        number(handle.close_reset())
    };
    natives.add_registering("reset", reset)
}

/// `[address, port, family]`, or undefined when the system no longer knows.
fn name<'js>(ctx: &Ctx<'js>, name: std::io::Result<SocketAddr>) -> Result<Value<'js>> {
    let Ok(name) = name else { return Ok(Value::new_undefined(ctx.clone())) };
    let family = if name.is_ipv4() { "IPv4" } else { "IPv6" };
    let parts = (name.ip().to_string(), name.port(), family);
    let array = rquickjs::Array::new(ctx.clone())?;
    array.set(0, parts.0)?;
    array.set(1, parts.1)?;
    array.set(2, parts.2)?;
    Ok(array.into_value())
}

fn number(result: std::io::Result<()>) -> i32 {
    result.map_or_else(|error| errno::of(&error), |()| 0)
}
