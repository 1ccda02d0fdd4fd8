//! Seeing what a loop does: which tool answers which question.
//!
//! | the question | the tool |
//! |---|---|
//! | What does the program do, in words? | [the log](#the-log) |
//! | Where did the time of an iteration go? | [`Loop::on_iteration`](#an-iterations-time) |
//! | How long did others have to wait? | [`Loop::delays`](#how-long-others-waited) |
//! | Which callback blocks a loop at this moment? | [`watch_stalls`](#a-stall) |
//! | What ran, in which order, and what caused it? | [`Recorder`](#what-ran-and-what-caused-it) |
//! | The same as a picture? | [`Recording::write_chrome_trace`](#the-same-as-a-picture) |
//! | Why does this callback come before that one? | [`scenario --explain`](#why-in-this-order) |
//! | Which error did nobody take? | [`on_unhandled`](#errors-that-nobody-took) |
//! | Why does the program not end? | [`Loop::why_alive`](#what-keeps-a-loop-alive) |
//! | What does not end in time? | [`Loop::shutdown`](#the-end-in-order) |
//!
//! A tool that is not used costs nothing that you would notice: a branch for each callback. All
//! tools may be used at the same time, also while the program runs. The programs on this page run
//! in virtual time where they can, so their output is the same each time.
//!
//! # The log
//!
//! The crate writes to the [`log`](https://docs.rs/log) crate, under the name `windlass`. With a
//! logger such as `env_logger`, `RUST_LOG=windlass=debug` turns it on. `warn` says what is wrong:
//! errors that nobody took, tasks that the end of a loop cuts off. `debug` says what a person wants
//! to know who watches, among it each callback that took 10 ms or longer, with the line that
//! registered it.
//!
//! ```
//! use std::sync::Mutex;
//! use std::time::Duration;
//! use windlass::{Loop, set_timeout, time::advance};
//!
//! /// A logger that keeps what is said.
//! struct Kept(Mutex<Vec<String>>);
//!
//! impl log::Log for Kept {
//!     fn enabled(&self, _: &log::Metadata<'_>) -> bool {
//!         true
//!     }
//!     fn log(&self, record: &log::Record<'_>) {
//!         self.0.lock().unwrap().push(record.args().to_string());
//!     }
//!     fn flush(&self) {}
//! }
//!
//! static KEPT: Kept = Kept(Mutex::new(Vec::new()));
//! log::set_logger(&KEPT).unwrap();
//! log::set_max_level(log::LevelFilter::Debug);
//!
//! let event_loop = Loop::builder().virtual_time(true).name("shop").build()?;
//! event_loop.run(|| {
//!     set_timeout(Duration::from_millis(1), || advance(Duration::from_millis(12)));
//! });
//! // "shop: timer at src/main.rs:26:5 took 12ms"
//! let said = KEPT.0.lock().unwrap();
//! assert!(said.iter().any(|line| line.contains("timer at ") && line.contains("12")));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # An iteration's time
//!
//! [`Loop::on_iteration`](crate::Loop::on_iteration) calls you after each iteration of one loop. No
//! time is missing: the sleep and all phases together are the whole iteration, and the next one
//! begins where it ends. Use it for a page of figures, or to find the phase that is slow.
//!
//! ```
//! use std::{cell::RefCell, rc::Rc, time::Duration};
//! use windlass::observe::Phase;
//! use windlass::{Loop, set_immediate, set_timeout, time::advance};
//!
//! let event_loop = Loop::builder().virtual_time(true).build()?;
//! let lines = Rc::new(RefCell::new(Vec::new()));
//! let page = lines.clone();
//! event_loop.on_iteration(move |iteration| {
//!     let longest = iteration.longest.as_ref().map_or("none", |callback| callback.kind);
//!     page.borrow_mut().push(format!(
//!         "slept {:?}, check {:?}, timers {:?}, longest: {longest}",
//!         iteration.idle,
//!         iteration.phase(Phase::Check),
//!         iteration.phase(Phase::Timers),
//!     ));
//! });
//! event_loop.run(|| {
//!     set_immediate(|| advance(Duration::from_millis(2)));
//!     set_timeout(Duration::from_millis(10), || advance(Duration::from_millis(3)));
//! });
//! assert_eq!(
//!     lines.take(),
//!     [
//!         "slept 0ns, check 2ms, timers 0ns, longest: immediate",
//!         "slept 8ms, check 0ns, timers 3ms, longest: timer",
//!     ]
//! );
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # How long others waited
//!
//! [`Loop::delays`](crate::Loop::delays) has the busy times of all iterations: so long had to wait
//! what became ready meanwhile. They are always counted. It is the figure for a page of metrics.
//!
//! ```
//! use std::time::Duration;
//! use windlass::{Loop, set_timeout, time::advance};
//!
//! let event_loop = Loop::builder().virtual_time(true).build()?;
//! event_loop.run(|| {
//!     for millis in 1..=100 {
//!         let work = move || advance(Duration::from_millis(millis));
//!         set_timeout(Duration::from_secs(millis), work);
//!     }
//! });
//! let delays = event_loop.delays();
//! assert_eq!(delays.max(), Duration::from_millis(100));
//! assert!(delays.percentile(50.0) < Duration::from_millis(55));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # A stall
//!
//! [`watch_stalls`](crate::observe::watch_stalls) watches all loops of the process from a thread of
//! its own. It names a callback that runs longer than the limit, while it still runs, and once more
//! when it has ended. So it also names a callback that never ends. Leave it on in a server.
//!
//! ```
//! use std::time::Duration;
//! use windlass::observe::watch_stalls;
//!
//! let (tell, told) = std::sync::mpsc::channel();
//! let watch = watch_stalls(Duration::from_millis(20), move |stall| {
//!     let place = stall.callback.location.unwrap();
//!     if !stall.over {
//!         tell.send(format!("{} of {}", stall.callback.kind, place.file())).unwrap();
//!     }
//! });
//! windlass::run(|| {
//!     windlass::set_immediate(move || {
//!         // Blocks until the watch has seen it.
//!         assert_eq!(told.recv().unwrap(), format!("immediate of {}", file!()));
//!     });
//! });
//! drop(watch); // Ends the watch.
//! ```
//!
//! # What ran, and what caused it
//!
//! A [`Recorder`](crate::observe::Recorder) keeps what all loops, workers and pool threads do. Each
//! callback has an id, and the id of the callback in which it was armed, across ticks, timers,
//! jobs, messages and threads. The place is the line that registered it.
//!
//! ```
//! use std::collections::HashMap;
//! use std::time::Duration;
//! use windlass::observe::{Recorder, What};
//! use windlass::{Loop, next_tick, queue_work, set_timeout};
//!
//! let event_loop = Loop::builder().virtual_time(true).build()?;
//! let recorder = Recorder::start();
//! event_loop.run(|| {
//!     set_timeout(Duration::from_millis(5), || {
//!         queue_work(|| 6 * 7).on_complete(|_| next_tick(|| ()));
//!     });
//! });
//! let recording = recorder.stop();
//!
//! let mut kinds = HashMap::from([(0, "nothing")]);
//! let mut lines = Vec::new();
//! for event in recording.events() {
//!     let kind = match &event.what {
//!         What::Callback(callback) => callback.kind,
//!         What::Job { .. } => "job",
//!         _ => continue,
//!     };
//!     kinds.insert(event.id, kind);
//!     lines.push((event.at.as_millis(), kind, event.cause));
//! }
//! let line = |&(at, kind, cause)| format!("{at} ms: {kind} of {}", kinds[&cause]);
//! assert_eq!(
//!     lines.iter().map(line).collect::<Vec<_>>(),
//!     [
//!         "0 ms: main of nothing",
//!         "5 ms: timer of main",
//!         "5 ms: job of timer",
//!         "5 ms: pool job of job",
//!         "5 ms: tick of pool job",
//!     ]
//! );
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A "pool job" among the callbacks is the completion of one. What a program writes down itself is
//! tied to these events by [`callback_id`](crate::observe::callback_id).
//!
//! # The same as a picture
//!
//! [`Recording::write_chrome_trace`](crate::observe::Recording::write_chrome_trace) writes a file
//! for <https://ui.perfetto.dev>: a track for each loop and pool thread, and arrows from causes to
//! what they caused. The example `trace` records a server under load and writes that file.
//!
//! ```
//! use windlass::observe::Recorder;
//!
//! let recorder = Recorder::start();
//! windlass::run(|| {
//!     windlass::set_immediate(|| windlass::next_tick(|| ()));
//! });
//! let mut file = Vec::new(); // Or a `std::fs::File`.
//! recorder.stop().write_chrome_trace(&mut file)?;
//! let text = String::from_utf8(file).unwrap();
//! for kind in ["main", "immediate", "tick"] {
//!     assert!(text.contains(&format!(r#""name":"{kind}""#)));
//! }
//! # std::io::Result::Ok(())
//! ```
//!
//! # Why in this order
//!
//! The example `scenario` runs a program that is written as data. Its format stands in
//! `tests/conformance/README.md`. With `--explain` it prints each callback with the one that armed
//! it, and the statement of [the guide to the order](super::order) that put it there.
//!
//! ```json
//! {
//!   "name": "lunch",
//!   "main": [
//!     {"op": "timeout", "id": "soup", "ms": 10, "body": [
//!       {"op": "block", "ms": 40},
//!       {"op": "immediate", "id": "spoon"}
//!     ]},
//!     {"op": "timeout", "id": "bread", "ms": 30, "body": [{"op": "tick", "id": "butter"}]}
//!   ]
//! }
//! ```
//!
//! ```text
//! $ cargo run --example scenario -- --explain lunch.json
//! lunch
//!       iteration  phase    what                   time  armed by  order
//!    1          -  -        main                   0 ms         -  O-1
//!    2          0  timers   timer: soup           10 ms         1  O-5
//!    3          1  check    immediate: spoon      50 ms         2  O-3
//!    4          1  timers   timer: bread          50 ms         1  O-21
//!    5          1  timers   tick: butter          50 ms         4  O-10
//! ```
//!
//! The words of the statements follow. O-21 says why the spoon comes before the bread, which was
//! due at 30 ms: a timer that becomes due while the timers run waits for their next pass, after the
//! check phase. `--json-lines` prints the same for programs. `--predict` asks you for the order
//! first, and marks where your guess goes wrong.
//!
//! # Errors that nobody took
//!
//! A task that runs by itself has nobody to give its error to. Detach it with
//! [`spawn_try`](crate::spawn_try) and not with [`spawn`](crate::spawn): `spawn_try` hears of an
//! error of any type. `spawn` cannot see that an output is an error unless it knows the type; the
//! page of [`on_unhandled`](crate::on_unhandled) lists the types that it knows. The errors of
//! requests are heard of always. The hook of `on_unhandled` gets such errors. Without a hook they
//! are in the log.
//!
//! ```
//! use std::{cell::RefCell, rc::Rc};
//!
//! let lines = Rc::new(RefCell::new(Vec::new()));
//! let page = lines.clone();
//! windlass::run(move || {
//!     windlass::on_unhandled(move |unhandled| {
//!         page.borrow_mut().push(format!("{}: {}", unhandled.kind, unhandled.error));
//!     });
//!     windlass::spawn_try(async { "seven".parse::<u32>() });
//!     drop(windlass::fs::read("/no/such/file"));
//! });
//! assert_eq!(lines.borrow()[0], "task: invalid digit found in string");
//! assert!(lines.borrow()[1].starts_with("file request: "));
//! ```
//!
//! # What keeps a loop alive
//!
//! A program ends when nothing is left that could call back. If it does not end,
//! [`Loop::why_alive`](crate::Loop::why_alive) names what is left, each with the line that made it.
//!
//! ```
//! use std::time::Duration;
//! use windlass::{Loop, set_interval};
//!
//! let event_loop = Loop::builder().virtual_time(true).build()?;
//! event_loop.run(|| {
//!     let beat = set_interval(Duration::from_secs(1), |_| println!("beat"));
//!     let alive = Loop::current().why_alive();
//!     // "interval made at src/main.rs:6:16"
//!     assert!(alive[0].to_string().starts_with(&format!("{} made at ", alive[0].kind)));
//!     beat.clear();
//!     assert!(Loop::current().why_alive().is_empty());
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The end, in order
//!
//! [`Loop::shutdown`](crate::Loop::shutdown) closes listeners, cancels jobs that wait, asks workers
//! to end, and waits for what runs, until a limit. Then the loop ends in any case. The answer names
//! what had not ended by then.
//!
//! ```
//! use std::{cell::RefCell, rc::Rc, time::Duration};
//! use windlass::{Loop, time::sleep};
//!
//! let event_loop = Loop::builder().virtual_time(true).build()?;
//! let lines = Rc::new(RefCell::new(Vec::new()));
//! let page = lines.clone();
//! event_loop.run(move || {
//!     let held = Loop::current().keep_alive();
//!     windlass::spawn(async move {
//!         sleep(Duration::from_secs(60)).await; // Longer than the shutdown waits.
//!         drop(held);
//!     });
//!     Loop::current().shutdown(Duration::from_secs(5)).on_complete(move |ended| {
//!         let laggards = ended.err().into_iter().flatten();
//!         page.borrow_mut().extend(laggards.map(|laggard| laggard.to_string()));
//!     });
//! });
//! assert_eq!(lines.borrow().len(), 1);
//! # Ok::<(), std::io::Error>(())
//! ```
