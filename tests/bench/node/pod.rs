//! A pod of the made-up node as a process: in a network namespace and in the control group of its sidecar's container, named
//! as on a real node. It must not know what the process does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::large_cluster::pod::Pod;

use crate::{node::network::Network, spoken::Spoken};

/// A running one.
pub(crate) struct Running {
    pub(crate) pod: Pod,
    // What runs goes before what it runs in.
    pub(crate) client: Spoken,
    _cgroup: Cgroup,
}

impl Running {
    /// Starts the sidecar of a pod, below a control group.
    pub(crate) fn start(pod: Pod, network: &Network, below: &Path, arguments: &[String]) -> Result<Self> {
        let cgroup = Cgroup::create(below, pod)?;
        let netns = network.attach(pod.address())?;
        let place = ["--cgroup".to_owned(), cgroup.container.display().to_string()];
        let client = Spoken::start(&netns, "client", &[&place, arguments].concat())?;
        Ok(Self { pod, client, _cgroup: cgroup })
    }
}

/// The control groups of a pod and of its sidecar's container.
struct Cgroup {
    pod: PathBuf,
    container: PathBuf,
}

impl Cgroup {
    /// With the names that kubelet (systemd driver) and containerd give.
    fn create(below: &Path, pod: Pod) -> Result<Self> {
        let slice = format!("kubepods-besteffort-pod{}.slice", pod.uid().replace('-', "_"));
        let group = below.join("kubepods.slice/kubepods-besteffort.slice").join(slice);
        let container = group.join(format!("cri-containerd-{}.scope", pod.container_id(Pod::SIDECAR)));
        fs::create_dir_all(&container).with_context(|| format!("could not make {}", container.display()))?;
        Ok(Self { pod: group, container })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whatever is left goes with the group that all of them are in.
        let _ = fs::remove_dir(&self.container);
        let _ = fs::remove_dir(&self.pod);
    }
}
