//! Random scripts over the public API, on the virtual clock, in simulations and on the real clock.
//!
//! Whatever a script does: a callback that is spent by its call is called at most once, and once if nothing forbids
//! it; every value is dropped exactly once; no panic comes from the crate; the loop ends; and in virtual time two runs
//! are equal.
//!
//! `WINDLASS_SCRIPTS=n` sets how many scripts, `WINDLASS_SEED=s` the first one's seed.

use std::collections::BTreeMap;
use std::time::Duration;

mod scripts;

use scripts::runner::{Clock, faults, run};
use scripts::{Act, Body, Script, shrink};

/// How long a script may take before it counts as endless. Most take less than a millisecond.
const ENDLESS: Duration = Duration::from_secs(60);

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs the scripts of so many seeds. The first that fails is made smaller, and printed.
fn check(count: u64, clock_of: impl Fn(u64) -> Clock) {
    let first = from_environment("WINDLASS_SEED").unwrap_or(0);
    let mut calls = 0;
    for seed in first..first + count {
        let (script, clock) = (Script::from_seed(seed), clock_of(seed));
        let (found, called) = faults(&script, clock, ENDLESS);
        calls += called as u64;
        if !found.is_empty() {
            // One that does not end leaves a busy thread behind with each attempt.
            let endless = found.iter().any(|fault| fault.contains("does not end"));
            let (limit, attempts) =
                if endless { (Duration::from_secs(2), 25) } else { (ENDLESS, 3000) };
            let smallest =
                shrink(&script, attempts, |script| !faults(script, clock, limit).0.is_empty());
            let (still, _) = faults(&smallest, clock, limit);
            panic!("seed {seed}, {clock:?}: {found:?}\n{smallest:#?}\nof which: {still:?}");
        }
    }
    println!("{count} scripts, {calls} callbacks");
    assert!(calls > 5 * count, "scripts that do something");
}

#[test]
fn random_scripts_end_call_once_drop_once_and_are_the_same_each_time() {
    check(from_environment("WINDLASS_SCRIPTS").unwrap_or(2000), |_| Clock::Virtual);
}

#[test]
fn random_scripts_end_call_once_drop_once_and_are_the_same_for_a_seed_of_chance() {
    check(from_environment("WINDLASS_SCRIPTS").unwrap_or(10_000), Clock::Simulated);
}

#[test]
fn random_scripts_end_call_once_and_drop_once_on_the_real_clock() {
    check(from_environment("WINDLASS_SCRIPTS").unwrap_or(2000) / 20, |_| Clock::Real);
}

/// The engine sees what it looks for: a script that ends, with a trace, a drop and a panic in it.
#[test]
fn a_script_does_what_it_says() {
    let tick =
        Act::Tick(Body { acts: vec![Act::Panic], on_drop: vec![Act::Tick(Body::default())] });
    let script = Script { has_hook: true, main: vec![tick, Act::Channel] };
    let outcome = run(&script, Clock::Virtual, ENDLESS);
    assert_eq!(outcome.faults, [""; 0]);
    assert_eq!(outcome.trace, ["tick1", "uncaught0", "tick2"]);
}

/// What the misfortunes of simulations do in scripts: each is seen, and so is what goes well.
#[test]
fn random_scripts_meet_each_misfortune_that_a_program_can_see() {
    let mut seen = BTreeMap::new();
    for seed in 0..1_500 {
        for line in run(&Script::from_seed(seed), Clock::Simulated(seed), ENDLESS).trace {
            let (name, rest) = line
                .rsplit_once(':')
                .unwrap_or(("", &line))
                .1
                .split_once(' ')
                .unwrap_or((&line, ""));
            let what = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let how = match what {
                // How many bytes came, and how it ended.
                "end" => {
                    if rest.ends_with("ok") {
                        "ok"
                    } else {
                        "failed"
                    }
                }
                "file" | "name" | "connected" => {
                    if rest == "ok" {
                        "ok"
                    } else {
                        "failed"
                    }
                }
                "job" | "datagrams" => rest,
                "no" => "worker",
                "wall" => {
                    if rest.contains("jumped") {
                        "jumped"
                    } else {
                        "goes on"
                    }
                }
                _ => continue,
            };
            *seen.entry(format!("{what} {how}")).or_insert(0) += 1;
        }
    }
    let expected = [
        "connected ok",
        "datagrams lost",
        "datagrams twice",
        "datagrams whole",
        "end failed",
        "end ok",
        "file failed",
        "file ok",
        "job the job's deadline passed before it started",
        "name failed",
        "name ok",
        "no worker",
        "wall goes on",
        "wall jumped",
    ];
    for what in expected {
        assert!(seen.get(what).is_some_and(|count| *count > 0), "{what}: {seen:#?}");
    }
}

#[test]
fn a_failing_script_is_shrunk_to_what_shows_the_fault() {
    let has_exit = |script: &Script| format!("{script:?}").contains("Exit(");
    let failing = (0..).map(Script::from_seed).find(has_exit).expect("one of them");
    let smallest = shrink(&failing, 3000, has_exit);
    assert_eq!(smallest.main.len(), 1, "{smallest:#?}");
}
