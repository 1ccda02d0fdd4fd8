//! Chance from a seed: what virtual time leaves fixed and real machines leave open.
//!
//! A program in a simulation has one [`Chance`], and all its loops draw from it. Only one of them
//! runs at a time, so the draws have one order, and the same seed gives the same run. There are
//! three dice: one for order and times, one for misfortune, one for what the program itself asks
//! for. So a run without one of its faults is the same run up to where that fault struck, which is
//! what shrinking needs.
//!
//! Lock order: no other lock is taken under this one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::network::Book;
use super::odds::{Faults, Network, Span};
use super::scheduler;
use crate::clock::Nanos;
use crate::state::current;
use crate::sys;
use crate::trace::Phase;

/// What chance decides in one program.
pub(crate) struct Chance {
    /// The user's settings for the network.
    network: Network,
    /// Who listens where.
    pub(super) book: Book,
    /// The user's settings for all else.
    faults: Faults,
    /// When the program is ended, and whether that is a failure.
    pub(super) end: Option<End>,
    /// How many callbacks there may be.
    callbacks_max: u64,
    /// The faults that may strike, by their order. None: all.
    allowed: Option<BTreeSet<u64>>,
    /// The panics of the program are not printed.
    is_quiet: bool,
    /// What changes.
    drawn: Mutex<Drawn>,
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chance").field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// When a program is ended that still runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// In virtual time.
    pub(crate) at: Nanos,
    /// The program was to end before.
    pub(crate) is_failure: bool,
}

impl End {
    /// Why a program fails that goes on beyond it.
    pub(crate) fn why(self) -> String {
        let limit = Duration::from_nanos(self.at);
        format!("the program still ran after {limit:?} of virtual time")
    }
}

/// What the lock guards.
struct Drawn {
    /// For order and times.
    order: Dice,
    /// For misfortune.
    misfortune: Dice,
    /// For numbers and bytes that the program asks for.
    values: Dice,
    /// When each thread of a pool is free, by the pool's number.
    pools: BTreeMap<u64, Vec<Nanos>>,
    /// What its jobs do to the figures of each pool, by the pool's number.
    jobs: BTreeMap<u64, Jobs>,
    /// How many workers were made.
    workers: u64,
    /// How many callbacks there were.
    callbacks: u64,
    /// Of the callbacks in their order.
    digest: u64,
    /// The faults that struck, those that were not allowed to included.
    struck: Vec<Fault>,
    /// By how much the wall clock is ahead, in nanoseconds.
    wall: i64,
    /// Why the program was ended.
    failure: Option<String>,
    /// Of a program that went on for too long: what each loop waited for at its end, by its number.
    waits: Option<BTreeMap<usize, String>>,
}

/// The jobs that a program has given to one pool.
#[derive(Clone, Copy, Default)]
pub(crate) struct Jobs {
    /// Those that wait for their delivery: quick, slow.
    pub(crate) waiting: [usize; 2],
    /// Those that were run to their end, by kind.
    pub(crate) completed: [u64; 3],
}

/// A fault that struck.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Its place among all that struck.
    pub(crate) number: u64,
    /// What it was.
    what: &'static str,
    /// Which loop it struck, and when.
    place: Option<(usize, Nanos)>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.number, self.what)?;
        self.place.map_or(Ok(()), |(number, at)| {
            write!(f, ", {} at {:?}", scheduler::name_of(number), Duration::from_nanos(at))
        })
    }
}

/// Random numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014), which has no bad seeds.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is not zero.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn within(&mut self, span: Span) -> Nanos {
        match (span.most - span.least).checked_add(1) {
            Some(count) => span.least + self.below(count),
            None => self.next(),
        }
    }

    fn happens(&mut self, chance: f64) -> bool {
        // Of 53 bits, as many as a fraction has.
        chance > 0.0 && ((self.next() >> 11) as f64) < chance * (1_u64 << 53) as f64
    }
}

/// Spreads each bit over all (Stafford's variant 13).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// How a chance is set up.
pub(crate) struct Setup {
    /// All draws come from it.
    pub(crate) seed: u64,
    /// What the network does.
    pub(crate) network: Network,
    /// What else may happen.
    pub(crate) faults: Faults,
    /// When the program is ended.
    pub(crate) end: Option<End>,
    /// How many callbacks there may be.
    pub(crate) callbacks_max: u64,
    /// The faults that may strike, by their order. None: all.
    pub(crate) allowed: Option<BTreeSet<u64>>,
    /// The panics of the program are not printed.
    pub(crate) is_quiet: bool,
}

impl Chance {
    pub(crate) fn new(setup: Setup) -> Chance {
        let Setup { seed, network, faults, end, callbacks_max, allowed, is_quiet } = setup;
        let drawn = Drawn {
            order: Dice(mix(seed)),
            misfortune: Dice(mix(!seed)),
            values: Dice(mix(seed ^ 0x5555_5555_5555_5555)),
            pools: BTreeMap::new(),
            jobs: BTreeMap::new(),
            workers: 0,
            callbacks: 0,
            digest: 0,
            struck: Vec::new(),
            wall: 0,
            failure: None,
            waits: None,
        };
        let (book, drawn) = (Book::default(), Mutex::new(drawn));
        Chance { network, book, faults, end, callbacks_max, allowed, is_quiet, drawn }
    }

    /// Whether the panics of the program are not printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    fn lock(&self) -> MutexGuard<'_, Drawn> {
        // No user code runs under the lock, so what it guards is whole.
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ----- Order and times -----

    /// One of so many, of which there is at least one.
    pub(super) fn one_of(&self, count: usize) -> usize {
        if count < 2 { 0 } else { self.lock().order.below(count as u64) as usize }
    }

    /// How long a message is on its way.
    pub(crate) fn message_time(&self) -> Nanos {
        self.lock().order.within(self.faults.message_time)
    }

    /// The longest that a message can be on its way.
    pub(crate) fn message_time_max(&self) -> Nanos {
        self.faults.message_time.most
    }

    /// How long the callback took that has run.
    pub(super) fn callback_time(&self) -> Nanos {
        let span = self.faults.callback_time;
        if span.most == 0 { 0 } else { self.lock().order.within(span) }
    }

    /// How long a worker takes to start.
    pub(super) fn start_time(&self) -> Nanos {
        let span = self.faults.start_time;
        if span.most == 0 { 0 } else { self.lock().order.within(span) }
    }

    /// When a job begins and ends that is submitted now to the pool of this number, which has so
    /// many threads. Jobs of its kind may have the first `own` of them.
    pub(crate) fn job_times(
        &self,
        pool: u64,
        threads: usize,
        own: usize,
        now: Nanos,
    ) -> (Nanos, Nanos) {
        let hangs = self.strikes(self.faults.hang, "a job hangs");
        let mut drawn = self.lock();
        let Drawn { order, pools, .. } = &mut *drawn;
        let free_at = pools.entry(pool).or_insert_with(|| {
            let count = 1 + order.below(threads.max(1) as u64);
            vec![0; count as usize]
        });
        let more = if hangs { self.faults.hang_time } else { 0 };
        let took = order.within(self.faults.job_time).saturating_add(more);
        // Of those that are free the last: the first are left to jobs that may have no others.
        let own = free_at.iter_mut().take(own.max(1)).rev();
        let first = own.min_by_key(|at| now.max(**at)).expect("a pool has a thread");
        let begins = now.max(*first);
        *first = begins.saturating_add(took);
        (begins, *first)
    }

    /// Changes the figures of the pool of this number, as the program sees them.
    pub(crate) fn change_jobs(&self, pool: u64, f: impl FnOnce(&mut Jobs)) {
        f(self.lock().jobs.entry(pool).or_default());
    }

    /// The figures of the pool of this number, as the program sees them.
    pub(crate) fn jobs(&self, pool: u64) -> Jobs {
        self.lock().jobs.get(&pool).copied().unwrap_or_default()
    }

    // ----- The network -----

    /// How long bytes travel.
    pub(super) fn latency(&self) -> Nanos {
        self.lock().order.within(self.network.latency)
    }

    /// Where a segment of so many bytes is cut in two, if it is.
    pub(super) fn cut(&self, len: usize) -> Option<usize> {
        let mut drawn = self.lock();
        let is_cut = len > 1 && drawn.order.happens(self.network.split);
        is_cut.then(|| 1 + drawn.order.below(len as u64 - 1) as usize)
    }

    /// How many copies of a datagram arrive.
    pub(super) fn copies(&self) -> usize {
        if self.strikes(self.network.lose_datagram, "a datagram is lost") {
            return 0;
        }
        let twice = "a datagram arrives twice";
        1 + usize::from(self.strikes(self.network.double_datagram, twice))
    }

    /// Whether a write that arrives ends its connection.
    pub(super) fn resets(&self) -> bool {
        self.strikes(self.network.reset, "a connection is reset")
    }

    /// How much of so many bytes a write takes.
    pub(super) fn write_len(&self, len: usize) -> usize {
        if len < 2 || !self.strikes(self.faults.short_writes, "a short write") {
            return len;
        }
        1 + self.lock().misfortune.below(len as u64 - 1) as usize
    }

    /// Whether a call that could go on is told to wait. `put_off` says whether the one before was:
    /// a second time in a row none is.
    pub(super) fn puts_off(&self, put_off: &mut bool) -> bool {
        *put_off = !*put_off && self.strikes(self.faults.would_block, "a call that would block");
        *put_off
    }

    /// The error of an accept that fails.
    pub(super) fn accept_error(&self) -> Option<io::Error> {
        let strikes = self.strikes(self.faults.accept, "an accept that fails");
        strikes.then(|| io::Error::from_raw_os_error(sys::EMFILE))
    }

    // ----- Misfortune -----

    /// Whether a fault of this chance strikes now. `what` says which.
    fn strikes(&self, chance: f64, what: &'static str) -> bool {
        let mut drawn = self.lock();
        if !drawn.misfortune.happens(chance) {
            return false;
        }
        let number = drawn.struck.len() as u64;
        let place = current::place().map(|here| (here.number, here.time));
        drawn.struck.push(Fault { number, what, place });
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&number))
    }

    /// One of these, for a fault.
    fn one_for_fault<T: Copy>(&self, among: &[T]) -> T {
        among[self.lock().misfortune.below(among.len() as u64) as usize]
    }

    /// The error of a file operation that is to fail.
    pub(crate) fn file_error(&self) -> Option<io::Error> {
        const ERRORS: [(i32, &str); 4] = [
            (sys::EIO, "a file request fails: input/output error"),
            (sys::ENOSPC, "a file request fails: no space is left"),
            (sys::EMFILE, "a file request fails: too many files are open"),
            (sys::EACCES, "a file request fails: permission denied"),
        ];
        let (code, what) = self.one_for_fault(&ERRORS);
        self.strikes(self.faults.request, what).then(|| io::Error::from_raw_os_error(code))
    }

    /// The addresses of a host of the simulation.
    pub(crate) fn addresses_of(&self, host: &str) -> Vec<IpAddr> {
        if host == "localhost" {
            return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        let of_host = self.network.hosts.iter().filter(|(name, _)| name == host);
        of_host.map(|(_, address)| *address).collect()
    }

    /// The name of the host of the simulation that has this address.
    pub(crate) fn name_of(&self, address: IpAddr) -> Option<String> {
        if address.is_loopback() {
            return Some("localhost".to_owned());
        }
        let found = self.network.hosts.iter().find(|(_, known)| *known == address);
        found.map(|(name, _)| name.clone())
    }

    /// Whether a look-up of a name is to fail, with one of so many errors.
    pub(crate) fn name_error<T: Copy>(&self, among: &[T]) -> Option<T> {
        let error = self.one_for_fault(among);
        self.strikes(self.faults.request, "a look-up of a name").then_some(error)
    }

    /// How much of so many bytes a read gives.
    pub(crate) fn read_len(&self, len: usize) -> usize {
        if len < 2 || !self.strikes(self.faults.short_reads, "a short read") {
            return len;
        }
        // Each order of magnitude as often: a buffer may be far larger than what there is.
        let mut drawn = self.lock();
        let most = (len as u64 - 1) >> drawn.misfortune.below(len.ilog2().into());
        1 + drawn.misfortune.below(most) as usize
    }

    /// The error of a worker that cannot start.
    pub(crate) fn worker_error(&self) -> Option<io::Error> {
        let strikes = self.strikes(self.faults.worker_start, "a worker that does not start");
        strikes.then(|| io::Error::from_raw_os_error(sys::EAGAIN))
    }

    /// By how much the wall clock is ahead of the virtual one, in nanoseconds.
    pub(crate) fn wall_ahead(&self) -> i64 {
        const HOUR: u64 = 3_600_000_000_000;
        if self.strikes(self.faults.clock_jump, "the wall clock jumps") {
            let mut drawn = self.lock();
            drawn.wall = drawn.misfortune.below(2 * HOUR) as i64 - HOUR as i64;
        }
        self.lock().wall
    }

    // ----- What the program asks for -----

    /// A number for the program.
    pub(crate) fn value(&self) -> u64 {
        self.lock().values.next()
    }

    /// Bytes for the program.
    #[cfg(feature = "digest")]
    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        let mut drawn = self.lock();
        for part in bytes.chunks_mut(8) {
            let number = drawn.values.next().to_le_bytes();
            part.copy_from_slice(&number[..part.len()]);
        }
    }

    /// The number of the worker that is made next, from one on.
    pub(crate) fn number_worker(&self) -> u64 {
        let mut drawn = self.lock();
        drawn.workers += 1;
        drawn.workers
    }

    // ----- What happened -----

    /// A callback has run. False when there were too many.
    pub(crate) fn note(&self, number: usize, kind: &str, phase: Phase, now: Nanos) -> bool {
        let mut drawn = self.lock();
        drawn.callbacks += 1;
        let mut digest = drawn.digest;
        let mut add = |bits: u64| digest = mix(digest ^ bits).wrapping_add(bits);
        add(number as u64);
        add(phase as u64);
        add(now);
        kind.bytes().for_each(|byte| add(byte.into()));
        drawn.digest = digest;
        drawn.callbacks <= self.callbacks_max
    }

    /// The program is ended for this reason. The first one counts.
    pub(crate) fn fail(&self, why: String) {
        self.lock().failure.get_or_insert(why);
    }

    /// The program is ended because it went on for too long: the loops say what they wait for.
    pub(super) fn goes_on(&self, why: String) {
        let mut drawn = self.lock();
        drawn.failure.get_or_insert(why);
        drawn.waits.get_or_insert_default();
    }

    /// The program has come to the time at which it is ended.
    pub(super) fn is_over(&self, end: End) {
        if end.is_failure {
            self.goes_on(end.why());
        }
    }

    /// A loop ends. If that is because the program went on for too long, it says what it waited
    /// for.
    pub(crate) fn ends(&self, number: usize, waits_for: impl FnOnce() -> String) {
        if self.lock().waits.is_some() {
            let report = waits_for();
            self.lock().waits.get_or_insert_default().insert(number, report);
        }
    }

    /// The digest, and why the program was ended if that was a failure.
    pub(crate) fn outcome(&self) -> (u64, Option<String>) {
        let mut drawn = self.lock();
        let waits = drawn.waits.take().unwrap_or_default();
        let waits = waits.iter().map(|(number, report)| (*number, report.as_str()));
        let waits = scheduler::reports(waits);
        let more = if waits.is_empty() { waits } else { format!(": {waits}") };
        let failure = drawn.failure.take().map(|why| why + &more);
        (mix(drawn.digest ^ drawn.callbacks), failure)
    }

    /// The faults that struck, in their order, as far as they were allowed to.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let drawn = self.lock();
        let allowed =
            |fault: &&Fault| self.allowed.as_ref().is_none_or(|all| all.contains(&fault.number));
        drawn.struck.iter().filter(allowed).cloned().collect()
    }

    /// The reason for too many callbacks.
    pub(super) fn too_many(&self) -> String {
        format!("the program still ran after {} callbacks", self.callbacks_max)
    }
}
