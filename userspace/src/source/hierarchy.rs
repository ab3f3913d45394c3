//! Which cgroup hierarchies this node has, and how its v2 root is reached; knows no control group below it.

use std::{
    cmp::Reverse,
    fmt,
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Component, Path, PathBuf},
};

use procfs::{
    ProcError,
    process::{MountInfo, Process},
};
use rustix::{
    fs::{Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};
use thiserror::Error;

/// How control groups are mounted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Version 2 alone.
    V2,
    /// Version 2 beside version 1.
    Hybrid,
    /// Version 1 alone: processes are not told apart by version 2.
    V1,
    /// None is mounted where this process looks; the kernel has one all the same.
    Unmounted,
}

impl Layout {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
            Self::V1 => "v1",
            Self::Unmounted => "unmounted",
        }
    }

    /// What is not known with it.
    pub fn lost(self) -> Option<&'static str> {
        match self {
            Self::V2 | Self::Hybrid | Self::Unmounted => None,
            Self::V1 => {
                Some("containers are not told apart by control group, only by address and network namespace")
            }
        }
    }
}

/// Why there is no cgroup v2 hierarchy to use.
#[derive(Debug, Error)]
pub enum Error {
    /// The list of mounts could not be read.
    #[error("cannot read /proc/self/mountinfo: {0}; is /proc mounted?")]
    Mounts(#[source] ProcError),
    /// There is none among the mounts, and the kernel gives none.
    #[error(
        "no cgroup v2 hierarchy is mounted here, and the kernel gives this process none of its own ({0}); `ip netns exec` \
         hides it (use `nsenter --net=…` instead), and a node with cgroup v1 alone needs the capability SYS_ADMIN, or \
         `mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2`"
    )]
    NotMounted(#[source] io::Error),
    /// It is mounted and cannot be opened.
    #[error("cannot open the cgroup v2 hierarchy at {path}: {source}")]
    Closed {
        /// Where it is mounted.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The root of the version 2 hierarchy, open.
#[derive(Debug)]
pub struct Root {
    directory: File,
    path: PathBuf,
    is_private: bool,
}

impl Root {
    /// Opens what is mounted; where nothing is, the kernel is asked for the hierarchy without mounting it anywhere, which
    /// changes nothing for others.
    pub fn open() -> Result<Self, Error> {
        match mount()? {
            Some(path) => match File::open(&path) {
                Ok(directory) => Ok(Self { directory, path, is_private: false }),
                Err(source) => Err(Error::Closed { path, source }),
            },
            None => Self::private().map_err(Error::NotMounted),
        }
    }

    /// A mount that is in no folder and goes with its descriptor.
    fn private() -> io::Result<Self> {
        let directory = File::from(detached("cgroup2")?);
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        Ok(Self { directory, path, is_private: true })
    }

    /// The open folder.
    pub fn directory(&self) -> &File {
        &self.directory
    }

    /// A path to it, for as long as this lives.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_private {
            return formatter.write_str("a mount of its own that nobody else sees");
        }
        self.path.display().fmt(formatter)
    }
}

/// The root of a filesystem that is mounted nowhere (`fsopen(2)`, Linux 5.2).
fn detached(filesystem: &str) -> io::Result<OwnedFd> {
    let context = fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(openat(&mount, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// How control groups are mounted here.
pub fn layout() -> Result<Layout, Error> {
    Ok(layout_of(&mounts()?))
}

/// Where the cgroup v2 hierarchy is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside v1.
pub fn mount() -> Result<Option<PathBuf>, Error> {
    Ok(choose(mounts()?))
}

fn mounts() -> Result<Vec<MountInfo>, Error> {
    let mounts = Process::myself().and_then(|process| process.mountinfo()).map_err(Error::Mounts)?;
    Ok(mounts.into_iter().collect())
}

fn layout_of(mounts: &[MountInfo]) -> Layout {
    let has = |kind: &str| mounts.iter().any(|mount| mount.fs_type == kind);
    match (has("cgroup"), has("cgroup2")) {
        (false, true) => Layout::V2,
        (true, true) => Layout::Hybrid,
        (true, false) => Layout::V1,
        (false, false) => Layout::Unmounted,
    }
}

/// The mount that shows most of the hierarchy, at its usual place if it is there too: network plugins have one of their
/// own, and a container is shown its own control group, and perhaps the node's root in another folder.
fn choose(mounts: impl IntoIterator<Item = MountInfo>) -> Option<PathBuf> {
    mounts
        .into_iter()
        .filter(|mount| mount.fs_type == "cgroup2")
        .min_by_key(|mount| {
            let (is_part, above) = place(Path::new(&mount.root));
            (is_part, Reverse(above), !mount.mount_point.starts_with("/sys/fs/cgroup"))
        })
        .map(|mount| mount.mount_point)
}

/// Whether the root of a mount is beside or below the root of this process's cgroup namespace, and else how far above it:
/// paths are told from there on, so that in a container `/` is its own control group and `/../..` can be the node's root
/// (`cgroup_namespaces(7)`).
fn place(root: &Path) -> (bool, usize) {
    let is_part = root.components().any(|component| matches!(component, Component::Normal(_)));
    (is_part, root.components().filter(|component| *component == Component::ParentDir).count())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use procfs::{FromBufRead as _, process::MountInfos};

    use super::{Layout, choose, layout_of};

    const V1: &str = "36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
    const V2: &str = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const CALICO: &str = "90 24 0:30 / /run/calico/cgroup rw,relatime shared:20 - cgroup2 none rw\n";
    const PART: &str = "95 24 0:30 /kubepods /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw\n";
    /// In a container: its own control group, and the node's root.
    const OWN: &str = "95 24 0:30 / /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw\n";
    const NODE: &str = "96 24 0:30 /../../.. /host/sys/fs/cgroup ro,relatime - cgroup2 cgroup2 rw\n";
    const SIBLING: &str = "97 24 0:30 /../b /b ro,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_mount_of_version_2_is_chosen_and_the_layout_recognised() {
        let table = [
            (vec![], None, Layout::Unmounted),
            (vec![V1], None, Layout::V1),
            (vec![V2], Some("/sys/fs/cgroup"), Layout::V2),
            (vec![V1, HYBRID], Some("/sys/fs/cgroup/unified"), Layout::Hybrid),
            (vec![CALICO, V2], Some("/sys/fs/cgroup"), Layout::V2),
            (vec![CALICO], Some("/run/calico/cgroup"), Layout::V2),
            (vec![PART, CALICO], Some("/run/calico/cgroup"), Layout::V2),
            (vec![PART], Some("/sys/fs/cgroup"), Layout::V2),
            (vec![OWN, NODE], Some("/host/sys/fs/cgroup"), Layout::V2),
            (vec![NODE, OWN], Some("/host/sys/fs/cgroup"), Layout::V2),
            (vec![SIBLING, OWN], Some("/sys/fs/cgroup"), Layout::V2),
        ];
        for (lines, mount, layout) in table {
            let mounts: Vec<_> =
                MountInfos::from_buf_read(lines.concat().as_bytes()).unwrap().into_iter().collect();
            assert_eq!(layout_of(&mounts), layout, "{lines:?}");
            assert_eq!(choose(mounts).as_deref(), mount.map(Path::new), "{lines:?}");
        }
    }
}
