//! The native part of `crypto`: keys and random bytes on the pool, and digests at once.

use std::io;

use rquickjs::function::Opt;
use rquickjs::{Array, Ctx, Function, IntoJs, Object, Result, Value};
use windlass::crypto::{self, Digest};
use windlass::{Request, WorkKind};

use crate::bytes::Bytes;
use crate::callback::Callback;
use crate::errno;
use crate::native::Natives;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("hash", hash)?;
    natives.add_registering("pbkdf2", pbkdf2)?;
    natives.add_registering("scrypt", scrypt)?;
    natives.add_registering("randomBytes", random_bytes)?;
    natives.add("timingSafeEqual", timing_safe_equal)?;
    Ok(natives.into_object())
}

/// The hash functions there are. Their names are compared as Node does: without regard to case.
fn digest(name: &str) -> Option<Digest> {
    match &*name.to_ascii_lowercase() {
        "sha1" => Some(Digest::Sha1),
        "sha256" => Some(Digest::Sha256),
        "sha384" => Some(Digest::Sha384),
        "sha512" => Some(Digest::Sha512),
        _ => None,
    }
}

/// The digest of bytes. Undefined for a name that is not known.
fn hash<'js>(ctx: Ctx<'js>, name: String, bytes: Bytes) -> Result<Value<'js>> {
    match digest(&name) {
        Some(digest) => Bytes(digest.of(&bytes.0)).into_js(&ctx),
        None => Ok(Value::new_undefined(ctx)),
    }
}

/// A key of a password. False when the digest is not known. Without `done` it is computed at once
/// and returned.
fn pbkdf2<'js>(
    ctx: Ctx<'js>,
    password: Bytes,
    salt: Bytes,
    iterations: u32,
    length: usize,
    name: String,
    done: Opt<Function<'js>>,
) -> Result<Value<'js>> {
    let Some(digest) = digest(&name) else { return Ok(Value::new_bool(ctx, false)) };
    let Some(done) = done.0 else {
        let mut key = vec![0; length];
        let derive = match digest {
            Digest::Sha1 => ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>,
            Digest::Sha256 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
            Digest::Sha384 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha384>,
            _ => ::pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
        };
        derive(&password.0, &salt.0, iterations, &mut key);
        return Bytes(key).into_js(&ctx);
    };
    // The crate takes no key of no bytes, which Node does.
    if length == 0 {
        let callback = Callback::new(&ctx, done);
        windlass::work(|_| ()).submit().on_complete(move |_| {
            callback.call_with(|_, args| {
                args.push_arg(0)?;
                args.push_arg(Bytes::default())
            });
        });
    } else {
        let key = crypto::pbkdf2(&password.0, &salt.0, iterations, length, digest);
        answer(&ctx, key, done);
    }
    Ok(Value::new_bool(ctx, true))
}

/// A key of a password that costs memory as well: 2^`log_n` blocks of 128 × `r` bytes. Without
/// `done` it is computed at once: `[number, key]`.
fn scrypt<'js>(
    ctx: Ctx<'js>,
    password: Bytes,
    salt: Bytes,
    length: usize,
    cost: Vec<u32>,
    done: Opt<Function<'js>>,
) -> Result<Value<'js>> {
    let work = move || derive_scrypt(&password.0, &salt.0, length, &cost);
    let Some(done) = done.0 else {
        let array = Array::new(ctx.clone())?;
        match work() {
            Ok(key) => {
                array.set(0, 0)?;
                array.set(1, Bytes(key))?;
            }
            Err(error) => array.set(0, errno::of(&error))?,
        }
        return Ok(array.into_value());
    };
    let callback = Callback::new(&ctx, done);
    let job = windlass::work(move |_| work()).kind(WorkKind::Cpu).name("crypto.scrypt");
    job.submit().on_complete(move |result| {
        tell(&callback, result.unwrap_or_else(|error| Err(io::Error::other(error))));
    });
    Ok(Value::new_undefined(ctx))
}

fn derive_scrypt(password: &[u8], salt: &[u8], length: usize, cost: &[u32]) -> io::Result<Vec<u8>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let &[log_n, r, p] = cost else { return Err(invalid()) };
    let log_n = u8::try_from(log_n).map_err(|_| invalid())?;
    let params = ::scrypt::Params::new(log_n, r, p).map_err(|_| invalid())?;
    let mut key = vec![0; length];
    if length > 0 {
        ::scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| invalid())?;
    }
    Ok(key)
}

/// Without `done` at once.
fn random_bytes<'js>(ctx: Ctx<'js>, length: usize, done: Opt<Function<'js>>) -> Result<Value<'js>> {
    match done.0 {
        Some(done) => answer(&ctx, crypto::random_bytes(length), done),
        None => {
            let mut bytes = vec![0; length];
            getrandom::fill(&mut bytes).map_err(|error| {
                rquickjs::Error::new_from_js_message("length", "bytes", error.to_string())
            })?;
            return Bytes(bytes).into_js(&ctx);
        }
    }
    Ok(Value::new_undefined(ctx))
}

fn timing_safe_equal(a: Bytes, b: Bytes) -> bool {
    crypto::timing_safe_eq(&a.0, &b.0)
}

/// Calls `done(number, bytes)` when a request has completed.
fn answer<'js>(ctx: &Ctx<'js>, request: Request<io::Result<Vec<u8>>>, done: Function<'js>) {
    let callback = Callback::new(ctx, done);
    request.on_complete(move |result| tell(&callback, result));
}

fn tell(callback: &Callback, result: io::Result<Vec<u8>>) {
    callback.call_with(|_, args| match result {
        Ok(bytes) => {
            args.push_arg(0)?;
            args.push_arg(Bytes(bytes))
        }
        Err(error) => args.push_arg(errno::of(&error)),
    });
}
