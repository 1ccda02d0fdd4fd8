//! What a look-up that failed says of itself.

use std::error::Error;
use std::fmt;
use std::io;

use crate::sys::resolver::{Failure, Reason};

/// Why a look-up failed, inside its [`io::Error`].
///
/// # Examples
/// ```
/// use windlass::dns::{self, Family, LookupError, LookupErrorKind, LookupOptions};
///
/// windlass::block_on(async {
///     // A text that is an address has one address only, and it is of the other family.
///     let options = LookupOptions::new().family(Family::V6);
///     let error = dns::lookup_with("127.0.0.1", options).await.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
///     let inner = LookupError::of(&error).unwrap();
///     assert_eq!(inner.kind(), LookupErrorKind::NoAddress);
///     assert_eq!(inner.asked(), "127.0.0.1");
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    /// The name or address that was asked for.
    asked: String,
    /// What kind of failure it was.
    kind: LookupErrorKind,
    /// Empty for what was refused without asking the resolver.
    code: &'static str,
    /// What the resolver says of it.
    text: String,
    /// The system's error, where the resolver failed of one.
    os_error: Option<i32>,
}

/// What kind of failure it was.
///
/// # Examples
/// ```
/// use windlass::dns::LookupErrorKind;
///
/// fn is_worth_another_try(kind: LookupErrorKind) -> bool {
///     matches!(kind, LookupErrorKind::Temporary | LookupErrorKind::Failed)
/// }
/// assert!(!is_worth_another_try(LookupErrorKind::NoSuchHost));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LookupErrorKind {
    /// There is no such host (`EAI_NONAME`; Node's `ENOTFOUND`). Asking again will not help.
    NoSuchHost,
    /// The host is known and has no address of the family asked for (`EAI_NODATA`). Many resolvers
    /// do not tell this case and say [`NoSuchHost`](LookupErrorKind::NoSuchHost).
    NoAddress,
    /// The resolver got no answer that counts: a server is out of reach or in trouble
    /// (`EAI_AGAIN`). Asking again later may help.
    Temporary,
    /// There is no such service (`EAI_SERVICE`).
    NoSuchService,
    /// The resolver could not work: no memory, no descriptors, a server that refuses.
    Failed,
}

impl LookupError {
    /// The error of a look-up, if this is one.
    ///
    /// One that was cancelled, or whose loop ended, is none, and neither is one whose name was
    /// refused before the resolver was asked (`InvalidInput`).
    pub fn of(error: &io::Error) -> Option<&LookupError> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// The host, service or address that was asked for.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> LookupErrorKind {
        self.kind
    }

    /// The resolver's code as it is written in C, such as `"EAI_NONAME"`. Empty when the resolver
    /// was not asked.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The system's error code, when the resolver's was `EAI_SYSTEM`.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.os_error
    }

    /// The failure of a call that asked for `asked`.
    pub(super) fn new(asked: String, failure: Failure) -> LookupError {
        let (kind, os_error) = match failure.reason {
            Reason::NoSuchName => (LookupErrorKind::NoSuchHost, None),
            Reason::NoAddress => (LookupErrorKind::NoAddress, None),
            Reason::Temporary => (LookupErrorKind::Temporary, None),
            Reason::NoSuchService => (LookupErrorKind::NoSuchService, None),
            Reason::System(code) => (LookupErrorKind::Failed, Some(code)),
            Reason::OutOfMemory | Reason::Other => (LookupErrorKind::Failed, None),
        };
        LookupError { asked, kind, code: failure.code, text: failure.text, os_error }
    }

    /// The failure of a look-up whose answer has nothing of the family.
    pub(super) fn no_address(asked: String) -> LookupError {
        let text = "there is no address of the family asked for".to_owned();
        LookupError { asked, kind: LookupErrorKind::NoAddress, code: "", text, os_error: None }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look-up of {:?}: {}", self.asked, self.text)?;
        if self.code.is_empty() { Ok(()) } else { write!(f, " ({})", self.code) }
    }
}

impl Error for LookupError {}

impl From<LookupError> for io::Error {
    /// `NotFound` for what does not exist, the system's kind for a system error, else `Other`: what
    /// is temporary has no kind of its own in `std`.
    fn from(error: LookupError) -> io::Error {
        let kind = match (error.kind, error.os_error) {
            (_, Some(code)) => io::Error::from_raw_os_error(code).kind(),
            (LookupErrorKind::Temporary, None) => io::ErrorKind::Other,
            (LookupErrorKind::Failed, None) if error.code == "EAI_MEMORY" => {
                io::ErrorKind::OutOfMemory
            }
            (LookupErrorKind::Failed, None) => io::ErrorKind::Other,
            _ => io::ErrorKind::NotFound,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // D-02: what a server in trouble says cannot be had from a machine at will, so it is made here.
    #[test]
    fn no_such_host_a_temporary_failure_and_a_system_error_are_told_apart() {
        let error = |reason, code| {
            let failure = Failure { reason, code, text: "words".to_owned() };
            io::Error::from(LookupError::new("example".to_owned(), failure))
        };
        let kinds = |error: &io::Error| (error.kind(), LookupError::of(error).unwrap().kind());
        let none = error(Reason::NoSuchName, "EAI_NONAME");
        assert_eq!(kinds(&none), (io::ErrorKind::NotFound, LookupErrorKind::NoSuchHost));
        assert_eq!(none.to_string(), "look-up of \"example\": words (EAI_NONAME)");
        let again = error(Reason::Temporary, "EAI_AGAIN");
        assert_eq!(kinds(&again), (io::ErrorKind::Other, LookupErrorKind::Temporary));
        let denied = error(Reason::System(13), "EAI_SYSTEM");
        assert_eq!(kinds(&denied), (io::ErrorKind::PermissionDenied, LookupErrorKind::Failed));
        assert_eq!(LookupError::of(&denied).unwrap().raw_os_error(), Some(13));
        let memory = error(Reason::OutOfMemory, "EAI_MEMORY");
        assert_eq!(kinds(&memory), (io::ErrorKind::OutOfMemory, LookupErrorKind::Failed));
    }
}
