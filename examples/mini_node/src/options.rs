//! What the command line asks for.

use std::env;
use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::node_options::{NodeOptions, VALUED};
use crate::watched::Watches;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: mini_node [options] FILE.js [ARGUMENT...]
  Runs a file of JavaScript, as node does.

  --beside     here and with the node on the PATH, and both outputs side by side
  --virtual    in virtual time: nothing waits, and each run is the same
  --seed N     under simulation: virtual time, with all that may come in another order from a seed
  --explain    each callback with what armed it and why it comes there, instead of the output
  --events     what the loop did, as lines of JSON as it comes, instead of the output
  --real       --explain and --events on the real clock; else they are in virtual time
  --alive      at Ctrl-C, what keeps the program alive
  --stalls MS  what blocks a loop for so many milliseconds
  --inspect[=ADDRESS]  a view of the loops in a browser, at 127.0.0.1:9229 or another port of this machine
  --help       this text

  Of Node's options there are --unhandled-rejections=MODE, --no-warnings, --trace-warnings,
  --no-deprecation, --throw-deprecation, --trace-deprecation, --expose-gc and
  --abort-on-uncaught-exception. All but the last are read from NODE_OPTIONS too, as Node reads it.
  What else that variable has is left to Node.";

/// Where the view is, if nothing else is said: where Node's inspector is.
const INSPECT: &str = "127.0.0.1:9229";

/// What to do with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Act {
    #[default]
    Run,
    Beside,
    Explain,
    Events,
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Time {
    #[default]
    Real,
    Virtual,
    /// A simulation of this seed.
    Simulated(u64),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) act: Act,
    pub(crate) time: Time,
    /// Those of Node's.
    pub(crate) node: NodeOptions,
    /// The program may call the collector.
    pub(crate) exposes_gc: bool,
    pub(crate) watches: Watches,
    /// The file and its arguments.
    pub(crate) file: Vec<OsString>,
}

impl Options {
    /// The program's `process.argv`.
    pub(crate) fn argv(&self) -> Vec<String> {
        let text = |part: &OsString| part.to_string_lossy().into_owned();
        [executable()].into_iter().chain(self.file.iter().map(text)).collect()
    }

    /// The arguments that give another process this time.
    pub(crate) fn time_arguments(&self) -> Vec<OsString> {
        match self.time {
            Time::Real => Vec::new(),
            Time::Virtual => vec!["--virtual".into()],
            Time::Simulated(seed) => vec!["--seed".into(), seed.to_string().into()],
        }
    }
}

/// The path of this program.
fn executable() -> String {
    env::current_exe().map_or_else(|_| "mini_node".into(), |path| path.to_string_lossy().into())
}

/// What the arguments ask for, and before them the variable NODE_OPTIONS. None if they ask for
/// help.
pub(crate) fn parse(
    mut arguments: Parser,
    variable: &str,
) -> Result<Option<Options>, lexopt::Error> {
    let (mut acts, mut is_virtual, mut seed, mut real) = (Vec::new(), false, None, false);
    let (mut node, mut exposes_gc) = NodeOptions::of_variable(variable)?;
    let mut watches = Watches::default();
    let file = loop {
        match arguments.next()? {
            Some(Arg::Long("help") | Arg::Short('h')) => return Ok(None),
            Some(Arg::Long("beside")) => acts.push(Act::Beside),
            Some(Arg::Long("explain")) => acts.push(Act::Explain),
            Some(Arg::Long("events")) => acts.push(Act::Events),
            Some(Arg::Long("virtual")) => is_virtual = true,
            Some(Arg::Long("seed")) => seed = Some(arguments.value()?.parse()?),
            Some(Arg::Long("real")) => real = true,
            Some(Arg::Long("alive")) => watches.alive = true,
            Some(Arg::Long("stalls")) => {
                watches.stalls = Some(Duration::from_millis(arguments.value()?.parse()?));
            }
            Some(Arg::Long("inspect")) => {
                let address = arguments.optional_value().unwrap_or_else(|| INSPECT.into());
                watches.inspect = Some(address.string()?);
            }
            Some(Arg::Long("abort-on-uncaught-exception")) => {
                node.aborts_on_uncaught = true;
                node.given.push("--abort-on-uncaught-exception".to_owned());
            }
            Some(Arg::Long("expose-gc")) => {
                exposes_gc = true;
                node.given.push("--expose-gc".to_owned());
            }
            Some(Arg::Long(name)) => {
                let name = name.to_owned();
                let value = match &*name {
                    VALUED => Some(arguments.value()?),
                    _ => arguments.optional_value(),
                };
                let value = value.as_ref().map(|value| value.to_string_lossy());
                node.take(&name, value.as_deref())?;
            }
            Some(Arg::Value(file)) => break file,
            Some(other) => return Err(other.unexpected()),
            None => return Err("there is no FILE.js".into()),
        }
    };
    if acts.len() > 1 {
        return Err("--beside, --explain and --events exclude each other".into());
    }
    if real && (is_virtual || seed.is_some()) {
        return Err("--real excludes --virtual and --seed".into());
    }
    let act = acts.pop().unwrap_or_default();
    if act != Act::Run && watches.any() {
        let error = "--alive, --stalls and --inspect exclude --beside, --explain and --events";
        return Err(error.into());
    }
    let observed = matches!(act, Act::Explain | Act::Events);
    let time = match seed {
        Some(seed) => Time::Simulated(seed),
        None if is_virtual || (observed && !real) => Time::Virtual,
        None => Time::Real,
    };
    let file = [file].into_iter().chain(arguments.raw_args()?).collect();
    Ok(Some(Options { act, time, node, exposes_gc, watches, file }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Result<Option<Options>, String> {
        let arguments = ["mini_node"].into_iter().chain(arguments.split_whitespace());
        parse(Parser::from_iter(arguments), "").map_err(|error| error.to_string())
    }

    #[test]
    fn options_stand_before_the_file_and_what_follows_it_is_the_programs() {
        let options = read("--seed 7 a.js --virtual b").unwrap().unwrap();
        assert_eq!((options.act, options.time), (Act::Run, Time::Simulated(7)));
        assert_eq!(options.file, ["a.js", "--virtual", "b"]);
        assert_eq!(read("--help"), Ok(None));
    }

    #[test]
    fn options_of_nodes_are_kept_apart() {
        let options = read("--no-warnings --expose-gc --unhandled-rejections=none a.js").unwrap();
        let options = options.unwrap();
        assert!(options.node.no_warnings && options.exposes_gc);
        let given = ["--no-warnings", "--expose-gc", "--unhandled-rejections=none"];
        assert_eq!(options.node.given, given);
        assert!(read("--unhandled-rejections=x a.js").is_err());
    }

    #[test]
    fn what_is_observed_is_in_virtual_time_unless_it_is_to_be_real() {
        let time = |arguments: &str| read(arguments).unwrap().unwrap().time;
        assert_eq!(time("--events a.js"), Time::Virtual);
        assert_eq!(time("--explain --real a.js"), Time::Real);
        assert_eq!(time("--beside a.js"), Time::Real);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let wrong = [
            "",
            "--virtual",
            "--beside --events a.js",
            "--real --virtual a.js",
            "--seed x a.js",
            "--no a.js",
            "--stalls a.js",
            "--alive --explain a.js",
        ];
        for arguments in wrong {
            assert!(read(arguments).is_err(), "{arguments}");
        }
    }
}
