//! What tracing may cost, as data: each figure with its budget and its aim. How figures are measured is not known here.

use crate::{
    limit::{Limit, Verdict},
    load::Load,
    results::Results,
    subject::Subject,
};

use Figure::{
    AgentCpu, BestPeer, BusyMemory, Capture, CaptureMemory, ChangesGrowth, ClusterMemory, EndpointsGrowth,
    Enriched, FlowsGrowth, IdleMemory, Latency, Loss, Missing, PodsGrowth, Replay, SoakGrowth,
    SoakUnaccounted, Sync, Traffic, UncountedFlows,
};
use Limit::{AtLeast, AtMost};

/// A figure of the results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// Throughput lost, in percent.
    Loss(Load, Subject),
    /// The least that a peer loses under `conn`, in times of what the sentinel loses.
    BestPeer,
    /// Processor time of the agent under `conn`, in percent of one processor, in its worst mode.
    AgentCpu,
    /// Memory of the agent, in MiB, in its worst mode.
    IdleMemory,
    /// The same with 100 000 connection ends open.
    BusyMemory,
    /// Connections lost or unaccounted in a minute at the full rate, in the worst mode.
    Missing,
    /// From the decisive event to the finding, 99th percentile, in milliseconds.
    Latency,
    /// Millions of events a second.
    Replay,
    /// Speed of reading a capture of other traffic, in GB/s.
    Capture,
    /// Most memory that reading a large capture takes, in MiB.
    CaptureMemory,
    /// Time of an event with a million flows, in times of that with a thousand.
    FlowsGrowth,
    /// Flows that went for others and were not counted.
    UncountedFlows,
    /// Time of an event with 100 000 pods, in times of that with ten.
    PodsGrowth,
    /// Time of an event with 20 000 endpoints known through changes, in times of that with twenty.
    EndpointsGrowth,
    /// The same of one more change.
    ChangesGrowth,
    /// From the agent's start in a cluster of 150 000 pods until it is ready, in seconds.
    Sync,
    /// Most memory of the agent there, in MiB.
    ClusterMemory,
    /// What a watch of all pods takes of the API server, in times of what the agent takes.
    Traffic,
    /// From the decisive event to the finding with a pod that was looked up, 99th percentile, in milliseconds.
    Enriched,
    /// Growth of the agent's memory under load, in KiB an hour.
    SoakGrowth,
    /// Connection ends that are neither reported nor counted as lost.
    SoakUnaccounted,
}

/// How far a figure may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) name: &'static str,
    pub(crate) figure: Figure,
    pub(crate) limit: Limit,
}

pub(crate) const BUDGETS: [Budget; 26] = [
    budget("sentinel, conn loss, %", Loss(Load::Conn, Subject::Sentinel), AtMost(3.0, 1.5)),
    budget("sentinel, rr loss, %", Loss(Load::Rr, Subject::Sentinel), AtMost(0.3, 0.0)),
    budget("sentinel, bulk loss, %", Loss(Load::Bulk, Subject::Sentinel), AtMost(0.5, 0.0)),
    budget("sentinel, mesh loss, %", Loss(Load::Mesh, Subject::Sentinel), AtMost(0.5, 0.0)),
    budget("always, conn loss, %", Loss(Load::Conn, Subject::Always), AtMost(13.0, 8.0)),
    budget("always, rr loss, %", Loss(Load::Rr, Subject::Always), AtMost(4.0, 3.0)),
    budget("best peer's conn loss ÷ sentinel's", BestPeer, AtLeast(4.0, 10.0)),
    budget("agent CPU at the full rate, % of a core", AgentCpu, AtMost(3.0, 1.5)),
    budget("agent RSS idle, MiB", IdleMemory, AtMost(24.0, 16.0)),
    budget("agent RSS with 100 k live flows, MiB", BusyMemory, AtMost(64.0, 40.0)),
    budget("connections lost or unaccounted, 60 s", Missing, AtMost(0.0, 0.0)),
    budget("decisive event to finding, p99, ms", Latency, AtMost(50.0, 20.0)),
    budget("core on replay, million events/s", Replay, AtLeast(1.0, 3.0)),
    budget("packet capture of other traffic, GB/s", Capture, AtLeast(1.0, 1.0)),
    budget("packet capture of 1 GiB, peak RSS, MiB", CaptureMemory, AtMost(320.0, 256.0)),
    budget("time of an event, 1 M ÷ 1 k flows", FlowsGrowth, AtMost(2.0, 2.0)),
    budget("evicted flows that were not counted", UncountedFlows, AtMost(0.0, 0.0)),
    budget("time of an event, 100 k ÷ 10 pods", PodsGrowth, AtMost(2.0, 2.0)),
    budget("time of an event, 20 k ÷ 20 endpoints", EndpointsGrowth, AtMost(2.0, 2.0)),
    budget("time of a change, 20 k ÷ 20 endpoints", ChangesGrowth, AtMost(4.0, 2.0)),
    budget("150 k pods: agent's start to ready, s", Sync, AtMost(10.0, 3.0)),
    budget("150 k pods: agent RSS at its peak, MiB", ClusterMemory, AtMost(64.0, 40.0)),
    budget("150 k pods: API traffic of a naive watch ÷ ours", Traffic, AtLeast(20.0, 50.0)),
    budget("decisive event to enriched finding, p99, ms", Enriched, AtMost(250.0, 100.0)),
    budget("soak: growth of the agent, KiB/h", SoakGrowth, AtMost(1024.0, 256.0)),
    budget("soak: connection ends unaccounted", SoakUnaccounted, AtMost(0.0, 0.0)),
];

const fn budget(name: &'static str, figure: Figure, limit: Limit) -> Budget {
    Budget { name, figure, limit }
}

/// What a subject may lose under a load, if that is limited.
pub(crate) fn of_loss(load: Load, subject: Subject) -> Option<f64> {
    BUDGETS.iter().find(|budget| budget.figure == Loss(load, subject)).map(|budget| budget.limit.budget())
}

impl Budget {
    /// Holds the results against it.
    pub(crate) fn verdict(&self, results: &Results) -> Verdict {
        results.figure(self.figure).map_or(Verdict::NotMeasured, |measured| self.limit.verdict(measured))
    }
}
