//! How are many files copied at once, but not too many?
//!
//! A task walks the tree, and for each file starts a task that copies it, from a stream into a stream. When
//! as many run as may, the walk waits for the oldest. So neither the size of a file nor the size of
//! the tree is ever in memory.
//!
//! ```text
//! $ cargo run --release --example copy_tree -- src /tmp/copy | tail -n 1
//! copied 64 files, 12 directories, 0 links: 612345 bytes; 0 failed
//! ```
//!
//! On a terminal it draws a bar, else it prints a line for each file. What cannot be copied is reported and
//! left out; the exit code is 1 then.

#[path = "common/mod.rs"]
mod common;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use windlass::fs;
use windlass::fs::stream::{ReadStream, WriteStream};
use windlass::{Task, set_interval, spawn};

use common::{Gone, Long, Parser, Stop, Value, complain, mention};

const HELP: &str = "\
Copies a directory and everything in it.

usage: copy_tree [--jobs N] FROM TO

  FROM       the directory to copy
  TO         where to; made if it is not there, files in it are replaced
  --jobs N   how many files are copied at a time (default 8)
  --help     this text
";

struct Options {
    from: PathBuf,
    to: PathBuf,
    jobs: usize,
}

fn main() -> ExitCode {
    common::main(HELP, read, |options| windlass::run_main(|| drop(spawn(copy_tree(options)))))
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let mut paths = Vec::new();
    let mut jobs = 8;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("jobs") => jobs = common::number(parser, "--jobs", 1, 1024)?,
            Value(path) => paths.push(PathBuf::from(path)),
            argument => return Err(common::other(argument)),
        }
    }
    match <[PathBuf; 2]>::try_from(paths) {
        Ok([from, to]) => Ok(Options { from, to, jobs }),
        Err(_) => Err(Stop::Wrong("two directories are wanted".to_owned())),
    }
}

/// What has been done so far, for those who report.
#[derive(Default)]
struct Progress {
    files: Cell<u64>,
    directories: Cell<u64>,
    links: Cell<u64>,
    bytes: Cell<u64>,
    /// Bytes that are known to be there. Grows while the tree is walked.
    bytes_found: Cell<u64>,
    failed: Cell<u64>,
    /// Whether a bar is drawn, which messages must not run into.
    terminal: bool,
}

impl Progress {
    fn add(count: &Cell<u64>, more: u64) {
        count.set(count.get() + more);
    }

    fn fail(&self, error: &io::Error) {
        Progress::add(&self.failed, 1);
        if self.terminal {
            draw("\r\x1b[K");
        }
        complain!("{error}");
    }

    fn copied(&self, path: &Path, bytes: u64) {
        Progress::add(&self.files, 1);
        Progress::add(&self.bytes, bytes);
        if !self.terminal {
            mention!("{}", path.display());
        }
    }

    fn draw(&self) {
        const WIDTH: u64 = 40;
        let (done, found) = (self.bytes.get(), self.bytes_found.get());
        let filled = (done.min(found) * WIDTH).checked_div(found).unwrap_or(0) as usize;
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        draw(&format!(
            "\r\x1b[K[{}{}] {:.1} of {:.1} MiB, {} files",
            "#".repeat(filled),
            " ".repeat(WIDTH as usize - filled),
            mib(done),
            mib(found),
            self.files.get()
        ));
    }

    fn summary(&self) -> String {
        let (files, directories) = (self.files.get(), self.directories.get());
        let (links, bytes, failed) = (self.links.get(), self.bytes.get(), self.failed.get());
        format!(
            "copied {files} files, {directories} directories, {links} links: {bytes} bytes; {failed} failed"
        )
    }
}

/// Prints. Whoever reads may have gone, which is no reason to stop copying.
fn draw(text: &str) {
    common::print(format_args!("{text}"), Gone::GoesOn);
}

async fn copy_tree(options: Options) {
    let progress =
        Rc::new(Progress { terminal: io::stdout().is_terminal(), ..Progress::default() });
    let bar = progress.terminal.then(|| {
        let progress = progress.clone();
        set_interval(Duration::from_millis(100), move |_| progress.draw())
    });
    if let Err(error) = walk(&options, &progress).await {
        progress.fail(&error);
    }
    if let Some(bar) = bar {
        bar.clear();
        progress.draw();
        draw("\n");
    }
    mention!("{}", progress.summary());
    if progress.failed.get() > 0 {
        windlass::set_exit_code(1);
    }
}

/// Goes through the tree, and returns when everything is copied. An error here is one of the root.
async fn walk(options: &Options, progress: &Rc<Progress>) -> io::Result<()> {
    let copiers = Copiers { most: options.jobs, running: RefCell::default() };
    let root = fs::canonicalize(&options.from).await?;
    if nearest(&options.to).await?.starts_with(&root) {
        let text = "a directory cannot be copied into itself";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    // Directories whose entries are still to be copied.
    let mut left = vec![(root, options.to.clone())];
    while let Some((from, to)) = left.pop() {
        if let Err(error) = copy_entries(&from, &to, &mut left, &copiers, progress).await {
            progress.fail(&error);
        }
    }
    copiers.finish().await;
    Ok(())
}

/// Where a path lies that need not be there: the nearest directory above it that is.
async fn nearest(path: &Path) -> io::Result<PathBuf> {
    let mut path = path;
    loop {
        match fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path })
            .await
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
                Some(parent) => path = parent,
                None => return Err(error),
            },
            found => return found,
        }
    }
}

/// Copies what is in one directory. Directories in it are put on the list.
async fn copy_entries(
    from: &Path,
    to: &Path,
    left: &mut Vec<(PathBuf, PathBuf)>,
    copiers: &Copiers,
    progress: &Rc<Progress>,
) -> io::Result<()> {
    let mut entries = fs::read_dir(from).await?;
    fs::create_dir_all(to).await?;
    Progress::add(&progress.directories, 1);
    while let Some(entry) = entries.next().await? {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let found = match fs::symlink_metadata(&source).await {
            Ok(found) => found,
            Err(error) => {
                progress.fail(&error);
                continue;
            }
        };
        if found.is_dir() {
            left.push((source, target));
            continue;
        }
        Progress::add(&progress.bytes_found, if found.is_file() { found.len() } else { 0 });
        let progress = progress.clone();
        copiers.room().await;
        copiers.start(spawn(async move {
            if let Err(error) = copy_one(&source, &target, &found, &progress).await {
                progress.fail(&error);
            }
        }));
    }
    Ok(())
}

async fn copy_one(
    source: &Path,
    target: &Path,
    found: &std::fs::Metadata,
    progress: &Progress,
) -> io::Result<()> {
    if found.is_symlink() {
        let there = fs::symlink_metadata(target).await;
        if there.is_ok_and(|there| !there.is_dir()) {
            fs::remove_file(target).await?;
        }
        fs::symlink(fs::read_link(source).await?, target).await?;
        Progress::add(&progress.links, 1);
        return Ok(());
    }
    if !found.is_file() {
        let text = format!("{}: neither a file, a directory nor a link", source.display());
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    // By a link, the target may be the source, which opening it for writing would empty.
    let there = fs::metadata(target).await;
    if there.is_ok_and(|there| (there.dev(), there.ino()) == (found.dev(), found.ino())) {
        let text = format!("{}: the target is the same file", source.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let bytes = ReadStream::open(source).pipe(WriteStream::create(target)).await?;
    fs::set_permissions(target, found.permissions()).await?;
    progress.copied(source, bytes);
    Ok(())
}

/// The tasks that copy, in the order they were started.
struct Copiers {
    most: usize,
    running: RefCell<VecDeque<Task<()>>>,
}

impl Copiers {
    fn start(&self, task: Task<()>) {
        self.running.borrow_mut().push_back(task);
    }

    /// Waits until one more may run.
    async fn room(&self) {
        while self.running.borrow().len() >= self.most {
            self.wait_for_oldest().await;
        }
    }

    async fn finish(&self) {
        while !self.running.borrow().is_empty() {
            self.wait_for_oldest().await;
        }
    }

    async fn wait_for_oldest(&self) {
        let oldest = self.running.borrow_mut().pop_front();
        if let Some(task) = oldest
            && let Err(error) = task.await
        {
            complain!("{error}");
            windlass::set_exit_code(1);
        }
    }
}
