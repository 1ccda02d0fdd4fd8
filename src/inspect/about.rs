//! What the server says of the program.

use std::env;
use std::path::Path;
use std::process;

use super::statements;
use crate::observe::Text;

/// The program, as an object of JSON.
pub(super) fn program() -> String {
    let path = env::args_os().next().unwrap_or_default();
    let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy();
    format!(r#"{{"name":{},"pid":{}}}"#, Text(&name), process::id())
}

/// What `/api/about` says.
pub(super) fn text() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(r#"{{"mode":"live","program":{},"version":"{version}"}}"#, program())
}

/// The line with which a stream of events begins. It has the statements by which the page says why
/// a callback comes now.
pub(super) fn meta() -> String {
    let statement =
        |number: String| format!("{}:{}", Text(&number), Text(&statements::words(&number)));
    let statements: Vec<_> = statements::numbers().map(statement).collect();
    format!(
        r#"{{"what":"meta","program":{},"mode":"real","clock":"monotonic","statements":{{{}}}}}{}"#,
        program(),
        statements.join(","),
        "\n"
    )
}
