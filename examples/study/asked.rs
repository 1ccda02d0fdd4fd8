//! What somebody wants to have run: a program in either language, and on what kind of loop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::program::Scenario;

/// Threads beyond this are no lesson any more.
const POOL_MAX: usize = 64;

/// Nor are times: in milliseconds.
const TIME_MAX: u64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "language", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Asked {
    Scenario {
        program: Scenario,
        /// Overrides the program's own number of pool threads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<usize>,
        #[serde(default)]
        clock: Clock,
    },
    Javascript {
        /// By their names; the program begins with `main.js`.
        files: BTreeMap<String, String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<usize>,
        #[serde(default)]
        clock: Clock,
    },
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Clock {
    #[default]
    Virtual,
    Real,
}

/// The file with which a program in JavaScript begins.
pub(crate) const MAIN: &str = "main.js";

/// Reads what came as JSON, or says what is wrong with it.
pub(crate) fn read(bytes: &[u8]) -> Result<Asked, String> {
    let wrong = |error| format!("this is no program: {error}");
    let value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
    if has_long_time(&value) {
        return Err("a delay is a day at most here".to_owned());
    }
    let mut asked: Asked = serde_json::from_value(value).map_err(wrong)?;
    let pool = match &mut asked {
        Asked::Scenario { program, pool, .. } => {
            program.pool = pool.or(program.pool);
            program.pool
        }
        Asked::Javascript { files, pool, .. } => {
            if !files.contains_key(MAIN) {
                return Err(format!("a program in JavaScript begins with {MAIN}"));
            }
            if let Some(name) = files.keys().find(|name| !is_file_name(name)) {
                return Err(format!("{name:?} is no name for a file: letters, digits, - _ and ."));
            }
            *pool
        }
    };
    if pool.is_some_and(|threads| !(1..=POOL_MAX).contains(&threads)) {
        return Err(format!("a pool has 1 to {POOL_MAX} threads here"));
    }
    Ok(asked)
}

fn has_long_time(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().any(has_long_time),
        Value::Object(all) => all.iter().any(|(name, value)| {
            name == "ms" && value.as_u64().is_some_and(|ms| ms > TIME_MAX) || has_long_time(value)
        }),
        _ => false,
    }
}

/// A plain name: nothing outside of a folder can be reached by it.
pub(crate) fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().all(plain) && !name.starts_with(['.', '-']) && (1..=64).contains(&name.len())
}

impl Asked {
    pub(crate) fn clock(&self) -> Clock {
        match self {
            Asked::Scenario { clock, .. } | Asked::Javascript { clock, .. } => *clock,
        }
    }

    /// As it was asked for.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
