//! One run of the lab: its node-like network, its folder and its control groups, gone when it is dropped; it
//! must not know what runs in the pods.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::address::Range;
use crate::cgroup::{self, CgroupTree};
use crate::netns::Netns;
use crate::program;

const PREFIX: &str = "mtlsnoop-lab-";

/// Host number of the node end of the pods' network.
pub(crate) const GATEWAY: u8 = 1;

/// The node: a switch that joins the pods. The machine's own network namespace is neither used nor changed.
#[derive(Debug)]
pub struct Cluster {
    // The processes have to end before their files go, so the control groups come first.
    cgroups: CgroupTree,
    folder: TempDir,
    switch: Netns,
    range: Range,
    kept: AtomicBool,
}

impl Cluster {
    /// A cluster with addresses of its own, for tests that may run beside others.
    pub fn start() -> Result<Self> {
        let nth = next();
        Self::build(nth, Range::of_process(std::process::id(), nth))
    }

    /// A cluster with the addresses of the incident.
    pub fn start_like_the_incident() -> Result<Self> {
        Self::build(next(), Range::INCIDENT)
    }

    fn build(nth: u32, range: Range) -> Result<Self> {
        ensure!(geteuid().is_root(), "the lab makes network namespaces, which needs root; try it with sudo");
        sweep()?;
        let name = format!("{PREFIX}{}-{nth}", std::process::id());
        let cgroups = CgroupTree::create(&name)?;
        let folder = make_folder(&format!("{name}-"))?;
        let switch = Netns::create()?;
        switch.run("ip", &["-batch", "-"], &switch_commands(range))?;
        switch.enter(|| {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
            Ok(())
        })?;
        Ok(Self { cgroups, folder, switch, range, kept: AtomicBool::new(false) })
    }

    /// The addresses of this cluster's pods.
    pub fn range(&self) -> Range {
        self.range
    }

    /// Where the cluster's files are: certificates, configurations, data and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The top of the cluster's control groups.
    pub fn cgroup(&self) -> &Path {
        self.cgroups.path()
    }

    /// Keeps the files when the cluster goes, and says where they will be.
    pub fn keep_files(&self) -> PathBuf {
        self.kept.store(true, Ordering::Relaxed);
        kept_path(self.folder())
    }

    /// The namespace that joins the pods.
    pub(crate) fn switch(&self) -> &Netns {
        &self.switch
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.kept.load(Ordering::Relaxed) || std::env::var_os("MTLSNOOP_LAB_KEEP").is_some() {
            let to = kept_path(self.folder());
            match fs::rename(self.folder(), &to) {
                Ok(()) => self.folder.disable_cleanup(true),
                Err(error) => eprintln!("could not keep the files as {}: {error}", to.display()),
            }
        }
    }
}

/// Under another name, so that the next run does not sweep it up.
fn kept_path(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().replace(PREFIX, "mtlsnoop-kept-");
    folder.with_file_name(name)
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A bridge that is also the pods' gateway. Beyond it 198.51.100.0/24 and `2001:db8:ffff::/48` swallow everything,
/// and every other address is answered with "unreachable" (the two ranges are for documentation: RFC 5737 and
/// RFC 3849).
fn switch_commands(range: Range) -> String {
    format!(
        "link set lo up\n\
         link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
         addr add {}/24 dev br0\n\
         addr add {}/64 dev br0 nodad\n\
         link set br0 up\n\
         route add blackhole 198.51.100.0/24\n\
         route add blackhole 2001:db8:ffff::/48\n",
        range.ipv4(GATEWAY),
        range.ipv6(GATEWAY),
    )
}

/// Servers run as users of their own and must get at their files.
fn make_folder(prefix: &str) -> Result<TempDir> {
    let parent = Some(std::env::temp_dir()).filter(|folder| program::everyone_reaches(folder));
    let parent = parent.unwrap_or_else(|| PathBuf::from("/tmp"));
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(&parent)
        .with_context(|| format!("could not make a folder in {}; is the disk full?", parent.display()))?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Removes what runs that were killed have left.
fn sweep() -> Result<()> {
    for group in leftovers(&cgroup::mount_point()?) {
        cgroup::remove(&group)?;
    }
    for parent in [std::env::temp_dir(), PathBuf::from("/tmp")] {
        for folder in leftovers(&parent) {
            fs::remove_dir_all(&folder).with_context(|| format!("could not remove {}", folder.display()))?;
        }
    }
    Ok(())
}

fn leftovers(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| owner(path).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()))
        .collect()
}

/// The process that made a folder of ours.
fn owner(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_owner_from_names_of_ours_only() {
        let cases = [
            ("mtlsnoop-lab-12-0", Some(12)),
            ("mtlsnoop-lab-12-0-x7Yz", Some(12)),
            ("mtlsnoop-lab-x", None),
            ("mtlsnoop-kept-12-0-x7Yz", None),
            ("system.slice", None),
        ];
        for (name, expected) in cases {
            assert_eq!(owner(&Path::new("/tmp").join(name)), expected, "{name}");
        }
    }
}
