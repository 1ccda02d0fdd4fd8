//! The tests that are not expected to pass, by name, with the reason.

use std::collections::BTreeMap;

/// Why a test is not expected to pass.
pub(crate) struct Listed {
    pub kind: Kind,
    pub reason: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// It is about what `mini_node` does not have.
    OutOfScope,
    /// It is in scope, and we do something else on purpose.
    Decided,
}

/// Each line of the list is `out NAME REASON` or `decided NAME REASON`.
pub(crate) fn read() -> BTreeMap<&'static str, Listed> {
    let lines = include_str!("listed.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| entry(line).unwrap_or_else(|| panic!("listed.txt: {line}"))).collect()
}

fn entry(line: &'static str) -> Option<(&'static str, Listed)> {
    let (kind, rest) = line.split_once(' ')?;
    let (name, reason) = rest.trim_start().split_once(' ')?;
    let kind = match kind {
        "out" => Kind::OutOfScope,
        "decided" => Kind::Decided,
        _ => return None,
    };
    Some((name, Listed { kind, reason: reason.trim_start() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_has_a_name_and_a_reason() {
        let listed = read();
        for (name, Listed { reason, .. }) in listed {
            assert!(name.starts_with("test-") && name.ends_with(".js"), "{name}");
            assert!(reason.len() > 10, "{name}: {reason}");
        }
    }
}
