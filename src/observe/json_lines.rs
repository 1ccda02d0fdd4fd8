//! A recording as lines of JSON, one for each event: for viewers and for other programs.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, Write};
use std::panic::Location;
use std::time::Duration;

use super::chrome::name_of;
use super::{Armed, Detail, Event, Label, NoSleep, NotRun, Queue, Recording, Wake, What};

impl Recording {
    /// Writes the recording as JSON, one object a line for each event, in the order of
    /// [`events`](Recording::events).
    ///
    /// Each line has `at`, `track`, `iteration` and `what`, and `took`, `id`, `cause` where they
    /// are not zero; `"panicked":true` where that is so. Times are integers, in nanoseconds. `what`
    /// is one word, and the other fields of the line are those of its variant:
    ///
    /// | `what` | the event | fields |
    /// |---|---|---|
    /// | `callback` | [`What::Callback`] | `phase`, `kind`, `place` |
    /// | `wait` | [`What::Wait`] | `woken_by` |
    /// | `job` | [`What::Job`] | `kind`, `place` |
    /// | `track` | [`What::Track`] | `number`, `name` |
    /// | `link` | [`What::Link`] | `to` |
    /// | `all`, `turn_began`, … | [`What::Detail`]: the variant's name | the variant's fields |
    ///
    /// A `location` of Rust is called `place` and is a string, `"src/main.rs:12:5"`. With a
    /// [label](super::labelled) it is the place that this says, and the label's name stands beside
    /// it as `label`, if it has one. What is not known is `null`. The values of enums are words
    /// like the names of the variants. All numbers are below 2^53, up to 104 days of recording.
    ///
    /// A recording with events that had no room ends with a line more:
    /// `{"what":"lost","count":N}`.
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
    ///     windlass::set_immediate(|| ());
    /// });
    /// let mut lines = Vec::new();
    /// recorder.stop().write_json_lines(&mut lines)?;
    /// let lines = String::from_utf8(lines).unwrap();
    /// let callbacks: Vec<_> = lines.lines().filter(|it| it.contains(r#""callback""#)).collect();
    /// assert!(callbacks[0].contains(r#""phase":"main","kind":"main","place":""#));
    /// assert!(callbacks[1].contains(r#""phase":"check","kind":"immediate","place":""#));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_json_lines(&self, to: impl Write) -> io::Result<()> {
        let mut to = BufWriter::new(to);
        for event in self.events() {
            event.write_json(&mut to)?;
            to.write_all(b"\n")?;
        }
        if self.dropped() > 0 {
            writeln!(to, r#"{{"what":"lost","count":{}}}"#, self.dropped())?;
        }
        to.flush()
    }
}

impl Event {
    /// Writes the event as an object of JSON, without an end of the line.
    pub(crate) fn write_json(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, r#"{{"at":{}"#, self.at.as_nanos())?;
        let numbers = [("took", self.took.as_nanos()), ("id", self.id.into())];
        for (name, number) in numbers.into_iter().chain([("cause", self.cause.into())]) {
            if number > 0 {
                write!(to, r#","{name}":{number}"#)?;
            }
        }
        write!(to, r#","track":{},"iteration":{}"#, self.track, self.iteration)?;
        if self.panicked {
            to.write_all(br#","panicked":true"#)?;
        }
        let mut line = Line(to);
        match &self.what {
            What::Callback(callback) => {
                line.what("callback")?.word("phase", name_of(callback.phase))?;
                line.kind(callback.kind, callback.location)?;
            }
            What::Wait { woken_by } => line.what("wait")?.word("woken_by", word_of(*woken_by))?,
            What::Job { kind, location, .. } => line.what("job")?.kind(kind, *location)?,
            What::Track { number, name } => {
                line.what("track")?.number("number", *number)?;
                line.text("name", name)?;
            }
            What::Link { to } => line.what("link")?.number("to", *to)?,
            What::Detail(detail) => detail.write_fields(&mut line)?,
        }
        to.write_all(b"}")
    }
}

impl Detail {
    /// Writes what it is, and its fields.
    fn write_fields<W: Write>(&self, line: &mut Line<'_, W>) -> io::Result<()> {
        let line = line.what(self.word())?;
        match *self {
            Detail::All
            | Detail::TurnBegan
            | Detail::TurnEnded
            | Detail::Ended
            | Detail::Returned
            | Detail::Finished => Ok(()),
            Detail::Iteration { number }
            | Detail::Cleared { number }
            | Detail::Closed { number } => line.number("number", number),
            Detail::Phase { phase, waiting } => {
                line.word("phase", name_of(phase))?;
                line.number("waiting", waiting)
            }
            Detail::Poll { timeout, no_sleep } => {
                line.maybe("timeout", timeout.map(|timeout| timeout.as_nanos()))?;
                line.maybe("no_sleep", no_sleep.map(|why| Text(word_of_no_sleep(why))))
            }
            Detail::Polled { woken_by, idle, ready, events } => {
                line.word("woken_by", word_of(woken_by))?;
                line.time("idle", idle)?;
                line.number("ready", ready)?;
                line.number("events", events)
            }
            Detail::Began { phase, kind, location } => {
                line.word("phase", name_of(phase))?;
                line.kind(kind, location)
            }
            Detail::Drained { ticks, microtasks, rounds } => {
                line.number("ticks", ticks)?;
                line.number("microtasks", microtasks)?;
                line.number("rounds", rounds)
            }
            Detail::Queued { queue, number, kind, location } => {
                line.word("queue", word_of_queue(queue))?;
                line.number("number", number)?;
                line.kind(kind, location)
            }
            Detail::Taken { queue, number } => {
                line.word("queue", word_of_queue(queue))?;
                line.number("number", number)
            }
            Detail::Fetched { completions, posts, items, tasks } => {
                line.number("completions", completions)?;
                line.number("posts", posts)?;
                line.number("items", items)?;
                line.number("tasks", tasks)
            }
            Detail::Armed(ref armed) | Detail::Refreshed(ref armed) => line.armed(armed),
            Detail::Opened { number, kind, location, active } => {
                line.number("number", number)?;
                line.kind(kind, location)?;
                line.flag("active", active)
            }
            Detail::Active { number, on }
            | Detail::Busy { number, on }
            | Detail::Referenced { number, on } => {
                line.number("number", number)?;
                line.flag("on", on)
            }
            Detail::Submitted { kind, location, pool, slow, waiting } => {
                line.kind(kind, location)?;
                line.number("pool", pool)?;
                line.flag("slow", slow)?;
                line.number("waiting", waiting)
            }
            Detail::Refused { kind, location, why } => {
                line.kind(kind, location)?;
                line.word("why", word_of_not_run(why))
            }
            Detail::Started { kind, location } => line.kind(kind, location),
            Detail::Withdrawn { why } => line.word("why", word_of_not_run(why)),
            Detail::Receives { number, port } => {
                line.number("number", number)?;
                line.number("port", port)
            }
            Detail::Posted { port, to, waiting } => {
                line.number("port", port)?;
                line.number("to", to)?;
                line.number("waiting", waiting)
            }
            Detail::Delivered { port, waiting } => {
                line.number("port", port)?;
                line.number("waiting", waiting)
            }
            Detail::Dropped { port, count } => {
                line.number("port", port)?;
                line.number("count", count)
            }
            Detail::Spawned { worker, location } => {
                line.number("worker", worker)?;
                line.place(location)
            }
            Detail::Online { worker } | Detail::Failed { worker } => line.number("worker", worker),
            Detail::Exited { worker, code } => {
                line.number("worker", worker)?;
                line.number("code", code)
            }
        }
    }

    /// Its name.
    fn word(&self) -> &'static str {
        match self {
            Detail::All => "all",
            Detail::TurnBegan => "turn_began",
            Detail::TurnEnded => "turn_ended",
            Detail::Iteration { .. } => "iteration",
            Detail::Phase { .. } => "phase",
            Detail::Poll { .. } => "poll",
            Detail::Polled { .. } => "polled",
            Detail::Ended => "ended",
            Detail::Began { .. } => "began",
            Detail::Returned => "returned",
            Detail::Drained { .. } => "drained",
            Detail::Queued { .. } => "queued",
            Detail::Taken { .. } => "taken",
            Detail::Fetched { .. } => "fetched",
            Detail::Armed(_) => "armed",
            Detail::Refreshed(_) => "refreshed",
            Detail::Cleared { .. } => "cleared",
            Detail::Opened { .. } => "opened",
            Detail::Active { .. } => "active",
            Detail::Busy { .. } => "busy",
            Detail::Referenced { .. } => "referenced",
            Detail::Closed { .. } => "closed",
            Detail::Submitted { .. } => "submitted",
            Detail::Refused { .. } => "refused",
            Detail::Started { .. } => "started",
            Detail::Finished => "finished",
            Detail::Withdrawn { .. } => "withdrawn",
            Detail::Receives { .. } => "receives",
            Detail::Posted { .. } => "posted",
            Detail::Delivered { .. } => "delivered",
            Detail::Dropped { .. } => "dropped",
            Detail::Spawned { .. } => "spawned",
            Detail::Online { .. } => "online",
            Detail::Failed { .. } => "failed",
            Detail::Exited { .. } => "exited",
        }
    }
}

/// A line that is being written: its fields.
struct Line<'a, W>(&'a mut W);

impl<W: Write> Line<'_, W> {
    fn what(&mut self, word: &str) -> io::Result<&mut Self> {
        self.word("what", word)?;
        Ok(self)
    }

    /// A word of ours, in which nothing is to be escaped.
    fn word(&mut self, name: &str, word: &str) -> io::Result<()> {
        write!(self.0, r#","{name}":"{word}""#)
    }

    fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        write!(self.0, r#","{name}":{}"#, Text(text))
    }

    fn number(&mut self, name: &str, number: impl Display) -> io::Result<()> {
        write!(self.0, r#","{name}":{number}"#)
    }

    fn time(&mut self, name: &str, time: Duration) -> io::Result<()> {
        self.number(name, time.as_nanos())
    }

    fn flag(&mut self, name: &str, on: bool) -> io::Result<()> {
        self.number(name, on)
    }

    /// What is there, or null.
    fn maybe(&mut self, name: &str, value: Option<impl Display>) -> io::Result<()> {
        match value {
            Some(value) => self.number(name, value),
            None => self.number(name, "null"),
        }
    }

    fn kind(&mut self, kind: &str, place: Option<&'static Location<'static>>) -> io::Result<()> {
        self.text("kind", kind)?;
        self.place(place)
    }

    /// A line of the program; or what the label says that was in force there.
    fn place(&mut self, place: Option<&'static Location<'static>>) -> io::Result<()> {
        let Some(spot) = place.map(Spot::of) else {
            return self.number("place", "null");
        };
        self.number("place", spot.place)?;
        if spot.name.is_empty() { Ok(()) } else { self.text("label", spot.name) }
    }

    fn armed(&mut self, armed: &Armed) -> io::Result<()> {
        self.number("number", armed.number)?;
        self.kind(armed.kind, armed.location)?;
        self.time("delay", armed.delay)?;
        self.time("due", armed.due)?;
        self.flag("referenced", armed.referenced)
    }
}

fn word_of(wake: Wake) -> &'static str {
    match wake {
        Wake::None => "none",
        Wake::Source => "source",
        Wake::Message => "message",
        Wake::Timer => "timer",
        Wake::Stop => "stop",
    }
}

fn word_of_queue(queue: Queue) -> &'static str {
    match queue {
        Queue::Ticks => "ticks",
        Queue::Microtasks => "microtasks",
        Queue::Timers => "timers",
        Queue::Immediates => "immediates",
        Queue::Pending => "pending",
        Queue::Closing => "closing",
        Queue::PollLast => "poll_last",
        Queue::Ready => "ready",
        Queue::Completions => "completions",
        Queue::Receivers => "receivers",
        Queue::Posts => "posts",
        Queue::Watchers => "watchers",
    }
}

fn word_of_no_sleep(why: NoSleep) -> &'static str {
    match why {
        NoSleep::Stopping => "stopping",
        NoSleep::Queued => "queued",
        NoSleep::Idle => "idle",
        NoSleep::Immediate => "immediate",
        NoSleep::Ready => "ready",
        NoSleep::Pending => "pending",
        NoSleep::Closing => "closing",
        NoSleep::PollLast => "poll_last",
        NoSleep::Undelivered => "undelivered",
        NoSleep::Asked => "asked",
        NoSleep::Mode => "mode",
        NoSleep::NothingAlive => "nothing_alive",
        NoSleep::TimerDue => "timer_due",
    }
}

fn word_of_not_run(why: NotRun) -> &'static str {
    match why {
        NotRun::Cancelled => "cancelled",
        NotRun::DeadlineExceeded => "deadline_exceeded",
        NotRun::QueueFull => "queue_full",
        NotRun::ShutDown => "shut_down",
        NotRun::NoThread => "no_thread",
    }
}

/// A place as a string of JSON.
pub(crate) struct Place<'a> {
    /// The file.
    file: &'a str,
    /// The line, from one on.
    line: u32,
    /// The column, from one on.
    column: u32,
}

/// Where something was registered, and what it is called there.
pub(crate) struct Spot {
    /// The line of the script if a label was in force, else that of the program.
    pub(crate) place: Place<'static>,
    /// The name of that label. Empty without one.
    pub(crate) name: &'static str,
}

impl Spot {
    pub(crate) fn of(location: &'static Location<'static>) -> Spot {
        let (file, line, column, name) = match Label::of(location) {
            Some(label) => (label.file(), label.line(), label.column(), label.name()),
            None => (location.file(), location.line(), location.column(), ""),
        };
        Spot { place: Place { file, line, column }, name }
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = *self;
        f.write_str("\"")?;
        write_escaped(f, file)?;
        write!(f, r#":{line}:{column}""#)
    }
}

/// A string of JSON.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        write_escaped(f, self.0)?;
        f.write_str("\"")
    }
}

/// Writes what stands in a string of JSON.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => write!(f, "{c}")?,
        }
    }
    Ok(())
}
