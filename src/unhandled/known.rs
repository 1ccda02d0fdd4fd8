//! The errors that are known by their type, where the type is not known.
//!
//! A task has an output of any type. Whether that is an error can be asked of `Any` for one type
//! after the other, and the compiler answers: a spawn keeps none of these questions.

use std::any::Any;
use std::error::Error;
use std::fmt::Display;
use std::io;

use super::Lost;
use crate::channel::broadcast::MessageError;
use crate::channel::call::CallError;
use crate::channel::recv::RecvTimeoutError;
use crate::dns::LookupError;
use crate::error::{CancelError, LoopGone, TaskError, WorkError};
use crate::fs::PathError;
use crate::pool::Laggards;
use crate::time::Elapsed;
use crate::worker::{DirectError, WorkerError};

/// The error in a value of any type, if it is one that is known. `$take` takes it by its type.
macro_rules! find {
    ($take:ident, $any:expr) => {
        find!($take, $any,
            io::Error, LoopGone, CancelError, WorkError, TaskError, Elapsed, Laggards, LookupError,
            PathError, CallError, MessageError, RecvTimeoutError, DirectError, WorkerError,
        )
        .or_else(|| $take::<Box<dyn Error>>($any).map(Lost::Error))
        .or_else(|| $take::<Box<dyn Error + Send + Sync>>($any).map(|error| Lost::Error(error)))
        .or_else(|| $take::<String>($any).map(Lost::text))
        .or_else(|| $take::<&'static str>($any).map(Lost::text))
    };
    ($take:ident, $any:expr, $($known:ty,)*) => {
        None$(.or_else(|| $take::<$known>($any).map(Lost::error)))*
    };
}

/// What is lost of a task's output that nobody took.
pub(crate) fn of_task<T: 'static>(output: T) -> Option<Lost> {
    fn take<E: 'static>(output: &mut dyn Any) -> Option<E> {
        output.downcast_mut::<Option<Result<(), E>>>()?.take()?.err()
    }
    let mut output = Some(output);
    // Of `spawn_try`.
    take::<Lost>(&mut output).or_else(|| find!(take, &mut output))
}

/// What is lost of an error of any type. One that is not known has a text only.
pub(super) fn of_error<E: Display + 'static>(error: E) -> Lost {
    fn take<E: 'static>(error: &mut dyn Any) -> Option<E> {
        error.downcast_mut::<Option<E>>()?.take()
    }
    let mut error = Some(error);
    let known = find!(take, &mut error);
    known
        .or_else(|| error.map(|error| Lost::Text(Box::new(error))))
        .unwrap_or_else(|| unreachable!("an error is either known or left"))
}
