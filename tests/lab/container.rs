//! A container: a control group named as on a real node, and programs started in it and in the pod's network;
//! it must not know which programs those are.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;

use crate::cgroup;
use crate::cluster::Cluster;
use crate::command::Launch;
use crate::netns::Netns;

/// A place to run programs in.
#[derive(Debug, Clone)]
pub struct Container {
    name: String,
    id: String,
    cgroup: PathBuf,
    netns: Netns,
    folder: PathBuf,
}

impl Container {
    pub(crate) fn create(
        cluster: &Cluster,
        netns: &Netns,
        pod: &str,
        pod_uid: &str,
        name: &str,
    ) -> Result<Self> {
        let id = random_id()?;
        let cgroup = cluster.cgroup().join(scope_path(pod_uid, &id));
        fs::create_dir_all(&cgroup).with_context(|| format!("could not make {}", cgroup.display()))?;
        let folder = cluster.folder().join(pod).join(name);
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        Ok(Self { name: name.to_owned(), id, cgroup, netns: netns.clone(), folder })
    }

    /// The container's name in its pod.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 64 digits that the container runtime knows it by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The container's control group.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// The network namespace of the container's pod.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Where the container's programs have their files and their output.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program to start here.
    pub fn command(&self, program: impl AsRef<Path>) -> Launch {
        Launch::new(program.as_ref(), &self.folder).in_cgroup(&self.cgroup).in_netns(&self.netns)
    }

    /// Ends everything that runs in the container, daemons included.
    pub fn end_all(&self) -> Result<()> {
        cgroup::end_all(&self.cgroup)
    }
}

/// The path that kubelet (systemd cgroup driver) and containerd give a container without resource requests.
fn scope_path(pod_uid: &str, id: &str) -> PathBuf {
    let pod = pod_uid.replace('-', "_");
    [
        "kubepods.slice",
        "kubepods-besteffort.slice",
        &format!("kubepods-besteffort-pod{pod}.slice"),
        &format!("cri-containerd-{id}.scope"),
    ]
    .iter()
    .collect()
}

/// A random version 4 UUID (RFC 9562, section 5.4).
pub(crate) fn random_uid() -> Result<String> {
    let digits = random_id()?;
    let parts = [&digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..32]];
    Ok(format!("{}-{}-4{}-a{}-{}", parts[0], parts[1], parts[2], parts[3], parts[4]))
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes).context("could not read /dev/urandom")?;
    Ok(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_shape_of_real_ones() {
        let uid = random_uid().unwrap();
        assert_eq!(uid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{uid}");
        assert_eq!(random_id().unwrap().len(), 64);
        let path = scope_path("4f2c0b5e-0d5e-4a36-a7a5-8d3c5b1f9a10", "ab");
        assert_eq!(
            path.to_str().unwrap(),
            "kubepods.slice/kubepods-besteffort.slice/\
             kubepods-besteffort-pod4f2c0b5e_0d5e_4a36_a7a5_8d3c5b1f9a10.slice/cri-containerd-ab.scope"
        );
    }
}
