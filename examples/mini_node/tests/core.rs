//! The order of callbacks, the objects of timers, the end of a process, what nobody caught, and the
//! modules around them: programs that print here what they print on Node.
//!
//! Beside each program of `tests/core` is what Node 20 printed, with its exit code, and the first
//! lines of its report in a file `.err` where it ends by an error: the place, the line with a
//! caret, and the error. The frames below are the engine's. With `NODE=node` in the environment a
//! program is run there as well, and has to print the same.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core")
}

/// What a program prints, with its exit code, and its report of an error without folders.
fn run(program: impl AsRef<OsStr>, file: &str) -> (String, String) {
    let directory = directory();
    let mut command = Command::new(program);
    let output = command.arg(file).current_dir(&directory).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code().unwrap_or(-1);
    let report = String::from_utf8_lossy(&output.stderr);
    let folder = format!("{}/", directory.display());
    (format!("{text}exit code {code}\n"), report.replace(&folder, ""))
}

fn check(name: &str) {
    let file = format!("{name}.js");
    let path = directory().join(&file);
    let expected = fs::read_to_string(path.with_extension("out")).unwrap();
    let expected_report = fs::read_to_string(path.with_extension("err")).unwrap_or_default();
    let programs = env::var_os("NODE").into_iter().chain([env!("CARGO_BIN_EXE_mini_node").into()]);
    for program in programs {
        let (text, report) = run(&program, &file);
        assert_eq!(text, expected, "{name} by {}: {report}", program.display());
        let lines = expected_report.lines().count();
        let first = report.lines().take(lines).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(first, expected_report, "the report of {name} by {}", program.display());
    }
}

macro_rules! programs {
    ($($promise:ident: $name:literal,)*) => {
        $(#[test]
        fn $promise() {
            check($name);
        })*

        const NAMES: &[&str] = &[$($name),*];
    };
}

programs! {
    a_signal_calls_off_timers_and_has_its_reason: "abort",
    assert_says_what_is_not_so: "assert_errors",
    emitters_call_listeners_in_order_and_errors_are_thrown: "event_emitters",
    what_a_before_exit_handler_begins_is_waited_for: "before_exit_again",
    an_exit_within_an_exit_handler_is_the_last_word: "exit_in_exit",
    no_catch_and_no_finally_runs_behind_an_exit: "exit_in_finally",
    nothing_goes_on_behind_an_exit_in_a_promise: "exit_in_promise",
    a_program_without_a_handler_of_fatal_errors_ends_with_code_6: "fatal_exception",
    modules_do_without_globals_that_a_program_has_replaced: "globals_replaced",
    a_handler_of_uncaught_errors_that_throws_ends_the_program_with_code_7: "handler_throws",
    values_are_printed_as_on_node: "inspect",
    what_a_module_does_not_export_yet_is_warned_of: "circular",
    what_is_no_json_is_told_in_v8s_words: "json_errors",
    a_long_text_that_is_no_json_takes_no_longer: "json_bad_and_long",
    a_console_leaves_nothing_in_its_stream: "console_streams",
    a_stack_is_the_errors_own_property: "error_properties",
    a_program_keeps_its_own_words: "words_of_programs",
    what_is_wrong_with_a_script_is_told_in_v8s_words: "syntax_words",
    no_rejection_is_lost_by_what_a_program_replaces: "rejections_replaced",
    a_package_that_is_wrong_is_named: "packages",
    the_first_of_several_promises_counts_or_all_their_errors: "promise_any",
    a_stack_is_made_when_it_is_asked_for: "stacks",
    a_rejection_at_the_exit_is_judged_too: "rejection_at_exit",
    a_rejection_that_is_handled_while_another_is_told_is_told_too: "rejections_meanwhile",
    no_rejection_is_lost_where_the_stack_ends: "overflow_in_async",
    files_of_json_folders_and_cycles_are_required: "json_and_modules",
    a_module_that_is_not_there_is_named: "missing_module",
    ticks_microtasks_immediates_and_timers_come_in_nodes_order: "order",
    before_exit_and_exit_come_with_their_codes: "process_events",
    a_rejection_that_nobody_handles_ends_the_program_after_the_drain: "rejection_fatal",
    a_rejection_without_an_error_becomes_one: "rejection_no_error",
    rejections_are_judged_when_ticks_and_microtasks_are_empty: "rejections",
    a_syntax_error_is_shown_with_its_line: "syntax_error",
    a_syntax_error_of_a_module_is_shown_there: "syntax_in_module",
    an_error_that_nobody_caught_is_shown_with_its_line: "throw_fatal",
    timers_have_the_old_ways_too_and_warn_of_them: "timers_legacy",
    timers_and_immediates_are_objects_as_on_node: "timers_objects",
    a_handled_error_lets_the_loop_go_on: "uncaught_handled",
    util_promisifies_formats_and_inspects: "util_functions",
    warnings_are_events: "warnings",
    the_engines_errors_have_v8s_words: "words",
}

#[test]
fn what_console_prints_at_once_is_lost_silently_when_nobody_reads_any_more() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("core_no_reader.js");
    let program = "for (let i = 0; i < 3; i++) console.log('nobody', i); console.error('through');";
    fs::write(&file, program).unwrap();
    let programs = env::var_os("NODE").into_iter().chain([env!("CARGO_BIN_EXE_mini_node").into()]);
    for program in programs {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(&program).arg(&file).stdout(writer).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((&*errors, output.status.code()), ("through\n", Some(0)), "{program:?}");
    }
}

#[test]
fn every_program_is_run() {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension() == Some(OsStr::new("js"))) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(NAMES.contains(&&*name), "{name}.js is not in the list");
    }
}
