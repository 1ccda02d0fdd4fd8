//! The rules for each file of the sources: how long it and its lines are, which of its parts are explained,
//! and which words it has.

use crate::{FENCES_OF_WORDS, has_word, read, rust_files};

/// Lines of code that a file may have.
const CODE_MAX: usize = 500;
/// Columns that a line may have.
const COLUMNS_MAX: usize = 100;

/// The lines of a source file with their numbers, but for its unit tests and what else is made for tests only.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    while let Some((at, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push((at, line));
            continue;
        }
        // An item ends where its braces do, or with a semicolon.
        let mut depth = 0;
        for (_, line) in lines.by_ref() {
            let bare = without_strings(line);
            depth += bare.matches('{').count();
            depth -= bare.matches('}').count().min(depth);
            if depth == 0 && bare.ends_with(['}', ';', ',']) {
                break;
            }
        }
    }
    kept
}

/// A line of code without its comment, and with nothing in its strings and characters.
fn without_strings(line: &str) -> String {
    let mut bare = String::new();
    let mut rest = line.trim_start();
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            break;
        }
        let is_character = ["'{'", "'}'", "'('", "')'", "'\"'", "','", "'\\''"];
        if let Some(quoted) = is_character.iter().find(|quoted| rest.starts_with(**quoted)) {
            rest = &rest[quoted.len()..];
        } else if let Some(string) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = string.find(|c| {
                let is_end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                is_end
            });
            rest = end.map_or("", |end| &string[end + 1..]);
        } else {
            bare.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    bare.truncate(bare.trim_end().len());
    bare
}

/// How many lines of code a file has: without comments, blank lines and unit tests.
pub(crate) fn lines_of_code(text: &str) -> usize {
    let is_code = |line: &str| !line.is_empty() && !line.starts_with("//");
    lines(text).into_iter().filter(|(_, line)| is_code(line.trim())).count()
}

/// What the next thing inside a pair of braces is.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    /// The fields of a structure, or of a variant.
    Fields,
    /// The variants of an enum.
    Variants,
    /// Anything else.
    Code,
}

/// The name of a field or variant that this line begins, if it does.
fn part(line: &str, inside: Inside) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or(line, |(_, rest)| rest),
        Some(rest) if rest.starts_with(' ') => rest.trim_start(),
        _ => line,
    };
    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let is_part = match inside {
        Inside::Fields => rest.starts_with(": "),
        Inside::Variants => name.starts_with(char::is_uppercase),
        Inside::Code => false,
    };
    (is_part && !name.is_empty()).then_some(name)
}

/// The lines at which a structure, an enum, a field or a variant has no sentence of what it means.
fn unexplained(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut around: Vec<Inside> = Vec::new();
    // Of the item whose braces have yet to open.
    let mut next = Inside::Code;
    let mut explained = false;
    // That macro takes no documentation of fields, so plain comments do.
    let mut in_pin_project = false;
    for (at, line) in lines(text) {
        let trimmed = line.trim();
        in_pin_project = line == "pin_project! {" || in_pin_project && line != "}";
        if trimmed.starts_with("//") {
            explained |= (trimmed.starts_with("///") || in_pin_project) && trimmed.len() > 4;
            continue;
        }
        // What a derive or the like says comes between the two.
        if trimmed.starts_with("#[") || (trimmed.starts_with(')') && trimmed.ends_with(")]")) {
            continue;
        }
        let inside = around.last().copied().unwrap_or(Inside::Code);
        if let Some(name) = part(line, inside).filter(|_| !explained) {
            found.push((at, format!("`{name}` has no sentence of what it means")));
        }
        let bare = without_strings(line);
        let words: Vec<_> = bare.split([' ', '<', '(', '{', ';', ':']).collect();
        let item = words.iter().position(|word| ["struct", "enum", "union"].contains(word));
        let is_item = |at: &usize| {
            words[..*at]
                .iter()
                .all(|word| word.is_empty() || word.starts_with("pub") || word.ends_with(')'))
        };
        if inside == Inside::Code
            && let Some(item) = item.filter(is_item)
        {
            next = if words[item] == "enum" { Inside::Variants } else { Inside::Fields };
            if !explained {
                let name = words.get(item + 1).copied().unwrap_or("");
                found.push((at, format!("`{name}` has no sentence of what it is")));
            }
        }
        for c in bare.chars() {
            match c {
                '{' => {
                    let variant = around.last() == Some(&Inside::Variants);
                    around.push(if variant { Inside::Fields } else { next });
                    next = Inside::Code;
                }
                '}' => drop(around.pop()),
                ';' if next != Inside::Code => next = Inside::Code,
                _ => {}
            }
        }
        explained = false;
    }
    found
}

/// The words that a text is made of, in small letters: `a_name` and `AName` are two each.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in text.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
        was_small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The words of a line that are out, in a file that is called `name`.
fn words_out(name: &str, line: &str) -> Vec<String> {
    let words = words(line);
    let is_here = |out: &str| {
        let out: Vec<_> = out.split(' ').collect();
        words.windows(out.len()).any(|words| words.iter().zip(&out).all(|(a, b)| a == b))
    };
    let fenced = FENCES_OF_WORDS.iter().filter(|(_, places, _)| !places.contains(&name));
    let found = fenced.flat_map(|(out, _, instead)| out.iter().map(move |out| (out, instead)));
    let found = found.filter(|(out, _)| is_here(out));
    found.map(|(out, instead)| format!("`{out}` is out: {instead}")).collect()
}

/// What is wrong with one source file, `name` being its path under `src/`.
pub(crate) fn faults_of_house(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let count = lines_of_code(text);
    if count > CODE_MAX {
        faults.push(format!("src/{name}: {count} lines of code, {CODE_MAX} at most"));
    }
    for (at, line) in text.lines().enumerate() {
        let (at, columns) = (at + 1, line.chars().count());
        if columns > COLUMNS_MAX {
            faults.push(format!("src/{name}:{at}: {columns} columns, {COLUMNS_MAX} at most"));
        }
        faults.extend(words_out(name, line).iter().map(|out| format!("src/{name}:{at}: {out}")));
        if has_word(line, "struct Core") {
            faults.push(format!("src/{name}:{at}: a `Core` has the name of the thing"));
        }
    }
    let unexplained = unexplained(text).into_iter();
    faults.extend(unexplained.map(|(at, what)| format!("src/{name}:{at}: {what}")));
    faults
}

#[test]
fn every_source_file_is_short_explained_and_in_the_fields_words() {
    let files = rust_files("src");
    assert!(files.len() > 30, "the sources are where they are looked for");
    let all: Vec<_> =
        files.iter().flat_map(|path| faults_of_house(&path[4..], &read(path))).collect();
    assert!(all.is_empty(), "\n{}\n{} in all", all.join("\n"), all.len());
}

#[test]
fn the_checker_of_the_house_finds_what_it_looks_for() {
    let faults = |text: &str| faults_of_house("phase/check.rs", text);
    let line = |words: &str| faults(&format!("//! Doc.\n{words}\n"));
    // Length: comments, blank lines and unit tests are not code.
    let long = "f();\n".repeat(CODE_MAX);
    assert_eq!(faults(&long), [""; 0]);
    let spared = format!("{long}\n// a\n\n#[cfg(test)]\nmod tests {{\n    fn a() {{\n    }}\n}}\n");
    assert_eq!(faults(&spared), [""; 0]);
    let over = format!("{spared}g();\n");
    assert_eq!(faults(&over), ["src/phase/check.rs: 501 lines of code, 500 at most"]);
    assert_eq!(lines_of_code("#[cfg(test)]\nuse a::b;\nc();\n"), 1);
    // Columns, not bytes.
    assert_eq!(line(&format!("// {}", "é".repeat(97))), [""; 0]);
    assert_eq!(
        line(&format!("// {}", "x".repeat(98))),
        ["src/phase/check.rs:2: 101 columns, 100 at most"]
    );
    // Words, in comments and in names, and whole ones only.
    for out in [
        "// It rouses a loop.",
        "fn nudge() {}",
        "let letters = 1;",
        "is_poked();",
        "// It lies down.",
    ] {
        assert_eq!(line(out).len(), 1, "{out}: {:?}", line(out));
    }
    assert_eq!(line("struct Core;").len(), 2, "{:?}", line("struct Core;"));
    assert_eq!(line("// An unseated heirloom, lying downstairs; carouse."), [""; 0]);
    assert_eq!(faults_of_house("fs/temp.rs", "// Random letters.\n"), [""; 0]);
    assert_eq!(words("is_dueSoon, a2 HTTPServer"), ["is", "due", "soon", "a2", "httpserver"]);
    // Sentences.
    for (text, name) in [
        ("struct A;", "A"),
        ("/// A.\nstruct A {\n    a: u8,\n}", "a"),
        (
            "/// A.\nstruct A {\n    /// B.\n    #[b]\n    b: [u8; 2],\n    pub(crate) c: u8,\n}",
            "c",
        ),
        ("/// A.\npub(crate) struct A<T>\nwhere\n    T: B,\n{\n    a: T,\n}", "a"),
        ("/// A.\nenum A {\n    /// B.\n    B,\n    C(u8),\n}", "C"),
        ("/// A.\nenum A {\n    /// B.\n    B {\n        a: u8,\n    },\n}", "a"),
        ("fn a() {\n    /// A.\n    struct A {\n        a: u8,\n    }\n}", "a"),
        ("/// A.\nstruct A {\n    // No sentence of documentation.\n    a: u8,\n}", "a"),
    ] {
        let found = faults(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(&format!("`{name}` has no sentence")), "{text}: {found:?}");
    }
    for text in [
        "/// A.\n#[derive(B)]\nstruct A {\n    /// A.\n    a: u8,\n    /// B, over\n    /// two lines.\n    pub b: C,\n}",
        "pin_project! {\n    /// A.\n    struct A {\n        // B.\n        #[pin]\n        a: u8,\n    }\n}",
        "/// A.\nstruct A(u8);\nfn a() {\n    let b: u8 = 1;\n    B {\n        c: 1,\n    };\n    Some(D);\n}",
        "/// A.\nenum A {\n    /// B.\n    B(u8),\n    /// C.\n    C { a: u8 },\n}\nimpl A {\n    fn a(\n        b: u8,\n    ) {\n    }\n}",
        "#[cfg(test)]\nstruct A {\n    a: u8,\n}",
        "// A struct has a b: c.\nlet a = \"struct A {\";\nb();",
    ] {
        assert_eq!(faults(text), [""; 0], "{text}");
    }
}
