//! The native part of `dns`: look-ups by the system's resolver, on the pool.

use rquickjs::{Ctx, Function, Object, Result};
use windlass::dns::{self, Family, LookupError, LookupErrorKind, LookupOptions, Order};

use crate::bytes::Text;
use crate::callback::Callback;
use crate::native::Natives;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add_registering("lookup", lookup)?;
    natives.add("isIP", is_ip)?;
    Ok(natives.into_object())
}

/// 4, 6, or 0 for what is no address. A scope (`fe80::1%eth0`) may stand behind one of version 6.
fn is_ip(text: Text) -> u32 {
    let (address, scope) = match text.0.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (&*text.0, None),
    };
    match (address.parse(), scope) {
        (Ok(std::net::IpAddr::V4(_)), None) => 4,
        (Ok(std::net::IpAddr::V6(_)), scope) if scope != Some("") => 6,
        _ => 0,
    }
}

/// All addresses of a name: `done(code, number, addresses)`. `family` is 0, 4 or 6; `order` 0 for
/// the resolver's, 4 or 6 for what comes first.
fn lookup<'js>(ctx: Ctx<'js>, host: Text, family: u32, order: u32, done: Function<'js>) {
    let callback = Callback::new(&ctx, done);
    let family = match family {
        4 => Family::V4,
        6 => Family::V6,
        _ => Family::Any,
    };
    let order = match order {
        4 => Order::Ipv4First,
        6 => Order::Ipv6First,
        _ => Order::Verbatim,
    };
    let options = LookupOptions::new().family(family).order(order);
    dns::lookup_with(&host.0, options).on_complete(move |found| match found {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            callback.call(("", 0, addresses));
        }
        Err(error) => {
            let (code, number) = describe(&error);
            callback.call((code, number, Vec::<String>::new()));
        }
    });
}

/// Node's code of a failure, and libuv's number.
fn describe(error: &std::io::Error) -> (&'static str, i32) {
    match LookupError::of(error).map(LookupError::kind) {
        Some(LookupErrorKind::NoSuchHost) | None => ("ENOTFOUND", -3008),
        Some(LookupErrorKind::NoAddress) => ("ENOTFOUND", -3007),
        Some(LookupErrorKind::Temporary) => ("EAI_AGAIN", -3001),
        Some(_) => ("EAI_FAIL", -3004),
    }
}
