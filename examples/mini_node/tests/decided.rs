//! What we do differently from Node on purpose: both outputs are as they are written down, and the guide shows them.

use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 9] = [
    "timer",
    "immediate",
    "tick",
    "completion",
    "message",
    "rejection",
    "worker",
    "receive",
    "direct",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("decided")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a program prints, or None if there is no such program.
fn output(program: &str, name: &str) -> Option<String> {
    let output =
        Command::new(program).arg(folder().join(name).with_extension("js")).output().ok()?;
    assert!(output.status.success(), "{program}, {name}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn our_own_output_is_as_it_is_written_down() {
    for name in PROGRAMS {
        let written = read(&folder().join(name).with_extension("ours"));
        assert_eq!(output(env!("CARGO_BIN_EXE_mini_node"), name), Some(written), "{name}");
    }
}

#[test]
fn what_node_does_is_what_we_say_of_it() {
    for name in PROGRAMS {
        let written = read(&folder().join(name).with_extension("node"));
        // Without Node nothing can be said.
        let Some(printed) = output("node", name) else { return };
        assert_eq!(printed, written, "{name}");
    }
}

#[test]
fn the_guide_shows_the_programs_and_both_outputs() {
    let guide = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/guide/nodes_tests.md"));
    for name in PROGRAMS {
        let file = |end: &str| read(&folder().join(name).with_extension(end));
        assert!(guide.contains(&format!("```js\n{}```\n", file("js"))), "{name}: the program");
        let (node, ours) = (file("node"), file("ours"));
        assert_ne!(node, ours, "{name} is no difference any more");
        let rows = node.lines().count().max(ours.lines().count());
        let cell = |text: &str, row| text.lines().nth(row).map(|line| format!(" `{line}`"));
        for row in 0..rows {
            let [node, ours] = [&node, &ours].map(|text| cell(text, row).unwrap_or_default());
            assert!(guide.contains(&format!("|{node} |{ours} |")), "{name}: {node}, {ours}");
        }
    }
}

/// Node does not come to an end with it: `clearImmediate` counts down what was never counted.
#[test]
fn clear_immediate_believes_nobody() {
    let program = "clearImmediate({}); setImmediate(() => console.log('after'));";
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decided_clear.js");
    std::fs::write(&file, program).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mini_node")).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "after\n");
}
