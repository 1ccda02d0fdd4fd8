//! Ports, broadcasts, structured clones and workers: programs that print here what they print on
//! Node.
//!
//! Beside each program of `tests/messages` is what Node 20 printed. With `NODE=node` in the
//! environment a program is run there as well, and has to print the same.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}

/// What a program prints, both streams in one.
fn run(program: impl AsRef<OsStr>, file: &Path) -> String {
    let output = Command::new(program).arg(file).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn check(name: &str) {
    let file = directory().join(name).with_extension("js");
    let expected = fs::read_to_string(file.with_extension("out")).unwrap();
    if let Some(node) = env::var_os("NODE") {
        assert_eq!(run(node, &file), expected, "{name}: node prints something else by now");
    }
    assert_eq!(run(env!("CARGO_BIN_EXE_mini_node"), &file), expected, "{name}");
}

macro_rules! programs {
    ($($promise:ident: $name:literal,)*) => {
        $(#[test]
        fn $promise() {
            check($name);
        })*

        const NAMES: &[&str] = &[$($name),*];
    };
}

programs! {
    a_broadcast_reaches_all_others_of_its_name_in_order: "broadcast",
    clones_are_equal_and_apart_whatever_the_value: "clone_values",
    listeners_of_a_port_are_called_in_nodes_order_and_way: "ports_listeners",
    a_port_keeps_the_program_alive_as_on_node: "ports_liveness",
    messages_come_before_immediates_and_closes_after_them: "ports_order",
    what_cannot_be_sent_is_refused_in_nodes_words: "ports_refusals",
    what_is_transferred_is_gone_here_and_whole_there: "ports_transfer",
    a_parent_hears_of_each_end_of_a_worker_as_on_node: "worker_ends",
    a_parent_hears_of_its_worker_in_nodes_order: "worker_events",
    workers_of_workers_talk_past_their_parents: "worker_nested",
    a_worker_begins_with_what_nodes_has_and_may_do_as_much: "worker_settings",
    the_streams_of_a_worker_arrive_at_its_parent: "worker_streams",
    buffers_and_ports_travel_between_workers: "worker_transfer",
}

#[test]
fn every_program_is_run() {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension() == Some(OsStr::new("js"))) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(NAMES.contains(&&*name), "{name}.js is not in the list");
    }
}
