include!("recorder.rs");

/// Runs a program of the guide in virtual time, and checks its trace against the one behind it on
/// its page.
pub(crate) fn program(name: &str, main: impl FnOnce()) {
    assert_eq!(order(main), trace(name), "{name}: the page is wrong");
}

/// What the page says of this program: the first block of text behind it.
fn trace(name: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = paths.filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let pages: Vec<_> = pages.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let begin = format!("\nprogram(\"{name}\", ");
    let mut behind = pages.iter().flat_map(|page| page.split(&begin).skip(1));
    let text = behind.next().expect("a page has the program").split("```text\n").nth(1).unwrap();
    assert!(behind.next().is_none(), "two programs are called {name}");
    text.split("```").next().unwrap().lines().map(str::to_owned).collect()
}
