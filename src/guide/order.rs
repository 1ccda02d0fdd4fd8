//! The order of callbacks: what runs when, in Node's terms.
//!
//! A loop runs on one thread and calls one callback at a time. It goes through seven phases in a
//! fixed order, again and again, and sleeps in one of them, poll, when nothing is ready. After
//! every callback comes the small loop: all ticks, then all microtasks, until both queues are
//! empty. Everything from elsewhere (the system, the pool, a worker, another thread) enters through
//! poll. When nothing is left that could call back, the program ends.
//!
#![doc = include_str!("phases.svg")]
//!
//! # How to read this page
//!
//! Each statement has a number, which it keeps, and a test. The test is the example beneath it, or
//! named in brackets: `file::test` is `fn test` in `tests/file.rs`, and three digits with words are
//! a program in `tests/conformance`, for which Node 20 printed the trace that ours must equal. The
//! examples run in virtual time, where the clock stands still until the loop has nothing else to
//! do. The first shows three helpers in full; the others use the same.
//!
//! # The phases
//!
//! - **O-1** The main script runs first, then its ticks and microtasks. Then come the iterations.
//!
//! ```
#![doc = include_str!("recorder.rs")]
//!
//! use windlass::{next_tick, queue_microtask, set_immediate, set_timeout};
//!
//! let seen = order(|| {
//!     set_timeout(ms(1), || say("timer"));
//!     set_immediate(|| say("immediate"));
//!     queue_microtask(|| say("microtask"));
//!     next_tick(|| say("tick"));
//!     say("main script");
//! });
//! assert_eq!(seen, ["main script", "tick", "microtask", "immediate", "timer"]);
//! ```
//!
//! - **O-2** Timers that are due when the main script has ended run once, before the first
//!   iteration (`010-main-overdue-timer-before-immediate`, `011-first-iteration`).
//! - **O-85** Whether anything is alive is asked before these timers, so an iteration follows them
//!   even if nothing is alive after them (`331-iteration-after-due-timers`,
//!   `332-iteration-after-due-timers-of-before-exit`,
//!   `run_modes::after_timers_due_at_the_entry_an_iteration_takes_place_though_nothing_is_alive`).
//!   As
//!   `run_modes::the_iteration_after_timers_due_at_the_entry_does_not_wait_and_heeds_stop_and_exit`
//!   says, it does not wait, and a stop or an exit of such a timer comes before it.
//! - **O-3** An iteration is: pending, idle, prepare, poll, check, close, timers. In the check
//!   phase the watchers come before the immediates.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::handle::{Check, Idle, Prepare};
//! use windlass::{queue_work, set_immediate, set_timeout, time::advance, worker::channel};
//!
//! let seen = order(|| {
//!     set_timeout(ms(1), || say("timer"));
//!     let (port, _other_end) = channel::<(), ()>();
//!     let port = port.open();
//!     port.on_close(|| say("close"));
//!     port.close();
//!     set_immediate(|| say("immediate"));
//!     Check::start(|| say("check")).unref();
//!     queue_work(|| ()).on_complete(|_| say("poll"));
//!     Prepare::start(|| say("prepare")).unref();
//!     Idle::start(|| {
//!         say("idle");
//!         advance(ms(1)); // As though it had worked so long: now the timer is due.
//!     })
//!     .unref();
//!     let cancelled = queue_work(|| ());
//!     cancelled.cancel().unwrap();
//!     cancelled.on_complete(|_| say("pending"));
//! });
//! let phases = ["pending", "idle", "prepare", "poll", "check", "immediate", "close", "timer"];
//! assert_eq!(seen, phases);
//! ```
//!
//! - **O-4** `turn(Once)` and `turn(NoWait)` are one iteration, without timers before it, if
//!   anything is alive
//!   (`run_modes::once_and_nowait_turn_nothing_when_nothing_is_alive_at_the_entry`). `Once` waits
//!   in poll, `NoWait` does not (`guide::one_iteration_by_hand_runs_due_timers_last`,
//!   `run_modes::once_waits_for_a_lone_timer_and_runs_it_in_the_same_call`,
//!   `run_modes::nowait_returns_at_once_although_a_timer_is_armed`).
//! - **O-5** Only poll sleeps, until the next timer is due or something comes
//!   (`embedding::the_timeout_is_the_time_to_the_nearest_timer`,
//!   `wake::a_wake_from_another_thread_ends_a_poll_without_timeout_on_the_loop_thread`). It does
//!   not sleep while an immediate, an idle watcher, a tick or a close waits
//!   (`embedding::the_timeout_is_zero_when_an_idle_watcher_or_immediate_is_pending`,
//!   `embedding::the_timeout_is_zero_when_ticks_or_microtasks_are_queued`,
//!   `embedding::the_timeout_is_zero_while_something_is_closing`).
//! - **O-6** Idle, prepare and check watchers are called once an iteration, in the order started.
//!   One started by another of its kind waits for the next iteration
//!   (`watchers::watchers_run_in_the_order_they_were_started`,
//!   `watchers::one_started_by_another_of_its_kind_first_runs_in_the_next_turn`).
//! - **O-7** Of handles closed in one iteration the one closed last has its close callback first,
//!   of whatever kind they are (`326-close-last-first`,
//!   `ordering::of_handles_closed_in_one_iteration_the_last_is_told_first`). The events of one
//!   stream at its close keep their order: its cancelled writes, then the close
//!   (`ordering::what_one_handle_tells_at_its_close_keeps_its_order`). A handle that a close
//!   callback closes is told in the next iteration, and an immediate that it arms runs there
//!   (`328-close-in-close-event`,
//!   `ordering::an_immediate_of_a_close_completion_runs_in_the_following_turn`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::worker::channel;
//!
//! let seen = order(|| {
//!     let (here, there) = channel::<(), ()>();
//!     let (here, there) = (here.open(), there.open());
//!     here.on_close(|| say("here, closed first"));
//!     there.on_close(|| say("there, closed last"));
//!     here.close();
//!     there.close();
//! });
//! assert_eq!(seen, ["there, closed last", "here, closed first"]);
//! ```
//!
//! - **O-8** A request that is done or cancelled at once completes in the pending phase, never
//!   inside the call. When a callback of poll made it, it completes after poll and before check,
//!   for up to eight rounds
//!   (`guide::what_poll_completes_at_once_is_told_before_check_in_eight_rounds`).
//! - **O-9** [`now`](crate::now) is the same for all callbacks of a phase. It moves when a turn
//!   begins, after the wait, and before the timers if there are any
//!   (`guide::the_cached_time_is_one_for_a_phase_and_moves_before_the_timers`), and by
//!   [`update_time`](crate::Loop::update_time)
//!   (`timers::now_is_fixed_within_a_callback_until_it_is_updated`).
//!
//! # The drain: ticks and microtasks
//!
//! - **O-10** After every callback all ticks run, in the order queued, then all microtasks.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{next_tick, queue_microtask, set_timeout};
//!
//! let seen = order(|| {
//!     for timer in ["timer 1", "timer 2"] {
//!         set_timeout(ms(1), move || {
//!             queue_microtask(|| say("microtask"));
//!             next_tick(|| say("tick"));
//!             say(timer);
//!         });
//!     }
//! });
//! assert_eq!(seen, ["timer 1", "tick", "microtask", "timer 2", "tick", "microtask"]);
//! ```
//!
//! - **O-11** A tick queued by a tick still runs before the first microtask, and a microtask queued
//!   by a microtask in the same round (`002-tick-queue-to-exhaustion`,
//!   `003-microtask-queue-to-exhaustion`).
//! - **O-12** A tick queued by a microtask waits until no microtask is left. Then the ticks are
//!   emptied again, then the microtasks, until both queues are empty (`004-drain-alternates`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{next_tick, queue_microtask};
//!
//! let seen = order(|| {
//!     queue_microtask(|| {
//!         say("microtask 1");
//!         next_tick(|| say("tick of microtask 1"));
//!         queue_microtask(|| say("microtask of microtask 1"));
//!     });
//!     queue_microtask(|| say("microtask 2"));
//! });
//! assert_eq!(
//!     seen,
//!     ["microtask 1", "microtask 2", "microtask of microtask 1", "tick of microtask 1"]
//! );
//! ```
//!
//! - **O-13** The drain follows each timer and immediate (`005-drain-between-timers-of-one-list`,
//!   `006-drain-between-lists`, `007-drain-between-immediates`), each watcher
//!   (`ordering::the_drain_follows_every_idle_prepare_and_check_callback`), each completion,
//!   notifier and post
//!   (`ordering::the_drain_follows_every_completion_notifier_and_posted_closure`), each message
//!   (`ports::every_message_is_a_callback_of_its_own`), each connection, read and write
//!   (`guide::the_drain_follows_every_callback_of_a_socket`), each signal
//!   (`signals::the_drain_follows_every_signal`), each event of a worker
//!   (`guide::the_drain_follows_every_event_of_a_worker`), and each close
//!   (`ordering::the_drain_follows_every_close_completion`).
//! - **O-14** Before-exit hooks are listeners of one event: the drain follows the last of them
//!   (`ordering::the_drain_follows_the_last_before_exit_hook`).
//! - **O-15** So a tick of one callback can still clear the next of the same phase
//!   (`020-clear-from-tick-between-timers`, `021-clear-due-immediate`).
//! - **O-16** A chain of ticks or microtasks starves timers and I/O for as long as it lasts
//!   (`ordering::a_chain_of_ticks_starves_the_phases_until_it_ends`,
//!   `ordering::a_task_that_wakes_itself_is_polled_again_in_the_same_drain`).
//!
//! # Timers
//!
//! - **O-17** Timers of one delay form a list, and fire in the order they were armed. 0 counts
//!   as one millisecond, and a fraction of one as a whole one (`013-same-duration-fifo`,
//!   `014-zero-is-one`, `timers::zero_and_fractions_count_as_whole_milliseconds_in_one_list`).
//! - **O-18** A delay counts from the moment of arming, not from the cached time
//!   (`035-timer-armed-after-block`). A timer is never early
//!   (`timers::a_timer_fires_once_and_never_early_on_the_real_clock`).
//! - **O-19** When several lists are overdue, the list that expires first leads, and runs all its
//!   due timers before the next list does. Overdue timers are not sorted.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{set_timeout, time::advance};
//!
//! let seen = order(|| {
//!     set_timeout(ms(40), || say("40 ms, due at 40"));
//!     advance(ms(20));
//!     set_timeout(ms(40), || say("40 ms, due at 60"));
//!     set_timeout(ms(22), || say("22 ms, due at 42"));
//!     advance(ms(65)); // All three are overdue.
//! });
//! assert_eq!(seen, ["40 ms, due at 40", "40 ms, due at 60", "22 ms, due at 42"]);
//! ```
//!
//! - **O-20** When its first timer is cleared, a list keeps its expiry for the timers that are
//!   left: overdue, it still leads (`038-list-keeps-expiry-of-cleared-head`).
//! - **O-21** A pass of the timers reads the clock once, at its start. A timer that becomes due or
//!   is armed while it runs waits for the next pass, after poll and check
//!   (`018-due-during-pass-waits`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{set_immediate, set_timeout, time::advance};
//!
//! let seen = order(|| {
//!     set_timeout(ms(1), || {
//!         say("timer");
//!         set_timeout(ms(1), || say("timer of the timer"));
//!         set_immediate(|| say("immediate of the timer"));
//!         advance(ms(20)); // Its timer is overdue before it returns.
//!     });
//! });
//! assert_eq!(seen, ["timer", "immediate of the timer", "timer of the timer"]);
//! ```
//!
//! - **O-22** A timer that falls due while poll sleeps runs after all that poll delivers, and after
//!   check.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{set_immediate, set_timeout, time::advance, worker::Worker};
//!
//! let seen = order(|| {
//!     set_timeout(ms(5), || say("timer, due at 5 ms"));
//!     let worker: Worker<(), ()> = Worker::spawn(|port| {
//!         advance(ms(5)); // Each loop has its own clock.
//!         port.post(());
//!     })
//!     .unwrap();
//!     worker.on_message(|()| {
//!         set_immediate(|| say("immediate"));
//!         say("message, posted at 5 ms");
//!     });
//! });
//! assert_eq!(seen, ["message, posted at 5 ms", "immediate", "timer, due at 5 ms"]);
//! ```
//!
//! - **O-23** An interval goes to the end of its list when its callback has returned, but its
//!   period counts from the callback's start (`025-interval-from-start-of-callback`,
//!   `036-interval-rearmed-after-callback`).
//! - **O-24** An interval that was held up fires once, not once for each period missed
//!   (`026-interval-no-catch-up`).
//! - **O-25** A timer cleared in time does not fire, even when it is due in this pass, nor does an
//!   immediate of the running batch. Clearing one that has run is harmless (`019-clear-due-timer`,
//!   `021-clear-due-immediate`, `022-clear-fired`).
//! - **O-26** Refreshing counts the delay from now and moves the timer to the end of its list, out
//!   of the running pass (`027-refresh-moves-to-end`, `037-refresh-due-timer`). A cleared timer
//!   stays cleared (`029-refresh-cleared`).
//! - **O-83** The next timer of a list is chosen before the drain that comes between the two. A
//!   tick or microtask of that drain that refreshes it comes too late: it fires now, once, and is
//!   not armed again by that (`320-refresh-next-timer-in-drain`,
//!   `321-refresh-timer-after-next-in-drain`,
//!   `timers::a_refresh_between_two_due_timers_comes_too_late_for_the_next_one`). To clear it there
//!   is time (`322-clear-and-rearm-next-timer-in-drain`, `323-clear-all-timers-of-list-in-drain`,
//!   `timers::a_clear_between_two_due_timers_comes_in_time_and_a_new_timer_waits`), and to refresh
//!   the first timer of the next list too (`325-refresh-between-lists-in-drain`). A list without a
//!   further due timer is put back before the drain too (`324-list-put-back-before-drain`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{next_tick, set_timeout, time::advance};
//!
//! let seen = order(|| {
//!     let slot = std::rc::Rc::new(std::cell::Cell::new(None::<windlass::Timer>));
//!     let next = slot.clone();
//!     set_timeout(ms(10), move || {
//!         say("the first");
//!         next_tick(move || next.get().unwrap().refresh()); // Too late.
//!     });
//!     slot.set(Some(set_timeout(ms(10), || say("the second"))));
//!     set_timeout(ms(11), || say("another delay"));
//!     advance(ms(20));
//! });
//! assert_eq!(seen, ["the first", "the second", "another delay"]);
//! ```
//!
//! - **O-27** A timer of [`set_timer`](crate::set_timer) that has fired is armed again by a refresh
//!   (`028-refresh-fired`). One of `set_timeout` is spent
//!   (`timers::a_spent_timeout_and_a_cleared_timer_stay_silent_when_refreshed`).
//!
//! # Immediates
//!
//! - **O-28** A check phase runs the immediates that were there when it began, in the order armed.
//!   Those armed meanwhile run in the next iteration (`008-immediate-from-immediate`), so a chain
//!   of them starves nothing
//!   (`ordering::a_thousand_immediates_that_requeue_themselves_starve_nothing`).
//! - **O-29** Of an immediate and a timer armed in one callback of the poll phase or of a timer,
//!   the immediate runs first, even if the timer is overdue when the callback returns
//!   (`009-io-immediate-before-timeout`, `012-timer-callback-immediate-first`,
//!   `ordering::in_an_io_callback_an_immediate_runs_before_a_zero_timer`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{queue_work, set_immediate, set_timeout, time::advance};
//!
//! let seen = order(|| {
//!     queue_work(|| ()).on_complete(|_| {
//!         set_timeout(ms(1), || say("timer"));
//!         set_immediate(|| say("immediate"));
//!         advance(ms(20));
//!     });
//! });
//! assert_eq!(seen, ["immediate", "timer"]);
//! ```
//!
//! # Poll: descriptors, requests, messages, posts
//!
//! - **O-30** Callbacks that are ready at the same time are called in this order: descriptors,
//!   tasks woken by other threads, completed requests, receivers (ports, notifiers, workers) from
//!   the oldest to the youngest, posted closures, signals
//!   (`guide::poll_calls_descriptors_then_woken_tasks_then_completions`,
//!   `signals::a_signal_is_dispatched_after_the_posts_of_its_batch`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{Loop, handle::Notifier, queue_work, set_immediate, worker::channel};
//!
//! let seen = order(|| {
//!     let notifier = Notifier::new(|| say("notifier"));
//!     let (here, there) = channel::<(), ()>();
//!     let (here, there) = (here.open(), there.open());
//!     there.on_message(|()| say("message"));
//!
//!     // All are ready by the next poll phase; which was first does not matter.
//!     Loop::current().remote().post(|| say("post")).unwrap();
//!     here.post(());
//!     notifier.notify();
//!     queue_work(|| ()).on_complete(|_| say("completion"));
//!
//!     set_immediate(move || {
//!         say("check");
//!         notifier.close();
//!         here.close(); // Or its listener would hold the loop for ever.
//!     });
//! });
//! assert_eq!(seen, ["completion", "notifier", "message", "post", "check"]);
//! ```
//!
//! - **O-31** Requests complete in the order in which their work is done
//!   (`guide::what_is_done_first_completes_first_whatever_was_submitted_first`). With one pool
//!   thread that is the order of submission (`052-pool-one-thread-fifo`).
//! - **O-32** A request that a completion makes completes in a later poll phase, after the
//!   immediates (`053-pool-request-from-completion`).
//! - **O-33** `on_complete` runs as a callback of its own. Code after `.await` runs in the drain,
//!   as a microtask.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{next_tick, queue_microtask, queue_work, spawn};
//!
//! let both = |who| {
//!     say(who);
//!     queue_microtask(|| say("microtask"));
//!     next_tick(|| say("tick"));
//! };
//! let seen = order(move || {
//!     queue_work(|| ()).on_complete(move |_| both("completed"));
//!     spawn(async move {
//!         queue_work(|| ()).await.unwrap();
//!         both("awaited"); // The microtasks are being drained: the tick waits for them.
//!     });
//! });
//! assert_eq!(seen, ["completed", "tick", "microtask", "awaited", "microtask", "tick"]);
//! ```
//!
//! - **O-34** A source that always has something gets a limited share of each poll phase, and the
//!   loop goes on (`tcp::a_connection_that_always_has_data_does_not_hold_the_loop`,
//!   `wake::a_post_that_posts_again_starves_neither_timers_nor_immediates`,
//!   `ports::an_endless_ping_pong_does_not_starve_the_loop`).
//!
//! # Ports and workers
//!
//! - **O-35** Messages come in the order posted, in the poll phase, each a callback of its own,
//!   before the immediates (`054-channel-fifo-drain`).
//! - **O-36** A port delivers as many messages in a poll phase as waited when it was called, or
//!   1,000 if that is more. Up to that number, messages that are posted meanwhile come in the same
//!   phase (`047-message-while-draining`,
//!   `ports::five_thousand_waiting_messages_are_delivered_in_one_iteration`).
//! - **O-37** Messages posted before a close come before the close notice
//!   (`ports::messages_posted_before_a_close_all_come_before_the_close_notice`). The end that
//!   closes is told in the close phase of that iteration (`049-close-phase`), the other in that of
//!   the next.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{set_immediate, worker::channel};
//!
//! let seen = order(|| {
//!     let (here, there) = channel::<(), ()>();
//!     let (here, there) = (here.open(), there.open());
//!     here.on_close(|| say("here is closed"));
//!     there.on_close(|| say("there is closed"));
//!     there.on_message(|()| say("message"));
//!     here.post(());
//!     here.close();
//!     set_immediate(|| {
//!         say("check");
//!         set_immediate(|| say("check again"));
//!     });
//! });
//! assert_eq!(seen, ["message", "check", "here is closed", "check again", "there is closed"]);
//! ```
//!
//! - **O-84** A port that is closed in its own handler, or in the drain after it, still delivers
//!   the rest of that round, up to the number of O-36, with the messages that the other end posts
//!   meanwhile (`329-close-in-own-listener`, `330-close-in-drain-of-listener`,
//!   `ports::a_round_of_a_closed_port_ends_at_the_length_it_began_with_or_a_thousand`,
//!   `ports::the_port_of_a_worker_closed_in_its_own_handler_delivers_what_is_left_of_the_round`).
//!   If the handler is removed too, nothing more comes
//!   (`ports::a_port_closed_in_its_own_handler_delivers_nothing_to_a_handler_that_is_gone`).
//! - **O-38** The main script of a worker is a callback of its loop's first poll phase. So its
//!   immediates run before its timers, even before overdue ones (`056-worker-check-before-timers`).
//! - **O-39** The parent hears of a worker in this order: online, the messages, at most one error,
//!   exit
//!   (`workers::a_worker_is_online_before_its_messages_and_its_exit`,
//!   `workers::everything_posted_before_the_end_is_delivered_before_error_and_exit`).
//! - **O-40** A worker ends when nothing on its loop is alive, with code 0 (`055-worker-program`,
//!   `057-worker-talk`); by `exit`, with its code, see
//!   `workers::exit_stops_a_worker_after_the_current_callback_and_exit_hooks_may_change_the_code`;
//!   by a panic or by `terminate`, with code 1 (`059-worker-error`, `058-worker-terminate`).
//!   Callbacks that are still queued there do not run then
//!   (`workers::terminate_breaks_endless_chains`).
//! - **O-41** A callback that is running is never interrupted, in a worker neither. It may ask
//!   (`workers::a_callback_that_does_not_return_can_ask_whether_it_should`,
//!   `workers::a_checkpoint_ends_a_worker_that_was_told_to_and_unwinds_its_callback`).
//! - **O-42** The workers of a worker end before it does
//!   (`workers::ending_a_worker_ends_the_workers_it_made_first`).
//!
//! # Tasks
//!
//! - **O-43** A task is first polled in a microtask, not inside `spawn`. Every wake is one
//!   microtask more, and further wakes before the poll that follows change nothing
//!   (`ordering::woken_tasks_are_polled_once_each_in_the_order_of_their_wakes`,
//!   `ordering::microtasks_run_in_the_order_queued_whichever_way_they_came`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{queue_microtask, set_timeout, spawn, time::sleep};
//!
//! let seen = order(|| {
//!     spawn(async {
//!         say("task");
//!         sleep(ms(1)).await;
//!         say("task, woken by its timer");
//!     });
//!     queue_microtask(|| {
//!         set_timeout(ms(1), || say("next timer"));
//!     });
//!     say("main script");
//! });
//! assert_eq!(seen, ["main script", "task", "task, woken by its timer", "next timer"]);
//! ```
//!
//! - **O-44** A wake from another thread arrives in the poll phase
//!   (`wake::a_waker_moved_to_another_thread_resumes_its_task_on_the_loop`,
//!   `guide::poll_calls_descriptors_then_woken_tasks_then_completions`).
//! - **O-45** [`yield_now`](crate::yield_now) resumes in the next check phase, so that timers and
//!   I/O come in between. A task that wakes itself is polled again in the same drain.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{queue_work, spawn, yield_now};
//!
//! let seen = order(|| {
//!     spawn(async {
//!         say("piece 1");
//!         yield_now().await;
//!         say("piece 2");
//!     });
//!     queue_work(|| ()).on_complete(|_| say("poll"));
//! });
//! assert_eq!(seen, ["piece 1", "poll", "piece 2"]);
//! ```
//!
//! - **O-46** The future of [`block_on`](crate::block_on) is polled like a task. When it is ready
//!   the iteration is finished without waiting, and `block_on` returns, whatever else is alive
//!   (`tasks::a_wake_of_the_blocked_future_is_a_microtask_too`,
//!   `tasks::block_on_leaves_when_its_future_is_done_whatever_else_is_alive`).
//!
//! # Panics
//!
//! - **O-47** With a hook ([`on_uncaught`](crate::on_uncaught)) a panic ends its callback like a
//!   return: the hook is called, the drain follows, then the next callback of the phase.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{next_tick, on_uncaught, set_timeout};
//!
//! let seen = order(|| {
//!     on_uncaught(|uncaught| say(uncaught.message()));
//!     set_timeout(ms(1), || {
//!         next_tick(|| say("tick of timer 1"));
//!         panic!("an accident in timer 1");
//!     });
//!     set_timeout(ms(1), || say("timer 2"));
//! });
//! assert_eq!(seen, ["an accident in timer 1", "tick of timer 1", "timer 2"]);
//! ```
//!
//! - **O-48** A panic in a tick or microtask cuts nothing short: the rest of the drain goes on
//!   (`panics::a_panicking_tick_is_not_run_twice_and_cuts_nothing_short`), after a microtask with
//!   the next microtask
//!   (`panics::after_a_caught_panic_in_a_microtask_the_other_microtasks_come_before_the_ticks`). So
//!   do the messages of a port
//!   (`panics::after_a_caught_panic_a_port_goes_on_with_its_messages_in_the_same_poll_phase`) and
//!   those of a worker, whose end waits as without the panic
//!   (`worker_corners::after_a_panic_a_round_sees_no_end_of_its_worker_that_came_meanwhile`).
//! - **O-49** Without a hook a panic leaves `run` with its payload. A loop that you hold can be
//!   turned again: no exit hook is called, and the callbacks that had not run yet run then, each
//!   once (`guide::a_panic_that_leaves_run_calls_no_hook_of_the_end`,
//!   `panics::a_panic_of_any_kind_of_callback_leaves_run_and_loses_nothing`). One of the main
//!   script always does so
//!   (`panics::a_panic_in_main_leaves_run_hook_or_not_and_the_loop_is_consistent`).
//! - **O-79** The free `run`, `run_main` and `block_on`, and a worker, end with such a panic:
//!   nothing queued runs any more, and the exit hooks are called with code 1
//!   (`panics::a_panic_that_ends_the_program_runs_its_exit_hooks_with_code_one`,
//!   `workers::the_exit_hooks_of_a_worker_that_panics_run_and_its_code_is_one`).
//! - **O-50** A panic elsewhere goes where its result would: that of a pool job to the request
//!   (`pool::a_panic_in_a_job_is_its_submitters_error_and_costs_the_pool_nothing`), that of a task
//!   to its awaiter (`tasks::a_panic_in_a_task_goes_to_whoever_awaits_it`), that of a worker to its
//!   parent (`workers::a_panic_at_start_or_later_is_one_error_with_its_message_and_then_exit_one`,
//!   `workers::a_pending_join_gets_the_panic`). Without one of these it is uncaught
//!   (`tasks::a_panic_in_a_detached_task_is_uncaught_at_once`,
//!   `workers::a_panic_that_nobody_awaits_is_uncaught_at_the_parent`).
//!
//! # Liveness and unref
//!
//! - **O-51** The loop goes on while a handle is active and referenced, a referenced timer or
//!   immediate waits, a request is pending, a post waits, or something is closing
//!   (`run_modes::the_default_mode_returns_when_nothing_is_active_pending_or_closing`,
//!   `guide::a_post_alone_holds_the_loop_until_it_has_run`).
//! - **O-52** Ticks, microtasks and tasks hold nothing. Ticks and microtasks still run before the
//!   loop ends
//!   (`ordering::a_tick_or_microtask_with_nothing_else_pending_runs_and_lets_the_loop_end`,
//!   `tasks::a_task_by_itself_does_not_keep_the_loop_alive`).
//! - **O-53** An unref'd handle, timer or immediate holds nothing, and runs like any other while
//!   something else holds the loop (`030-unref-timer`, `039-unref-immediate`). `ref` undoes it
//!   (`031-unref-then-ref`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::set_timeout;
//!
//! let seen = order(|| {
//!     set_timeout(ms(1), || say("unref'd, due before the end")).unref();
//!     set_timeout(ms(2), || say("the last that holds the loop"));
//!     set_timeout(ms(3), || say("unref'd, due after it")).unref();
//! });
//! assert_eq!(seen, ["unref'd, due before the end", "the last that holds the loop"]);
//! ```
//!
//! - **O-54** A pending request holds the loop, even one of an unref'd handle
//!   (`ref_unref::an_unref_stream_with_a_write_in_flight_holds_the_loop_until_it_completes`).
//!
//! # The end
//!
//! - **O-55** When nothing holds the loop, the before-exit hooks are called. If one of them armed
//!   something that does, the loop goes on, and they come again later; ticks alone do not count
//!   (`032-before-exit`).
//! - **O-56** The exit hooks are the last to be called. Nothing that they queue runs
//!   (`033-exit-handler`), nor a hook that they add
//!   (`shutdown::an_exit_inside_an_exit_hook_sets_the_code_and_is_the_last`,
//!   `shutdown::a_hook_that_an_exit_hook_adds_is_dropped`).
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{next_tick, on_before_exit, on_exit, set_immediate};
//!
//! let seen = order(|| {
//!     on_exit(|code| {
//!         say(&format!("exit hook, code {code}"));
//!         next_tick(|| say("never"));
//!     });
//!     let mut once_more = true;
//!     on_before_exit(move || {
//!         say("before-exit hook");
//!         if std::mem::take(&mut once_more) {
//!             set_immediate(|| say("immediate"));
//!         }
//!     });
//! });
//! assert_eq!(seen, ["before-exit hook", "immediate", "before-exit hook", "exit hook, code 0"]);
//! ```
//!
//! - **O-57** [`exit`](crate::exit) ends the loop at once: the callback that called it goes on to
//!   its end, nothing else runs, not even the rest of the drain, and then the exit hooks do
//!   (`034-exit-now`, `shutdown::exit_ends_the_loop_at_once_and_runs_the_exit_hooks_only`).
//! - **O-80** An exit hook that calls `exit` is the last of them
//!   (`shutdown::an_exit_inside_an_exit_hook_sets_the_code_and_is_the_last`).
//! - **O-58** [`stop`](crate::stop) ends the turn after this iteration, close callbacks and timers
//!   included. No hook is called, and a later turn goes on
//!   (`run_modes::a_stop_lets_the_current_turn_finish_and_a_later_run_goes_on`,
//!   `run_modes::a_stop_lets_close_completions_of_the_current_turn_run`,
//!   `run_modes::a_stopped_run_leaves_the_loop_alive_and_calls_no_exit_hook`,
//!   `run_modes::a_stopped_run_calls_no_hook_although_nothing_is_alive_and_the_next_run_does`). The
//!   ticks and microtasks of a main script that stops its loop run all the same
//!   (`run_modes::a_stop_in_a_main_script_still_runs_its_ticks_and_microtasks`).
//! - **O-59** At the very end every callback that is left is dropped once, uncalled, on the loop's
//!   thread (`shutdown::the_end_of_run_drops_what_is_unref_or_waits_for_ever`,
//!   `shutdown::captured_values_are_dropped_on_the_loop_thread_with_the_loop_reachable`). Running
//!   workers are stopped
//!   (`workers::when_the_program_ends_running_workers_are_stopped_without_their_exit_callbacks`).
//!
//! # Virtual time
//!
//! - **O-60** The clock stands still while callbacks run and while anything is ready
//!   (`virtual_time::the_clock_stands_still_while_anything_is_ready`). When nothing is, poll moves
//!   it to the next timer (`virtual_time::a_year_of_timers_passes_at_once`).
//!   [`advance`](crate::time::advance) lets a callback take time
//!   (`timers::a_delay_counts_from_the_real_time_of_arming`).
//! - **O-61** A pool request completes in the next poll phase, in order of submission, with any
//!   number of threads (`guide::in_virtual_time_requests_complete_in_order_of_submission`).
//! - **O-62** Each loop has a clock of its own, and the loop furthest behind runs
//!   (`virtual_time::a_worker_that_is_behind_has_its_time_before_it_is_terminated`). A message is
//!   not seen before its sender's time
//!   (`virtual_time::a_message_is_not_seen_before_the_time_at_which_it_was_sent`). The end of a
//!   worker is seen 1 ms after it
//!   (`virtual_time::a_program_with_workers_is_the_same_to_the_last_callback`).
//! - **O-63** Timers, immediates, ticks, microtasks, tasks, requests, ports and workers do the same
//!   in every run (`virtual_time::a_program_with_workers_is_the_same_to_the_last_callback`,
//!   `conformance::all_scenarios_print_the_trace_of_node_in_virtual_time_each_time`).
//! - **O-64** Sockets, signals and threads that the program starts itself are not deterministic.
//!   They work, in real time (`guide::in_virtual_time_a_thread_of_the_program_is_waited_for`).
//! - **O-65** A program in which nothing can happen any more panics, and the panic says what each
//!   loop waits for (`virtual_time::loops_that_all_wait_for_ever_are_a_panic_that_says_for_what`).
//!
//! # Races, which real time decides
//!
//! On a real clock these are races, here as in Node; in virtual time each has one outcome. Two more
//! orders that Node leaves open are rules here (O-71 and O-74).
//!
//! - **O-66** A timer of 0 or 1 ms against an immediate, both armed in the main script: it depends
//!   on whether a millisecond has passed when the loop begins.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{set_immediate, set_timeout, time::advance};
//!
//! let race = |passed| {
//!     order(move || {
//!         set_timeout(ms(0), || say("timer"));
//!         set_immediate(|| say("immediate"));
//!         advance(ms(passed));
//!     })
//! };
//! assert_eq!(race(0), ["immediate", "timer"]);
//! assert_eq!(race(1), ["timer", "immediate"]);
//! ```
//!
//! - **O-67** A timer against a request, and two requests against each other in a pool of several
//!   threads (`guide::what_is_done_first_completes_first_whatever_was_submitted_first`).
//! - **O-68** Timers of different delays that expire at nearly the same moment. If it is exactly
//!   the same, as it can be in virtual time, the list that was made first leads.
//!
//! ```
//! # mod with { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/recorder.rs")); }
//! # use with::*;
//! use windlass::{set_timeout, time::advance};
//!
//! let seen = order(|| {
//!     set_timeout(ms(3), || say("3 ms, due at 3"));
//!     advance(ms(1));
//!     set_timeout(ms(2), || say("2 ms, due at 3"));
//! });
//! assert_eq!(seen, ["3 ms, due at 3", "2 ms, due at 3"]);
//! ```
//!
//! - **O-69** Messages of different workers (`guide::of_two_workers_either_may_be_heard_first`),
//!   and those of a worker against the timers and immediates of the parent itself
//!   (`guide::a_message_of_a_worker_may_come_before_or_after_a_timer_of_the_parent`).
//!
//! # Where the order is not that of Node or libuv
//!
//! - **O-70** *Timers are never early.* The clock of libuv counts whole milliseconds, so a timer of
//!   Node may fire up to one before its delay has passed. Ours counts nanoseconds
//!   (`timers::a_timer_fires_once_and_never_early_on_the_real_clock`).
//! - **O-71** *The drain after a caught panic is never cut short.* In Node the next callback of the
//!   phase overtakes the ticks of the one that threw, and a throw in a tick ends the drain. That is
//!   an accident of its implementation; a rule with one sentence is better
//!   (`conformance::a_caught_panic_ends_its_callback_like_a_return_and_the_drain_follows`).
//! - **O-72** *`online` comes before the first message.* Node sends the two through different ports
//!   and promises no order
//!   (`workers::a_worker_is_online_before_its_messages_and_its_exit`).
//! - **O-73** *Messages of a dying worker come before its error.* In Node the error may overtake
//!   them (`workers::everything_posted_before_the_end_is_delivered_before_error_and_exit`).
//! - **O-74** *The drain stands between the messages of a worker, also when it has ended.* In Node
//!   it may be left out then (`guide::the_drain_follows_every_event_of_a_worker`).
//! - **O-75** *`exit` returns*, for a closure cannot be unwound without a panic; the callback goes
//!   on to its end (`shutdown::exit_ends_the_loop_at_once_and_runs_the_exit_hooks_only`). For the
//!   same reason `terminate` waits for the running callback
//!   (`workers::a_callback_that_does_not_return_can_ask_whether_it_should`).
//! - **O-76** *Watchers run in the order started.* In libuv the last comes first; first come, first
//!   served surprises nobody (`watchers::watchers_run_in_the_order_they_were_started`).
//! - **O-86** *A cleared timer is gone.* In Node a timeout that is cleared after it has fired and
//!   then refreshed is armed once more, with nothing to call, and holds the loop for its delay
//!   (`timers::a_spent_timeout_and_a_cleared_timer_stay_silent_when_refreshed`).
//! - **O-77** Where Node and libuv differ, timers are Node's: one list for each delay, counted from
//!   the real time of arming, at least 1 ms. libuv sorts by due time, counts from its cached time,
//!   and has zero (`016-overdue-list-by-list`, `035-timer-armed-after-block`, `014-zero-is-one`).
//! - **O-78** The phases are those of libuv since 1.45, with the timers last; an older libuv runs
//!   them first (`ordering::the_phases_of_a_turn_come_in_their_order`).
//! - **O-81** *A pass of the timers is one pass.* The libuv of Node 20 goes round again when a
//!   timer was armed during the pass and the clock was read after that; newer ones first take out
//!   the timers that are due, as we do (`018-due-during-pass-waits`).
//! - **O-82** *An ended program runs nothing.* When a program of Node has ended by itself,
//!   microtasks of its exit handlers still run while the engine is taken down (`033-exit-handler`,
//!   whose trace ends before that).
