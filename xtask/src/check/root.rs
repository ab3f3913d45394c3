//! The rule that the top level stays as small as the design draws it. It does not look into folders.
use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::Violation;

const ALLOWED: [&str; 9] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "deploy",
    "ebpf",
    "tests",
    "userspace",
    "xtask",
];

pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut names: Vec<String> = fs::read_dir(root)
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        })
        .with_context(|| format!("could not list {}", root.display()))?;
    names.retain(|name| !belongs(name));
    names.sort();
    let message = "does not belong at the top level: see the list in check/root.rs";
    Ok(names
        .into_iter()
        .map(|name| Violation { path: name.into(), line: 1, message: message.to_owned() })
        .collect())
}

fn belongs(name: &str) -> bool {
    // `target` is there also where it is not in use; a mounted file system may add `lost+found`, which is no file of ours.
    ALLOWED.contains(&name) || name == "target" || name.starts_with('.') || name.starts_with("LICENSE")
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_the_design_does_not_draw_is_reported() {
        let root = tempfile::tempdir().unwrap();
        for name in ["README.md", "LICENSE-MIT", ".gitignore", "target", "xtask"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        assert!(check(root.path()).unwrap().is_empty());
        std::fs::create_dir(root.path().join("scripts")).unwrap();
        std::fs::write(root.path().join("notes.txt"), "").unwrap();
        let found: Vec<_> = check(root.path()).unwrap().into_iter().map(|violation| violation.path).collect();
        assert_eq!(found, ["notes.txt", "scripts"].map(std::path::PathBuf::from));
    }
}
