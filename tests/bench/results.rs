//! Everything that was measured in one go, and the figures in it that have a budget; how they are shown is not known here.

use crate::{
    budget::Figure,
    figure::{
        capture::Capture, changes::Changes, cluster::Clustered, flows::Flows, full_rate::FullRate,
        latency::Latency, memory::Memory, pods::Pods, replay::Replay, soak::Soak,
    },
    load::Load,
    machine::Machine,
    series::{Comparison, Measured},
    statistic::Estimate,
    subject::Subject,
};

/// The results; parts that were not asked for are not there.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) comparisons: Vec<Comparison>,
    /// What it costs to wake the agent, in microseconds.
    pub(crate) wakeup_us: Option<Estimate>,
    pub(crate) full_rate: Option<FullRate>,
    pub(crate) memory: Option<Memory>,
    pub(crate) latency: Option<Latency>,
    pub(crate) replay: Option<Replay>,
    pub(crate) capture: Option<Capture>,
    pub(crate) flows: Option<Flows>,
    pub(crate) pods: Option<Pods>,
    pub(crate) changes: Option<Changes>,
    pub(crate) cluster: Option<Clustered>,
    pub(crate) soak: Option<Soak>,
}

/// Less loss than this cannot be told from none.
const LEAST_LOSS: f64 = 0.1;

impl Results {
    /// A figure, if it was measured.
    pub(crate) fn figure(&self, figure: Figure) -> Option<Estimate> {
        let exact = |value| Estimate { value, error: 0.0 };
        let mib = |bytes: Option<u64>| {
            #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
            bytes.map(|bytes| exact(bytes as f64 / f64::from(1 << 20)))
        };
        #[expect(clippy::cast_precision_loss, reason = "connections of a minute")]
        let count = |count: u64| exact(count as f64);
        match figure {
            Figure::Loss(load, subject) => self.measured(load, subject).map(|measured| measured.loss),
            Figure::BestPeer => self.best_peer(),
            Figure::AgentCpu => self.agent_cpu().map(exact),
            Figure::IdleMemory => mib(self
                .memory
                .as_ref()
                .and_then(|memory| memory.runs.iter().map(|run| run.idle_bytes).max())),
            Figure::BusyMemory => mib(self
                .memory
                .as_ref()
                .and_then(|memory| memory.runs.iter().map(|run| run.busy_bytes).max())),
            Figure::Missing => self.full_rate.as_ref().map(|full_rate| count(full_rate.missing())),
            Figure::Latency => self.latency.as_ref().map(|latency| exact(latency.p99_ms)),
            Figure::Replay => {
                let millions = |rate: Estimate| Estimate { value: rate.value / 1e6, error: rate.error / 1e6 };
                self.replay.as_ref().map(|replay| millions(replay.per_s))
            }
            Figure::Capture => self.capture.as_ref().and_then(Capture::of_others),
            Figure::CaptureMemory => mib(self.capture.as_ref().and_then(Capture::peak_rss_bytes)),
            Figure::FlowsGrowth => self.flows.as_ref().map(|flows| exact(flows.growth())),
            Figure::UncountedFlows => self.flows.as_ref().map(|flows| count(flows.uncounted())),
            Figure::PodsGrowth => self.pods.as_ref().map(|pods| exact(pods.growth())),
            Figure::EndpointsGrowth => self.changes.as_ref().map(|changes| exact(changes.event_growth())),
            Figure::ChangesGrowth => self.changes.as_ref().map(|changes| exact(changes.change_growth())),
            Figure::Sync => self.cluster.as_ref().map(|cluster| exact(cluster.sync.as_secs_f64())),
            Figure::ClusterMemory => mib(self.cluster.as_ref().map(|cluster| cluster.peak_bytes)),
            Figure::Traffic => self.cluster.as_ref().map(|cluster| exact(cluster.saved())),
            Figure::Enriched => self.cluster.as_ref().map(|cluster| exact(cluster.enriched.p99_ms)),
            Figure::SoakGrowth => self.soak.as_ref().and_then(Soak::growth_kib_h),
            Figure::SoakUnaccounted => self.soak.as_ref().map(|soak| count(soak.unaccounted())),
        }
    }

    fn measured(&self, load: Load, subject: Subject) -> Option<&Measured> {
        self.comparisons.iter().find(|one| one.load == load && one.subject == subject)?.result.as_ref().ok()
    }

    fn best_peer(&self) -> Option<Estimate> {
        let sentinel = self.measured(Load::Conn, Subject::Sentinel)?.loss.value.max(LEAST_LOSS);
        let peers = self.comparisons.iter().filter(|one| one.load == Load::Conn && one.subject.is_peer());
        let losses = peers.filter_map(|one| Some(one.result.as_ref().ok()?.loss));
        let best = losses.min_by(|a, b| a.value.total_cmp(&b.value))?;
        Some(Estimate { value: best.value / sentinel, error: best.error / sentinel })
    }

    /// From the windows, in which each mode is alone.
    fn agent_cpu(&self) -> Option<f64> {
        let ours = self.comparisons.iter().filter(|one| one.load == Load::Conn && one.subject.is_ours());
        ours.filter_map(|one| Some(one.result.as_ref().ok()?.agent_cpu)).max_by(f64::total_cmp)
    }
}
