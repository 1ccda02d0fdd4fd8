//! The tests of our families, in a folder where they find our `common` module.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A test that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// The families, and how the names of their tests begin.
const FAMILIES: &[(&str, &[&str])] = &[
    ("timers", &["test-timer", "test-unref", "test-ref-unref"]),
    ("ticks", &["test-next-tick", "test-process-next-tick"]),
    ("promises", &["test-promise", "test-promises-", "test-unhandled-", "test-async-await"]),
    (
        "exit",
        &["test-process-exit", "test-process-before", "test-process-uncaught", "test-uncaught"],
    ),
    ("microtasks", &["test-microtask", "test-queue-microtask"]),
    ("workers", &["test-worker"]),
    ("ports", &["test-messag", "test-structuredClone", "test-structured-clone"]),
    ("broadcast", &["test-broadcastchannel"]),
];

/// Files that our tests find beside them, in place of Node's.
const COMMON: &[(&str, &str)] = &[
    ("index.js", include_str!("common/index.js")),
    ("tmpdir.js", include_str!("common/tmpdir.js")),
    ("fixtures.js", include_str!("common/fixtures.js")),
    ("countdown.js", include_str!("common/countdown.js")),
    ("tick.js", include_str!("common/tick.js")),
];

/// A test, and what came of it.
pub(crate) struct Test {
    pub name: String,
    pub family: &'static str,
    pub outcome: Option<Outcome>,
}

/// How a test ended.
pub(crate) struct Outcome {
    /// None if it was killed, by itself or because it hung.
    pub code: Option<i32>,
    pub hung: bool,
    /// The standard output, and the standard error behind it.
    pub said: String,
}

impl Test {
    pub(crate) fn passed(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.code == Some(0))
    }
}

/// The tests, and where they are run.
pub(crate) struct Suite {
    program: PathBuf,
    /// Our own folder `test`. It is removed in the end.
    folder: PathBuf,
    tests: Vec<Test>,
}

impl Suite {
    /// Finds the tests in a checkout.
    pub(crate) fn open(checkout: &Path, program: PathBuf) -> io::Result<Suite> {
        let parallel = checkout.join("test/parallel");
        let tests = find(&parallel).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", parallel.display()))
        })?;
        let folder = std::env::temp_dir().join(format!("node_tests_{}", std::process::id()));
        let suite = Suite { program, folder, tests };
        for part in ["common", "parallel"] {
            fs::create_dir_all(suite.folder.join(part))?;
        }
        for (name, text) in COMMON {
            fs::write(suite.folder.join("common").join(name), text)?;
        }
        for test in &suite.tests {
            let to = suite.folder.join("parallel").join(&test.name);
            fs::copy(parallel.join(&test.name), to)?;
        }
        let fixtures = checkout.canonicalize()?.join("test/fixtures");
        symlink(fixtures, suite.folder.join("fixtures"))?;
        Ok(suite)
    }

    pub(crate) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.tests.retain(|test| wanted(&test.name));
    }

    /// Runs those that are `wanted`, some at a time.
    pub(crate) fn run(
        mut self,
        threads: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Vec<Test>> {
        let tests = std::mem::take(&mut self.tests);
        let names: Vec<_> = tests.iter().map(|test| test.name.clone()).collect();
        let runs: Vec<_> = (0..names.len()).filter(|at| wanted(&names[*at])).collect();
        let (next, done) = (AtomicUsize::new(0), Mutex::new(tests));
        thread::scope(|scope| {
            let work = || -> io::Result<()> {
                while let Some(at) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = self.run_one(&names[*at])?;
                    done.lock().expect("no thread panics")[*at].outcome = Some(outcome);
                }
                Ok(())
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
        })?;
        Ok(done.into_inner().expect("no thread panics"))
    }

    fn run_one(&self, name: &str) -> io::Result<Outcome> {
        let file = self.folder.join("parallel").join(name);
        let mut child = Command::new(&self.program)
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let program = self.program.display();
                io::Error::new(error.kind(), format!("{program} cannot be run: {error}"))
            })?;
        let (tells, told) = mpsc::channel::<()>();
        let out = read_all(child.stdout.take().expect("it is piped"), tells.clone());
        let err = read_all(child.stderr.take().expect("it is piped"), tells);
        let hung = told.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout);
        if hung {
            child.kill()?;
        }
        let said =
            out.join().expect("no thread panics")? + &err.join().expect("no thread panics")?;
        let status = child.wait()?;
        Ok(Outcome { code: status.code().filter(|_| !hung), hung, said })
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("node_tests: {}: {error}", self.folder.display());
        }
    }
}

/// Reads to the end on a thread of its own, and lets `until` go then.
fn read_all(
    mut from: impl Read + Send + 'static,
    until: mpsc::Sender<()>,
) -> thread::JoinHandle<io::Result<String>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = from.read_to_end(&mut bytes);
        drop(until);
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// The tests of our families, in the order of their names.
fn find(parallel: &Path) -> io::Result<Vec<Test>> {
    let mut tests = Vec::new();
    for entry in fs::read_dir(parallel)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_of = |(_, starts): &&(&str, &[&str])| starts.iter().any(|it| name.starts_with(it));
        if let Some((family, _)) = FAMILIES.iter().find(is_of)
            && name.ends_with(".js")
        {
            tests.push(Test { name, family, outcome: None });
        }
    }
    tests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tests)
}

/// The names of the families, in order.
pub(crate) fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}
