//! Options of Node's that are options here too: of the program's command line, and of a worker as
//! its `execArgv`.

use std::sync::atomic::{AtomicBool, Ordering};

/// What `--unhandled-rejections` may be.
const MODES: [&str; 5] = ["none", "strict", "throw", "warn", "warn-with-error-code"];

/// The option that has a value.
pub(crate) const VALUED: &str = "unhandled-rejections";

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
            VALUED => {
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
        *switch = true; // As on Node, whatever the value is.
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
            let taken = argument.strip_prefix("--").is_some_and(|option| {
                let (name, value) = split(option);
                options.take(name, value).is_ok()
            });
            if !taken {
                bad.push(argument.clone());
            }
        }
        if bad.is_empty() { Ok(options) } else { Err(bad) }
    }

    /// Those in the variable NODE_OPTIONS, which are none of the program's arguments, and whether
    /// programs may call the collector. What else the variable has is for Node alone.
    ///
    /// # Errors
    /// What is wrong with one of them, or with the variable, in Node's words.
    pub(crate) fn of_variable(text: &str) -> Result<(NodeOptions, bool), String> {
        let (mut options, mut exposes_gc) = (NodeOptions::default(), false);
        let mut words = words(text)?.into_iter().peekable();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix("--") else { continue };
            let (name, value) = split(option);
            // Node takes either.
            let name = name.replace('_', "-");
            if name == "expose-gc" {
                exposes_gc = true;
            } else if name == VALUED {
                let value = value.filter(|value| !value.is_empty()).map(str::to_owned);
                let value = match value {
                    None if !word.contains('=') => words.next_if(|next| !next.starts_with('-')),
                    value => value,
                };
                let value = value.ok_or_else(|| format!("{word} requires an argument"))?;
                options.take(&name, Some(&value))?;
            } else {
                options.take(&name, value).ok(); // If it is none of ours, it is another one of Node's.
            }
        }
        options.given.clear();
        Ok((options, exposes_gc))
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

/// The name and the value of an option without its dashes.
fn split(option: &str) -> (&str, Option<&str>) {
    option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)))
}

/// The words of the variable. They are parted by spaces, but not within quotes, where a backslash
/// stands before a letter that is meant as it is.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut is_quoted, mut is_new) = (Vec::<String>::new(), false, true);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' if is_quoted => match letters.next() {
                Some(next) => next,
                None => return Err("invalid value for NODE_OPTIONS (invalid escape)".into()),
            },
            ' ' if !is_quoted => {
                is_new = true;
                continue;
            }
            '"' => {
                is_quoted = !is_quoted;
                continue;
            }
            letter => letter,
        };
        if is_new {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter);
        }
        is_new = false;
    }
    if is_quoted {
        return Err("invalid value for NODE_OPTIONS (unterminated string)".into());
    }
    Ok(words)
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
        let text = "--max-old-space-size=64 x --no_warnings --unhandled-rejections=warn";
        let (options, exposes_gc) = NodeOptions::of_variable(text).unwrap();
        assert!(options.no_warnings && options.given.is_empty() && !exposes_gc);
        assert_eq!(options.unhandled_rejections(), "warn");
    }

    #[test]
    fn the_variable_is_read_as_node_reads_it() {
        let warn = ["--unhandled-rejections warn", "\"--unhandled-rejections\" \"w\\arn\""];
        for text in warn {
            let (options, exposes_gc) =
                NodeOptions::of_variable(&format!("{text} --expose-gc")).unwrap();
            assert_eq!((options.unhandled_rejections(), exposes_gc), ("warn", true), "{text}");
        }
        let wrong = [
            ("--unhandled-rejections=x", "invalid value for --unhandled-rejections"),
            ("--unhandled-rejections", "--unhandled-rejections requires an argument"),
            ("--unhandled-rejections= none", "--unhandled-rejections= requires an argument"),
            ("--unhandled-rejections --a", "--unhandled-rejections requires an argument"),
            ("--no-warnings \"a", "invalid value for NODE_OPTIONS (unterminated string)"),
        ];
        for (text, error) in wrong {
            assert_eq!(NodeOptions::of_variable(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_named() {
        let arguments = ["--trace-warnings", "--foo", "x", "--unhandled-rejections=y", "--no"];
        assert_eq!(of(&arguments).unwrap_err(), &arguments[1..]);
    }
}
