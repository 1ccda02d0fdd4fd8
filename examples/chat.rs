//! How does one program serve different kinds of streams, and whoever is slow to read?
//!
//! By being written for any stream: `serve` takes all that is `Readable` and `Writable`. And by looking
//! at what waits to be sent to each: who lets more than a limit pile up is cut off, so that one slow
//! reader costs the others neither time nor memory.
//!
//! ```text
//! $ cargo run --example chat -- --tcp 127.0.0.1:7000 --unix /tmp/chat
//! listening on 127.0.0.1:7000
//! listening on /tmp/chat
//!
//! $ nc 127.0.0.1 7000                          $ nc -U /tmp/chat
//! your name?                                   your name?
//! ann                                          bob
//! * you are ann                                * you are bob
//! * bob is here                                hello
//! bob: hello
//! ```
//!
//! Ctrl-C tells everybody and ends, and so does SIGTERM: else the Unix socket's file would be in the way
//! of the next start.

#[path = "common/mod.rs"]
mod common;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use windlass::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use windlass::signal::Signal;
use windlass::stream::{Readable, Writable};

use common::{Long, Parser, Stop, complain, mention};

const HELP: &str = "\
Everybody who connects gets what everybody else writes.

usage: chat [options]

  --tcp ADDRESS:PORT   where to listen; port 0 takes a free one (default 127.0.0.1:7000)
  --unix PATH          listens at a Unix socket too
  --limit BYTES        who has more than this still to read is cut off (default 1000000)
  --short              two guests of its own talk a little, and it ends
  --help               this text
";

/// The longest line that a guest may write.
const LINE_MAX: usize = 4096;
/// The numbers that POSIX has given to these signals everywhere.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
/// How long the last words may take to go out.
const GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    common::main(HELP, read, |options| {
        windlass::run_main(move || {
            if let Err(error) = start(&options) {
                complain!("{error}");
                windlass::exit(1);
            }
        })
    })
}

struct Options {
    tcp: SocketAddr,
    unix: Option<PathBuf>,
    limit: usize,
    short: bool,
}

fn read(parser: &mut Parser) -> Result<Options, Stop> {
    let tcp = SocketAddr::from(([127, 0, 0, 1], 7000));
    let mut options = Options { tcp, unix: None, limit: 1_000_000, short: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("tcp") => {
                let text = common::value(parser, "--tcp")?;
                let address = text.to_str().and_then(|text| text.parse().ok());
                options.tcp = address.ok_or_else(|| {
                    Stop::Wrong(format!("--tcp wants an address and a port, not {text:?}"))
                })?;
            }
            Long("unix") => options.unix = Some(common::value(parser, "--unix")?.into()),
            Long("limit") => options.limit = common::number(parser, "--limit", 1, usize::MAX)?,
            Long("short") => options.short = true,
            argument => return Err(common::other(argument)),
        }
    }
    Ok(options)
}

// ---- the room ----

/// A guest, whatever stream it came by.
struct Guest {
    /// None until it has told.
    name: Option<String>,
    /// Writes a line, and says how many bytes wait to be read.
    tell: Box<dyn Fn(&str) -> usize>,
    /// Closes at once, what waits or not.
    cut_off: Box<dyn Fn()>,
    /// Sends what waits, and the end.
    see_off: Box<dyn Fn()>,
}

struct Room {
    guests: RefCell<BTreeMap<u32, Guest>>,
    last_number: Cell<u32>,
    /// Bytes that may wait for one guest.
    limit: usize,
}

impl Room {
    /// Tells all who have a name, but for one.
    fn tell_all(&self, but: u32, line: &str) {
        let mut lines = VecDeque::from([(but, line.to_owned())]);
        while let Some((but, line)) = lines.pop_front() {
            let mut slow = Vec::new();
            for (&number, guest) in self.guests.borrow().iter() {
                if number != but && guest.name.is_some() && (guest.tell)(&line) > self.limit {
                    slow.push(number);
                }
            }
            // All of them go before any of the others is told.
            for number in slow {
                lines.extend(self.cut_off(number).map(|line| (number, line)));
            }
        }
    }

    fn tell(&self, number: u32, line: &str) {
        let waiting = self.guests.borrow().get(&number).map(|guest| (guest.tell)(line));
        if waiting.is_some_and(|waiting| waiting > self.limit)
            && let Some(line) = self.cut_off(number)
        {
            self.tell_all(number, &line);
        }
    }

    /// A guest has let too much pile up. What the others are to be told, if it had a name.
    fn cut_off(&self, number: u32) -> Option<String> {
        let guest = self.guests.borrow_mut().remove(&number)?;
        (guest.cut_off)();
        let name = guest.name?;
        mention!("{name} is cut off");
        Some(format!("* {name} reads too slowly and is cut off\n"))
    }

    fn has_name(&self, name: &str) -> bool {
        self.guests.borrow().values().any(|guest| guest.name.as_deref() == Some(name))
    }

    /// A guest has written a line: its name first, then what it says.
    fn hear(&self, number: u32, line: &str) {
        let line = line.trim();
        let name = self.guests.borrow().get(&number).map(|guest| guest.name.clone());
        // It may have been cut off since it wrote that.
        let Some(name) = name else { return };
        match name {
            Some(_) if line.is_empty() => {}
            Some(name) => self.tell_all(number, &format!("{name}: {line}\n")),
            None if line.is_empty() || line.len() > 20 => self.tell(number, "your name?\n"),
            None if self.has_name(line) => self.tell(number, "that name is taken\n"),
            None => {
                if let Some(guest) = self.guests.borrow_mut().get_mut(&number) {
                    guest.name = Some(line.to_owned());
                }
                mention!("{line} is here");
                self.tell(number, &format!("* you are {line}\n"));
                self.tell_all(number, &format!("* {line} is here\n"));
            }
        }
    }

    /// A guest has gone by itself.
    fn leave(&self, number: u32) {
        let Some(guest) = self.guests.borrow_mut().remove(&number) else { return };
        (guest.see_off)();
        if let Some(name) = guest.name {
            mention!("{name} has left");
            self.tell_all(number, &format!("* {name} has left\n"));
        }
    }

    /// Everybody goes.
    fn close(&self) {
        for guest in self.guests.take().into_values() {
            (guest.tell)("* the house closes\n");
            (guest.see_off)();
        }
    }
}

/// Takes a guest in, by any stream that goes both ways.
fn serve<S: Readable + Writable>(room: &Rc<Room>, stream: S) {
    let number = room.last_number.get() + 1;
    room.last_number.set(number);
    let (to, slow, last) = (stream.clone(), stream.clone(), stream.clone());
    let guest = Guest {
        name: None,
        tell: Box::new(move |line| {
            drop(to.write(line.as_bytes())); // An error is the read callback's.
            to.write_queue_size()
        }),
        cut_off: Box::new(move || Readable::close(&slow)),
        see_off: Box::new(move || {
            last.read_stop();
            drop(last.shutdown());
        }),
    };
    (guest.tell)("your name?\n");
    room.guests.borrow_mut().insert(number, guest);

    let (room, mut line) = (room.clone(), Vec::new());
    stream.read_start(move |_, chunk| {
        let Ok(chunk @ [_, ..]) = chunk else { return room.leave(number) };
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.len() > LINE_MAX {
                room.tell(number, "* that line is too long\n");
                return room.leave(number);
            }
            if line.ends_with(b"\n") {
                room.hear(number, &String::from_utf8_lossy(&line));
                line.clear();
            }
        }
    });
}

// ---- the house ----

fn start(options: &Options) -> io::Result<()> {
    let room = Rc::new(Room {
        guests: RefCell::default(),
        last_number: Cell::new(0),
        limit: options.limit,
    });
    let (mut tcp_address, mut path) = (options.tcp, options.unix.clone());
    if options.short {
        tcp_address.set_port(0);
        let name = format!("windlass-chat-{}", std::process::id());
        path = Some(std::env::temp_dir().join(name));
    }

    let named =
        |error: io::Error, at: String| io::Error::new(error.kind(), format!("{at}: {error}"));
    let tcp =
        TcpListener::bind(tcp_address).map_err(|error| named(error, tcp_address.to_string()))?;
    let guests = room.clone();
    tcp.on_connection(move |stream| match stream {
        Ok(stream) => serve::<TcpStream>(&guests, stream),
        Err(error) => complain!("{error}"),
    });
    let address = tcp.local_addr()?;
    let at = |path: &PathBuf| {
        UnixListener::bind(path).map_err(|error| named(error, path.display().to_string()))
    };
    let unix = path.as_ref().map(at).transpose()?;
    if let Some(unix) = &unix {
        let guests = room.clone();
        unix.on_connection(move |stream| match stream {
            Ok(stream) => serve::<UnixStream>(&guests, stream),
            Err(error) => complain!("{error}"),
        });
    }

    let end = {
        let unix = unix.clone();
        move || {
            tcp.close();
            unix.iter().for_each(UnixListener::close);
            room.close();
            // Who does not read the last words by then does without.
            windlass::set_timeout(GRACE, || windlass::exit(0)).unref();
        }
    };
    if options.short
        && let Some(path) = path.clone()
    {
        windlass::spawn_try(async move {
            talk(address, path).await?;
            end();
            Ok::<(), io::Error>(())
        });
        return Ok(());
    }
    // Before the addresses are printed: whoever reads them may send a signal at once.
    let end = Rc::new(Cell::new(Some(end)));
    for signum in [SIGINT, SIGTERM] {
        let end = end.clone();
        let told = move || {
            if let Some(end) = end.take() {
                end();
            }
        };
        Signal::start(signum, told)?.unref();
    }
    mention!("listening on {address}");
    if let Some(path) = path {
        mention!("listening on {}", path.display());
    }
    Ok(())
}

// ---- two guests ----

/// What a guest has been told and has not looked at.
struct Ear<S> {
    stream: S,
    heard: Vec<u8>,
}

impl<S: Readable + Writable> Ear<S> {
    /// Waits for the next line.
    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut buffer = [0; 1024];
            match self.stream.read(&mut buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.heard.extend_from_slice(&buffer[..count]),
            }
        }
    }

    async fn say(&self, line: &str) -> io::Result<()> {
        self.stream.write_owned(format!("{line}\n")).await
    }
}

async fn talk(address: SocketAddr, path: PathBuf) -> io::Result<()> {
    let mut ann = Ear { stream: TcpStream::connect(address).await?, heard: Vec::new() };
    ann.say("ann").await?;
    for _ in 0..2 {
        mention!("ann hears   {}", ann.line().await?);
    }
    let mut bob = Ear { stream: UnixStream::connect(path).await?, heard: Vec::new() };
    bob.say("bob").await?;
    bob.say("hello from a Unix socket").await?;
    for _ in 0..2 {
        mention!("bob hears   {}", bob.line().await?);
        mention!("ann hears   {}", ann.line().await?);
    }
    ann.say("hello from TCP").await?;
    mention!("bob hears   {}", bob.line().await?);
    Ok(())
}
