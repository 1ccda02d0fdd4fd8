//! Two traces side by side: what was expected or guessed, and what came.

use std::io::{self, BufRead};
use std::path::Path;

/// Who expects the trace of a file: the programs of `tests/conformance` have those of Node.
pub(crate) fn whose(file: &Path) -> &'static str {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let mut folders = file.ancestors().skip(1);
    if folders.any(|folder| folder.ends_with("tests/conformance")) { "Node" } else { "expected" }
}

/// Both traces, a label a line, with the first difference marked.
pub(crate) fn side_by_side(heading: &str, expected: &[String], ours: &[String]) -> String {
    let widths = expected.iter().map(|label| label.chars().count());
    let width = widths.chain([heading.len()]).max().unwrap_or(0);
    let mut text = format!("    {heading:width$}  ours\n");
    let mut same = true;
    for index in 0..expected.len().max(ours.len()) {
        let label = |trace: &[String]| trace.get(index).cloned().unwrap_or_else(|| "-".to_owned());
        let (left, right) = (label(expected), label(ours));
        let mark = if same && left != right { ">>> " } else { "    " };
        same = same && left == right;
        text += &format!("{mark}{left:width$}  {right}\n");
    }
    text
}

/// Labels, separated by white space, up to an empty line or the end.
pub(crate) fn read_labels(input: impl BufRead) -> io::Result<Vec<String>> {
    let mut labels = Vec::new();
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            break;
        }
        labels.extend(line.split_whitespace().map(str::to_owned));
    }
    Ok(labels)
}

/// What is to be said of a guess.
pub(crate) fn judge(guess: &[String], trace: &[String]) -> String {
    if guess == trace {
        return "right, to the last callback".to_owned();
    }
    let same = guess.iter().zip(trace).take_while(|(guess, label)| guess == label).count();
    format!("right up to callback {same}\n{}", side_by_side("guess", guess, trace))
}
