//! The tests in Rust that the page exports: they compile without a warning, and they pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::common::text;
use super::program::Scenario;
use super::{conformance, lesson_programs, lessons, skeleton};

/// The crate as other programs link it. Cargo has built it for this run.
fn library() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--lib", "--message-format=json"]);
    build.args(cfg!(feature = "inspect").then_some("--all-features"));
    build.args((!cfg!(debug_assertions)).then_some("--release"));
    let output = build.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    let own = |line: &Value| line["target"]["name"] == "windlass" && line["filenames"].is_array();
    let artifact = lines.find(own).expect("the crate is built");
    let files = artifact["filenames"].as_array().unwrap().iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension() == Some("rlib".as_ref())).unwrap()
}

/// One program of all tests, each in a module of its own.
fn compiled(tests: &[String]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("study-exported");
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join("exported.rs");
    let module = |(number, text): (usize, &String)| format!("mod test_{number} {{\n{text}}}\n");
    let modules: String = tests.iter().enumerate().map(module).collect();
    std::fs::write(&source, modules).unwrap();
    let (library, program) = (library(), folder.join("exported"));
    let mut rustc = Command::new("rustc");
    rustc.args(["--test", "--edition", "2024", "--deny", "warnings", "-o"]).arg(&program);
    rustc.arg("--extern").arg(format!("windlass={}", library.display()));
    rustc.arg("-L").arg(format!("dependency={}", library.with_file_name("deps").display()));
    let output = rustc.arg(source).output().expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn the_exported_tests_of_all_lessons_and_of_programs_of_all_kinds_pass() {
    let lessons = lesson_programs().into_iter().map(|(_, program)| program);
    let others = conformance("").into_iter().step_by(6);
    let throws = conformance("throws").into_iter().step_by(6);
    let tests: Vec<_> = lessons.chain(others).chain(throws).map(|it| skeleton::of(&it)).collect();
    let output = Command::new(compiled(&tests)).output().unwrap();
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains(&format!("{} passed", tests.len())), "{told}");
}

fn scenario(main: &str) -> Scenario {
    serde_json::from_str(&format!(r#"{{"name": "Is it so?", "main": {main}}}"#)).unwrap()
}

#[test]
fn an_exported_test_says_of_a_program_that_waits_or_goes_on_for_ever_that_it_does() {
    let stuck = r#"[{"op": "channel", "a": "a", "b": "b"},
        {"op": "listen", "port": "a", "id": "never", "times": 1}]"#;
    assert!(skeleton::of(&scenario(stuck)).contains("#[should_panic]"));
    let endless = r#"[{"op": "timeout", "id": "t", "ms": 1, "var": "v",
        "body": [{"op": "refresh", "var": "v"}]}]"#;
    assert!(skeleton::of(&scenario(endless)).contains("#[ignore = "));
}

#[test]
fn an_exported_test_has_before_it_what_it_uses_and_nothing_else() {
    let plain = skeleton::of(&scenario(r#"[{"op": "log", "id": "{a} \"b\" \\"}]"#));
    assert!(plain.contains(r#"say("{a} \"b\" \\");"#), "{plain}");
    assert!(plain.contains("fn order_of_is_it_so() {"), "{plain}");
    assert!(!plain.contains("Kept") && !plain.contains("worker"), "{plain}");
    let worker = skeleton::of(&lessons::program("question-and-answer").unwrap());
    for needed in ["Worker::spawn(", "it.on_message(", "worker.on_exit(", "post(\"x\".to_owned())"]
    {
        assert!(worker.contains(needed), "{needed} in {worker}");
    }
}
