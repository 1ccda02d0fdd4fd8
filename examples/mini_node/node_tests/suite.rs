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
const LONGEST: Duration = Duration::from_secs(60);

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

/// Where Node's tests ask for internal modules, ours get these. What they stand for is small; tests
/// that look into Node itself are out of scope.
const INTERNAL: &[(&str, &str)] = &[
    ("util.js", include_str!("internal/util.js")),
    ("timers.js", include_str!("internal/timers.js")),
    ("test/binding.js", include_str!("internal/test/binding.js")),
    ("worker/io.js", include_str!("internal/worker/io.js")),
];

/// Files of Node's folder `common` that hold nothing but cases: they are taken from the checkout.
const CASES: &[&str] = &["process-exit-code-cases.js"];

/// How the line begins in which a test names the options that it needs.
const FLAGS: &str = "// Flags: ";

/// Of these options those that ours is run without: modules are there in place of the internal ones
/// (see [`INTERNAL`]), and it has no allocator that could check itself.
const NOT_OURS: [&str; 2] = ["--expose-internals", "--debug-arraybuffer-allocations"];

/// How the line begins which says that a test was not run.
const SKIPPED: &str = "1..0 # Skipped";

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
    /// Whether it was run, and ended as it should. One that skips itself has not passed.
    pub(crate) fn passed(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.code == Some(0) && !outcome.skipped())
    }
}

impl Outcome {
    /// Whether the test has said that it does not run here.
    pub(crate) fn skipped(&self) -> bool {
        self.said.lines().any(|line| line.starts_with(SKIPPED))
    }
}

/// The tests, and where they are run.
pub(crate) struct Suite {
    program: PathBuf,
    /// The program is `mini_node`, which has other internal modules than Node.
    is_ours: bool,
    /// Our own folder `test`. It is removed in the end.
    folder: PathBuf,
    tests: Vec<Test>,
}

impl Suite {
    /// Finds the tests in a checkout.
    pub(crate) fn open(checkout: &Path, program: PathBuf, is_ours: bool) -> io::Result<Suite> {
        let parallel = checkout.join("test/parallel");
        let tests = find(&parallel).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", parallel.display()))
        })?;
        let folder = std::env::temp_dir().join(format!("node_tests_{}", std::process::id()));
        let suite = Suite { program, is_ours, folder, tests };
        fs::create_dir_all(suite.folder.join("parallel"))?;
        for (folder, files) in [("common", COMMON), ("node_modules/internal", INTERNAL)] {
            for (name, text) in files {
                let file = suite.folder.join(folder).join(name);
                fs::create_dir_all(file.parent().unwrap_or(&suite.folder))?;
                fs::write(file, text)?;
            }
        }
        for name in CASES {
            let from = checkout.join("test/common").join(name);
            if from.exists() {
                fs::copy(from, suite.folder.join("common").join(name))?;
            }
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
        let flags = flags(&fs::read_to_string(&file)?);
        let dropped = |flag: &String| self.is_ours && NOT_OURS.contains(&flag.as_str());
        let flags = flags.into_iter().filter(|flag| !dropped(flag));
        let mut child = Command::new(&self.program)
            .args(flags)
            .arg(file)
            .current_dir(&self.folder)
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

/// The options that a test needs.
fn flags(source: &str) -> Vec<String> {
    let lines = source.lines().filter_map(|line| line.strip_prefix(FLAGS));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: i32, said: &str) -> Test {
        let outcome = Outcome { code: Some(code), hung: false, said: said.to_owned() };
        Test { name: "test-it.js".to_owned(), family: "timers", outcome: Some(outcome) }
    }

    #[test]
    fn a_test_that_skips_itself_has_not_passed() {
        assert!(outcome(0, "said something\n").passed());
        assert!(!outcome(0, "1..0 # Skipped: missing crypto\n").passed());
        assert!(!outcome(1, "").passed());
    }

    #[test]
    fn the_options_of_a_test_are_in_its_lines() {
        let source = "'use strict';\n// Flags: --expose-gc --no-warnings\nrequire('x');\n";
        assert_eq!(flags(source), ["--expose-gc", "--no-warnings"]);
        assert!(flags("// Flags are none\n").is_empty());
    }
}
