//! `--alive`, `--stalls` and `--inspect`: what is told of a program beside its output, with the lines of its script.

use std::io;
use std::process;
use std::time::Duration;

use windlass::Loop;
use windlass::inspect::Inspector;
use windlass::observe::{Stall, StallWatch, watch_stalls};
use windlass::signal::Signal;

use crate::complain;

/// What is to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Watches {
    /// What keeps the program alive, when somebody interrupts it.
    pub(crate) alive: bool,
    /// What blocks a loop for so long.
    pub(crate) stalls: Option<Duration>,
    /// All, in a browser, at this address.
    pub(crate) inspect: Option<String>,
}

/// The signal of Ctrl-C, and what a shell says of a program that it has ended.
const INTERRUPT: (i32, i32) = (2, 130);

/// They tell while this lives.
pub(crate) struct Watching {
    _stalls: Option<StallWatch>,
    _view: Option<Inspector>,
}

impl Watches {
    /// Whether anything is to be told.
    pub(crate) fn any(&self) -> bool {
        *self != Watches::default()
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// When the view cannot listen at its address.
    pub(crate) fn begin(&self) -> io::Result<Watching> {
        let view = match &self.inspect {
            Some(address) => {
                let view = windlass::inspect::listen(&**address)
                    .map_err(|error| io::Error::new(error.kind(), format!("--inspect: {error}")))?;
                complain(&format!("the view is at http://{}/", view.local_addr()));
                Some(view)
            }
            None => None,
        };
        let stalls =
            self.stalls.map(|limit| watch_stalls(limit, |stall| complain(&stalled(stall))));
        Ok(Watching { _stalls: stalls, _view: view })
    }

    /// What is to be done on the main loop.
    ///
    /// # Errors
    /// When the system has no room for a listener of the signal.
    pub(crate) fn begin_on_loop(&self) -> io::Result<()> {
        if self.alive {
            let (number, code) = INTERRUPT;
            let listener = Signal::start(number, move || {
                let alive = Loop::current().why_alive();
                alive.iter().for_each(|it| complain(&format!("alive: {it}")));
                if alive.is_empty() {
                    complain("nothing keeps it alive");
                }
                process::exit(code);
            })?;
            listener.unref();
        }
        Ok(())
    }
}

fn stalled(stall: &Stall) -> String {
    let who = match stall.worker {
        0 => "the loop".to_owned(),
        number => format!("the loop of worker {number}"),
    };
    let callback = &stall.callback;
    let place = match (callback.label, callback.location) {
        (Some(label), _) => format!(" of {label}"),
        (None, Some(location)) => format!(" of {location}"),
        (None, None) => String::new(),
    };
    let has = if stall.over { "was" } else { "is" };
    format!(
        "{who} {has} blocked for {} ms by the {}{place}",
        callback.took.as_millis(),
        callback.kind
    )
}
