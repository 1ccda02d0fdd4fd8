//! A view of the program that runs, in a browser. With the feature `inspect`.
//!
//! ```sh
//! WINDLASS_INSPECT=127.0.0.1:7070 ./my-program
//! ```
//!
//! A program under [`run`](crate::run), [`run_main`](crate::run_main) or
//! [`block_on`](crate::block_on) that is built with the feature and finds this variable says on
//! stderr where to look, as Node does with `--inspect`. [`listen`] does the same from within. The
//! page shows the loops and the threads of the pools as they turn, and names the callback that
//! blocks a loop while it does.
//!
//! The server has a thread and a loop of its own, which is [not
//! observed](crate::Builder::observed). So it answers also while all loops of the program are
//! blocked, and what it does is in no picture. It is no worker of the program's loop: that would
//! take a number, stand among the handles, and in virtual time be waited for.
//!
//! # What is served
//!
//! | path | what |
//! |---|---|
//! | `/`, `/page/…` | the page: what stood in the crate's sources when it was built |
//! | `/api/about` | the program and the version of the crate, as JSON |
//! | `/api/events` | server-sent events: [lines of JSON][lines], several a message |
//! | `/api/summary` | server-sent events named `summary`: see `src/inspect/summary.rs` |
//!
//! [lines]: crate::observe::Recording::write_json_lines
//!
//! A stream of events begins with a line `meta` and the lines `track`. Each loop then tells `all`
//! that it holds, as in the details of a recording; that comes again whenever something was lost. A
//! busy program says more than can be looked at: then there are windows without a hole, some a
//! second, and `{"what":"lost","count":N,"track":N}` says how much was left out behind each.
//!
//! # Who may look
//!
//! Whoever sees the page sees what the program does: the names of its sources, and how busy it is.
//! So the server listens on loopback addresses only, unless it is [told under which
//! names](Builder::host) it may be asked elsewhere; the variable for that is
//! `WINDLASS_INSPECT_HOSTS`, names with commas between them. It answers only requests under its own
//! names and from its own pages, so that no other page in a browser on this machine can ask it. It
//! serves GET and its list of files, takes nothing in, and cannot change the program.
//!
//! # Cost
//!
//! Without the feature none. With it and with nobody looking on, a thread that sleeps and a socket.
//! While somebody looks on, the program is observed: some 100 ns for each callback, and some more
//! for what is recorded of it, which is bounded. For each loop and thread there is a ring of 128
//! KiB. A loop that sleeps when somebody comes is woken once, to tell what it holds.
//!
//! Clients are bounded in number, and each in time and in memory: one that does not take what it is
//! sent misses it, is told how much that was, and in the end is cut off.

mod about;
mod access;
mod connection;
mod live;
mod page;
mod request;
mod response;
mod server;
mod statements;
mod summary;
mod tap;

use std::cell::RefCell;
use std::env;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::{self, JoinHandle};

use crate::event_loop::Loop;
use crate::net::Address;
use crate::net::address;
use crate::threads::remote::Remote;
use access::Access;
use server::Server;

/// Where to listen, in the environment of the program.
const ADDRESS: &str = "WINDLASS_INSPECT";

/// Under which names the server may be asked beside its own.
const HOSTS: &str = "WINDLASS_INSPECT_HOSTS";

/// Shows the program to browsers on this machine, until the [`Inspector`] is dropped.
///
/// # Errors
/// `InvalidInput` for what is no address, and for one that is no loopback address: see
/// [`Builder::host`]. Those of a listener, such as `AddrInUse`. The system's when there is no
/// thread left.
///
/// # Examples
/// ```
/// let view = windlass::inspect::listen("127.0.0.1:0")?;
/// println!("look at http://{}/", view.local_addr());
/// windlass::run(|| ());
/// drop(view);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn listen(address: impl Address) -> io::Result<Inspector> {
    builder().listen(address)
}

/// Sets a view up that may be asked from elsewhere.
///
/// # Examples
/// ```
/// let view = windlass::inspect::builder().host("box.lan").listen("127.0.0.1:0")?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn builder() -> Builder {
    Builder::default()
}

/// Sets a view up. Made by [`builder`].
///
/// # Examples
/// ```
/// // In a container, whose port is published as that of the machine `box.lan`.
/// let view = windlass::inspect::builder().host("box.lan").listen("0.0.0.0:0")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// Who may ask.
    access: Access,
}

impl Builder {
    /// Adds a name or an IP address under which the server may be asked, beside `localhost` and the
    /// loopback addresses: as it stands in a link, without the port, an IPv6 address in brackets.
    ///
    /// With one the server may listen on addresses other than loopback. Then everybody who reaches
    /// such an address sees what the program does.
    pub fn host(mut self, name: impl Into<String>) -> Builder {
        self.access.hosts.push(name.into());
        self
    }

    /// Begins to serve. See [`listen`].
    ///
    /// # Errors
    /// As [`listen`].
    pub fn listen(self, address: impl Address) -> io::Result<Inspector> {
        let address = address::of_socket(address)?;
        if !address.ip().is_loopback() && self.access.hosts.is_empty() {
            let text = format!(
                "{address} is no loopback address: whoever reaches it sees what the program does. \
                 Name the hosts under which it may be asked, by Builder::host or in {HOSTS}"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (tell, told) = mpsc::channel();
        let thread = thread::Builder::new().name("windlass-inspect".to_owned());
        let thread = thread.spawn(move || serve(address, self.access, &tell))?;
        let gone = || Err(io::Error::other("the thread of the view has ended"));
        let (address, remote, end) = told.recv().unwrap_or_else(|_| gone())?;
        Ok(Inspector { address, remote, end, thread: Some(thread) })
    }
}

/// What the thread of a server tells when it has begun: where it listens, and how it is ended.
type Begun = io::Result<(SocketAddr, Remote, fn())>;

thread_local! {
    /// The server of this thread.
    static SERVER: RefCell<Option<Rc<Server>>> = const { RefCell::new(None) };
}

/// The thread of a server.
fn serve(address: SocketAddr, access: Access, tell: &mpsc::Sender<Begun>) {
    let say = |begun: Begun| {
        // Whoever began it waits for this.
        tell.send(begun).unwrap_or_default();
    };
    let event_loop = match Loop::builder().name("inspect").observed(false).build() {
        Ok(event_loop) => event_loop,
        Err(error) => return say(Err(error)),
    };
    event_loop.run(|| {
        // An accident of the view is no reason for the program to be without one.
        crate::on_uncaught(|uncaught| log::error!("the view: {}", uncaught.message()));
        let begun = Server::start(address, access).and_then(|server| {
            let address = server.local_addr()?;
            SERVER.set(Some(server));
            let end: fn() = || SERVER.take().iter().for_each(Server::end);
            Ok((address, Loop::current().remote(), end))
        });
        say(begun);
    });
}

/// A view of the program, until it is dropped. Made by [`listen`].
///
/// Dropping it tells those who look on what is left, and waits for them a fifth of a second at
/// most.
///
/// # Examples
/// ```
/// let view = windlass::inspect::listen("127.0.0.1:0")?;
/// assert!(view.local_addr().ip().is_loopback());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a view that is dropped is over"]
pub struct Inspector {
    /// Where it listens.
    address: SocketAddr,
    /// The loop of its server.
    remote: Remote,
    /// Ends that server, on that loop.
    end: fn(),
    /// Its thread. None once it was waited for.
    thread: Option<JoinHandle<()>>,
}

impl Inspector {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        // One that is gone has ended already.
        self.remote.post(self.end).unwrap_or_default();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread of the view has panicked");
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The view that the environment asks for, while a program lives that runs under it. Several
/// programs of a process share it.
static ASKED_FOR: Mutex<Weak<Inspector>> = Mutex::new(Weak::new());

/// The view that the environment asks for, if it does. Says on stderr where it is, or why it is
/// not; the program goes on in any case.
pub(crate) fn by_environment() -> Option<Arc<Inspector>> {
    let wanted = env::var_os(ADDRESS).filter(|wanted| !wanted.is_empty())?;
    let wanted = wanted.to_string_lossy();
    let mut shared = ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(there) = shared.upgrade() {
        return Some(there);
    }
    let hosts = env::var(HOSTS).unwrap_or_default();
    let names = hosts.split(',').map(str::trim).filter(|name| !name.is_empty());
    let outcome = names.fold(builder(), Builder::host).listen(&*wanted);
    let (text, view) = match outcome {
        Ok(view) => (format!("look at http://{}/", view.address), Some(Arc::new(view))),
        Err(error) => (format!("{ADDRESS}={wanted}: {error}"), None),
    };
    // A program without a stderr is shown all the same.
    writeln!(io::stderr(), "windlass: {text}").unwrap_or_default();
    *shared = view.as_ref().map(Arc::downgrade).unwrap_or_default();
    view
}
