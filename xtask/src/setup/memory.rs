//! What set-up chose last time, and whether it is still so. Only file times are looked at, so this costs nothing.
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Toolchain, compiler};
use crate::workspace::Workspace;

/// The choice, with all that it depended on.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Memory {
    /// The user's wish at the time.
    wish: Option<String>,
    /// The rules that it was made by.
    rules: String,
    toolchain: Toolchain,
    marks: Vec<Mark>,
}

/// A file as it was.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Mark {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

/// Change this when the choice is made by other rules than before.
const RULES: &str = "1";

/// The last choice, if nothing that it depended on has changed.
pub(crate) fn recall(workspace: &Workspace) -> Option<Toolchain> {
    let memory: Memory = serde_json::from_slice(&fs::read(file(workspace)).ok()?).ok()?;
    memory.holds().then_some(memory.toolchain)
}

/// Keeps a choice for next time.
pub(crate) fn remember(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let file = file(workspace);
    let memory = Memory::of(toolchain)?;
    fs::create_dir_all(workspace.setup_state())?;
    fs::write(&file, serde_json::to_vec_pretty(&memory)?)
        .with_context(|| format!("could not write {}", file.display()))
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.setup_state().join("toolchain.json")
}

impl Memory {
    fn of(toolchain: &Toolchain) -> Result<Self> {
        let compiler = &toolchain.compiler;
        let marks = [&compiler.rustc, &compiler.cargo, &compiler.core_file, &toolchain.linker]
            .into_iter()
            .map(|path| Mark::of(path).with_context(|| format!("could not look at {}", path.display())))
            .collect::<Result<_>>()?;
        Ok(Self { wish: compiler::wish(), rules: RULES.to_owned(), toolchain: toolchain.clone(), marks })
    }

    fn holds(&self) -> bool {
        self.wish == compiler::wish()
            && self.rules == RULES
            && self.marks.iter().all(|mark| Mark::of(&mark.path).is_ok_and(|now| now == *mark))
    }
}

impl Mark {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { path: path.to_owned(), bytes: metadata.len(), modified: metadata.modified()? })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Memory, recall, remember};
    use crate::{
        setup::{Toolchain, compiler::example},
        workspace::Workspace,
    };

    fn toolchain_in(folder: &Path) -> Toolchain {
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::write(&path, name).unwrap();
            path
        };
        let mut compiler = example();
        compiler.rustc = file("rustc");
        compiler.cargo = file("cargo");
        compiler.core_file = file("core");
        Toolchain { compiler, linker: file("linker") }
    }

    #[test]
    fn a_choice_is_recalled_until_a_file_it_depends_on_changes() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: folder.path().into(), target: folder.path().join("target") };
        let toolchain = toolchain_in(folder.path());
        assert_eq!(recall(&workspace), None, "nothing remembered yet");

        remember(&workspace, &toolchain).unwrap();
        assert_eq!(recall(&workspace).as_ref(), Some(&toolchain));

        std::fs::write(&toolchain.linker, "another linker").unwrap();
        assert_eq!(recall(&workspace), None, "the linker has changed");

        remember(&workspace, &toolchain).unwrap();
        std::fs::remove_file(&toolchain.compiler.core_file).unwrap();
        assert_eq!(recall(&workspace), None, "core is gone");
    }

    #[test]
    fn other_rules_or_another_wish_make_it_void() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::of(&toolchain_in(folder.path())).unwrap();
        assert!(memory.holds());
        assert!(!Memory { rules: "0".into(), ..memory }.holds());
        let memory = Memory::of(&toolchain_in(folder.path())).unwrap();
        assert!(!Memory { wish: Some("nightly-2000-01-01".into()), ..memory }.holds());
    }
}
