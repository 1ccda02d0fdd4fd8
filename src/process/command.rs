//! What is to be started, and how: std's names, on the loop.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;

use super::child::{Child, KIND};
use super::output;
use super::plumbing::{Ends, Numbers, Stdio};
use super::{ExitStatus, Output};
use crate::error;
use crate::net;
use crate::pipe;
use crate::request::Request;
use crate::state::State;
use crate::state::current;
use crate::sys::process::{self as sys_process, Preparation};
use crate::trace::label::here;

/// A program to be started, with its arguments and what else it gets.
///
/// Can be spawned any number of times.
///
/// # Examples
/// ```
/// use windlass::process::{Command, Stdio};
///
/// windlass::block_on(async {
///     let child = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
///     let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
///     input.write(b"pear\napple\n").await?;
///     input.close(); // The end.
///     let mut buffer = [0; 64];
///     let count = output.read(&mut buffer).await?;
///     assert_eq!(&buffer[..count], b"apple\npear\n");
///     assert!(child.wait().await?.success());
///     Ok::<(), std::io::Error>(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    /// A path, or a name to be looked up.
    program: OsString,
    /// Those after the first.
    args: Vec<OsString>,
    /// The first argument, if it is not the program.
    arg0: Option<OsString>,
    /// How the environment differs from this process's, change by change.
    environment: Vec<Change>,
    /// Where it runs.
    directory: Option<PathBuf>,
    /// As whom it runs.
    uid: Option<u32>,
    /// In which group it runs.
    gid: Option<u32>,
    /// It leads a session of its own.
    detached: bool,
    /// It is killed when its last [`Child`] is dropped.
    kill_on_drop: bool,
    /// Its first three descriptors. None for what is usual.
    standard: [Option<Stdio>; 3],
    /// Its further ones, by number.
    further: Vec<(RawFd, Stdio)>,
}

/// A change of the environment.
#[derive(Debug)]
enum Change {
    /// A variable is set.
    Set(OsString, OsString),
    /// A variable is removed.
    Remove(OsString),
    /// All variables are removed.
    Clear,
}

impl Command {
    /// A program that is to inherit environment, directory and standard streams.
    ///
    /// A name without a slash is looked up in the `PATH` that the child gets; a relative path
    /// counts from the directory in which it runs.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            arg0: None,
            environment: Vec::new(),
            directory: None,
            uid: None,
            gid: None,
            detached: false,
            kill_on_drop: false,
            standard: [None, None, None],
            further: Vec::new(),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&mut self, args: I) -> &mut Self {
        args.into_iter().for_each(|arg| self.args.push(arg.as_ref().to_owned()));
        self
    }

    /// What the program is told as its own name.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.arg0 = Some(arg.as_ref().to_owned());
        self
    }

    /// Sets a variable of the environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let (key, value) = (key.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(Change::Set(key, value));
        self
    }

    /// Sets variables of the environment.
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        variables.into_iter().for_each(|(key, value)| {
            self.env(key, value);
        });
        self
    }

    /// Removes a variable of the environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.environment.push(Change::Remove(key.as_ref().to_owned()));
        self
    }

    /// Removes all variables of the environment, those that were set before this call too.
    pub fn env_clear(&mut self) -> &mut Self {
        self.environment.push(Change::Clear);
        self
    }

    /// The directory in which the program runs.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// The user as whom the program runs. Supplementary groups are given up.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.uid = Some(id);
        self
    }

    /// The group in which the program runs. Supplementary groups are given up if this process may
    /// do so.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.gid = Some(id);
        self
    }

    /// Whether the program leads a session of its own, without this process's terminal, so that it
    /// survives its end. To let the loop end as well, [`unref`](Child::unref) the child.
    pub fn detached(&mut self, on: bool) -> &mut Self {
        self.detached = on;
        self
    }

    /// Whether the child is killed when the last clone of its [`Child`] is dropped. Callbacks do
    /// not count.
    pub fn kill_on_drop(&mut self, on: bool) -> &mut Self {
        self.kill_on_drop = on;
        self
    }

    /// What the program reads. Inherited unless told otherwise, but empty for
    /// [`output`](Command::output).
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.standard[0] = Some(stdio.into());
        self
    }

    /// Where the program writes. Inherited unless told otherwise.
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.standard[1] = Some(stdio.into());
        self
    }

    /// Where the program writes its errors. Inherited unless told otherwise.
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.standard[2] = Some(stdio.into());
        self
    }

    /// A further descriptor of the program, by its number there, which is above 2. One that is
    /// [piped](Stdio::piped) goes both ways, and its other end is [`Child::take_fd`]'s; nobody can
    /// take that from a request, so that with [`output`](Command::output) and
    /// [`status`](Command::status) it is closed at once.
    ///
    /// # Examples
    /// ```
    /// use windlass::process::{Command, Stdio};
    ///
    /// windlass::block_on(async {
    ///     let mut command = Command::new("sh");
    ///     command.args(["-c", "read name <&3; echo hello, $name >&3"]);
    ///     let child = command.fd(3, Stdio::piped()).spawn()?;
    ///     let channel = child.take_fd(3).expect("it was asked for");
    ///     channel.write(b"child\n").await?;
    ///     let mut buffer = [0; 64];
    ///     let count = channel.read(&mut buffer).await?;
    ///     assert_eq!(&buffer[..count], b"hello, child\n");
    ///     assert!(child.wait().await?.success());
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fd(&mut self, number: i32, stdio: impl Into<Stdio>) -> &mut Self {
        self.further.retain(|(other, _)| *other != number);
        self.further.push((number, stdio.into()));
        self
    }

    /// Starts the program.
    ///
    /// When this returns, the program has begun. Its end is told later, from the loop. Where
    /// `SIGCHLD` is ignored, as in a process that was started so, the system would tell nobody how
    /// a child has ended: its disposition is then put to the default by this call, and stays there.
    ///
    /// # Errors
    /// The system's, as `std` gives it, when the program cannot be started: `NotFound`,
    /// `PermissionDenied` and others. Nothing of it is left then. `InvalidInput` for a zero byte in
    /// a text, and for a number of [`fd`](Command::fd) below 3.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        let state = current::expect("Command::spawn");
        let inherit = [Stdio::inherit(), Stdio::inherit(), Stdio::inherit()];
        self.start(&state, &inherit, here())
    }

    /// Runs the program to its end and collects what it writes.
    ///
    /// Its input is empty unless told otherwise. It completes when the program has ended and nobody
    /// has its output open any more, which may be processes that it has started. Cancelling kills
    /// the program, and completes at once.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn), later; the system's when the output cannot be read; `ECHILD`
    /// when other code has waited for the child.
    ///
    /// # Panics
    /// When no loop is current.
    #[track_caller]
    pub fn output(&mut self) -> Request<io::Result<Output>> {
        let (state, location) = (current::expect("Command::output"), here());
        let usual = [Stdio::null(), Stdio::piped(), Stdio::piped()];
        match self.start(&state, &usual, location) {
            Ok(child) => output::collect(&state, child, location),
            Err(error) => Request::failed_later(&state, KIND, location, error),
        }
    }

    /// Runs the program to its end. Cancelling kills it, and completes at once. The ends of its
    /// pipes that would stay here are closed, for nobody could take them.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn), later; `ECHILD` when other code has waited for the child.
    ///
    /// # Panics
    /// When no loop is current.
    ///
    /// # Examples
    /// ```
    /// use windlass::process::Command;
    ///
    /// windlass::run(|| {
    ///     Command::new("true").status().on_complete(|status| assert!(status.unwrap().success()));
    /// });
    /// ```
    #[track_caller]
    pub fn status(&mut self) -> Request<io::Result<ExitStatus>> {
        let (state, location) = (current::expect("Command::status"), here());
        let usual = [Stdio::inherit(), Stdio::inherit(), Stdio::inherit()];
        match self.start(&state, &usual, location) {
            Ok(child) => output::wait(&state, child, location),
            Err(error) => Request::failed_later(&state, KIND, location, error),
        }
    }

    /// Starts the program, with `usual` for those of the first three descriptors that nobody has
    /// spoken of.
    fn start(
        &self,
        state: &Rc<State>,
        usual: &[Stdio; 3],
        location: &'static Location<'static>,
    ) -> io::Result<Child> {
        if !state.is_open() {
            return Err(error::shut_down());
        }
        state.refuse_in_simulation("child processes")?;
        if let Some((number, _)) = self.further.iter().find(|(number, _)| *number < 3) {
            let text = format!("descriptor {number} is no further one: those begin with 3");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let numbers = Numbers::take(self.further.iter().map(|(number, _)| *number))?;
        let mut command = self.to_std();
        let mut ends = Ends::default();
        let standard = |number: usize| {
            let stdio = self.standard[number].as_ref().unwrap_or(&usual[number]);
            numbers.standard(number as RawFd, stdio)
        };
        let (stdin, writer) = standard(0)?;
        ends.stdin = writer.map(pipe::Writer::from_fd).transpose()?;
        let (stdout, reader) = standard(1)?;
        ends.stdout = reader.map(pipe::Reader::from_fd).transpose()?;
        let (stderr, reader) = standard(2)?;
        ends.stderr = reader.map(pipe::Reader::from_fd).transpose()?;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let mut descriptors = Vec::with_capacity(self.further.len());
        for (number, stdio) in &self.further {
            let (theirs, ours) = numbers.further(*number, stdio)?;
            descriptors.push((*number, theirs));
            if let Some(ours) = ours {
                ends.further.push((*number, net::UnixStream::from_std(ours)?));
            }
        }
        let preparation = Preparation {
            new_session: self.detached,
            drop_groups: self.gid.is_some() && self.uid.is_none() && sys_process::is_root(),
            descriptors,
        };
        sys_process::reap_orphans();
        let pid = sys_process::spawn(command, preparation)?;
        drop(numbers);
        Child::new(state, pid, ends, self.kill_on_drop, location)
    }

    /// The command as std has it, but for its descriptors.
    fn to_std(&self) -> process::Command {
        let mut command = process::Command::new(&self.program);
        command.args(&self.args);
        if let Some(arg0) = &self.arg0 {
            command.arg0(arg0);
        }
        for change in &self.environment {
            match change {
                Change::Set(key, value) => command.env(key, value),
                Change::Remove(key) => command.env_remove(key),
                Change::Clear => command.env_clear(),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some(id) = self.uid {
            command.uid(id);
        }
        if let Some(id) = self.gid {
            command.gid(id);
        }
        command
    }
}
