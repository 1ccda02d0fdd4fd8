//! The number of an error, as Node's bindings give it: the system's, negative.

use std::io;

use windlass::WorkError;
use windlass::dns::LookupError;
use windlass::fs::PathError;

const EINVAL: i32 = 22;
const ENOMEM: i32 = 12;
const EBADF: i32 = 9;
const ECANCELED: i32 = 125;
const EIO: i32 = 5;
const ENOTCONN: i32 = 107;
const EPIPE: i32 = 32;

/// A descriptor that is none.
pub(crate) fn bad_descriptor() -> io::Error {
    io::Error::from_raw_os_error(EBADF)
}

/// Of an error of a request or of a call.
pub(crate) fn of(error: &io::Error) -> i32 {
    let code = error
        .raw_os_error()
        .or_else(|| PathError::of(error)?.raw_os_error())
        .or_else(|| LookupError::of(error)?.raw_os_error());
    -code.unwrap_or(match error.kind() {
        io::ErrorKind::InvalidInput => EINVAL,
        io::ErrorKind::OutOfMemory => ENOMEM,
        io::ErrorKind::NotConnected => ENOTCONN,
        io::ErrorKind::BrokenPipe => EPIPE,
        _ => EIO,
    })
}

/// Of a job that has not run to its end.
pub(crate) fn of_job(error: &WorkError) -> i32 {
    match error {
        WorkError::Cancelled => -ECANCELED,
        _ => -EIO,
    }
}
