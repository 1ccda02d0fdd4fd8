//! A callback that blocks, and what the watch says of it.

use std::panic::Location;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use windlass::observe::{Phase, Stall, StallWatch, watch_stalls};
use windlass::{Loop, worker};

use super::common::spin;

/// The limit of the watches, in real time.
pub(crate) const LIMIT: Duration = Duration::from_millis(10);

/// How long a test waits for a report before it says that it is missing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a watch reports, with the time of each report.
pub(crate) struct Reports {
    told: Mutex<Receiver<(Instant, Stall)>>,
    /// Those of nobody that was asked for.
    others: Mutex<Vec<Stall>>,
}

/// A callback that blocks its loop when it is first called. A clone is the same one.
#[derive(Clone)]
pub(crate) struct Stuck(Arc<Planted>);

struct Planted {
    kind: &'static str,
    phase: Phase,
    reports: Arc<Reports>,
    /// How long it blocks. None: until it is reported.
    time: Option<Duration>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// File and line that register it. None: any.
    place: Option<(&'static str, u32)>,
    /// When it began, on which loop, in which worker.
    began: Option<(Instant, String, u64)>,
    /// The report while it ran.
    report: Option<(Instant, Stall)>,
    /// The report when it had ended.
    over: Option<Stall>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reports {
    pub(crate) fn watch(limit: Duration) -> (StallWatch, Arc<Reports>) {
        let (tell, told) = mpsc::channel();
        let watch = watch_stalls(limit, move |stall| {
            // A test that has failed listens no more.
            tell.send((Instant::now(), stall.clone())).unwrap_or_default();
        });
        (watch, Arc::new(Reports { told: Mutex::new(told), others: Mutex::default() }))
    }

    /// Waits until `stuck` is reported: while it runs, or when it is `over`.
    pub(crate) fn expect(&self, stuck: &Stuck, over: bool) -> Stall {
        self.wait(stuck, over, PATIENCE).unwrap_or_else(|| {
            let Planted { kind, phase, known, .. } = &*stuck.0;
            let (place, others) = (lock(known).place, lock(&self.others));
            panic!(
                "{kind} in {phase:?} at {place:?} was not reported, over: {over}, but {others:?}"
            )
        })
    }

    /// As [`expect`](Reports::expect). None if no report comes for so long.
    pub(crate) fn wait(&self, stuck: &Stuck, over: bool, patience: Duration) -> Option<Stall> {
        loop {
            let known = lock(&stuck.0.known);
            match (over, &known.report, &known.over) {
                (false, Some((_, stall)), _) => return Some(stall.clone()),
                (true, Some(_), Some(stall)) => return Some(stall.clone()),
                (true, None, Some(_)) => panic!("it was reported when it had ended only"),
                _ => drop(known),
            }
            let report = lock(&self.told).recv_timeout(patience).ok()?;
            self.sort(stuck, report);
        }
    }

    /// Keeps a report where it belongs.
    fn sort(&self, stuck: &Stuck, (at, stall): (Instant, Stall)) {
        let mut known = lock(&stuck.0.known);
        if !stuck.0.is_named_by(&known, &stall) {
            lock(&self.others).push(stall);
        } else if stall.over {
            known.over = Some(stall);
        } else {
            known.report = Some((at, stall));
        }
    }

    /// Waits until each report about this worker has its second one.
    pub(crate) fn until_all_are_over(&self, worker: u64) {
        let told = lock(&self.told);
        let mut others = lock(&self.others);
        others.extend(told.try_iter().map(|(_, stall)| stall));
        let count = |others: &[Stall], over| {
            others.iter().filter(|stall| stall.worker == worker && stall.over == over).count()
        };
        while count(&others, false) > count(&others, true) {
            let Ok((_, stall)) = told.recv_timeout(PATIENCE) else {
                panic!("a report is false: {others:?}");
            };
            others.push(stall);
        }
    }

    /// How many first reports were about something else: on loops of this name, and on others.
    pub(crate) fn others(&self, loop_name: &str) -> (usize, usize) {
        let others = lock(&self.others);
        let (named, rest): (Vec<&Stall>, Vec<_>) =
            others.iter().filter(|stall| !stall.over).partition(|it| it.loop_name == loop_name);
        (named.len(), rest.len())
    }
}

impl Stuck {
    /// One of this kind that blocks until it is reported.
    pub(crate) fn until_reported(kind: &'static str, phase: Phase, reports: Arc<Reports>) -> Stuck {
        Stuck(Arc::new(Planted { kind, phase, reports, time: None, known: Mutex::default() }))
    }

    /// One that blocks for so long.
    pub(crate) fn for_time(
        kind: &'static str,
        phase: Phase,
        reports: Arc<Reports>,
        time: Duration,
    ) -> Stuck {
        let time = Some(time);
        Stuck(Arc::new(Planted { kind, phase, reports, time, known: Mutex::default() }))
    }

    /// It is registered in the line after the caller's.
    #[track_caller]
    pub(crate) fn next_line(&self) -> Stuck {
        let here = Location::caller();
        lock(&self.0.known).place = Some((here.file(), here.line() + 1));
        self.clone()
    }

    /// It may be registered in any line.
    pub(crate) fn anywhere(&self) -> &Stuck {
        lock(&self.0.known).place = None;
        self
    }

    fn begin(&self) -> bool {
        let began = &mut lock(&self.0.known).began;
        let is_first = began.is_none();
        let now = || (Instant::now(), Loop::current().name().to_owned(), worker::id());
        began.get_or_insert_with(now);
        is_first
    }

    /// Blocks, when it is called for the first time.
    pub(crate) fn stall(&self) {
        if self.begin() {
            match self.0.time {
                Some(time) => spin(time),
                None => drop(self.0.reports.expect(self, false)),
            }
        }
    }

    /// Whether it was reported by now. From within it.
    pub(crate) fn is_reported(&self) -> bool {
        self.begin();
        let reports = &self.0.reports;
        if let Ok(report) = lock(&reports.told).try_recv() {
            reports.sort(self, report);
        }
        lock(&self.0.known).report.is_some()
    }

    /// The report while it ran.
    pub(crate) fn report(&self) -> Stall {
        self.0.reports.expect(self, false)
    }

    /// How long after it began it was reported.
    pub(crate) fn reported_after(&self) -> Duration {
        let known = lock(&self.0.known);
        let reported = known.report.as_ref().expect("it was reported").0;
        reported - known.began.as_ref().expect("it began").0
    }
}

impl Planted {
    /// Whether this report names it, in everything.
    fn is_named_by(&self, known: &Known, stall: &Stall) -> bool {
        let Some((_, loop_name, worker)) = &known.began else { return false };
        let location = stall.callback.location.map(|location| (location.file(), location.line()));
        (stall.callback.kind, stall.callback.phase) == (self.kind, self.phase)
            && known.place.is_none_or(|place| location == Some(place))
            && (&stall.loop_name, stall.worker) == (loop_name, *worker)
    }
}
