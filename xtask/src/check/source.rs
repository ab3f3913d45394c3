//! The Rust files of the workspace, and how a broken rule is reported. It knows no rule.
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The folders with code.
const FOLDERS: [&str; 5] = ["deploy", "ebpf", "tests", "userspace", "xtask"];

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A rule that is broken, and where.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Violation {
    pub(crate) path: PathBuf,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Source {
    pub(crate) fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// Reads every Rust file.
pub(crate) fn collect(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        if folder.is_dir() {
            collect_in(root, &folder, &mut sources)?;
        }
    }
    Ok(sources)
}

fn collect_in(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("could not list {}", folder.display()))?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect_in(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            sources.push(Source { path: path.strip_prefix(root).unwrap_or(&path).to_owned(), text });
        }
    }
    Ok(())
}

/// A file for tests.
#[cfg(test)]
pub(crate) fn example(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::collect;

    #[test]
    fn rust_files_are_found_in_the_folders_with_code_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in
            [("userspace/src/b/c.rs", "c"), ("userspace/a.rs", "a"), ("target/x.rs", ""), ("ebpf/README", "")]
        {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = collect(root.path()).unwrap();
        let found: Vec<_> =
            found.iter().map(|source| (source.path.to_str().unwrap(), source.text.as_str())).collect();
        assert_eq!(found, [("userspace/a.rs", "a"), ("userspace/src/b/c.rs", "c")]);
    }
}
