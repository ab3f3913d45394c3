//! The rule that tests wait for conditions: a sleep in them needs a comment that says why. It does not judge why.
use super::{Source, Violation};

pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    sources.iter().filter(|source| source.path.starts_with("tests")).flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut previous = "";
    for (index, line) in source.text.lines().map(str::trim).enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let says_why = line.len() > code.len() || previous.starts_with("//");
        if code.contains("sleep(") && !says_why {
            let message = "a sleep without a comment, on this line or the one before, that says why no condition can \
                           be waited for";
            violations.push(source.violation(index + 1, message));
        }
        previous = line;
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::{super::source::example, check};

    #[test]
    fn a_sleep_needs_a_reason_in_tests_only() {
        let cases = [
            ("tests/kernel/a.rs", "thread::sleep(delay);", 1),
            ("tests/a.rs", "// Why.\n\nthread::sleep(delay);", 1),
            ("tests/a.rs", "// Why.\nthread::sleep(delay);", 0),
            ("tests/a.rs", "tokio::time::sleep(delay).await; // why", 0),
            ("tests/a.rs", "//! Nothing here calls sleep().", 0),
            ("tests/a.rs", "a.sleep(1);\nb.sleep(2);", 2),
            ("userspace/src/a.rs", "thread::sleep(delay);", 0),
        ];
        for (path, text, count) in cases {
            assert_eq!(check(&[example(path, text)]).len(), count, "{path}: {text}");
        }
    }
}
