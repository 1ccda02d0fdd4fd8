//! Runs a file of programs on Node and on `mini_node`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Options;
use super::program::{self, Program};

/// A batch that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// A file of programs.
pub(crate) struct Batch {
    text: String,
}

impl Batch {
    pub(crate) fn new(programs: &[&Program]) -> Batch {
        Batch { text: program::file(programs) }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    printed: Vec<String>,
    /// None if it was killed, by itself or because it hung.
    code: Option<i32>,
}

impl Outcome {
    /// The lines of one program. None if it did not begin.
    pub(crate) fn of(&self, program: &Program) -> Option<&[String]> {
        let title = format!("# {}", program.seed);
        let from = self.printed.iter().position(|line| *line == title)? + 1;
        let rest = &self.printed[from..];
        let end = rest.iter().position(|line| line.starts_with("# ")).unwrap_or(rest.len());
        Some(&rest[..end])
    }

    /// Whether a program printed the same in both.
    pub(crate) fn same(&self, other: &Outcome, program: &Program) -> bool {
        let (own, others) = (self.of(program), other.of(program));
        own.is_some() && own == others && self.code == other.code
    }

    /// What was printed, and how it ended.
    pub(crate) fn lines(&self) -> Vec<String> {
        let code = self.code.map_or("killed".to_owned(), |code| format!("exit code {code}"));
        self.printed.iter().cloned().chain([code]).collect()
    }
}

/// Where the programs are run.
pub(crate) struct Run {
    file: PathBuf,
    mini_node: PathBuf,
    real: bool,
}

impl Run {
    pub(crate) fn new(options: &Options) -> io::Result<Run> {
        let mini_node = options.mini_node.clone().map_or_else(find, Ok)?;
        let name = format!("against_node_{}_batch.js", std::process::id());
        Ok(Run { file: std::env::temp_dir().join(name), mini_node, real: options.real })
    }

    pub(crate) fn node(&self, batch: &Batch) -> io::Result<Outcome> {
        self.outcome(batch, &mut Command::new("node"))
    }

    pub(crate) fn ours(&self, batch: &Batch) -> io::Result<Outcome> {
        let mut command = Command::new(&self.mini_node);
        if !self.real {
            command.arg("--virtual");
        }
        self.outcome(batch, &mut command)
    }

    fn outcome(&self, batch: &Batch, command: &mut Command) -> io::Result<Outcome> {
        std::fs::write(&self.file, &batch.text)?;
        let program = command.get_program().display().to_string();
        let (printed, code) = output(command.arg(&self.file)).map_err(|error| {
            io::Error::new(error.kind(), format!("{program} cannot be run: {error}"))
        })?;
        Ok(Outcome { printed: printed.lines().map(str::to_owned).collect(), code })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.file) {
            log::debug!("{}: {error}", self.file.display());
        }
    }
}

/// What a command prints, and its exit code. One that hangs is killed.
fn output(command: &mut Command) -> io::Result<(String, Option<i32>)> {
    // What is not caught is on the standard error, told in another way by each.
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (tells, told) = mpsc::channel();
    let mut out = child.stdout.take().expect("it is piped");
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = out.read_to_end(&mut bytes);
        drop(tells); // It has ended, or will not say any more.
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    let hangs = told.recv_timeout(LONGEST) == Err::<(), _>(mpsc::RecvTimeoutError::Timeout);
    if hangs {
        child.kill()?;
    }
    let text = reader.join().expect("a reader does not panic")?;
    Ok((text, end(&mut child, hangs)?))
}

fn end(child: &mut Child, hangs: bool) -> io::Result<Option<i32>> {
    let status = child.wait()?;
    Ok(if hangs { None } else { status.code() })
}

/// `mini_node` is a package of its own: where cargo puts it.
fn find() -> io::Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mini_node/target");
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folders = target.into_iter().chain([package]);
    let mut files = folders.flat_map(|folder| {
        ["release", "debug"].map(|profile| folder.join(profile).join("mini_node"))
    });
    files.find(|file| file.is_file()).ok_or_else(|| {
        let text = "there is no mini_node: build it with `cargo build --release --manifest-path \
                    examples/mini_node/Cargo.toml`, or say where it is with --mini-node";
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}
