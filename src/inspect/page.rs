//! The files of the page, as they were when the crate was built.

/// A file of the page.
pub(super) struct File {
    /// Its name below `/page/`.
    pub(super) name: &'static str,
    /// What is in it.
    pub(super) bytes: &'static [u8],
}

/// Lists the files by their names.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(File { name: $name, bytes: include_bytes!(concat!("page/", $name)) }),+]
    };
}

/// All files of the folder: tests/tidy looks whether one is missing.
static FILES: &[File] = &files![
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
    "legend.js",
    "link.js",
    "live.js",
    "now.js",
    "operations.js",
    "predict.js",
    "programs.js",
    "queues.js",
    "recording.js",
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
    "why.js",
    "words.js",
];

/// The file that is asked for by this path, if there is one: no path leads out of the list.
pub(super) fn file(path: &str) -> Option<&'static File> {
    let name = if path == "/" { "index.html" } else { path.strip_prefix("/page/")? };
    FILES.iter().find(|file| file.name == name)
}

impl File {
    /// What a browser is to take it for.
    pub(super) fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map_or("", |(_, end)| end) {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" | "mjs" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "json" => "application/json",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_of_a_type_that_a_browser_knows() {
        let unknown = "application/octet-stream";
        assert!(FILES.iter().all(|file| file.content_type() != unknown));
    }

    #[test]
    fn no_path_leads_out() {
        assert_eq!(file("/").unwrap().name, "index.html");
        for path in [
            "/page/../page.rs",
            "/page/",
            "/page",
            "",
            "/index.html",
            "/page//index.html",
            "/page/%2e%2e/mod.rs",
        ] {
            assert!(file(path).is_none(), "{path}");
        }
    }
}
