//! The rule against module names that say nothing, under which everything piles up. It looks at names only.
use super::{Source, Violation};

const FORBIDDEN: [&str; 9] =
    ["common", "helper", "helpers", "manager", "misc", "shared", "types", "util", "utils"];

pub(crate) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        let words = source.path.iter().filter_map(|part| part.to_str());
        for word in words.map(|word| word.strip_suffix(".rs").unwrap_or(word)) {
            if FORBIDDEN.contains(&word) {
                violations
                    .push(source.violation(1, format!("`{word}` says nothing; name it after what it does")));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::{super::source::example, FORBIDDEN, check};

    #[test]
    fn forbidden_names_are_reported_as_files_and_as_folders() {
        for name in FORBIDDEN {
            assert_eq!(check(&[example(&format!("userspace/src/{name}.rs"), "")]).len(), 1, "{name}");
            assert_eq!(check(&[example(&format!("userspace/src/{name}/mod.rs"), "")]).len(), 1, "{name}");
        }
        assert!(check(&[example("userspace/src/flow/typesetting.rs", "")]).is_empty());
    }
}
