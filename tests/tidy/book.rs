//! The guide as a book, and the links of all documents: no link is dead, each chapter has its form, what it quotes of
//! the sources stands there, and its drawings can be read on a small screen.

use crate::{has_word, read};
use std::fs;
use std::path::{Path, PathBuf};

/// The width of a drawing, in its own units: on a screen of 400 pixels it is shown nearly as it is.
const WIDTH_MAX: u32 = 400;
/// The smallest type of a drawing, in the same units.
const TYPE_MIN: u32 = 12;

/// The paths of all files below a folder whose names end so.
fn files(folder: &str, end: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths: Vec<_> = paths.map(|path| path.to_str().unwrap().to_owned()).collect();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|p| Path::new(p).is_dir());
    let folders = folders
        .iter()
        .filter(|folder| !folder.ends_with("/target") && !folder.ends_with("/node_modules"));
    let files = files.into_iter().filter(|path| path.ends_with(end));
    let below = folders.flat_map(|folder| self::files(folder, end));
    files.chain(below).collect()
}

/// A Markdown text without its blocks of code and its comments.
fn prose(text: &str) -> String {
    let (mut kept, mut in_code, mut in_comment) = (String::new(), false, false);
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_comment |= line.starts_with("<!--");
        if !is_fence && !in_code && !in_comment {
            kept.extend([line, "\n"]);
        }
        in_code ^= is_fence;
        in_comment &= !line.contains("-->");
    }
    kept
}

/// The definitions of links in a text, as label and target.
fn definitions(text: &str) -> Vec<(&str, &str)> {
    let pairs = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    pairs.filter(|(_, target)| !target.contains(' ')).collect()
}

/// The targets of the links and images that stand in a text.
fn targets(prose: &str) -> Vec<&str> {
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let inline = inline.map(|(target, _)| target);
    inline.chain(definitions(prose).into_iter().map(|(_, target)| target)).collect()
}

/// The labels that links name: `[text][label]`, and `` [`label`] `` alone.
fn labels(prose: &str) -> Vec<String> {
    let lines: Vec<_> = prose.lines().filter(|line| definitions(line).is_empty()).collect();
    let text = lines.join(" ");
    let named = text.split("][").skip(1).filter_map(|rest| rest.split_once(']'));
    let named = named.map(|(label, _)| label.to_owned());
    let alone = text.split("[`").skip(1).filter_map(|rest| rest.split_once("`]"));
    let alone = alone.filter(|(label, rest)| !label.contains('`') && !rest.starts_with(['[', '(']));
    named.chain(alone.map(|(label, _)| format!("`{label}`"))).collect()
}

/// The anchor that a forge makes of a heading.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = plain.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What is wrong with a link of the document at `path`.
fn fault_of_link(path: &str, text: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("crate::") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let place = Path::new(path).parent().unwrap_or(Path::new("")).join(file);
    let to = if file.is_empty() { PathBuf::from(path) } else { place };
    if !to.exists() {
        return Some(format!("{path}: there is no {target}"));
    }
    let other = if file.is_empty() { text.to_owned() } else { fs::read_to_string(&to).ok()? };
    let headings = other.lines().filter(|line| line.starts_with('#')).map(anchor);
    let is_there = heading.is_empty() || headings.into_iter().any(|one| one == heading);
    (!is_there).then(|| format!("{path}: {} has no heading #{heading}", to.display()))
}

/// What is wrong with a chapter of the guide, `rustdoc` being the definitions of links that it has there.
fn faults_of_chapter(
    name: &str,
    text: &str,
    module: &str,
    rustdoc: &[(&str, &str)],
) -> Vec<String> {
    let mut faults = Vec::new();
    let question =
        text.split("**").nth(1).unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String =
        module.lines().map(|line| line.trim_start_matches("/// ").to_owned() + " ").collect();
    if !text.starts_with("# ") || !question.ends_with('?') || !said.contains(&question) {
        faults.push(format!("{name}: a title, then its question, which src/guide/mod.rs has too"));
    }
    let head = text.split("<!--").next().unwrap_or("");
    let image = head.split_once("![").and_then(|(_, rest)| rest.split_once("]("));
    let drawing = image.and_then(|(_, rest)| rest.split_once(')')).map(|(file, _)| file);
    let include = |file: &str| format!("#[doc = include_str!(\"{file}\")]\n");
    let drawn = drawing.map(include).unwrap_or_default();
    let page = format!("{drawn}#[doc = \"<!--\"]\n{}", include(name));
    if !module.contains(&page) {
        faults.push(format!(
            "{name}: src/guide/mod.rs does not include its drawing, and then the page"
        ));
    }
    let body = prose(text.split_once("-->").map_or("", |(_, body)| body));
    if body.contains("![") || body.contains("](../") {
        faults.push(format!(
            "{name}: drawings stand in its head, and links that rustdoc leads elsewhere have labels"
        ));
    }
    let defined = definitions(text);
    for label in labels(&prose(text)) {
        if !defined.iter().any(|(one, _)| *one == label) {
            faults.push(format!("{name}: where does [{label}] lead?"));
        }
    }
    for (label, target) in defined {
        let there = rustdoc.iter().find(|(one, _)| *one == label).map(|(_, there)| *there);
        let leads_to_source = there.and_then(|there| there.strip_prefix("../../../src/windlass/"));
        let same = leads_to_source
            .is_none_or(|html| html.strip_suffix(".html") == target.strip_prefix("../"));
        if there.is_none() || !same {
            faults.push(format!("{name}: [{label}] leads to {target}, in rustdoc to {there:?}"));
        }
    }
    faults
}

/// What is wrong with what a chapter says of the sources: functions that are not there, lines that do not stand there.
fn faults_of_quotes(
    name: &str,
    text: &str,
    source: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let (mut faults, mut file) = (Vec::new(), None);
    for (at, block) in text.split("```").enumerate() {
        if at % 2 == 0 {
            for (path, function) in block.split('`').filter_map(|quoted| quoted.split_once(".rs::"))
            {
                let path = format!("{path}.rs");
                let found = source(&path);
                if !found.as_ref().is_some_and(|text| has_word(text, &format!("fn {function}"))) {
                    faults.push(format!("{name}: there is no {path}::{function}"));
                }
                file = found.map(|text| (path, text));
            }
        } else if let Some(quoted) = block.strip_prefix("rs\n") {
            let quoted: Vec<_> = quoted.lines().map(str::trim).collect();
            let Some((path, text)) = &file else {
                faults.push(format!("{name}: of which function is {:?}?", quoted.first()));
                continue;
            };
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            if !lines.windows(quoted.len().max(1)).any(|some| some == quoted) {
                faults.push(format!(
                    "{name}: {path} does not have the lines from {:?}",
                    quoted.first()
                ));
            }
        }
    }
    faults
}

/// The numbers that follow a word in a text.
fn numbers_behind<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = u32> + 'a {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split(word).skip(1).filter_map(move |rest| digits(rest.trim_start()).parse().ok())
}

/// What is wrong with a drawing, which stands in a page of rustdoc as it is.
fn faults_of_drawing(name: &str, text: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let own = format!("windlass-{name}");
    let mut says = |right: bool, fault| {
        if !right {
            faults.push(fault);
        }
    };
    // A line that is empty, or that does not begin the element, would end the HTML within the page.
    says(text.starts_with("<svg ") && text.ends_with("</svg>\n"), "it is one element");
    says(text.lines().all(|line| !line.trim().is_empty()), "it has no empty line");
    says(text.lines().next().is_some_and(|line| line.ends_with('>')), "its tag is one line");
    let ids = text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let classes = text.lines().filter(|line| line.trim_start().starts_with('.'));
    says(ids.into_iter().all(|id| id.starts_with(&own)), "its ids are its own");
    says(classes.into_iter().all(|line| line.contains(&own)), "its style is its own");
    says(text.contains("prefers-color-scheme: dark"), "it has a dark theme");
    says(
        text.contains("<title") && text.contains("<desc"),
        "it is told to those who cannot see it",
    );
    let width = numbers_behind(text, "viewBox=\"0 0 ").next();
    says(width.is_some_and(|width| width <= WIDTH_MAX), "it fits a small screen");
    let mut sizes = numbers_behind(text, "font-size:").chain(numbers_behind(text, " font:"));
    says(sizes.all(|size| size >= TYPE_MIN), "its type can be read on a small screen");
    faults
}

/// The pages of the guide, but for its contents and the links: name and text.
fn chapters() -> Vec<(String, String)> {
    let paths = files("src/guide", ".md").into_iter();
    let named = paths.map(|path| (path["src/guide/".len()..].to_owned(), read(&path)));
    named.filter(|(name, _)| name != "README.md" && name != "links.md").collect()
}

#[test]
fn no_link_of_a_document_is_dead() {
    let own = ["README.md", "DESIGN.md", "CHANGELOG.md"].map(str::to_owned);
    let folders = ["src", "examples", "benches", "tests", "fuzz"];
    let documents = folders.iter().flat_map(|folder| files(folder, ".md"));
    let mut count = 0;
    for path in own.into_iter().chain(documents).filter(|path| path != "src/guide/links.md") {
        let text = read(&path);
        let prose = prose(&text);
        let faults: Vec<_> =
            targets(&prose).iter().filter_map(|to| fault_of_link(&path, &text, to)).collect();
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
        count += targets(&prose).len();
    }
    assert!(count > 100, "the links are found");
}

#[test]
fn each_chapter_of_the_guide_has_its_form_and_leads_where_it_says() {
    let (module, contents, links) =
        (read("src/guide/mod.rs"), read("src/guide/README.md"), read("src/guide/links.md"));
    let rustdoc = definitions(&links);
    let chapters = chapters();
    assert!(chapters.len() > 5, "the chapters are where they are looked for");
    for (name, text) in &chapters {
        assert_eq!(faults_of_chapter(name, text, &module, &rustdoc), [""; 0]);
        assert!(contents.contains(&format!("][{name}]")), "src/guide/README.md lists {name}");
    }
    for (label, target) in rustdoc {
        let used = chapters.iter().any(|(_, text)| text.contains(&format!("\n[{label}]: ")));
        assert!(used || contents.contains(label), "links.md: nobody links to {label}");
        let page = target
            .strip_prefix("../../../src/windlass/")
            .and_then(|html| html.strip_suffix(".html"));
        assert!(
            page.is_none_or(|file| Path::new("src").join(file).exists()),
            "there is no {target}"
        );
    }
}

#[test]
fn what_the_guide_quotes_of_the_sources_stands_there() {
    let source = |path: &str| fs::read_to_string(format!("src/{path}")).ok();
    // That page quotes an example; tests/tiny_loop.rs compares the two.
    let other = |(name, _): &(String, String)| name != "tiny_loop.md";
    for (name, text) in chapters().into_iter().filter(other) {
        assert_eq!(faults_of_quotes(&name, &text, source), [""; 0]);
    }
    // The first program of the order shows in full what the others begin with.
    let recorder = read("src/guide/recorder.rs");
    assert!(read("src/guide/order.md").contains(&recorder), "order.md shows src/guide/recorder.rs");
}

#[test]
fn the_drawings_can_stand_in_a_page_and_be_read_on_a_small_screen() {
    for path in files("src/guide", ".svg") {
        let name = &path["src/guide/".len()..path.len() - ".svg".len()];
        assert_eq!(faults_of_drawing(name, &read(&path)), [""; 0], "{path}");
    }
}

#[test]
fn the_checker_of_links_finds_what_it_looks_for() {
    let page = "# A page, it's\n[a](b.md) ![c](d.svg)\n```\n[no](no.md)\n```\n[e]: f.md\n";
    assert_eq!(targets(&prose(page)), ["b.md", "d.svg", "f.md"]);
    assert_eq!(labels("[a][b] and\n[`c`], [d](e), [`f`](g) and [`h`][i]"), ["b", "i", "`c`"]);
    assert_eq!(anchor("## A page, it's `x`"), "a-page-its-x");
    let fault = |target| fault_of_link("README.md", page, target);
    for good in ["https://a.b/c", "crate::x", "DESIGN.md", "src", "#a-page-its"] {
        assert_eq!(fault(good), None);
    }
    assert_eq!(fault("no.md").as_deref(), Some("README.md: there is no no.md"));
    assert_eq!(fault("#b").as_deref(), Some("README.md: README.md has no heading #b"));
    assert!(fault("DESIGN.md#no-such").is_some());
}

#[test]
fn the_checker_of_the_book_finds_what_it_looks_for() {
    let source =
        |path: &str| (path == "a/b.rs").then(|| "fn one() {\n    x();\n    y();\n}\n".to_owned());
    let faults = |text: &str| faults_of_quotes("c.md", text, source);
    assert_eq!(faults("From `a/b.rs::one`:\n```rs\nx();\ny();\n```\n"), [""; 0]);
    assert_eq!(faults("From `a/b.rs::two`"), ["c.md: there is no a/b.rs::two"]);
    assert_eq!(faults("From `a/b.rs::one`:\n```rs\ny();\nx();\n```\n").len(), 1);
    assert_eq!(faults("```rs\nx();\n```\n").len(), 1);

    let module = "/// What\n/// is it?\n#[doc = include_str!(\"d.svg\")]\n#[doc = \"<!--\"]\n#[doc = include_str!(\"c.md\")]\n";
    let head = "# C\n\n**What is it?**\n\n![D](d.svg)\n\n<!-- -->\n";
    let faults = |text: &str| {
        faults_of_chapter("c.md", text, module, &[("x", "../../../src/windlass/x.rs.html")])
    };
    assert_eq!(faults(&format!("{head}[y][x]\n\n[x]: ../x.rs\n")), [""; 0]);
    assert_eq!(faults(&format!("{head}[y][x]\n\n[x]: ../y.rs\n")).len(), 1, "two targets");
    assert_eq!(faults(&format!("{head}[y][x]\n")).len(), 1, "not defined");
    assert_eq!(faults(&format!("{head}[y][z]\n\n[z]: z.md\n")).len(), 1, "not defined in rustdoc");
    assert_eq!(faults(&head.replace("is it", "was it")).len(), 1, "another question");
    assert_eq!(faults(&head.replace("d.svg", "e.svg")).len(), 1, "another drawing");
    let drawing = "<svg viewBox=\"0 0 500 9\">\n.windlass-a { font-size: 9px }\n.b {}\n</svg>\n";
    assert_eq!(faults_of_drawing("a", drawing).len(), 5);
}
