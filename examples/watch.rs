//! How does a program do something whenever files change, once for all that change together?
//!
//! By waiting for an event, and then until there has been none for a moment. Directories that come
//! later are watched too. What changes while the command runs makes it run once more.
//!
//! ```text
//! $ cargo run --example watch -- src cargo check
//! src/lib.rs and 2 more: cargo check
//! ```

#[path = "common/mod.rs"]
mod common;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use windlass::fs::{self, WatchEvent, Watcher};
use windlass::process::Command;
use windlass::time::timeout;

use common::{Long, Parser, Stop, Value, complain, mention};

const HELP: &str = "\
Runs a command whenever something changes below a path.

usage: watch [--quiet MS] [--ignore NAME]... PATH COMMAND [ARGUMENT]...
       watch --short

  --quiet MS      how long nothing must have changed before the command runs (100)
  --ignore NAME   files and directories that do not count; .git and target never do
  --short         one change in a directory of its own
  --help          this text
";

struct Options {
    path: PathBuf,
    command: Vec<OsString>,
    quiet: Duration,
    ignored: Vec<OsString>,
    /// Makes a change itself, and ends after it.
    short: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| {
        windlass::run_main(|| {
            windlass::spawn(async move {
                let result =
                    if options.short { short(options).await } else { watch(&options).await };
                if let Err(error) = result {
                    complain!("{error}");
                    windlass::set_exit_code(1);
                }
            });
        })
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut options = Options {
        path: PathBuf::new(),
        command: Vec::new(),
        quiet: Duration::from_millis(100),
        ignored: vec![".git".into(), "target".into()],
        short: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quiet") => {
                let millis = common::number(parser, "--quiet", 0, 60_000)?;
                options.quiet = Duration::from_millis(millis);
            }
            Long("ignore") => options.ignored.push(common::value(parser, "--ignore")?),
            Long("short") => options.short = true,
            Value(path) => {
                options.path = path.into();
                options.command = parser.raw_args()?.collect();
            }
            argument => return Err(common::other(argument)),
        }
    }
    if options.command.is_empty() && !options.short {
        return Err(Stop::Wrong("watch wants a PATH and a COMMAND".to_owned()));
    }
    if options.short && !options.path.as_os_str().is_empty() {
        return Err(Stop::Wrong("--short has a directory of its own".to_owned()));
    }
    Ok(options)
}

async fn watch(options: &Options) -> io::Result<()> {
    let watcher = fs::watch_recursive(&options.path)?;
    loop {
        run_after_a_change(options, &watcher).await?;
    }
}

async fn short(mut options: Options) -> io::Result<()> {
    options.path = fs::create_temp_dir(std::env::temp_dir().join("watch-XXXXXX")).await?;
    options.command = vec!["true".into()];
    options.quiet = Duration::from_millis(10);
    let watcher = fs::watch_recursive(&options.path)?;
    fs::create_dir_all(options.path.join("a/b")).await?;
    fs::write(options.path.join("a/b/file"), "text").await?;
    run_after_a_change(&options, &watcher).await?;
    fs::remove_dir_all(&options.path).await
}

/// Waits until something has changed, and nothing more changes, and runs the command.
async fn run_after_a_change(options: &Options, watcher: &Watcher) -> io::Result<()> {
    let first = loop {
        if let Some(path) = path_of(options, watcher.next().await)? {
            break path;
        }
    };
    // A set: there may be thousands, as when a version of a project is checked out.
    let mut others = HashSet::new();
    while let Ok(event) = timeout(options.quiet, watcher.next()).await {
        others.extend(path_of(options, event)?.filter(|path| *path != first));
    }
    let more =
        if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    // What happens to the path itself has no name below it, which would add a slash.
    let shown =
        if first == Path::new("") { options.path.clone() } else { options.path.join(first) };
    let words: Vec<_> = options.command.iter().map(|word| word.to_string_lossy()).collect();
    mention!("{}{more}: {}", shown.display(), words.join(" "));
    match Command::new(&options.command[0]).args(&options.command[1..]).status().await {
        Ok(status) if status.success() => {}
        Ok(status) => mention!("{status}"),
        // It may be there next time.
        Err(error) => complain!("{}: {error}", options.command[0].display()),
    }
    Ok(())
}

/// What has changed, if it counts.
fn path_of(options: &Options, event: io::Result<WatchEvent>) -> io::Result<Option<PathBuf>> {
    let path = match event {
        Ok(event) => event.path,
        // Events are lost: something has changed.
        Err(error) if error.kind() == io::ErrorKind::Other => PathBuf::new(),
        Err(error) => return Err(error),
    };
    let counts =
        |path: &Path| !path.iter().any(|part| options.ignored.iter().any(|one| one == part));
    Ok(Some(path).filter(|path| counts(path)))
}
