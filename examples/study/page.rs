//! The files of the page, which is that of the live view.

use super::http::Answer;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../src/inspect/page/", $name)))),*]
    };
}

/// Names and texts.
const FILES: &[(&str, &str)] = files![
    "app.js",
    "asking.js",
    "cards.js",
    "changes.js",
    "dom.js",
    "editor.js",
    "events.js",
    "exports.js",
    "feed.js",
    "index.html",
    "judge.js",
    "lanes.js",
    "ledger.js",
    "link.js",
    "live.js",
    "now.js",
    "operations.js",
    "predict.js",
    "programs.js",
    "queues.js",
    "replay.js",
    "share.js",
    "source.js",
    "start.js",
    "state.js",
    "steps.js",
    "study.css",
    "style.css",
    "watch.css",
    "watch.js",
    "whatif.js",
    "wheel.js",
    "words.js",
];

/// The file at a path of the address. None if there is none.
pub(crate) fn file(path: &str) -> Option<Answer> {
    let name = if path == "/" { "index.html" } else { path.strip_prefix("/page/")? };
    let (_, text) = FILES.iter().find(|(file, _)| *file == name)?;
    let content_type = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    Some(Answer::ok(content_type, *text))
}
