//! What a large cluster costs the agent and the API server: the first lists, memory, traffic while nothing is wrong beside that of
//! a program that watches all pods, and how soon a finding knows its pods.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::{
    large_cluster::{HEADLESS_ENDPOINTS, NODES, PODS, node_name, rule::RULES},
    wait,
};
use serde_json::{Value, json};

use crate::{
    cpus::Cpus,
    figure::enriched::{self, Enriched},
    node::{NODE, agent::Agent},
    pause::pause,
    served::Served,
    spoken::Spoken,
    subject::naive::SYNCED,
    wire::Wire,
};

/// All of it.
pub(crate) struct Clustered {
    /// From the start of the process until it is ready.
    pub(crate) sync: Duration,
    /// What the API server sent and got for that.
    sync_bytes: u64,
    pub(crate) rss_bytes: u64,
    /// The most while it read the first lists.
    pub(crate) peak_bytes: u64,
    ours: Traffic,
    naive: Traffic,
    naive_sync: Duration,
    naive_sync_bytes: u64,
    pub(crate) enriched: Enriched,
}

/// Of one client with the API server, per second.
#[derive(Clone, Copy)]
struct Traffic {
    bytes: f64,
    requests: f64,
}

/// Looking takes the processor that the agent is on.
const LOOK: Duration = Duration::from_millis(25);
/// How long a program may take that reads all pods.
const LONG: Duration = Duration::from_mins(5);
/// After the first lists: connections are open, and what was read for them is given back.
const SETTLE: Duration = Duration::from_secs(5);

/// Watches the cluster from one node, and then as a whole.
pub(crate) fn measure(window: Duration, findings: usize, cpus: &Cpus) -> Result<Clustered> {
    eprintln!("bench: cluster of {PODS} pods on {NODES} nodes");
    let mut served = Served::start(cpus)?;
    let begun = Wire::read(served.netns())?;
    let started = Instant::now();
    let mut agent = Agent::start(served.netns(), &node_name(NODE), served.kubeconfig())?;
    let (mut peak_bytes, mut looked) = (0, started);
    wait::until_true("the agent to be ready", LONG, || {
        if looked.elapsed() < LOOK {
            return Ok(false);
        }
        looked = Instant::now();
        peak_bytes = peak_bytes.max(agent.rss_bytes()?);
        agent.is_ready()
    })
    .with_context(|| format!("the agent says {:?}", agent.stderr()))?;
    let sync = started.elapsed();
    eprintln!("bench: cluster, ready after {:.2} s", sync.as_secs_f64());
    let sync_bytes = Wire::read(served.netns())?.bytes.saturating_sub(begun.bytes);
    served.begin_turnover()?;
    pause(SETTLE)?;
    eprintln!("bench: cluster, the agent's traffic for {} s", window.as_secs());
    let ours = traffic(&mut served, window)?;
    let rss_bytes = agent.rss_bytes()?;
    let enriched = enriched::measure(&agent, findings, cpus)?;
    peak_bytes = peak_bytes.max(agent.rss_bytes()?);
    agent.stop()?;
    served.check()?;
    drop(served);
    let (naive, naive_sync, naive_sync_bytes) = watch_all(window, cpus)?;
    Ok(Clustered {
        sync,
        sync_bytes,
        rss_bytes,
        peak_bytes,
        ours,
        naive,
        naive_sync,
        naive_sync_bytes,
        enriched,
    })
}

/// The same by a program that watches all pods.
fn watch_all(window: Duration, cpus: &Cpus) -> Result<(Traffic, Duration, u64)> {
    eprintln!("bench: cluster, a watch of all pods");
    let mut served = Served::start(cpus)?;
    let begun = Wire::read(served.netns())?;
    let started = Instant::now();
    let mut naive = Spoken::start(served.netns(), "naive", &[served.kubeconfig().display().to_string()])?;
    let said = naive.line()?;
    let sync = started.elapsed();
    let bytes = Wire::read(served.netns())?.bytes.saturating_sub(begun.bytes);
    ensure!(said == format!("{SYNCED} {PODS}"), "a watch of all pods said {said:?}");
    served.begin_turnover()?;
    pause(SETTLE)?;
    let traffic = traffic(&mut served, window)?;
    drop(naive);
    served.check()?;
    Ok((traffic, sync, bytes))
}

fn traffic(served: &mut Served, window: Duration) -> Result<Traffic> {
    let (before, begun) = (served.requests()?, Wire::read(served.netns())?);
    pause(window)?;
    let (bytes, time) = begun.until(Wire::read(served.netns())?);
    let after = served.requests()?;
    #[expect(clippy::cast_precision_loss, reason = "requests of minutes")]
    let requests = after.saturating_sub(before) as f64;
    Ok(Traffic { bytes, requests: requests / time.as_secs_f64() })
}

impl Clustered {
    /// How many times as much a watch of all pods takes.
    pub(crate) fn saved(&self) -> f64 {
        self.naive.bytes / self.ours.bytes
    }

    pub(crate) fn lines(&self) -> [String; 5] {
        #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let Self { ours, naive, enriched, .. } = self;
        [
            format!(
                "cluster: {PODS} pods on {NODES} nodes, {HEADLESS_ENDPOINTS} headless endpoints, {RULES} DestinationRules"
            ),
            format!(
                "  ready after {:.2} s and {:.1} MiB; RSS {:.1} MiB, {:.1} at its peak",
                self.sync.as_secs_f64(),
                mib(self.sync_bytes),
                mib(self.rss_bytes),
                mib(self.peak_bytes)
            ),
            format!("  API traffic of the agent: {:.0} B/s, {:.2} requests/s", ours.bytes, ours.requests),
            format!(
                "  a watch of all pods: {:.0} B/s, {:.2} requests/s, after {:.1} s and {:.0} MiB",
                naive.bytes,
                naive.requests,
                self.naive_sync.as_secs_f64(),
                mib(self.naive_sync_bytes)
            ),
            format!(
                "  decisive event to finding with pod and Service: median {:.0} ms, p99 {:.0} ms of {}",
                enriched.median_ms, enriched.p99_ms, enriched.findings
            ),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        let traffic =
            |traffic: &Traffic| json!({ "bytes_per_s": traffic.bytes, "requests_per_s": traffic.requests });
        json!({
            "pods": PODS,
            "nodes": NODES,
            "headless_endpoints": HEADLESS_ENDPOINTS,
            "destination_rules": RULES,
            "sync_s": self.sync.as_secs_f64(),
            "sync_bytes": self.sync_bytes,
            "rss_bytes": self.rss_bytes,
            "peak_rss_bytes": self.peak_bytes,
            "agent": traffic(&self.ours),
            "watch_of_all_pods": traffic(&self.naive),
            "watch_of_all_pods_sync_s": self.naive_sync.as_secs_f64(),
            "watch_of_all_pods_sync_bytes": self.naive_sync_bytes,
            "enriched": self.enriched.json(),
        })
    }
}
