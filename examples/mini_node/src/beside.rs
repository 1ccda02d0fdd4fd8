//! `--beside`: the same file here and on Node, and both outputs side by side.

use std::ffi::OsString;
use std::io;
use std::process::{Command, Output, Stdio};

/// What both print, and whether it is the same. Before the file both get the options that are Node's, and we get `ours`.
pub(crate) fn run(
    ours: &[OsString],
    nodes: &[String],
    file: &[OsString],
) -> io::Result<(String, bool)> {
    let own = std::env::current_exe()?;
    let node = Command::new("node").args(nodes).args(file).stdin(Stdio::null()).output();
    let node = node.map_err(|error| {
        io::Error::new(error.kind(), format!("node, which must be on the PATH: {error}"))
    })?;
    let here = Command::new(own).args(ours).args(nodes).args(file).stdin(Stdio::null()).output()?;
    let (left, right) = (lines(&node), lines(&here));
    let mut text = side_by_side(&left, &right);
    for (who, output) in [("node", &node), ("here", &here)] {
        // Not compared: each tells of errors in its own way.
        let complaints = String::from_utf8_lossy(&output.stderr);
        text.extend(complaints.lines().map(|line| format!("{who}: {line}\n")));
    }
    Ok((text, left == right))
}

/// What a program printed, and how it ended.
fn lines(output: &Output) -> Vec<String> {
    let printed = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code();
    let end = code.map_or_else(|| output.status.to_string(), |code| format!("(exit code {code})"));
    printed.lines().map(str::to_owned).chain([end]).collect()
}

/// Both, a line a line, with the first difference marked.
fn side_by_side(node: &[String], here: &[String]) -> String {
    let widest = node.iter().map(|line| line.chars().count()).max();
    let width = widest.unwrap_or(0).max("node".len());
    let mut text = format!("    {:width$}  here\n", "node");
    let mut same = true;
    for at in 0..node.len().max(here.len()) {
        let line = |of: &[String]| of.get(at).cloned().unwrap_or_else(|| "-".to_owned());
        let (left, right) = (line(node), line(here));
        let mark = if same && left != right { ">>> " } else { "    " };
        same &= left == right;
        text += &format!("{mark}{left:width$}  {right}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_marked_and_no_other() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let text = side_by_side(&lines("a b c"), &lines("a x y z"));
        assert_eq!(text, "    node  here\n    a     a\n>>> b     x\n    c     y\n    -     z\n");
    }
}
