//! A recording in the trace format that Perfetto and chrome://tracing read.
//!
//! The file is one JSON object with a list of lines, in the order of their times:
//!
//! | `ph` | what it is here |
//! |---|---|
//! | `M` | the name of the program, and of each track |
//! | `X` | a slice: a phase, a callback within its phase, a wait, a job |
//! | `s`, `f` | the two ends of an arrow from what scheduled something to what was scheduled |
//! | `C` | how much is queued |
//! | `i` | a poll that does not sleep, and why |
//!
//! An end of an arrow belongs to the slice that is open on its track. So it stands right behind its
//! slice, with the same time. The reader keeps the order of lines of one time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Display};
use std::io::{self, BufWriter, Write};
use std::panic::Location;
use std::time::Duration;

use super::json_lines::Text;
use super::lengths::{self, Lengths, Whose};
use super::{Detail, Event, Label, NoSleep, Phase, Recording, Wake, What};

/// What waits in a queue of its loop from the moment when it was scheduled. All other callbacks
/// wait for something that is yet to happen.
const QUEUED: [&str; 5] = ["tick", "microtask", "immediate", "task", "post"];

/// A line of the file but for names.
struct Line<'a> {
    /// Its time.
    at: Duration,
    /// Its track.
    track: u32,
    /// What it says.
    what: Says<'a>,
}

/// What a line says.
enum Says<'a> {
    /// A phase of an iteration took so long.
    Phase { phase: Phase, iteration: u64, took: Duration },
    /// A callback, a wait or a job.
    Event(&'a Event),
    /// The arrow of this number begins here.
    From(usize),
    /// The arrow of this number ends here.
    To(usize),
    /// So many callbacks, or jobs, are queued.
    Queued(i64),
    /// So much waits in each queue.
    Waits(Lengths),
    /// The poll does not sleep.
    NoSleep(NoSleep),
}

/// The arrows that begin and end at each callback or job.
type Ends = HashMap<u64, (Vec<usize>, Vec<usize>)>;

impl Recording {
    /// Writes the recording for Perfetto (<https://ui.perfetto.dev>) and chrome://tracing: JSON, in
    /// the Trace Event Format.
    ///
    /// Each loop and each pool thread is a track with its name. On it are slices: a *phase* spans
    /// its callbacks of one iteration, and the callbacks are nested in it; waits and jobs are
    /// slices too. A callback's line, id and cause stand in its arguments. An arrow leads to each
    /// callback and job from the one in which it was scheduled, if that is in the recording, and
    /// from each later asker of a wake.
    ///
    /// Arrows begin where the slice of the cause begins: when within it something was scheduled is
    /// not recorded. The counters *queued* are computed from the same: the ticks, microtasks,
    /// immediates, posts and polls of tasks of a loop, and the jobs of all pools, that have not run
    /// yet, from the beginning of the callback that scheduled them. What has no cause in the
    /// recording, or had not run at its end, is not counted.
    ///
    /// A recording of [`Recorder::detailed`](super::Recorder::detailed) has more: counters of all
    /// queues as they were, for each loop, pool and direction of a channel, and a mark at each poll
    /// that did not sleep, which says why.
    ///
    /// Loops in virtual time have their own times on the same axis. Callbacks without a length,
    /// of one virtual moment on two loops, may be drawn without their arrow.
    ///
    /// # Errors
    /// Those of `to`. It is written in pieces of a few kilobytes, and flushed.
    ///
    /// # Examples
    /// ```
    /// use windlass::observe::Recorder;
    ///
    /// let recorder = Recorder::start();
    /// windlass::run(|| {
    ///     windlass::set_immediate(|| windlass::next_tick(|| ()));
    /// });
    /// let mut trace = Vec::new();
    /// recorder.stop().write_chrome_trace(&mut trace)?;
    /// assert!(String::from_utf8_lossy(&trace).contains(r#""name":"immediate""#));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_chrome_trace(&self, to: impl Write) -> io::Result<()> {
        let mut to = BufWriter::new(to);
        write!(to, r#"{{"displayTimeUnit":"ns","traceEvents":["#)?;
        write_name(&mut to, "process_name", 0, "windlass")?;
        let names = self.track_names();
        for (track, name) in &names {
            to.write_all(b",")?;
            write_name(&mut to, "thread_name", *track, name)?;
        }
        for line in self.lines() {
            to.write_all(b",\n")?;
            line.write(&mut to, &names)?;
        }
        to.write_all(b"\n]}\n")?;
        to.flush()
    }

    fn track_names(&self) -> BTreeMap<u32, &str> {
        let tracks = self.events().iter().filter_map(|event| match &event.what {
            What::Track { number, name } if name.is_empty() => Some((*number, "loop")),
            What::Track { number, name } => Some((*number, name.as_str())),
            _ => None,
        });
        tracks.collect()
    }

    /// All lines in the order of their times, those of one time and track as they happened.
    fn lines(&self) -> Vec<Line<'_>> {
        let ends = self.arrows();
        let mut lines = Vec::new();
        for slices in self.slices().values() {
            add_track(&mut lines, slices, &ends);
        }
        if self.is_detailed() {
            self.add_details(&mut lines);
        } else {
            self.add_counters(&mut lines);
        }
        lines.sort_by_key(|line| line.at);
        lines
    }

    /// What is a slice, by track, each outer one before those within it.
    fn slices(&self) -> BTreeMap<u32, Vec<&Event>> {
        let mut tracks = BTreeMap::<u32, Vec<&Event>>::new();
        for event in self.events() {
            if matches!(event.what, What::Track { .. } | What::Link { .. } | What::Detail(_)) {
                continue;
            }
            let slices = tracks.entry(event.track).or_default();
            // What ends first comes first in the recording, if both began at the same moment.
            let within =
                |one: &&&Event| one.at == event.at && !one.took.is_zero() && one.took < event.took;
            let place = slices.len() - slices.iter().rev().take_while(within).count();
            slices.insert(place, event);
        }
        tracks
    }

    fn all_but_details(&self) -> impl Iterator<Item = &Event> {
        self.events().iter().filter(|event| !matches!(event.what, What::Detail(_)))
    }

    /// The ends of all arrows whose both ends are in the recording.
    fn arrows(&self) -> Ends {
        let known: HashSet<u64> =
            self.all_but_details().map(|event| event.id).filter(|id| *id > 0).collect();
        let arrows = self.all_but_details().map(|event| match event.what {
            What::Link { to } => (event.cause, to),
            _ => (event.cause, event.id),
        });
        let mut ends = Ends::new();
        let both = arrows.filter(|(from, to)| known.contains(from) && known.contains(to));
        for (number, (from, to)) in both.enumerate() {
            ends.entry(from).or_default().0.push(number);
            ends.entry(to).or_default().1.push(number);
        }
        ends
    }

    fn is_detailed(&self) -> bool {
        self.events().iter().any(|event| matches!(event.what, What::Detail(_)))
    }

    /// What is known of details alone: the lengths of all queues, and why a poll does not sleep.
    fn add_details(&self, lines: &mut Vec<Line<'_>>) {
        for event in self.events() {
            if let What::Detail(Detail::Poll { no_sleep: Some(why), .. }) = event.what {
                lines.push(Line { at: event.at, track: event.track, what: Says::NoSleep(why) });
            }
        }
        for lengths in lengths::of(self.events()) {
            let track = if let Whose::Loop(track) = lengths.whose { track } else { 0 };
            lines.push(Line { at: lengths.at, track, what: Says::Waits(lengths) });
        }
    }

    /// How much is queued, wherever that changes. Track 0 is for the jobs.
    fn add_counters<'a>(&'a self, lines: &mut Vec<Line<'a>>) {
        let began: HashMap<u64, Duration> =
            self.all_but_details().filter(|it| it.id > 0).map(|it| (it.id, it.at)).collect();
        let mut changes = Vec::new();
        for event in self.events() {
            let track = match &event.what {
                What::Callback(callback) if QUEUED.contains(&callback.kind) => event.track,
                What::Job { .. } => 0,
                _ => continue,
            };
            if let Some(queued) = began.get(&event.cause) {
                changes.push((track, *queued.min(&event.at), 1));
                changes.push((track, event.at, -1));
            }
        }
        changes.sort_by_key(|(track, at, _)| (*track, *at));
        let mut count = 0;
        for (place, (track, at, change)) in changes.iter().enumerate() {
            count += change;
            // Of several changes at one moment the last one stands for all.
            let next = changes.get(place + 1);
            if next.is_none_or(|next| (next.0, next.1) != (*track, *at)) {
                lines.push(Line { at: *at, track: *track, what: Says::Queued(count) });
            }
        }
    }
}

/// Adds the slices of a track, the phases around them, and the ends of their arrows.
fn add_track<'a>(lines: &mut Vec<Line<'a>>, slices: &[&'a Event], ends: &Ends) {
    // The phase that is under way: where its line is, which it is, and when its last callback ends.
    let mut open: Option<(usize, (Phase, u64), Duration)> = None;
    for event in slices {
        let (at, track, end) = (event.at, event.track, event.at + event.took);
        let key = match &event.what {
            What::Callback(callback) => Some((callback.phase, event.iteration)),
            _ => None,
        };
        let is_within = open.is_some_and(|(.., until)| at < until);
        match (open, key) {
            _ if is_within => {}
            (Some((place, same, _)), Some(key)) if same == key => open = Some((place, key, end)),
            (_, Some((phase, iteration))) => {
                open = Some((lines.len(), (phase, iteration), end));
                let took = event.took;
                lines.push(Line { at, track, what: Says::Phase { phase, iteration, took } });
            }
            (_, None) => open = None,
        }
        if let Some((place, .., until)) = open {
            lines[place].end_at(until);
        }
        lines.push(Line { at, track, what: Says::Event(event) });
        if let Some((from, to)) = ends.get(&event.id) {
            let from = from.iter().map(|number| Says::From(*number));
            let to = to.iter().map(|number| Says::To(*number));
            lines.extend(to.chain(from).map(|what| Line { at, track, what }));
        }
    }
}

impl Line<'_> {
    /// The phase ends here, as far as is known.
    fn end_at(&mut self, until: Duration) {
        if let Says::Phase { took, .. } = &mut self.what {
            *took = until - self.at;
        }
    }

    fn write(&self, to: &mut impl Write, names: &BTreeMap<u32, &str>) -> io::Result<()> {
        match &self.what {
            Says::Phase { phase, iteration, took } => {
                self.write_head(to, "X")?;
                let (took, name) = (Micros(*took), name_of(*phase));
                write!(to, r#","dur":{took},"cat":"phase","name":"{name}","#)?;
                write!(to, r#""args":{{"iteration":{iteration}}}}}"#)
            }
            Says::Event(event) => {
                self.write_head(to, "X")?;
                write!(to, r#","dur":{},"#, Micros(event.took))?;
                write_event(to, event)
            }
            Says::From(number) => {
                self.write_head(to, "s")?;
                write!(to, r#","id":{number},"cat":"cause","name":"cause"}}"#)
            }
            Says::To(number) => {
                self.write_head(to, "f")?;
                write!(to, r#","bp":"e","id":{number},"cat":"cause","name":"cause"}}"#)
            }
            Says::Waits(Lengths { whose, waiting, .. }) => {
                let name = match whose {
                    Whose::Loop(track) => {
                        format!("queues of {} ({track})", names.get(track).unwrap_or(&"loop"))
                    }
                    Whose::Pool(number) => format!("jobs of pool {number}"),
                    Whose::Port(number) => format!("messages of channel {number}"),
                };
                self.write_head(to, "C")?;
                write!(to, r#","name":{},"args":{{"#, Text(&name))?;
                for (place, (queue, count)) in waiting.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    write!(to, r#"{comma}"{queue}":{count}"#)?;
                }
                write!(to, "}}}}")
            }
            Says::NoSleep(why) => {
                self.write_head(to, "i")?;
                let why = words_for(*why);
                write!(to, r#","s":"t","name":"no sleep","args":{{"why":"{why}"}}}}"#)
            }
            Says::Queued(count) => {
                // Counters of one name are one counter, and two loops may have the same name.
                let name = match names.get(&self.track) {
                    Some(name) => format!("queued on {name} ({})", self.track),
                    None => "queued jobs".to_owned(),
                };
                self.write_head(to, "C")?;
                write!(to, r#","name":{},"args":{{"queued":{count}}}}}"#, Text(&name))
            }
        }
    }

    fn write_head(&self, to: &mut impl Write, kind: &str) -> io::Result<()> {
        let (track, at) = (self.track, Micros(self.at));
        write!(to, r#"{{"ph":"{kind}","pid":1,"tid":{track},"ts":{at}"#)
    }
}

/// A line that names the program or a track.
fn write_name(to: &mut impl Write, what: &str, track: u32, name: &str) -> io::Result<()> {
    writeln!(to)?;
    write!(to, r#"{{"ph":"M","pid":1,"tid":{track},"name":"{what}","#)?;
    write!(to, r#""args":{{"name":{}}}}}"#, Text(name))
}

/// The rest of the slice of an event.
fn write_event(to: &mut impl Write, event: &Event) -> io::Result<()> {
    let (category, kind, location) = match &event.what {
        What::Callback(callback) => ("callback", callback.kind, callback.location),
        What::Job { kind, location, .. } => ("job", *kind, *location),
        What::Wait { woken_by } => {
            let by = name_of_wake(*woken_by);
            return write!(to, r#""cat":"wait","name":"wait","args":{{"woken by":"{by}"}}}}"#);
        }
        // No slices.
        What::Track { .. } | What::Link { .. } | What::Detail(_) => return Ok(()),
    };
    let (id, cause) = (event.id, event.cause);
    write!(to, r#""cat":"{category}","name":{},"#, Text(kind))?;
    write!(to, r#""args":{{"id":{id},"cause":{cause}"#)?;
    if let Some(location) = location {
        write!(to, r#","location":{}"#, Text(&line_of(location)))?;
    }
    if event.panicked {
        write!(to, r#","panicked":true"#)?;
    }
    write!(to, "}}}}")
}

fn words_for(why: NoSleep) -> &'static str {
    match why {
        NoSleep::Stopping => "told to stop",
        NoSleep::Queued => "ticks or microtasks wait",
        NoSleep::Idle => "an idle watcher is active",
        NoSleep::Immediate => "an immediate waits",
        NoSleep::Ready => "a handle is ready",
        NoSleep::Pending => "a completion was deferred",
        NoSleep::Closing => "a handle is closing",
        NoSleep::PollLast => "a signal waits",
        NoSleep::Undelivered => "not all is delivered",
        NoSleep::Asked => "tasks were asked whether they wait",
        NoSleep::Mode => "the mode",
        NoSleep::NothingAlive => "nothing is alive",
        NoSleep::TimerDue => "a timer is due",
    }
}

fn name_of_wake(wake: Wake) -> &'static str {
    match wake {
        Wake::None => "nothing",
        Wake::Source => "source",
        Wake::Message => "message",
        Wake::Timer => "timer",
        Wake::Stop => "stop",
    }
}

/// A line of the program, or the label that was in force there.
fn line_of(location: &'static Location<'static>) -> String {
    match Label::of(location) {
        Some(label) => label.to_string(),
        None => format!("{}:{}", location.file(), location.line()),
    }
}

pub(crate) fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Main => "main",
        Phase::Timers => "timers",
        Phase::Pending => "pending",
        Phase::Idle => "idle",
        Phase::Prepare => "prepare",
        Phase::Poll => "poll",
        Phase::Check => "check",
        Phase::Close => "close",
    }
}

/// Microseconds with their fraction, to the nanosecond.
struct Micros(Duration);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_micros(), self.0.subsec_nanos() % 1000)
    }
}
