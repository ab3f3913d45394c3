//! What an agent was asked for, checked; must not know where each value was said.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    config::{Capture, ClusterSource, Contradiction, Hooks},
    filter::Selection,
    notice::{Form, Level},
    recorder::Rotation,
    sink::metrics::Limits,
    update::Confidence,
};

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Where metrics and probes are served.
    pub listen: SocketAddr,
    /// Name of the node; none where `uname -n` tells it.
    pub node: Option<Box<str>>,
    /// Where knowledge of the cluster comes from.
    pub cluster: ClusterSource,
    /// How to reach the Kubernetes API, if not from within.
    pub kubeconfig: Option<PathBuf>,
    /// Which updates are written.
    pub selection: Selection,
    /// How much of connections is followed.
    pub capture: Capture,
    /// How long a pod that was suspect is followed at first without anything new.
    pub disarm_after: Duration,
    /// Proxies are asked for their configuration when there is a finding about them.
    pub asks_proxies: bool,
    /// Findings become Kubernetes Events.
    pub announces: bool,
    /// Those that are at least so sure.
    pub announced_confidence: Confidence,
    /// Where to record to, and how long.
    pub record: Option<(PathBuf, Rotation)>,
    /// Bounds of the metrics.
    pub metrics: Limits,
    /// How much is said of the run itself.
    pub log_level: Level,
    /// How that is written.
    pub log_format: Form,
    /// The file that some of this came from.
    pub file: Option<PathBuf>,
    /// Size of the kernel's ring, if not the usual one.
    pub ring_bytes: Option<u32>,
    /// What may be used of the kernel.
    pub hooks: Hooks,
}

impl Agent {
    /// Says what makes no sense together.
    pub fn check(self) -> Result<Self, Contradiction> {
        if self.selection.is_of_pods() && self.cluster == ClusterSource::None {
            return Err(Contradiction::PodsWithoutCluster);
        }
        Ok(self)
    }

    /// What is not the same in another configuration and takes effect only at the start.
    pub fn needs_restart_for(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            listen,
            node,
            cluster,
            kubeconfig,
            selection,
            capture,
            disarm_after,
            asks_proxies,
            announces,
            announced_confidence,
            record,
            metrics,
            log_level: _,
            log_format,
            file: _,
            ring_bytes: _,
            hooks: _,
        } = self;
        let Selection { connections, namespaces, pods } = selection;
        let (path, rotation) = record.clone().unzip();
        let (other_path, other_rotation) = other.record.clone().unzip();
        let (size, files) =
            (rotation.map(|rotation| rotation.file_bytes), rotation.map(|rotation| rotation.files));
        let (other_size, other_files) = (
            other_rotation.map(|rotation| rotation.file_bytes),
            other_rotation.map(|rotation| rotation.files),
        );
        let changed = [
            ("listen", *listen != other.listen),
            ("node", *node != other.node),
            ("cluster", *cluster != other.cluster),
            ("kubeconfig", *kubeconfig != other.kubeconfig),
            ("all", *connections != other.selection.connections),
            ("namespace", *namespaces != other.selection.namespaces),
            ("pod", *pods != other.selection.pods),
            ("capture", *capture != other.capture),
            ("disarm-after", *disarm_after != other.disarm_after),
            ("config-dump", *asks_proxies != other.asks_proxies),
            ("announce", *announces != other.announces),
            ("announce-confidence", *announced_confidence != other.announced_confidence),
            ("write", path != other_path),
            ("write-size", size != other_size),
            ("write-files", files != other_files),
            ("metrics-series", metrics.series != other.metrics.series),
            ("metrics-expiry", metrics.expiry != other.metrics.expiry),
            ("log-format", *log_format != other.log_format),
        ];
        changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| key).collect()
    }
}
