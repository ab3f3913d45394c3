//! Control groups (version 2) laid out as the kubelet lays them out; it must not know what runs in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::wait;

/// Where version 2 is mounted: `/sys/fs/cgroup`, or a folder below it on a machine that has version 1 beside it.
pub fn mount_point() -> Result<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("could not read /proc/self/mountinfo")?;
    find_mount(&table)
        .context("cgroup version 2 is not mounted; try: mount -t cgroup2 none /sys/fs/cgroup/unified")
}

/// proc(5): `… mount-point options … - type source …`.
fn find_mount(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let is_version_2 = filesystem.split(' ').next() == Some("cgroup2");
        is_version_2.then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// A tree of control groups that is gone, with every process in it, when this is dropped.
#[derive(Debug)]
pub struct CgroupTree {
    path: PathBuf,
}

impl CgroupTree {
    /// Makes the folder `name` below the mount point.
    pub fn create(name: &str) -> Result<Self> {
        let path = mount_point()?.join(name);
        fs::create_dir(&path).with_context(|| {
            format!(
                "could not make the control group {}; the lab needs root and a writable cgroup mount",
                path.display()
            )
        })?;
        Ok(Self { path })
    }

    /// Where the tree begins.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for CgroupTree {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("could not remove the control group {}: {error:#}", self.path.display());
        }
    }
}

/// Ends every process in `group` and below, and waits until they are gone. By group and not by process number,
/// so it reaches daemons too and can hit nobody else.
pub fn end_all(group: &Path) -> Result<()> {
    let switch = group.join("cgroup.kill");
    fs::write(&switch, "1").with_context(|| format!("could not write {}", switch.display()))?;
    let events = group.join("cgroup.events");
    // An interrupted run has to clean up as well, so this wait must not itself be interruptible.
    let deadline = std::time::Instant::now() + wait::LONG;
    while fs::read_to_string(&events).is_ok_and(|text| text.contains("populated 1")) {
        anyhow::ensure!(std::time::Instant::now() < deadline, "processes outlived SIGKILL");
        // Between two looks at the condition: the kernel tells it by poll(2) only, and it takes a millisecond.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Ok(())
}

/// Ends what runs in the tree and removes its folders, deepest first. A tree that is not there is fine.
pub fn remove(tree: &Path) -> Result<()> {
    if !tree.exists() {
        return Ok(());
    }
    end_all(tree)?;
    remove_folders(tree).with_context(|| format!("could not remove {}", tree.display()))
}

fn remove_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_version_2_alone_and_beside_version_1() {
        let alone = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let beside = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(find_mount(alone), Some("/sys/fs/cgroup".into()));
        assert_eq!(find_mount(beside), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(find_mount("32 31 0:29 / /cg rw - cgroup cgroup rw,cpu\n"), None);
    }
}
