//! How does a program follow a file that grows, and never wait for it?
//!
//! By reading it to its end on the pool, whenever something has happened to it: the end of a file cannot be
//! waited for, but a watcher of its folder can. That hears of a file that takes its place too. Not all file
//! systems tell what other machines do, so that a look is taken once in a while in any case. What is read
//! goes to the standard output, and nothing more is read before that has taken it. A file that was cut off
//! is read from its start again, and so is one that has taken its place, as a log file that is rotated
//! does.
//!
//! ```text
//! $ cargo run --example tail_f -- /var/log/messages
//! ```

#[path = "common/mod.rs"]
mod common;

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use windlass::fs::{self, File, Watcher};
use windlass::stdio::stdout;
use windlass::time::timeout;

use common::{Long, Parser, Stop, Value, complain};

const HELP: &str = "\
Prints the end of a file, and then what is added to it.

usage: tail_f [--short] FILE

  --short   only what is there now
  --help    this text
";

/// What is printed of what was there before.
const BYTES_AT_FIRST: u64 = 1024;

/// After how long a file is looked at although nothing was heard of it.
const QUIET: Duration = Duration::from_secs(1);

struct Options {
    path: PathBuf,
    follow: bool,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| {
        windlass::run_main(|| {
            windlass::spawn(async move {
                match tail(&options).await {
                    Err(Failure::Input(error)) => complain!("{error}"),
                    Err(Failure::Output(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                        complain!("the standard output: {error}");
                    }
                    // Who reads has seen enough.
                    Ok(()) | Err(Failure::Output(_)) => return,
                }
                windlass::set_exit_code(1);
            });
        })
    })
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut follow = true;
    let mut path: Option<OsString> = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("short") => follow = false,
            Value(value) if path.is_none() => path = Some(value),
            argument => return Err(common::other(argument)),
        }
    }
    let path = path.ok_or(Stop::Wrong("tail_f wants a FILE".to_owned()))?.into();
    Ok(Options { path, follow })
}

enum Failure {
    Input(io::Error),
    Output(io::Error),
}

async fn tail(options: &Options) -> Result<(), Failure> {
    // Before the first look: what happens after it is told.
    let watcher = watch_folder(&options.path);
    let mut file = File::open(&options.path).await.map_err(Failure::Input)?;
    let length = file.metadata().await.map_err(Failure::Input)?.len();
    let mut offset = length.saturating_sub(BYTES_AT_FIRST);
    loop {
        offset = print_from(&file, offset).await?;
        if !options.follow {
            return Ok(());
        }
        // An elapsed limit is as good as a change.
        timeout(QUIET, change(watcher.as_ref(), &options.path)).await.ok();
        if let Some(other) = changed_places(&file, &options.path).await {
            // What was added to the old one last, and then the new one from its start.
            print_from(&file, offset).await?;
            (file, offset) = (other, 0);
        } else if file.metadata().await.map_err(Failure::Input)?.len() < offset {
            offset = 0;
        }
    }
}

/// Watches the folder of a file, where the system can.
fn watch_folder(path: &Path) -> Option<Watcher> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::watch(folder.unwrap_or(Path::new("."))).ok()
}

/// Waits until something has happened to the file at a path, as far as that is told.
async fn change(watcher: Option<&Watcher>, path: &Path) {
    if let Some(watcher) = watcher {
        // An error is the last that a watcher tells.
        while let Ok(event) = watcher.next().await {
            if event.path.file_name() == path.file_name() {
                return;
            }
        }
    }
    std::future::pending().await
}

/// Prints all that there is behind an offset. Returns where the end was.
async fn print_from(file: &File, mut offset: u64) -> Result<u64, Failure> {
    loop {
        let bytes = file.read_at(64 * 1024, offset).await.map_err(Failure::Input)?;
        if bytes.is_empty() {
            return Ok(offset);
        }
        offset += bytes.len() as u64;
        stdout().write_owned(bytes).await.map_err(Failure::Output)?;
    }
}

/// The file at the path, if it is another one by now. While there is none, the old one is followed.
async fn changed_places(file: &File, path: &Path) -> Option<File> {
    let name = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let own = file.metadata().await.ok().map(name);
    let there = fs::metadata(path).await.ok().map(name)?;
    if own == Some(there) { None } else { File::open(path).await.ok() }
}
