//! Options of Node's that are options here too: of the program's command line, and of a worker as
//! its `execArgv`.

use std::sync::atomic::{AtomicBool, Ordering};

/// What `--unhandled-rejections` may be.
const MODES: [&str; 5] = ["none", "strict", "throw", "warn", "warn-with-error-code"];

/// The options of a thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NodeOptions {
    /// As they were given.
    pub(crate) given: Vec<String>,
    /// An error that nobody caught aborts the program. Of the main thread only.
    pub(crate) aborts_on_uncaught: bool,
    /// Deprecations are not told.
    pub(crate) no_deprecation: bool,
    /// Warnings are not printed.
    pub(crate) no_warnings: bool,
    /// Deprecations are thrown.
    pub(crate) throw_deprecation: bool,
    /// Deprecations are printed with a stack.
    pub(crate) trace_deprecation: bool,
    /// Warnings are printed with a stack.
    pub(crate) trace_warnings: bool,
    /// What becomes of a rejection that nobody handles. None if nobody has said it.
    unhandled_rejections: Option<String>,
}

/// Programs of this process may call the collector. It is the process's, not a thread's.
static EXPOSES_GC: AtomicBool = AtomicBool::new(false);

/// Lets programs call the collector.
pub(crate) fn expose_gc() {
    EXPOSES_GC.store(true, Ordering::Relaxed);
}

/// Whether programs may call the collector.
pub(crate) fn exposes_gc() -> bool {
    EXPOSES_GC.load(Ordering::Relaxed)
}

impl NodeOptions {
    /// Takes one: its name without dashes, and its value.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub(crate) fn take(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        let given = match value {
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        };
        let switch = match name {
            "unhandled-rejections" => {
                let mode = value.filter(|value| MODES.contains(value));
                let mode = mode.ok_or_else(|| format!("invalid value for --{name}"))?;
                self.unhandled_rejections = Some(mode.to_owned());
                self.given.push(given);
                return Ok(());
            }
            "no-deprecation" => &mut self.no_deprecation,
            "no-warnings" => &mut self.no_warnings,
            "throw-deprecation" => &mut self.throw_deprecation,
            "trace-deprecation" => &mut self.trace_deprecation,
            "trace-warnings" => &mut self.trace_warnings,
            _ => return Err(format!("bad option: {given}")),
        };
        if value.is_some() {
            return Err(format!("{given} takes no value"));
        }
        *switch = true;
        self.given.push(given);
        Ok(())
    }

    /// Those of a worker's `execArgv`.
    ///
    /// # Errors
    /// The arguments that are none of them.
    pub(crate) fn of_arguments(arguments: &[String]) -> Result<NodeOptions, Vec<String>> {
        let (mut options, mut bad) = (NodeOptions::default(), Vec::new());
        for argument in arguments {
            if !options.take_argument(argument) {
                bad.push(argument.clone());
            }
        }
        if bad.is_empty() { Ok(options) } else { Err(bad) }
    }

    /// Those in the variable NODE_OPTIONS, which are none of the program's arguments. It may have
    /// others that are for Node alone.
    pub(crate) fn of_variable(text: &str) -> NodeOptions {
        let mut options = NodeOptions::default();
        for argument in text.split_whitespace() {
            options.take_argument(argument);
        }
        options.given.clear();
        options
    }

    /// Takes one as it stands in a command line. Says whether there is such a one.
    fn take_argument(&mut self, argument: &str) -> bool {
        argument.strip_prefix("--").is_some_and(|option| {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            self.take(name, value).is_ok()
        })
    }

    /// Those that a worker has of its parent: an error of a worker aborts no program.
    pub(crate) fn for_worker(&self) -> NodeOptions {
        NodeOptions { aborts_on_uncaught: false, ..self.clone() }
    }

    /// What becomes of a rejection that nobody handles.
    pub(crate) fn unhandled_rejections(&self) -> &str {
        self.unhandled_rejections.as_deref().unwrap_or("throw")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<NodeOptions, Vec<String>> {
        NodeOptions::of_arguments(&arguments.iter().map(|&it| it.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn each_option_is_kept_as_it_was_given() {
        let options = of(&["--no-warnings", "--unhandled-rejections=warn"]).unwrap();
        assert!(options.no_warnings && !options.trace_warnings);
        assert_eq!(options.unhandled_rejections(), "warn");
        assert_eq!(options.given, ["--no-warnings", "--unhandled-rejections=warn"]);
        assert_eq!(NodeOptions::default().unhandled_rejections(), "throw");
    }

    #[test]
    fn the_variable_may_have_options_of_nodes_that_are_none_here() {
        let text = "--max-old-space-size=64  --no-warnings --unhandled-rejections=warn";
        let options = NodeOptions::of_variable(text);
        assert!(options.no_warnings && options.given.is_empty());
        assert_eq!(options.unhandled_rejections(), "warn");
    }

    #[test]
    fn what_is_none_is_named() {
        let arguments =
            ["--trace-warnings", "--foo", "x", "--unhandled-rejections=y", "--no-warnings=1"];
        assert_eq!(of(&arguments).unwrap_err(), &arguments[1..]);
    }
}
