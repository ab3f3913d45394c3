//! The rule that no file is longer than one can read in one go. It counts lines and nothing else.
use super::{Source, Violation};

/// The hard stop; most files should have a third of it.
const MAX_LINES: usize = 500;

pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    sources
        .iter()
        .filter_map(|source| {
            let lines = source.text.lines().count();
            let message = format!("{lines} lines, and {MAX_LINES} is the most; split it by what it does");
            (lines > MAX_LINES).then(|| source.violation(lines, message))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::source::example, MAX_LINES, check};

    #[test]
    fn one_line_too_many_is_reported() {
        assert!(check(&[example("a.rs", &"\n".repeat(MAX_LINES))]).is_empty());
        let violations = check(&[example("a.rs", &"\n".repeat(MAX_LINES + 1))]);
        assert_eq!(violations.len(), 1);
        assert!(violations[0].message.starts_with("501 lines"), "{violations:?}");
    }
}
