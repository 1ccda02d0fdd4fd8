//! Tasks and wakes, told in the form that tokio-console's subscriber takes from any runtime.
#![cfg(feature = "tracing")]

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};
use tracing::{Event, Id, Metadata, Subscriber};

thread_local!(static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });

fn say(line: String) {
    LINES.with(|lines| lines.borrow_mut().push(line));
}

/// Writes down what it is told on this thread.
#[derive(Default)]
struct Tells(AtomicU64);

/// Fields as text.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // The line is that of this file, wherever it stands.
        let value = if field.name() == "loc.line" { &"…" as &dyn Debug } else { value };
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl Subscriber for Tells {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tokio::task")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let id = 1 + self.0.fetch_add(1, Ordering::Relaxed);
        assert!(span.is_root());
        let (target, name) = (span.metadata().target(), span.metadata().name());
        say(format!("span {id}: {target} {name}{}", fields.0));
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        say(format!("{}{}", event.metadata().target(), fields.0));
    }

    fn enter(&self, id: &Id) {
        say(format!("enter {}", id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        say(format!("exit {}", id.into_u64()));
    }

    fn try_close(&self, id: Id) -> bool {
        say(format!("close {}", id.into_u64()));
        true
    }
}

/// What is told while this runs.
fn told(f: impl FnOnce()) -> Vec<String> {
    tracing::subscriber::with_default(Tells::default(), f);
    LINES.take()
}

fn place(kind: &str, column: &str) -> String {
    let file = format!("loc.file={:?}", file!());
    format!(
        "tokio::task runtime.spawn kind={kind} task.name=\"\" {file} loc.line=\"…\" loc.col={column}"
    )
}

/// A future that wakes itself once.
async fn twice() {
    let first = Cell::new(true);
    poll_fn(|cx| {
        if !first.replace(false) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_task_is_a_span_which_is_entered_for_each_poll_and_a_wake_is_an_event() {
    let lines = told(|| windlass::run(|| drop(windlass::spawn(twice()))));
    let wake = "tokio::task::waker op=\"waker.wake_by_ref\" task.id=1";
    let expected = [
        &format!("span 1: {}", place("task", "47")),
        "enter 1",
        wake,
        "exit 1",
        "enter 1",
        "exit 1",
        // Its future is dropped within.
        "enter 1",
        "exit 1",
        "close 1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn block_on_is_a_span_of_its_own_kind_and_a_task_within_it_has_no_parent() {
    let lines = told(|| {
        windlass::block_on(async {
            windlass::spawn(async {}).await.unwrap();
        });
    });
    assert!(lines[0].starts_with("span 1: ") && lines[0].contains("kind=block_on"), "{lines:?}");
    let spawned = lines.iter().find(|line| line.starts_with("span 2: ")).unwrap();
    assert!(spawned.contains("kind=task"), "{spawned}");
    // The end of the task wakes the one that awaits it, from within no span or the task's own.
    assert!(lines.contains(&"tokio::task::waker op=\"waker.wake_by_ref\" task.id=1".to_owned()));
    let closed: Vec<_> = lines.iter().filter(|line| line.starts_with("close")).collect();
    assert_eq!(closed, ["close 2", "close 1"]);
}

#[test]
fn without_a_subscriber_nothing_is_told() {
    windlass::run(|| drop(windlass::spawn(twice())));
    assert!(LINES.take().is_empty());
}
