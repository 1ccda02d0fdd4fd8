//! Which statement of the guide puts a callback where it is.
//!
//! A rule from what happened: the callback's kind and phase, the callback that armed it, and those
//! that ran before it on its loop. The statements stand in `src/guide/order.md`.

use windlass::observe::Phase;

use super::ledger::{Firing, Line};

/// The statement that puts `lines[at]` behind the callback before it. None if no statement decides.
pub(crate) fn statement(lines: &[Line], at: usize) -> Option<&'static str> {
    let line = &lines[at];
    let place = Place::new(lines, at);
    Some(match (&*line.kind, line.phase) {
        ("main", _) if place.armed_by.is_some() => "O-38",
        ("main", _) => "O-1",
        ("tick", _) => place.of_tick(),
        ("microtask", _) => place.of_microtask(),
        ("timer" | "interval", _) => place.of_timer(),
        ("immediate", _) => place.of_immediate(),
        ("file request", _) => place.of_completion(),
        ("message port", Some(Phase::Close)) => place.of_close(),
        ("message port", _) => place.of_message(),
        ("worker", _) if place.comes_behind_another_kind() => "O-30",
        ("worker", _) => "O-39",
        ("before-exit hook", _) => "O-55",
        ("exit hook", _) => "O-56",
        ("uncaught hook", _) => "O-47",
        _ => return None,
    })
}

/// A callback among those of its loop.
struct Place<'a> {
    line: &'a Line,
    /// All lines, of all loops.
    lines: &'a [Line],
    /// What armed it.
    armed_by: Option<&'a Line>,
    /// What ran before it, the newest last.
    before: Vec<&'a Line>,
    /// The last of these that a phase called, or a turn: no tick, no microtask.
    caller: Option<&'a Line>,
    /// The ticks and microtasks that have run since.
    drain: Vec<&'a Line>,
}

/// Called in the drain, and not by a phase.
fn is_drained(line: &Line) -> bool {
    matches!(&*line.kind, "tick" | "microtask" | "uncaught hook")
}

impl<'a> Place<'a> {
    fn new(lines: &'a [Line], at: usize) -> Place<'a> {
        let line = &lines[at];
        let armed_by = line.armed_by.map(|number| &lines[number - 1]);
        let before: Vec<_> = lines[..at].iter().filter(|it| it.track == line.track).collect();
        let caller = before.iter().rposition(|it| !is_drained(it));
        let drain = before[caller.map_or(0, |at| at + 1)..].to_vec();
        Place { line, lines, armed_by, caller: caller.map(|at| before[at]), before, drain }
    }

    /// What armed it, if that ran in this drain too.
    fn armed_in_drain(&self) -> Option<&'a str> {
        let number = self.armed_by?.number;
        self.drain.iter().find(|it| it.number == number).map(|it| &*it.kind)
    }

    fn of_tick(&self) -> &'static str {
        match self.armed_in_drain() {
            _ if self.follows_panic() => self.after_panic(),
            Some("tick") => "O-11",
            _ if self.drain.iter().any(|it| it.kind == "microtask") => "O-12",
            _ => self.first_of_drain(),
        }
    }

    fn of_microtask(&self) -> &'static str {
        let mut since_microtask = self.drain.iter().skip_while(|it| it.kind != "microtask");
        match self.armed_in_drain() {
            _ if self.follows_panic() => self.after_panic(),
            Some("microtask") => "O-11",
            _ if since_microtask.any(|it| it.kind == "tick") => "O-12",
            _ => self.first_of_drain(),
        }
    }

    fn first_of_drain(&self) -> &'static str {
        match self.caller {
            // The main script of a worker is a callback like others.
            Some(it) if it.kind == "main" && it.armed_by.is_none() => "O-1",
            Some(it) if it.kind == "before-exit hook" => "O-14",
            _ => "O-10",
        }
    }

    fn follows_panic(&self) -> bool {
        self.drain.last().is_some_and(|last| last.kind == "uncaught hook")
    }

    fn after_panic(&self) -> &'static str {
        let in_drain = self.drain.iter().any(|it| it.panicked);
        if in_drain { "O-48" } else { "O-47" }
    }

    /// What the same phase of the same iteration has called before it.
    fn peer(&self) -> Option<&'a Line> {
        let (line, peer) = (self.line, self.caller?);
        let same = (peer.phase, peer.iteration) == (line.phase, line.iteration);
        (same && !line.waited).then_some(peer)
    }

    fn comes_behind_another_kind(&self) -> bool {
        self.peer().is_some_and(|peer| peer.kind != self.line.kind)
    }

    fn of_timer(&self) -> &'static str {
        let Some(Firing { delay, due, count }) = self.line.firing else { return "O-3" };
        let is_interval = self.line.kind == "interval";
        if is_interval && self.line.at >= due + delay {
            return "O-24"; // It was held up for a period or more.
        }
        if count > 1 {
            return if is_interval { "O-23" } else { "O-27" };
        }
        let pass = self.last_pass();
        // The clock of a pass stands where it stood for its first timer. One that came before it was
        // due had been chosen for this pass already when it was refreshed.
        if let (Some(peer), Some(first)) = (self.peer(), pass.first())
            && (due <= first.at || due > self.line.at)
        {
            let is_peer = peer.firing.is_some_and(|it| it.delay == delay);
            return if is_peer { "O-17" } else { "O-19" };
        }
        if self.line.waited {
            return "O-5";
        }
        if self.slept_in_iteration() {
            return "O-22";
        }
        match self.caller.map(|it| &*it.kind) {
            Some("main") => return "O-2",
            Some("before-exit hook") => return "O-55",
            _ => (),
        }
        let became_due_in_pass = pass.last().is_some_and(|last| due <= last.at + last.took);
        let armed_in_pass = pass.iter().any(|it| Some(it.number) == self.line.armed_by);
        if became_due_in_pass || armed_in_pass {
            return "O-21";
        }
        if self.has_sibling("immediate") { "O-29" } else { "O-3" }
    }

    /// The timers of the last pass that has begun, if its loop has not slept since.
    fn last_pass(&self) -> Vec<&'a Line> {
        let is_timer = |it: &Line| it.phase == Some(Phase::Timers);
        let mut pass: Vec<&'a Line> = Vec::new();
        if self.line.waited {
            return pass;
        }
        for &it in self.before.iter().rev().filter(|it| !is_drained(it)) {
            if is_timer(it) && pass.last().is_none_or(|later| later.iteration == it.iteration) {
                pass.push(it);
            }
            // The pass before the first iteration counts as one of it.
            let begins_pass = is_timer(it) && it.statement == Some("O-21");
            if it.waited || begins_pass || !is_timer(it) && !pass.is_empty() {
                break;
            }
        }
        pass.reverse();
        pass
    }

    /// Whether the loop has slept before the callbacks that this iteration called already.
    fn slept_in_iteration(&self) -> bool {
        let iteration = |it: &&&Line| it.iteration == self.line.iteration;
        self.before.iter().rev().take_while(iteration).any(|it| it.waited)
    }

    /// Whether what armed it armed something of this kind too.
    fn has_sibling(&self, kind: &str) -> bool {
        let armed_by = self.line.armed_by;
        self.lines.iter().any(|it| armed_by.is_some() && it.armed_by == armed_by && it.kind == kind)
    }

    fn of_immediate(&self) -> &'static str {
        let Some(armed_by) = self.armed_by else { return "O-3" };
        match armed_by.phase {
            _ if self.peer().is_some_and(|peer| peer.kind == "immediate") => "O-28",
            Some(Phase::Check) => "O-28",
            Some(Phase::Poll | Phase::Timers) if self.has_sibling("timer") => "O-29",
            None if armed_by.kind == "main" && armed_by.armed_by.is_some() => "O-38",
            _ => "O-3",
        }
    }

    fn of_completion(&self) -> &'static str {
        let in_poll = |it: &Line| it.phase == Some(Phase::Poll);
        if self.armed_by.is_some_and(in_poll) { "O-32" } else { "O-61" }
    }

    fn of_message(&self) -> &'static str {
        let armed = self.armed_by.filter(|it| it.track == self.line.track);
        let same_phase =
            |it: &Line| (it.phase, it.iteration) == (self.line.phase, self.line.iteration);
        match self.peer() {
            Some(_) if self.comes_behind_another_kind() => "O-30",
            Some(_) if armed.is_some_and(same_phase) => "O-36",
            _ => "O-35",
        }
    }

    fn of_close(&self) -> &'static str {
        let in_close = |it: &Line| it.phase == Some(Phase::Close);
        let is_later = self.peer().is_some() || self.armed_by.is_some_and(in_close);
        if is_later { "O-7" } else { "O-37" }
    }
}
