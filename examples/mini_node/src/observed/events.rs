//! `--events`: lines of JSON, as they come.
//!
//! They are those of the crate's recorder, with a line `meta` before them, a line `said` for each line that the program
//! prints, a line `statement` for each callback when the program has ended, and a line `error` when it had to be cut
//! off. The page of the crate's view reads them, and so does `examples/study`.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::observe::Recording;

use super::explain::{Gathered, ledger};
use super::{Said, Sink};
use crate::options::{Options, Time};

/// The guide's statements on the order have no numbers beyond this.
const STATEMENTS_MAX: usize = 200;

/// Writes lines.
pub(super) struct Lines<W> {
    out: W,
    /// What the statements are found from.
    gathered: Gathered,
}

impl<W: Write> Lines<W> {
    /// Writes what is known before the program runs: what it is, and the statements in words.
    pub(super) fn begin(mut out: W, options: &Options) -> io::Result<Lines<W>> {
        let path = Path::new(&options.file[0]);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A file that cannot be read fails the program, which says so.
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let statements: Value = (1..=STATEMENTS_MAX)
            .map(|number| format!("O-{number}"))
            .map(|number| (number.clone(), ledger::words(&number)))
            .filter(|(_, words)| !words.is_empty())
            .collect();
        let meta = json!({
            "what": "meta",
            "mode": if options.time == Time::Real { "real" } else { "virtual" },
            "statements": statements,
            "program": {
                "name": name,
                "language": "javascript",
                "files": [{"name": name, "text": text}],
            },
        });
        writeln!(out, "{meta}")?;
        Ok(Lines { out, gathered: Gathered::default() })
    }
}

impl<W: Write> Sink for Lines<W> {
    fn take(&mut self, part: &Recording, said: Vec<Said>) -> io::Result<()> {
        part.write_json_lines(&mut self.out)?;
        for (id, text) in &said {
            writeln!(self.out, "{}", json!({"what": "said", "id": id, "text": text}))?;
        }
        self.gathered.add(part, said);
        self.out.flush()
    }

    /// Whoever reads it ends it.
    fn has_enough(&self, _since: Duration) -> Option<String> {
        None
    }

    fn end(mut self: Box<Self>, error: Option<&str>) -> io::Result<()> {
        for line in self.gathered.ledger().lines {
            if let Some(statement) = line.statement {
                let line = json!({"what": "statement", "id": line.id, "statement": statement});
                writeln!(self.out, "{line}")?;
            }
        }
        if let Some(error) = error {
            writeln!(self.out, "{}", json!({"what": "error", "text": error}))?;
        }
        self.out.flush()
    }
}
