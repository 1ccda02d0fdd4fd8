//! Makes a script of the fuzzer's bytes, runs it twice in virtual time, and aborts with the smallest script found when
//! something is wrong with it.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/scripts/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod scripts;

use scripts::runner::{Clock, faults};
use scripts::{Script, shrink};

/// How long a script may take before it counts as endless.
const ENDLESS: Duration = Duration::from_secs(20);

fuzz_target!(|bytes: &[u8]| {
    let script = Script::from_bytes(bytes);
    let (found, _) = faults(&script, Clock::Virtual, ENDLESS);
    if !found.is_empty() {
        let attempts = if found.iter().any(|fault| fault.contains("does not end")) { 0 } else { 1000 };
        let fails = |script: &Script| !faults(script, Clock::Virtual, ENDLESS).0.is_empty();
        let smallest = shrink(&script, attempts, fails);
        panic!("{found:?}\n{smallest:#?}");
    }
});
