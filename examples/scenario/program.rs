//! A conformance program as data: what stands in one JSON file.
//!
//! The format is explained in `tests/conformance/README.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A program and the trace that is expected of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Scenario {
    pub name: String,
    /// Pool threads to run with; the usual number without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<usize>,
    pub main: Body,
    /// The trace that is to come, if somebody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Vec<String>>,
}

pub(crate) type Body = Vec<Op>;

/// Bodies by the message that they answer.
pub(crate) type Answers = BTreeMap<String, Body>;

/// One step of a program.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Op {
    Log {
        id: String,
    },
    Tick {
        id: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Micro {
        id: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Immediate {
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        var: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Timeout {
        id: String,
        ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        var: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Interval {
        id: String,
        ms: u64,
        times: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        var: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Clear {
        var: String,
    },
    Refresh {
        var: String,
    },
    Unref {
        var: String,
    },
    Ref {
        var: String,
    },
    Stat {
        id: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Block {
        ms: u64,
    },
    Throw {
        id: String,
    },
    BeforeExit {
        id: String,
        #[serde(default = "once")]
        times: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    AtExit {
        id: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Exit {
        code: i32,
    },
    Channel {
        a: String,
        b: String,
    },
    Listen {
        port: String,
        id: String,
        times: u32,
        #[serde(default)]
        on: Answers,
    },
    Send {
        port: String,
        value: String,
    },
    Close {
        port: String,
    },
    OnClose {
        port: String,
        id: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        body: Body,
    },
    Worker(Box<WorkerOp>),
    Post {
        to: String,
        value: String,
    },
    Receive {
        id: String,
        times: u32,
        #[serde(default)]
        on: Answers,
    },
    Terminate {
        var: String,
    },
}

impl Op {
    /// What it is called, if it calls back or says something.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Op::Log { id }
            | Op::Tick { id, .. }
            | Op::Micro { id, .. }
            | Op::Immediate { id, .. }
            | Op::Timeout { id, .. }
            | Op::Interval { id, .. }
            | Op::Stat { id, .. }
            | Op::Throw { id }
            | Op::BeforeExit { id, .. }
            | Op::AtExit { id, .. }
            | Op::Listen { id, .. }
            | Op::OnClose { id, .. }
            | Op::Receive { id, .. } => Some(id),
            Op::Worker(op) => Some(&op.id),
            Op::Clear { .. }
            | Op::Refresh { .. }
            | Op::Unref { .. }
            | Op::Ref { .. }
            | Op::Block { .. }
            | Op::Exit { .. }
            | Op::Channel { .. }
            | Op::Send { .. }
            | Op::Close { .. }
            | Op::Post { .. }
            | Op::Terminate { .. } => None,
        }
    }
}

/// The step that starts a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerOp {
    pub id: String,
    pub var: Option<String>,
    pub program: Body,
    #[serde(default)]
    pub online: bool,
    #[serde(default)]
    pub on_online: Body,
    #[serde(default)]
    pub on_message: Answers,
    #[serde(default)]
    pub on_error: Body,
    #[serde(default)]
    pub on_exit: Body,
}

fn once() -> u32 {
    1
}
