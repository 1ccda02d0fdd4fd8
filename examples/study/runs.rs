//! One run of a program: a process of its own, with limits.
//!
//! The process ends when it has used up its time, its memory or its output, whatever it does. The
//! shell sets the limits that the system keeps, so that they hold also when nobody is left to see to
//! it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass::pipe::Reader;
use windlass::process::{Child, Command, Stdio};
use windlass::time::timeout;
use windlass::{Task, queue_work};

use super::asked::{Asked, Clock, MAIN};
use super::complete;

/// How long a process may run. A scenario cuts itself off before that.
const TIME_MAX: Duration = Duration::from_secs(10);

/// How long what it has printed may take to be read when it has ended.
const GRACE: Duration = Duration::from_secs(1);

/// How much it may print.
const OUTPUT_MAX: usize = 8 * 1024 * 1024;

/// How much of what it complains about is kept.
const COMPLAINTS_MAX: usize = 4096;

/// KiB of memory and seconds of CPU that the system gives it.
const LIMITS: &str = "ulimit -v 4000000; ulimit -t 15; exec \"$@\"";

/// What a process has left behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) output: Vec<u8>,
    pub(crate) complaints: Vec<u8>,
    /// Why it did not come to its own end.
    pub(crate) cut_off: Option<String>,
    /// It ended by itself, and with success.
    pub(crate) succeeded: bool,
}

/// Runs it, and returns the lines, of which `most` are events.
///
/// # Errors
/// What keeps it from beginning, in words for the user.
pub(crate) async fn run(
    asked: Asked,
    mini_node: Option<&Path>,
    most: usize,
) -> Result<Vec<u8>, String> {
    let left = match &asked {
        Asked::Scenario { .. } => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let input = serde_json::to_vec(&asked).map_err(|error| error.to_string())?;
            in_process(&program, &["--run".into()], None, input).await
        }
        Asked::Javascript { files, pool, clock } => {
            let mini_node = find_mini_node(mini_node)?;
            let files = files.clone();
            let folder = queue_work(move || Folder::with(&files)).await;
            let folder = folder.map_err(|error| error.to_string())?;
            let folder = folder.map_err(|error| format!("the files: {error}"))?;
            let mut args = vec![OsString::from("--events")];
            if *clock == Clock::Real {
                args.push("--real".into());
            }
            args.push(folder.0.join(MAIN).into());
            let left = in_process(&mini_node, &args, *pool, Vec::new()).await;
            drop(queue_work(move || drop(folder)));
            left
        }
    };
    let left = left.map_err(|error| format!("the program cannot be started: {error}"))?;
    let completed = queue_work(move || complete::lines(&asked, &left, most)).await;
    completed.map_err(|error| error.to_string())
}

async fn in_process(
    program: &Path,
    args: &[OsString],
    pool: Option<usize>,
    input: Vec<u8>,
) -> io::Result<Left> {
    let mut command = Command::new("sh");
    command.args(["-c", LIMITS, "sh"]).arg(program).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(threads) = pool {
        command.env("UV_THREADPOOL_SIZE", threads.to_string());
    }
    let child = command.spawn()?;
    let _own = Ended(child.clone());
    if let Some(stdin) = child.take_stdin() {
        // A child that does not read it says why by its end.
        drop(stdin.write_owned(input));
    }
    let output = Printed::read(child.take_stdout(), OUTPUT_MAX, Some(child.clone()));
    let complaints = Printed::read(child.take_stderr(), COMPLAINTS_MAX, None);
    let ended = timeout(TIME_MAX, child.wait()).await;
    let is_late = ended.is_err();
    let status = match ended {
        Ok(status) => status?,
        Err(_) => {
            end(&child);
            child.wait().await?
        }
    };
    // The pipes end with the process, if it has given them to nobody.
    let ((output, read), (complaints, _)) = (output.end().await, complaints.end().await);
    let cut_off = match read {
        Some(Read::Cut) => Some(format!("cut off: it printed more than {OUTPUT_MAX} bytes")),
        _ if is_late => Some(format!("cut off after {} s: it had not ended", TIME_MAX.as_secs())),
        Some(Read::Whole) => by_signal(status),
        None => {
            let text = "it has ended, and another process that it has started goes on printing";
            Some(text.to_owned())
        }
    };
    Ok(Left { output, complaints, cut_off, succeeded: status.success() })
}

/// How much was read of what a process has printed.
#[derive(Clone, Copy, Debug)]
enum Read {
    Whole,
    /// As much as there was room for.
    Cut,
}

/// What a process prints, as far as it has come.
struct Printed {
    bytes: Rc<RefCell<Vec<u8>>>,
    reading: Task<Read>,
}

impl Printed {
    /// Begins to read up to `most` bytes. If there are more, `child` is ended, if there is one, and
    /// the rest is read to no end.
    fn read(reader: Option<Reader>, most: usize, child: Option<Child>) -> Printed {
        let bytes = Rc::new(RefCell::new(Vec::new()));
        let all = bytes.clone();
        let reading = windlass::spawn(async move {
            let mut read = Read::Whole;
            let Some(reader) = reader else { return read };
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                let room = most - all.borrow().len();
                all.borrow_mut().extend_from_slice(&buffer[..count.min(room)]);
                if count > room {
                    read = Read::Cut;
                    child.iter().for_each(end);
                }
            }
            read
        });
        Printed { bytes, reading }
    }

    /// What has come when there is nothing more, or no time left to wait for that: then it is not
    /// known how much there is.
    async fn end(mut self) -> (Vec<u8>, Option<Read>) {
        let read = timeout(GRACE, &mut self.reading).await.ok().and_then(Result::ok);
        self.reading.abort();
        (self.bytes.take(), read)
    }
}

/// Ends a process for which nobody waits any more.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        end(&self.0);
    }
}

fn end(child: &Child) {
    // It fails only if the child has ended.
    child.kill().ok();
}

/// What a signal that has ended it says of it.
fn by_signal(status: ExitStatus) -> Option<String> {
    let signal = status.signal()?;
    Some(format!("ended by signal {signal}: it aborted, or used up its memory or its time"))
}

/// A folder with the files of a program, for as long as it runs.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &BTreeMap<String, String>) -> io::Result<Folder> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("study-{}-{number}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0)?; // One that is there is somebody else's.
        for (name, text) in files {
            std::fs::write(folder.0.join(name), text)?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::warn!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// What builds the program that runs JavaScript.
const BUILD: &str = "cargo build --release --manifest-path examples/mini_node/Cargo.toml";

/// Where it is, or what is to be done that there is one.
pub(crate) fn find_mini_node(told: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = told {
        let there = path.exists();
        let path_is = path.display();
        let missing =
            || format!("there is no {path_is}, which --mini-node names. Build it: {BUILD}");
        return there.then(|| path.to_owned()).ok_or_else(missing);
    }
    // Beside this program if one folder takes all that is built, else where its package is built.
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(|own| Some(own.parent()?.parent()?.join("mini_node")));
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mini_node/target");
    let built = ["release", "debug"].map(|profile| package.join(profile).join("mini_node"));
    let mut places = beside.into_iter().chain(built);
    let missing =
        || format!("JavaScript is run by mini_node, which is not there yet. Build it: {BUILD}");
    places.find(|path| path.is_file()).ok_or_else(missing)
}
