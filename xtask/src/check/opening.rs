//! The rule that every file opens with a sentence that says what it is. It does not judge the sentence.
use super::{Source, Violation};

pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    sources
        .iter()
        .filter(|source| {
            let first = source.text.lines().next().unwrap_or_default();
            first.strip_prefix("//! ").is_none_or(|sentence| sentence.trim().is_empty())
        })
        .map(|source| {
            source.violation(1, "the first line is not `//! ` and a sentence that says what this file is")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::source::example, check};

    #[test]
    fn a_file_without_an_opening_sentence_is_reported() {
        for (text, good) in [
            ("//! What it is.\n", true),
            ("//! What it is.\nuse a;\n", true),
            ("", false),
            ("//!\n//! Too late.\n", false),
            ("//! \n", false),
            ("\n//! Too late.\n", false),
            ("// Not a doc comment.\n", false),
            ("use a;\n", false),
        ] {
            assert_eq!(check(&[example("a.rs", text)]).is_empty(), good, "{text:?}");
        }
    }
}
