//! The summaries: how busy each loop is, what blocks it now, what took longest, what the pools do.
//!
//! A loop that is blocked says nothing. But it has said which macrotask it began, and when; and for
//! one that was blocked already when the first client came, its count of iterations stands still
//! while it does not sleep. See `trace/running.rs`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::panic::Location;
use std::sync::Arc;

use crate::clock::{self, Nanos};
use crate::observe::{Event, Spot, Text, What, name_of};
use crate::trace::Phase;
use crate::trace::delays::Histogram;
use crate::trace::roll::{self, Watching};
use crate::trace::running::Seen;
use crate::trace::seen::LoopSeen;
use crate::trace::track::Track;

/// A loop is blocked that is in one callback for so long: longer than callbacks of a quick program
/// take, shorter than a person notices.
const BLOCKED: Nanos = 50_000_000;

/// The same where nothing says what runs: longer than a thread that was woken waits for a core.
const BLOCKED_BEFORE: Nanos = 250_000_000;

/// All macrotasks that take so long are heard of.
const LONG: Nanos = 10_000_000;

/// So long a callback is among the longest ones.
const MEMORY: Nanos = 60_000_000_000;

/// So many of them are told.
const LONGEST_MAX: usize = 20;

/// So many are remembered.
const REMEMBERED_MAX: usize = 256;

/// What summaries are made of, while anybody looks on.
pub(super) struct Summaries {
    /// Sees what runs, and hears of what took long.
    watching: Watching,
    /// When the first client came.
    start: Nanos,
    /// What was known of each loop at the last regular summary, by track.
    before: HashMap<u32, Before>,
    /// What took long, by where it comes from.
    long: HashMap<Source, Long>,
    /// The loops that were blocked at the last look, by track.
    blocked: BTreeMap<u32, Blocked>,
    /// The loops that have neither slept nor begun an iteration since the first client came, by
    /// track: how many iterations they have begun. What these run was not told.
    still: HashMap<u32, u64>,
}

/// What was known of a loop.
#[derive(Default)]
struct Before {
    /// The loop as it was seen.
    seen: LoopSeen,
    /// The busy times of its iterations.
    delays: Histogram,
    /// The span before that summary, for one that comes in between.
    told: Span,
}

/// What a loop did between two regular summaries.
#[derive(Clone, Default)]
struct Span {
    /// The part of the time that it was busy.
    utilisation: f64,
    /// How many iterations it began.
    iterations: u64,
    /// Their busy times.
    delays: Histogram,
}

/// Where a callback comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Source {
    /// The track of its loop.
    track: u32,
    /// What it is.
    kind: &'static str,
    /// The line that registered it.
    place: Option<&'static Location<'static>>,
}

/// The longest callback of a source.
struct Long {
    /// The name of its loop.
    name: String,
    /// Its phase.
    phase: Phase,
    /// How long it took.
    took: Nanos,
    /// When it was over.
    at: Nanos,
    /// How many there were.
    count: u64,
}

/// A loop that is blocked.
struct Blocked {
    /// The loop.
    track: Arc<Track>,
    /// What runs: its phase and its kind, if that was said.
    what: Option<(Phase, &'static str)>,
    /// The line that registered it.
    place: Option<&'static Location<'static>>,
    /// For how long, at least.
    took: Nanos,
    /// How much waits behind it.
    waiting: usize,
}

impl Summaries {
    pub(super) fn begin() -> Summaries {
        let watching = Watching::begin(LONG);
        let count =
            |track: &Arc<Track>| Some((track.number(), track.observed()?.look()?.iterations));
        Summaries {
            watching,
            start: clock::monotonic(),
            before: HashMap::new(),
            long: HashMap::new(),
            blocked: BTreeMap::new(),
            still: roll::tracks().iter().filter_map(count).collect(),
        }
    }

    /// A callback has taken so long. Those that the watch hears of are not told twice.
    pub(super) fn add(&mut self, event: Event) {
        let What::Callback(callback) = event.what else { return };
        let took = clock::saturating_nanos(callback.took);
        if took >= LONG {
            return;
        }
        let place = callback.location;
        let source = Source { track: event.track, kind: callback.kind, place };
        let name =
            || roll::tracks().iter().find(|it| it.number() == event.track).map(name_of_track);
        self.remember(source, callback.phase, took, || name().unwrap_or_default());
    }

    fn remember(
        &mut self,
        source: Source,
        phase: Phase,
        took: Nanos,
        name: impl FnOnce() -> String,
    ) {
        let at = clock::monotonic();
        if let Some(long) = self.long.get_mut(&source) {
            long.count += 1;
            if took >= long.took || at - long.at > MEMORY {
                (long.took, long.at, long.phase) = (took, at, phase);
            }
            return;
        }
        if self.long.len() >= REMEMBERED_MAX {
            let shortest = self.long.iter().min_by_key(|(_, long)| long.took);
            let Some((shortest, least)) = shortest.map(|(source, it)| (source.clone(), it.took))
            else {
                return;
            };
            if least >= took {
                return;
            }
            self.long.remove(&shortest);
        }
        self.long.insert(source, Long { name: name(), phase, took, at, count: 1 });
    }

    /// Looks which loops are blocked. Whether these are others than before.
    pub(super) fn look(&mut self) -> bool {
        for stalled in self.watching.take() {
            let (seen, track) = (stalled.seen, &stalled.track);
            let source = Source { track: track.number(), kind: seen.kind, place: seen.place };
            self.remember(source, seen.macrotask.phase, stalled.took, || name_of_track(track));
        }
        let tracks = roll::tracks();
        self.still.retain(|number, _| tracks.iter().any(|track| track.number() == *number));
        let blocked = tracks.iter().filter_map(|track| self.blocked(track));
        let blocked = blocked.map(|it| (it.track.number(), it)).collect::<BTreeMap<_, _>>();
        let same = blocked.keys().eq(self.blocked.keys());
        self.blocked = blocked;
        !same
    }

    /// What blocks the loop of this track, if something does.
    fn blocked(&mut self, track: &Arc<Track>) -> Option<Blocked> {
        let of_loop = track.observed()?.look()?;
        // In this order: what is seen then has run until this reading, or has begun after it.
        let now = clock::monotonic();
        let seen = self.watching.look(track);
        let is_still = self.still.get(&track.number()) == Some(&of_loop.iterations);
        if !is_still || of_loop.is_asleep || seen.is_some() {
            self.still.remove(&track.number());
        }
        let (waiting, track) = (of_loop.waiting, track.clone());
        if let Some(Seen { macrotask, kind, place }) = seen {
            let took = now.saturating_sub(macrotask.since);
            let (what, waiting) = (Some((macrotask.phase, kind)), waiting + macrotask.queued);
            return (took >= BLOCKED).then_some(Blocked { track, what, place, took, waiting });
        }
        // It began before anybody looked on.
        let (place, took) = (track.running.get(), now.saturating_sub(self.start));
        let is_blocked = took >= BLOCKED_BEFORE && self.still.contains_key(&track.number());
        is_blocked.then_some(Blocked { track, what: None, place, took, waiting })
    }

    /// The summary as an object of JSON. A regular one ends the span that it tells of.
    pub(super) fn text(&mut self, is_regular: bool, clients: usize) -> String {
        let now = clock::monotonic();
        let tracks = roll::tracks();
        self.before.retain(|number, _| tracks.iter().any(|track| track.number() == *number));
        self.long.retain(|_, long| now - long.at <= MEMORY);
        let mut text = Object::default();
        text.field("at", now - self.start);
        let loops = tracks.iter().filter_map(|track| self.loop_text(track, is_regular));
        text.list("loops", loops.collect::<Vec<_>>());
        text.list("blocked", self.blocked.values().map(Blocked::text));
        text.list("longest", self.longest());
        text.list("threads", tracks.iter().filter_map(thread_text));
        text.list("pools", pools_text(&tracks));
        text.field("clients", clients);
        text.end()
    }

    fn loop_text(&mut self, track: &Arc<Track>, is_regular: bool) -> Option<String> {
        let (seen, delays) = (track.observed()?.look()?, track.delays());
        let before = self.before.entry(track.number()).or_default();
        if is_regular {
            let active = seen.active.saturating_sub(before.seen.active);
            let idle = seen.idle.saturating_sub(before.seen.idle);
            before.told = Span {
                utilisation: active as f64 / (active + idle).max(1) as f64,
                iterations: seen.iterations.saturating_sub(before.seen.iterations),
                delays: delays.since(&before.delays),
            };
            (before.seen, before.delays) = (seen, delays.clone());
        }
        let mut text = of_track(track);
        text.field("worker", track.worker());
        text.field("utilisation", format_args!("{:.4}", before.told.utilisation));
        text.field("iterations", before.told.iterations);
        text.field("waiting", seen.waiting);
        text.field("delays", times(&delays));
        text.field("recent", times(&before.told.delays));
        let powers = delays.by_powers().into_iter();
        text.list("histogram", powers.map(|(below, count)| format!("[{below},{count}]")));
        Some(text.end())
    }

    fn longest(&self) -> Vec<String> {
        let mut longest: Vec<_> = self.long.iter().collect();
        longest.sort_by_key(|(_, long)| std::cmp::Reverse(long.took));
        let text = |(source, long): &(&Source, &Long)| {
            let mut text = Object::default();
            text.field("track", source.track);
            text.field("name", Text(&long.name));
            text.callback(Some((long.phase, source.kind)), source.place);
            text.field("took", long.took);
            text.field("at", long.at.saturating_sub(self.start));
            text.field("count", long.count);
            text.end()
        };
        longest.iter().take(LONGEST_MAX).map(text).collect()
    }
}

impl Blocked {
    fn text(&self) -> String {
        let mut text = of_track(&self.track);
        text.field("worker", self.track.worker());
        text.callback(self.what, self.place);
        text.field("took", self.took);
        text.field("waiting", self.waiting);
        text.end()
    }
}

/// A thread of a pool: its job, and what it has done.
fn thread_text(track: &Arc<Track>) -> Option<String> {
    let thread = track.pool_thread()?.look();
    let mut text = of_track(track);
    text.field("pool", thread.pool);
    match thread.job {
        None => text.field("job", "null"),
        Some(job) => {
            let mut of_job = Object::default();
            of_job.field("kind", Text(job.kind));
            of_job.place(Some(job.place));
            of_job.field("waited", job.waited);
            of_job.field("runs", job.runs);
            text.field("job", of_job.end());
        }
    }
    let count = thread.completed.max(1);
    text.field("completed", thread.completed);
    text.field("wait_mean", thread.wait / count);
    text.field("wait_max", thread.wait_max);
    text.field("run_mean", thread.run / count);
    text.field("run_max", thread.run_max);
    Some(text.end())
}

/// What waits in the queues of the pools.
fn pools_text(tracks: &[Arc<Track>]) -> Vec<String> {
    let threads = tracks.iter().filter_map(|track| track.pool_thread());
    let pools: BTreeMap<u64, [usize; 2]> =
        threads.map(|thread| thread.look()).map(|it| (it.pool, it.queued)).collect();
    let text = |(pool, [quick, slow]): (u64, [usize; 2])| {
        let mut text = Object::default();
        text.field("pool", pool);
        text.field("waiting", quick + slow);
        text.field("waiting_slow", slow);
        text.end()
    };
    pools.into_iter().map(text).collect()
}

/// What busy times say in short.
fn times(delays: &Histogram) -> String {
    let mut text = Object::default();
    text.field("count", delays.count);
    text.field("p50", delays.percentile(50.0));
    text.field("p99", delays.percentile(99.0));
    text.field("max", delays.max);
    text.end()
}

fn of_track(track: &Arc<Track>) -> Object {
    let mut text = Object::default();
    text.field("track", track.number());
    text.field("name", Text(track.name()));
    text
}

fn name_of_track(track: &Arc<Track>) -> String {
    track.name().to_owned()
}

/// An object of JSON that is being written.
#[derive(Default)]
struct Object(String);

impl Object {
    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        let before = if self.0.is_empty() { '{' } else { ',' };
        let written = write!(self.0, r#"{before}"{name}":{value}"#);
        debug_assert!(written.is_ok(), "a string takes all");
    }

    fn list(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<_> = values.into_iter().collect();
        self.field(name, format_args!("[{}]", values.join(",")));
    }

    fn callback(
        &mut self,
        what: Option<(Phase, &'static str)>,
        place: Option<&'static Location<'static>>,
    ) {
        match what {
            Some((phase, kind)) => {
                self.field("phase", Text(name_of(phase)));
                self.field("kind", Text(kind));
            }
            None => {
                self.field("phase", "null");
                self.field("kind", "null");
            }
        }
        self.place(place);
    }

    /// A line of the program; or the line of a script and what stands there, as a label says it.
    fn place(&mut self, place: Option<&'static Location<'static>>) {
        let Some(Spot { place, name }) = place.map(Spot::of) else {
            return self.field("place", "null");
        };
        self.field("place", place);
        if !name.is_empty() {
            self.field("label", Text(name));
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
