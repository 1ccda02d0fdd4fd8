//! The rows of the table and their targets, as rows.toml has them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) what: String,
    /// What the peers are asked to run, if not the name.
    program: Option<String>,
    /// What the peers other than ours and the baseline run instead.
    others: Option<String>,
    #[serde(default)]
    pub(crate) kind: Kind,
    #[serde(default = "ns")]
    pub(crate) figure: String,
    #[serde(default = "ns")]
    pub(crate) unit: String,
    items: u64,
    /// The peers that cannot do it.
    #[serde(default)]
    pub(crate) without: Vec<String>,
    /// How many it is for peers where all of them would take minutes.
    #[serde(default)]
    fewer: BTreeMap<String, u64>,
    #[serde(default = "one")]
    pub(crate) cores: usize,
    /// Items of the smaller run that `--instructions` counts; rows without are not counted.
    pub(crate) instructions: Option<u64>,
    #[serde(default)]
    pub(crate) connections: usize,
    /// How many of the connections are used; all if it does not say.
    busy: Option<usize>,
    #[serde(default)]
    pub(crate) bytes: usize,
    /// What the hammering clients ask for (golden).
    pub(crate) path: Option<String>,
    /// The system calls to count.
    #[serde(default)]
    pub(crate) calls: Vec<String>,
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
    /// Why a target is missed.
    pub(crate) answer: Option<String>,
}

fn ns() -> String {
    "ns".into()
}

fn one() -> usize {
    1
}

/// How a row is measured.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The peer runs the workload and prints its figures.
    #[default]
    Program,
    /// The peer serves; our client sends and waits.
    Echo,
    /// The peer sends datagrams back to our client.
    Udp,
    /// The peer counts the datagrams with which our client floods it. The items are seconds.
    Flood,
    /// The peer copies its standard input to its standard output; ours are the other ends.
    Pipe,
    /// The peer serves; wrk asks. The items are seconds.
    Http,
    /// The peer serves; one client is timed while others hammer. The items are seconds.
    Golden,
    /// The peer serves; connections are opened and left alone.
    Idle,
    /// The peer runs the workload under callgrind.
    Instructions,
    /// The peer serves under callgrind.
    #[serde(rename = "echo instructions")]
    EchoInstructions,
    /// The peer runs the workload under strace.
    Calls,
    /// The peer serves under strace.
    #[serde(rename = "echo calls")]
    EchoCalls,
}

impl Kind {
    /// Whether the same comes out each time, so that one round is enough.
    pub(crate) fn is_counted(self) -> bool {
        use Kind::{Calls, EchoCalls, EchoInstructions, Instructions};
        matches!(self, Instructions | EchoInstructions | Calls | EchoCalls)
    }
}

/// What a row's figure of ours is to be at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) at_most: f64,
    /// Times the figure of this peer; as it stands when there is none.
    pub(crate) of: Option<String>,
    /// In this row; in the same one when there is none.
    pub(crate) row: Option<String>,
}

/// A row of the crate's README: one of the table in other words, or several that are done in sequence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Brief {
    pub(crate) label: String,
    /// Which others it stands beside in the chart.
    pub(crate) group: String,
    /// The rows whose figures it adds up.
    pub(crate) rows: Vec<String>,
}

impl Row {
    /// What `peer` is asked to run or to serve.
    pub(crate) fn program(&self, peer: &str) -> &str {
        let usual = match self.kind {
            Kind::Echo | Kind::EchoInstructions | Kind::EchoCalls => "echo",
            Kind::Udp => "udp echo",
            Kind::Flood => "udp sink",
            Kind::Pipe => "pipe",
            Kind::Http => "http",
            // A server that knows the slow paths, too.
            Kind::Golden => "golden",
            Kind::Idle => "idle",
            Kind::Program | Kind::Instructions | Kind::Calls => &self.name,
        };
        let own = self.program.as_deref().unwrap_or(usual);
        let others = self.others.as_deref().filter(|_| !matches!(peer, "ours" | "baseline"));
        others.unwrap_or(own)
    }

    /// How many items `peer` does in a run; few if it is only to be seen that it runs.
    pub(crate) fn items(&self, peer: &str, short: bool) -> u64 {
        let items = *self.fewer.get(peer).unwrap_or(&self.items);
        match self.kind {
            _ if !short => items,
            Kind::Http | Kind::Golden | Kind::Flood => 1,
            _ => (items / 200).clamp(2, 5_000),
        }
    }

    pub(crate) fn connections(&self, short: bool) -> usize {
        if short { self.connections.min(64) } else { self.connections }
    }

    pub(crate) fn busy(&self, short: bool) -> usize {
        self.busy.unwrap_or(self.connections).min(self.connections(short))
    }

    /// What tells its runs from those of other rows: rows with the same key share their runs.
    pub(crate) fn key(&self) -> String {
        let Row { kind, items, cores, connections, busy, bytes, path, calls, .. } = self;
        let programs = (self.program("ours"), self.program("others"));
        format!(
            "{programs:?} {kind:?} {items} {cores} {connections} {busy:?} {bytes} {path:?} {calls:?}"
        )
    }
}

#[derive(Deserialize)]
struct File {
    row: Vec<Row>,
    brief: Vec<Brief>,
}

fn file() -> File {
    let file: File = toml::from_str(include_str!("../rows.toml")).expect("rows.toml");
    let of_targets = file.row.iter().flat_map(|row| &row.targets);
    let named = of_targets.filter_map(|target| target.row.as_ref());
    for name in named.chain(file.brief.iter().flat_map(|brief| &brief.rows)) {
        assert!(file.row.iter().any(|row| row.name == *name), "rows.toml: no row {name}");
    }
    file
}

/// All rows.
pub(crate) fn all() -> Vec<Row> {
    file().row
}

/// The rows of the crate's README.
pub(crate) fn brief() -> Vec<Brief> {
    file().brief
}
