//! The statements of the guide's order of callbacks, in words.

/// Its text.
const GUIDE: &str = include_str!("../guide/order.md");

/// What a statement begins with there.
const BEGIN: &str = "- **O-";

/// A statement in words, without the tests that it names in small type. Empty for one that there is
/// not.
pub(crate) fn words(number: &str) -> String {
    let text = GUIDE.split(&format!("- **{number}** ")).nth(1).unwrap_or_default();
    let text = ["\n\n", BEGIN, "<br>"]
        .iter()
        .fold(text, |text, end| text.split(end).next().unwrap_or_default());
    // A link is its text: [`now`].
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").replace("[`", "`").replace("`]", "`")
}

/// The numbers of all statements, in the order of the guide.
#[allow(dead_code)] // Examples ask for some.
pub(crate) fn numbers() -> impl Iterator<Item = String> {
    let number = |text: &str| Some(format!("O-{}", text.split("**").next()?));
    GUIDE.split(BEGIN).skip(1).filter_map(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_has_words_and_no_marks_of_its_page() {
        let numbers: Vec<_> = numbers().collect();
        assert!(numbers.len() > 80 && numbers[0] == "O-1", "{numbers:?}");
        for number in numbers {
            let words = words(&number);
            let is_plain = !words.contains("**") && !words.contains('<');
            assert!(words.ends_with(['.', ':']) && is_plain, "{number}: {words}");
        }
        assert_eq!(words("O-none"), "");
    }
}
