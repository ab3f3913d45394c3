//! How long it takes from the event that decides to the finding that names a pod of another node and its Service, which the agent
//! has to ask the API server for.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    large_cluster::{HEADLESS, PORT, World, pod::Pod, service::Service},
    wait,
};
use nix::time::ClockId;
use serde_json::{Value, json};

use crate::{
    cpus::Cpus,
    group::Group,
    node::{self, NODE, agent::Agent, network::Network},
    pause::pause,
    spoken::Spoken,
    statistic::percentile,
};

/// From event to finding.
pub(crate) struct Enriched {
    pub(crate) findings: usize,
    /// Without pod and Service after a long time.
    missing: usize,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Findings come two a second: each asks for two things, and the agent limits itself to five a second.
const BETWEEN: Duration = Duration::from_millis(500);
/// Who has not been told by then is missing.
const LONG: Duration = Duration::from_secs(10);

/// Makes as many findings, each of a Service of its own.
pub(crate) fn measure(agent: &Agent, findings: usize, cpus: &Cpus) -> Result<Enriched> {
    eprintln!("bench: cluster, {findings} findings of pods that are looked up");
    let world = World::default();
    let (network, group) = (Network::create()?, Group::create()?);
    let mut server = Spoken::start(network.others(), "server", &[])?;
    server.line()?;
    let pod = world.pods_of_node(NODE).find(|pod| pod.has_sidecar()).context("no pod has a sidecar")?;
    let mut client = cpus.start_on_load(|| node::pod::Running::start(pod, &network, group.path(), &[]))?;
    let mut targets = targets(&world);
    let first = targets.next().context("no targets")?;
    wait::until_true("the agent to watch the client", wait::LONG, || {
        attempt(&mut client.client, first)?;
        Ok(agent.said().found.contains_key(&IpAddr::V4(first.address())))
    })
    .with_context(|| format!("the agent says {:?}", agent.stderr()))?;
    let mut decided = Vec::new();
    for target in targets.take(findings) {
        decided.push((IpAddr::V4(target.address()), attempt(&mut client.client, target)?));
        pause(BETWEEN)?;
    }
    let end = Instant::now() + LONG;
    wait::until_true("the findings", LONG + LONG, || {
        let found = agent.said().found;
        Ok(Instant::now() > end || decided.iter().all(|(address, _)| found.contains_key(address)))
    })?;
    Enriched::of(&decided, agent)
}

/// Pods of other nodes, each of another Service: one known as an endpoint of a headless Service, the next not at all.
fn targets(world: &World) -> impl Iterator<Item = Pod> {
    let is_elsewhere = |pod: &Pod| pod.node() != NODE && !pod.has_sidecar();
    let one = move |service: Service| world.pods_of(service).find(is_elsewhere);
    let with_address = Service::all().skip(HEADLESS).filter_map(one);
    Service::headless().filter_map(one).zip(with_address).flat_map(|(known, unknown)| [known, unknown])
}

/// An attempt of a mesh's client with a server that stays silent; gives when the client closed, by the monotonic clock.
fn attempt(client: &mut Spoken, pod: Pod) -> Result<Duration> {
    let address = SocketAddr::new(pod.address().into(), PORT);
    let answer = client.ask(&format!("{address} {}", pod.service().host()))?;
    answer.parse().map(Duration::from_nanos).with_context(|| format!("the client said {answer:?}"))
}

impl Enriched {
    fn of(decided: &[(IpAddr, Duration)], agent: &Agent) -> Result<Self> {
        let now = Duration::from(ClockId::CLOCK_MONOTONIC.now().context("could not read the clock")?);
        let reference = Instant::now();
        let found = agent.said().found;
        let latency_ms = |(address, decided): &(IpAddr, Duration)| {
            let at = found.get(address)?;
            let at = now.saturating_sub(reference.saturating_duration_since(*at));
            Some(at.saturating_sub(*decided).as_secs_f64() * 1e3)
        };
        let told: Vec<f64> = decided.iter().filter_map(latency_ms).collect();
        let missing = decided.len() - told.len();
        let all: Vec<f64> = told.into_iter().chain(std::iter::repeat_n(f64::INFINITY, missing)).collect();
        let nothing = "there were no findings";
        Ok(Self {
            findings: all.len(),
            missing,
            median_ms: percentile(&all, 50).context(nothing)?,
            p99_ms: percentile(&all, 99).context(nothing)?,
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "findings": self.findings,
            "missing": self.missing,
            "median_ms": self.median_ms,
            "p99_ms": self.p99_ms,
        })
    }
}
