//! The native part of `os`: what the system's files say of it.

use std::fs;

use rquickjs::{Ctx, Object, Result};

use crate::native::Natives;

pub(super) fn binding<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Natives::new(ctx)?;
    natives.add("parallelism", parallelism)?;
    natives.add("read", read)?;
    Ok(natives.into_object())
}

fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// What a file of the system says; empty where the system has none.
fn read(path: String) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
