//! Options of Node's: programs that print here with an option what they print on Node.
//!
//! Beside each program of `tests/options` is what Node 20 printed with each option, with its exit
//! code, and behind a line the first two lines of what it printed as errors, without folders, the
//! number of the process and the places of frames. With `NODE=node` in the environment a program is run there as well,
//! and has to print the same.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/options")
}

/// What a program prints, and how it ends.
fn run(program: impl AsRef<OsStr>, option: &str, file: &str) -> String {
    run_with(program, "", option, file)
}

/// The same with this in NODE_OPTIONS.
fn run_with(program: impl AsRef<OsStr>, variable: &str, option: &str, file: &str) -> String {
    let directory = directory();
    let mut command = Command::new(program);
    command.env("NODE_OPTIONS", variable);
    let command = command.args(option.split_whitespace()).arg(file).current_dir(&directory);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    let process = format!("(node:{})", child.id());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code().unwrap_or(-1);
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors = errors.replace(&format!("{}/", directory.display()), "").replace(&process, "");
    let frame = "    at";
    let shown = |line: &str| if line.starts_with(frame) { frame.into() } else { line.to_owned() };
    let errors: String = errors.lines().take(2).map(|line| shown(line) + "\n").collect();
    format!("{text}exit code {code}\n---\n{errors}")
}

/// Runs a program with an option. What it is to print is in a file of this ending.
fn check(name: &str, option: &str, ending: &str) {
    let file = format!("{name}.js");
    let expected = fs::read_to_string(directory().join(format!("{name}.{ending}.out"))).unwrap();
    let programs = env::var_os("NODE").into_iter().chain([env!("CARGO_BIN_EXE_mini_node").into()]);
    for program in programs {
        let printed = run(&program, option, &file);
        assert_eq!(printed, expected, "{file} with {option} by {}", program.display());
    }
}

/// The modes of what becomes of rejections that nobody handles.
const MODES: [&str; 5] = ["none", "strict", "throw", "warn", "warn-with-error-code"];

#[test]
fn what_becomes_of_a_rejection_is_as_it_was_asked_for() {
    for name in ["rejections", "rejections_alone"] {
        for mode in MODES {
            check(name, &format!("--unhandled-rejections={mode}"), mode);
        }
        check(name, "", "throw");
    }
}

#[test]
fn warnings_are_printed_thrown_or_left_out() {
    check("warnings", "", "plain");
    check("warnings", "--no-warnings", "none");
    check("warnings", "--no-deprecation", "no_deprecation");
    check("warnings", "--throw-deprecation", "throw_deprecation");
    check("warnings", "--trace-warnings", "traced");
}

#[test]
fn the_variable_has_options_too_and_the_command_line_the_last_word() {
    let read = |ending: &str| fs::read_to_string(directory().join(ending)).unwrap();
    let programs = env::var_os("NODE").into_iter().chain([env!("CARGO_BIN_EXE_mini_node").into()]);
    for program in programs {
        let printed = run_with(&program, "--no-warnings", "", "warnings.js");
        assert!(printed.starts_with("[] undefined\n"), "it is no argument: {printed}");
        assert!(printed.ends_with("exit code 0\n---\n"), "no warnings: {printed}");
        let (variable, option) = ("--unhandled-rejections=none", "--unhandled-rejections=warn");
        let printed = run_with(&program, variable, option, "rejections_alone.js");
        assert_eq!(printed, read("rejections_alone.warn.out"), "{}", program.display());
        // A value may stand behind a space, and letters in quotes.
        for variable in ["--unhandled-rejections warn", "\"--unhandled_rejections\" \"w\\arn\" x"] {
            let printed = run_with(&program, variable, "", "rejections_alone.js");
            assert_eq!(printed, read("rejections_alone.warn.out"), "{}", program.display());
        }
        let printed = run_with(&program, "--expose-gc", "--no-warnings", "warnings.js");
        assert!(printed.starts_with("[ '--no-warnings' ] function\n"), "{printed}");
        let wrong = [
            ("--unhandled-rejections=x", "invalid value for --unhandled-rejections"),
            ("--unhandled-rejections", "--unhandled-rejections requires an argument"),
            ("\"", "invalid value for NODE_OPTIONS (unterminated string)"),
        ];
        for (variable, why) in wrong {
            let printed = run_with(&program, variable, "", "warnings.js");
            assert!(printed.starts_with("exit code 9\n") && printed.contains(why), "{printed}");
        }
    }
}

#[test]
fn the_collector_is_there_for_who_asks() {
    check("warnings", "--expose-gc --no-warnings", "gc");
}

#[test]
fn what_is_no_option_ends_the_program_with_code_9() {
    let printed = run(env!("CARGO_BIN_EXE_mini_node"), "--unhandled-rejections=x", "warnings.js");
    assert!(printed.starts_with("exit code 9\n"), "{printed}");
    assert!(printed.contains("invalid value for --unhandled-rejections"), "{printed}");
    let printed = run(env!("CARGO_BIN_EXE_mini_node"), "--foo", "warnings.js");
    assert!(
        printed.starts_with("exit code 9\n") && printed.contains("bad option: --foo"),
        "{printed}"
    );
}

#[test]
fn every_program_is_run() {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension() == Some(OsStr::new("js"))) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(["rejections", "rejections_alone", "warnings"].contains(&&*name), "{name}");
    }
}

#[test]
fn beside_node_both_have_nodes_options() {
    if Command::new("node").arg("--version").output().is_err() {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("options_beside.js");
    fs::write(&file, "console.log(process.execArgv.join());\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini_node"));
    let output = command.args(["--beside", "--no-warnings"]).arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("--no-warnings").count(), 2, "{text}");
}
