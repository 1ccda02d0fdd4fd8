//! Running one peer on one row.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::system;

use crate::counted;
use crate::echo;
use crate::http;
use crate::peers::Peer;
use crate::pipe;
use crate::rows::{Kind, Row};
use crate::udp;

/// The figures of a run by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// What no run takes, unless it hangs.
const RUN_MAX: Duration = Duration::from_secs(180);

/// What a server takes to end when it is asked to, unless it hangs.
const END_MAX: Duration = Duration::from_secs(20);

/// Runs `peer` on `row` once. Nothing when the peer does not have it, or the machine lacks a tool for it.
pub(crate) fn once(peer: &Peer, row: &Row, short: bool) -> io::Result<Option<Figures>> {
    let program = row.program(peer.name);
    if !peer.has(program) || row.without.iter().any(|name| name == peer.name) {
        return Ok(None);
    }
    let items = row.items(peer.name, short);
    match row.kind {
        Kind::Program => {
            let printed = print(&peer.run(program, items), &cores(row.cores))?;
            Ok(Some(
                serde_json::from_str(&printed).map_err(|error| {
                    io::Error::other(format!("it printed {printed:?}: {error}"))
                })?,
            ))
        }
        Kind::Echo => {
            let server = Server::start(&peer.serve(program), &cores(1))?;
            let load = echo::Load::of(row, items, short);
            server.while_alive(|server| echo::measure(server, &load)).map(Some)
        }
        Kind::Udp => {
            let server = Server::start(&peer.serve(program), &cores(1))?;
            server.while_alive(|server| udp::ping_pong(server, row, items)).map(Some)
        }
        Kind::Flood => {
            let server = Server::start(&peer.serve(program), &cores(1))?;
            let time = if short { Duration::from_millis(100) } else { Duration::from_secs(items) };
            server.while_alive(|server| udp::flood(server, row.bytes, time)).map(Some)
        }
        Kind::Pipe => pipe::measure(&peer.serve(program), items).map(Some),
        Kind::Idle => {
            let server = Server::start(&peer.serve(program), &cores(1))?;
            server.while_alive(|server| echo::memory(server, items as usize)).map(Some)
        }
        Kind::Http => {
            let server = Server::start(&peer.serve(program), &cores(1))?;
            server.while_alive(|server| http::wrk(server, row.connections, items))
        }
        Kind::Golden => {
            let server = Server::start(&peer.serve(program), &cores(row.cores))?;
            let time = Duration::from_secs(items);
            server.while_alive(|server| http::golden(server, row.path.as_deref(), time)).map(Some)
        }
        Kind::Instructions => counted::instructions(peer, program, items)
            .map(|count| count.map(|count| Figures::from([("ns".into(), count)]))),
        Kind::EchoInstructions => counted::echo_instructions(peer, row, items, short),
        Kind::Calls => counted::calls(peer, row, items),
        Kind::EchoCalls => counted::echo_calls(peer, row, items, short),
    }
}

/// The cores for a program that takes so many: the last ones, as the first one serves the devices and the
/// clients.
pub(crate) fn cores(count: usize) -> Vec<usize> {
    let all = system::cores();
    all[all.len().saturating_sub(count)..].to_vec()
}

/// A command that starts on these cores, and ends when the driver does.
pub(crate) fn command(words: &[String], cores: &[usize]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped());
    let cores = cores.to_vec();
    // SAFETY: neither call allocates or takes a lock.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            system::pin_to(&cores)
        });
    }
    command
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn print(words: &[String], cores: &[usize]) -> io::Result<String> {
    let mut child = command(words, cores).spawn()?;
    let mut stdout = child.stdout.take().expect("a pipe");
    let (sender, printed) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        // Nobody listens any more when it took too long.
        drop(sender.send(read));
    });
    let text = printed.recv_timeout(RUN_MAX);
    if text.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    reader.join().expect("the reader");
    match text {
        Ok(text) if status.success() => text,
        Ok(_) => Err(io::Error::other(format!("it ended with {status}"))),
        Err(_) => Err(io::Error::other(format!("it took more than {RUN_MAX:?}"))),
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) child: Child,
    /// Where it listens: an address with a port, or the path of a Unix socket.
    pub(crate) address: String,
    /// Open, so that the server can go on printing.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(words: &[String], cores: &[usize]) -> io::Result<Server> {
        // What servers say when they are told to end is of no interest.
        let mut child = command(words, cores).stderr(Stdio::null()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while stdout.read_line(&mut line)? > 0 {
            let words = line.trim_end().strip_prefix("listening on ");
            if let Some(address) = words.map(|words| words.trim_start_matches("http://")) {
                let address = address.to_owned();
                return Ok(Server { child, address, _stdout: stdout });
            }
            line.clear();
        }
        Err(io::Error::other(format!("it serves nothing: {}", child.wait()?)))
    }

    /// Does `measure` from the clients' core, and then ends the server.
    pub(crate) fn while_alive<T>(
        self,
        measure: impl FnOnce(&Server) -> io::Result<T>,
    ) -> io::Result<T> {
        let measured = measure(&self);
        drop(self);
        measured
    }

    /// Asks it to end, and waits for as long as a tool may take to write down what it counted.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let tool = self.child.id();
        // Strace runs its program as a child, and ends after it; callgrind is the program.
        let children = fs::read_to_string(format!("/proc/{tool}/task/{tool}/children"))?;
        let program = children.split(' ').next().and_then(|id| id.parse().ok());
        // SAFETY: the process is a child that has not been waited for, or the child of one.
        unsafe { libc::kill(program.unwrap_or(tool as libc::pid_t), libc::SIGTERM) };
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > END_MAX {
                return Err(io::Error::other("it does not end"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after the wait.
        drop(self.child.kill());
        drop(self.child.wait());
        if self.address.starts_with('/') {
            // A killed server leaves its socket there. If it has removed it, all the better.
            drop(fs::remove_file(&self.address));
        }
    }
}
