//! What chance may do in a simulation, as the user has said it.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::clock::{Nanos, saturating_nanos};

/// The longest of these times, 146 years: the end of the clock is a time that never comes, and none
/// of them is to end there.
const LONGEST: Nanos = Nanos::MAX / 4;

/// A range of times, each as likely as the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The shortest.
    pub(super) least: Nanos,
    /// The longest.
    pub(super) most: Nanos,
}

impl Span {
    fn to(most: Nanos) -> Span {
        Span { least: 0, most }
    }

    /// # Panics
    /// When the range is empty.
    #[track_caller]
    fn of(range: RangeInclusive<Duration>) -> Span {
        assert!(!range.is_empty(), "windlass: no time lies in {range:?}");
        let nanos = |time| saturating_nanos(time).min(LONGEST);
        Span { least: nanos(*range.start()), most: nanos(*range.end()) }
    }
}

/// # Panics
/// When this is no probability.
#[track_caller]
fn probability(chance: f64) -> f64 {
    assert!((0.0..=1.0).contains(&chance), "windlass: a chance is from 0 to 1, not {chance}");
    chance
}

/// The network of a [`Sim`](crate::sim::Sim): how long bytes travel between its sockets, and what
/// happens to them on the way. By default each way takes 0 to 1 ms, and nothing is lost.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::sim::{Network, Sim};
///
/// let slow = Duration::from_millis(20)..=Duration::from_millis(200);
/// let network = Network::default().latency(slow).split(0.2).reset(0.001);
/// Sim::new(1).network(network).run(|| ());
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    /// How long bytes travel.
    pub(super) latency: Span,
    /// The chance that a segment is cut in two.
    pub(super) split: f64,
    /// The chance that a write that arrives ends its connection.
    pub(super) reset: f64,
    /// The chance that a datagram is lost.
    pub(super) lose_datagram: f64,
    /// The chance that a datagram arrives twice.
    pub(super) double_datagram: f64,
    /// The names of hosts.
    pub(super) hosts: Vec<(String, IpAddr)>,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            latency: Span::to(1_000_000),
            split: 0.0,
            reset: 0.0,
            lose_datagram: 0.0,
            double_datagram: 0.0,
            hosts: Vec::new(),
        }
    }
}

impl Network {
    /// How long bytes, datagrams and connects travel, each way. Bytes of one connection keep their
    /// order; datagrams may overtake each other.
    ///
    /// # Panics
    /// When the range is empty.
    #[track_caller]
    #[must_use]
    pub fn latency(self, range: RangeInclusive<Duration>) -> Self {
        Network { latency: Span::of(range), ..self }
    }

    /// The chance that a segment is cut in two at a random place, so that a read sees a part of a
    /// write.
    ///
    /// # Panics
    /// When it is not from 0 to 1, as for all chances here.
    #[track_caller]
    #[must_use]
    pub fn split(self, chance: f64) -> Self {
        Network { split: probability(chance), ..self }
    }

    /// The chance of each write that arrives to end its connection: both sides then get
    /// `ConnectionReset`, and a write perhaps `BrokenPipe`.
    #[track_caller]
    #[must_use]
    pub fn reset(self, chance: f64) -> Self {
        Network { reset: probability(chance), ..self }
    }

    /// The chance of a datagram to be lost.
    #[track_caller]
    #[must_use]
    pub fn lose_datagram(self, chance: f64) -> Self {
        Network { lose_datagram: probability(chance), ..self }
    }

    /// Gives a host a name. With several addresses it is given several times. There are no other
    /// names but `localhost`.
    ///
    /// # Examples
    /// ```
    /// use windlass::net::{TcpListener, TcpStream};
    /// use windlass::sim::{Network, Sim};
    ///
    /// let network = Network::default().host("db", [10, 0, 0, 1].into());
    /// let outcome = Sim::new(1).network(network).block_on(async {
    ///     let listener = TcpListener::bind("10.0.0.1:5432")?;
    ///     let client = TcpStream::connect("db:5432").await?;
    ///     assert_eq!(listener.accept().await?.peer_addr()?, client.local_addr()?);
    ///     assert!(TcpStream::connect("elsewhere:5432").await.is_err());
    ///     Ok::<(), std::io::Error>(())
    /// });
    /// outcome.value?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn host(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.hosts.push((name.into(), address));
        self
    }

    /// The chance of a datagram to arrive twice.
    #[track_caller]
    #[must_use]
    pub fn double_datagram(self, chance: f64) -> Self {
        Network { double_datagram: probability(chance), ..self }
    }
}

/// The misfortunes of a [`Sim`](crate::sim::Sim), and how long things take that real machines do
/// not promise. By default jobs take 0 to 1 ms, messages 0 to 100 µs, and nothing fails.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use windlass::sim::{Faults, Sim};
///
/// let disk = Duration::from_millis(1)..=Duration::from_millis(30);
/// let faults = Faults::default().job_time(disk).request(0.05).short_reads(0.5);
/// Sim::new(1).faults(faults).run(|| ());
/// ```
#[derive(Clone, Debug)]
pub struct Faults {
    /// How long a message is on its way.
    pub(super) message_time: Span,
    /// How long a job runs.
    pub(super) job_time: Span,
    /// How long a callback takes.
    pub(super) callback_time: Span,
    /// How long a worker takes to start.
    pub(super) start_time: Span,
    /// The chance of a job to hang.
    pub(super) hang: f64,
    /// How much longer it takes then.
    pub(super) hang_time: Nanos,
    /// The chance of a request to fail.
    pub(super) request: f64,
    /// The chance of a read to give less than there is.
    pub(super) short_reads: f64,
    /// The chance of a write to take less than it was given.
    pub(super) short_writes: f64,
    /// The chance of a call of a socket to be told to wait.
    pub(super) would_block: f64,
    /// The chance of a worker not to start.
    pub(super) worker_start: f64,
    /// The chance of an accept to find no descriptor left.
    pub(super) accept: f64,
    /// The chance of the wall clock to jump when it is read.
    pub(super) clock_jump: f64,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            message_time: Span::to(100_000),
            job_time: Span::to(1_000_000),
            callback_time: Span::to(0),
            start_time: Span::to(0),
            hang: 0.0,
            hang_time: 0,
            request: 0.0,
            short_reads: 0.0,
            short_writes: 0.0,
            would_block: 0.0,
            worker_start: 0.0,
            accept: 0.0,
            clock_jump: 0.0,
        }
    }
}

impl Faults {
    /// The chance of a request for a file or a name to fail with an error that the system could
    /// have given: of files `EIO`, `ENOSPC`, `EMFILE` and `EACCES`, of names what the resolver
    /// says when it finds nothing or cannot ask.
    ///
    /// # Panics
    /// When it is not from 0 to 1, as for all chances here.
    #[track_caller]
    #[must_use]
    pub fn request(self, chance: f64) -> Self {
        Faults { request: probability(chance), ..self }
    }

    /// How long messages, posts, notifiers and wakes are on their way to another loop. Those that
    /// the API keeps in order stay so: the messages of one port, the posts of one loop.
    ///
    /// # Panics
    /// When the range is empty.
    #[track_caller]
    #[must_use]
    pub fn message_time(self, range: RangeInclusive<Duration>) -> Self {
        Faults { message_time: Span::of(range), ..self }
    }

    /// How long a job of the pool runs. It begins when one of the pool's threads is free, of which
    /// the seed decides how many there are, up to the pool's number.
    ///
    /// # Panics
    /// When the range is empty.
    #[track_caller]
    #[must_use]
    pub fn job_time(self, range: RangeInclusive<Duration>) -> Self {
        Faults { job_time: Span::of(range), ..self }
    }

    /// How long callbacks take, the main script, ticks, microtasks and polls of tasks included. No
    /// time unless it is set: then what is due depends on what ran before, as on a real machine. A
    /// job whose deadline passes in the callback that submits it misses it, as where no thread of
    /// the pool gets a core meanwhile.
    ///
    /// # Panics
    /// When the range is empty.
    ///
    /// # Examples
    /// ```
    /// use std::collections::BTreeSet;
    /// use std::time::Duration;
    /// use windlass::sim::{Faults, Sim};
    /// use windlass::{set_immediate, set_timeout};
    ///
    /// let faults = Faults::default().callback_time(Duration::ZERO..=Duration::from_millis(2));
    /// let first = |seed| {
    ///     let (say, said) = std::sync::mpsc::channel();
    ///     Sim::new(seed).faults(faults.clone()).run(move || {
    ///         let other = say.clone();
    ///         set_timeout(Duration::ZERO, move || say.send("timer").unwrap());
    ///         set_immediate(move || other.send("immediate").unwrap());
    ///     });
    ///     said.recv().unwrap()
    /// };
    /// let seen: BTreeSet<_> = (0..20).map(first).collect();
    /// assert_eq!(seen, ["immediate", "timer"].into());
    /// ```
    #[track_caller]
    #[must_use]
    pub fn callback_time(self, range: RangeInclusive<Duration>) -> Self {
        Faults { callback_time: Span::of(range), ..self }
    }

    /// How long a worker takes to start: so long after its spawn its main script runs, and its
    /// parent hears that it is online. At once unless it is set. On a real machine a worker may end
    /// before another one, which was spawned with it, has begun.
    ///
    /// # Panics
    /// When the range is empty.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::sim::{Faults, Sim};
    /// use windlass::worker::Worker;
    ///
    /// let start = Duration::from_millis(40);
    /// let sim = Sim::new(1).faults(Faults::default().start_time(start..=start));
    /// let outcome = sim.run(|| {
    ///     let spawned = windlass::now();
    ///     drop(Worker::<(), ()>::spawn(move |_| assert_eq!(windlass::now() - spawned, start)));
    /// });
    /// assert!(outcome.elapsed >= start);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn start_time(self, range: RangeInclusive<Duration>) -> Self {
        Faults { start_time: Span::of(range), ..self }
    }

    /// The chance of a job of the pool to hang: it takes this much longer, as one that waits for a
    /// disk or a server that does not answer. Jobs behind it wait for its thread, so that their
    /// deadlines pass, and a shutdown with a limit does not wait for its end. Requests for files
    /// and names are jobs too.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use windlass::sim::{Faults, Sim};
    /// use windlass::{Pool, WorkError, work};
    ///
    /// let sim = Sim::new(1).faults(Faults::default().hang(1.0, Duration::from_secs(60)));
    /// let outcome = sim.block_on(async {
    ///     let pool = Pool::new(1).unwrap();
    ///     let hangs = work(|_| ()).pool(&pool).submit();
    ///     let waits = work(|_| ()).pool(&pool).deadline(Duration::from_secs(1)).submit();
    ///     assert!(matches!(waits.await, Err(WorkError::DeadlineExceeded)));
    ///     assert!(hangs.await.is_ok());
    /// });
    /// assert!(outcome.elapsed >= Duration::from_secs(60));
    /// ```
    #[track_caller]
    #[must_use]
    pub fn hang(self, chance: f64, time: Duration) -> Self {
        Faults { hang: probability(chance), hang_time: saturating_nanos(time), ..self }
    }

    /// The chance of a read, of a file or a socket, to give less than there is.
    #[track_caller]
    #[must_use]
    pub fn short_reads(self, chance: f64) -> Self {
        Faults { short_reads: probability(chance), ..self }
    }

    /// The chance of a write to a socket to take less than it was given. The stream sends the rest
    /// by itself.
    #[track_caller]
    #[must_use]
    pub fn short_writes(self, chance: f64) -> Self {
        Faults { short_writes: probability(chance), ..self }
    }

    /// The chance of a socket to be told to wait although it could go on: a read, a write, an
    /// accept or a datagram. It is told again after a network's [`latency`](Network::latency). A
    /// `try_` verb says `WouldBlock`; all others go on by themselves. The same call is not told
    /// twice in a row.
    #[track_caller]
    #[must_use]
    pub fn would_block(self, chance: f64) -> Self {
        Faults { would_block: probability(chance), ..self }
    }

    /// The chance of a worker not to start, with the error of a system that has no threads left.
    #[track_caller]
    #[must_use]
    pub fn worker_start(self, chance: f64) -> Self {
        Faults { worker_start: probability(chance), ..self }
    }

    /// The chance of an accept to fail with `EMFILE`. The connection is closed then.
    #[track_caller]
    #[must_use]
    pub fn accept(self, chance: f64) -> Self {
        Faults { accept: probability(chance), ..self }
    }

    /// The chance of the wall clock to jump by up to an hour, forwards or back, when
    /// [`time::system_now`](crate::time::system_now) reads it.
    #[track_caller]
    #[must_use]
    pub fn clock_jump(self, chance: f64) -> Self {
        Faults { clock_jump: probability(chance), ..self }
    }
}
