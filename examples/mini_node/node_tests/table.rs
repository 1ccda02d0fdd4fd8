//! What came of the tests, as a table and a list.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::listed::{Kind, Listed};
use crate::suite::{self, Outcome, Test};

/// Lines of a test's output that are shown.
const LINES: usize = 18;

type List = BTreeMap<&'static str, Listed>;

/// Where a test stands.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Passes,
    OutOfScope,
    Decided,
    Differs,
}

fn column(test: &Test, listed: &List) -> Column {
    match listed.get(test.name.as_str()) {
        Some(Listed { kind: Kind::OutOfScope, .. }) => Column::OutOfScope,
        Some(Listed { kind: Kind::Decided, .. }) => Column::Decided,
        None if test.passed() => Column::Passes,
        None => Column::Differs,
    }
}

/// The table, the reasons, and what is not as it should be. With `all_said` what every test printed.
pub(crate) fn text(tests: &[Test], listed: &List, all_said: bool) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    for test in tests {
        let Some(outcome) = &test.outcome else { continue };
        match column(test, listed) {
            Column::Differs => line(&format!("{} differs: {}", test.name, said(outcome))),
            Column::Passes if all_said => line(&format!("{} passes: {}", test.name, said(outcome))),
            Column::Passes => {}
            _ if test.passed() => line(&format!("{} is listed, and passes", test.name)),
            _ if all_said => line(&format!("{} is listed: {}", test.name, said(outcome))),
            _ => {}
        }
    }
    for (reason, names) in reasons(tests, listed) {
        line(&format!("{} out of scope: {reason}", names.len()));
        names.iter().for_each(|name| line(&format!("    {name}")));
    }
    for test in tests.iter().filter(|test| column(test, listed) == Column::Decided) {
        line(&format!("{} differs by decision: {}", test.name, listed[test.name.as_str()].reason));
    }
    text + &table(tests, listed)
}

/// The tests that are out of scope, by reason.
fn reasons<'a>(tests: &'a [Test], listed: &List) -> BTreeMap<&'static str, Vec<&'a str>> {
    let mut reasons = BTreeMap::<_, Vec<_>>::new();
    for test in tests.iter().filter(|test| column(test, listed) == Column::OutOfScope) {
        reasons.entry(listed[test.name.as_str()].reason).or_default().push(test.name.as_str());
    }
    reasons
}

fn table(tests: &[Test], listed: &List) -> String {
    let columns = [Column::Passes, Column::OutOfScope, Column::Decided, Column::Differs];
    let mut text = String::new();
    let mut row = |name: &str, cells: [String; 5]| {
        let cells = cells.map(|cell| format!("{cell:>12}")).concat();
        // Writing to a String cannot fail.
        writeln!(text, "{name:12}{cells}").expect("a string grows");
    };
    row("", ["tests", "pass", "out of scope", "decided", "differ"].map(str::to_owned));
    let count = |family: Option<&str>, wanted: Option<Column>| {
        let of_family = tests.iter().filter(|test| family.is_none_or(|it| it == test.family));
        let all = of_family.filter(|test| wanted.is_none_or(|it| it == column(test, listed)));
        all.count().to_string()
    };
    let cells = |family: Option<&str>| {
        let [a, b, c, d] = columns.map(|column| count(family, Some(column)));
        [count(family, None), a, b, c, d]
    };
    for family in suite::families() {
        row(family, cells(Some(family)));
    }
    row("all", cells(None));
    text
}

/// How a test ended, and the last lines of what it printed.
fn said(outcome: &Outcome) -> String {
    let end = match outcome.code {
        Some(0) if outcome.skipped() => "it skips itself".to_owned(),
        Some(code) => format!("exit code {code}"),
        None if outcome.hung => "it hangs".to_owned(),
        None => "it was killed".to_owned(),
    };
    let lines: Vec<_> = outcome.said.lines().collect();
    let shown = lines[lines.len().saturating_sub(LINES)..].iter();
    let shown = shown.map(|line| line.chars().take(200).collect::<String>());
    let shown: String = shown.map(|line| format!("\n    {line}")).collect();
    end + &shown
}
