//! Whether there is room for what is built and written: better said before than found out by the last stage of the tests.
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::statvfs::statvfs;

use super::Purpose;
use crate::workspace::Workspace;

/// `st_blocks` counts in these (stat(3type)).
const BLOCK_BYTES: u64 = 512;

const MIB: u64 = 1 << 20;

/// What is written anew in the target folder even when everything was built before: what one change makes cargo link again.
const AGAIN_MIB: u64 = 1024;

/// What tests and benchmarks keep in the folder for temporary files while they run.
const TEMPORARY_MIB: u64 = 512;

impl Purpose {
    /// What lies in the target folder afterwards (`du -sm target` after a fresh clone's first run), with some room.
    fn target_mib(self) -> u64 {
        match self {
            Self::Build => 1536,
            Self::Demo => 3072,
            Self::Bench => 4096,
            Self::Test => 9216,
        }
    }
}

/// Fails where there is too little room for this purpose.
pub(crate) fn check(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    let target = &workspace.target;
    let needed_mib = purpose.target_mib().saturating_sub(used_bytes(target) / MIB).max(AGAIN_MIB);
    need(target, needed_mib, "set CARGO_TARGET_DIR to a folder elsewhere")?;
    if purpose > Purpose::Build {
        need(&std::env::temp_dir(), TEMPORARY_MIB, "set TMPDIR to a folder elsewhere")?;
    }
    Ok(())
}

fn need(folder: &Path, needed_mib: u64, or_else: &str) -> Result<()> {
    let free_mib = free_bytes(folder)? / MIB;
    ensure!(
        free_mib >= needed_mib,
        "{} has {free_mib} MiB left on its disk, and about {needed_mib} MiB are needed. Free some, or {or_else}",
        folder.display()
    );
    Ok(())
}

/// What this process may still write where the folder lies, or would lie.
fn free_bytes(folder: &Path) -> Result<u64> {
    let there: PathBuf = folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/")).into();
    let disk =
        statvfs(&there).with_context(|| format!("could not look at the disk of {}", there.display()))?;
    Ok(disk.blocks_available() * disk.fragment_size())
}

/// What lies in this folder. What cannot be read or is just being removed counts as nothing.
fn used_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let own = metadata.blocks() * BLOCK_BYTES;
            Some(own + if metadata.is_dir() { used_bytes(&entry.path()) } else { 0 })
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{MIB, check, free_bytes, need, used_bytes};
    use crate::{setup::Purpose, workspace::Workspace};

    #[test]
    fn what_lies_in_a_folder_is_counted_with_what_is_below_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(used_bytes(folder.path()), 0);
        let below = folder.path().join("below");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("file"), vec![1; 3 << 20]).unwrap();
        assert!(used_bytes(folder.path()) >= 3 * MIB, "{}", used_bytes(folder.path()));
        assert_eq!(used_bytes(Path::new("/nowhere")), 0);
    }

    #[test]
    fn a_disk_that_is_too_small_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let later = folder.path().join("not/there/yet");
        assert_eq!(free_bytes(&later).unwrap() >> 30, free_bytes(folder.path()).unwrap() >> 30);
        need(&later, 1, "never").unwrap();
        let error = need(&later, u64::MAX, "set TMPDIR to a folder elsewhere").unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} has ", later.display())), "{error}");
        assert!(error.ends_with("Free some, or set TMPDIR to a folder elsewhere"), "{error}");
    }

    #[test]
    fn kernels_own_folders_have_no_room() {
        let workspace = Workspace { root: "/".into(), target: "/proc/self".into() };
        let error = check(&workspace, Purpose::Build).unwrap_err().to_string();
        assert!(error.contains("/proc/self has 0 MiB left"), "{error}");
    }
}
