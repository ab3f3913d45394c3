//! Whether the agent grows, loses or forgets anything under many connections for a long time, while pods and the cluster change.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    interrupt,
    large_cluster::{World, node_name, pod::Pod},
    wait,
};
use serde_json::{Value, json};

use crate::{
    accounting::Accounting,
    cpus::Cpus,
    group::Group,
    node::{NODE, agent::Agent, network::Network, pod::Running},
    pause::pause,
    served::Served,
    spoken::Spoken,
    statistic::Estimate,
    trend::{self, Sample},
};

/// What was seen.
pub(crate) struct Soak {
    seconds: f64,
    /// Connections a second, and how many of them failed.
    per_s: f64,
    failing_per_s: u32,
    replaced: usize,
    samples: Vec<Sample>,
    /// Bytes a second, after the time in which caches fill.
    pub(crate) growth: Option<Estimate>,
    agent_cpu: f64,
    pub(crate) accounting: Accounting,
    lines: Value,
}

/// Pods that have connections, at a time.
const PODS: u32 = 8;
/// Connections a second of each pod: together 5 000.
const HEALTHY: u32 = 610;
const FAILING: u32 = 15;
/// Each so often one of them is replaced.
const LIFE: Duration = Duration::from_secs(6);
const SAMPLE: Duration = Duration::from_secs(1);
/// The time in which caches fill and findings begin, which tells nothing of growth: a series of the metrics is forgotten after a
/// quarter of an hour, and all else that time ends before that. (Events are remembered for an hour, but there are as many as
/// there may be within two minutes. Findings are remembered until there are too many.)
const WARM_UP: Duration = Duration::from_mins(16);
/// Of a shorter soak it is this part.
const WARM_UP_PART: f64 = 2.0 / 3.0;
/// How long the mean of samples is taken for one.
const STRETCH: Duration = Duration::from_mins(1);
/// Connections that are on their way when the counting ends.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn measure(duration: Duration, cpus: &Cpus) -> Result<Soak> {
    eprintln!("bench: soak for {} s", duration.as_secs());
    let mut served = Served::start(cpus)?;
    let mut agent = Agent::start(served.netns(), &node_name(NODE), served.kubeconfig())?;
    wait::until_true("the agent to be ready", wait::LONG, || agent.is_ready())
        .with_context(|| format!("the agent says {:?}", agent.stderr()))?;
    served.begin_turnover()?;
    let mut node = Node::start(cpus)?;
    let begun = Instant::now();
    let before = agent.usage()?;
    let mut samples = Vec::new();
    while begun.elapsed() < duration {
        interrupt::check()?;
        #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
        let value = agent.rss_bytes()? as f64;
        samples.push(Sample { seconds: begun.elapsed().as_secs_f64(), value });
        node.keep_up(begun.elapsed(), &mut served)?;
        pause(SAMPLE)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = agent.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    let (connections, replaced) = node.end()?;
    pause(SETTLE)?;
    let said = agent.stop()?;
    served.check()?;
    let mut accounting = Accounting::parse(&said.last)?;
    accounting.expect_ends(2 * connections);
    #[expect(clippy::cast_precision_loss, reason = "connections of hours")]
    let per_s = connections as f64 / seconds;
    Ok(Soak {
        seconds,
        per_s,
        failing_per_s: PODS * FAILING,
        replaced,
        growth: growth(&samples, seconds),
        samples,
        agent_cpu: 100.0 * cpu / seconds,
        accounting,
        lines: json!(said.lines),
    })
}

fn growth(samples: &[Sample], seconds: f64) -> Option<Estimate> {
    let warm_up = WARM_UP.as_secs_f64().min(WARM_UP_PART * seconds);
    let settled: Vec<Sample> = samples.iter().copied().filter(|sample| sample.seconds >= warm_up).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of hours")]
    let stretches = ((seconds - warm_up) / STRETCH.as_secs_f64()) as usize;
    trend::slope(&settled, stretches.max(5))
}

/// The node: pods that come and go, and all that they connect to.
struct Node<'a> {
    cpus: &'a Cpus,
    world: World,
    // What runs goes before what it runs in.
    pods: Vec<Running>,
    _server: Spoken,
    network: Network,
    group: Group,
    /// Connections of pods that are gone.
    connections: u64,
    replaced: usize,
}

impl<'a> Node<'a> {
    fn start(cpus: &'a Cpus) -> Result<Self> {
        let (world, network, group) = (World::default(), Network::create()?, Group::create()?);
        let mut server = cpus.start_on_load(|| Spoken::start(network.others(), "server", &[]))?;
        server.line()?;
        let mut node = Self {
            cpus,
            world,
            pods: Vec::new(),
            _server: server,
            network,
            group,
            connections: 0,
            replaced: 0,
        };
        let chosen: Vec<Pod> =
            node.world.pods_of_node(NODE).filter(|pod| pod.has_sidecar()).take(PODS as usize).collect();
        for pod in chosen {
            let running = node.run(pod)?;
            node.pods.push(running);
        }
        Ok(node)
    }

    fn run(&self, pod: Pod) -> Result<Running> {
        let arguments = [
            ("--healthy", u64::from(HEALTHY)),
            ("--failing", u64::from(FAILING)),
            // Far apart: each has so many connections at most.
            ("--seed", u64::from(pod.number()) << 32),
        ];
        let arguments: Vec<String> =
            arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.cpus.start_on_load(|| Running::start(pod, &self.network, self.group.path(), &arguments))
    }

    /// Replaces the pods that are due.
    fn keep_up(&mut self, age: Duration, served: &mut Served) -> Result<()> {
        let due = age.as_secs() / LIFE.as_secs();
        while (self.replaced as u64) < due {
            let mut old = self.pods.remove(0);
            self.connections += done(&mut old)?;
            let nth = old.pod.nth;
            drop(old);
            self.world.replace(nth);
            served.replace(nth)?;
            let new = self.run(self.world.pod(nth))?;
            self.pods.push(new);
            self.replaced += 1;
        }
        Ok(())
    }

    /// Ends all pods, and gives how many connections there were and how many pods were replaced.
    fn end(mut self) -> Result<(u64, usize)> {
        for mut pod in std::mem::take(&mut self.pods) {
            self.connections += done(&mut pod)?;
        }
        Ok((self.connections, self.replaced))
    }
}

fn done(pod: &mut Running) -> Result<u64> {
    let answer = pod.client.ask("")?;
    answer.parse().with_context(|| format!("a client said {answer:?}"))
}

impl Soak {
    /// In KiB an hour.
    pub(crate) fn growth_kib_h(&self) -> Option<Estimate> {
        const OF_BYTES_S: f64 = 3600.0 / 1024.0;
        self.growth
            .map(|growth| Estimate { value: growth.value * OF_BYTES_S, error: growth.error * OF_BYTES_S })
    }

    /// Connection ends that are neither reported nor counted as lost.
    pub(crate) fn unaccounted(&self) -> u64 {
        self.accounting.unaccounted
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        let ends = [self.samples.first(), self.samples.last()];
        let [first, last] = ends.map(|sample| sample.map_or(f64::NAN, |sample| mib(sample.value)));
        let most = self.samples.iter().map(|sample| mib(sample.value)).fold(0.0, f64::max);
        let mut lines = vec![
            format!(
                "soak, {:.0} s: {:.0} connections/s, {} of them failing; {} pods replaced; agent CPU {:.1} %",
                self.seconds, self.per_s, self.failing_per_s, self.replaced, self.agent_cpu
            ),
            format!(
                "  RSS {first:.1} MiB in the beginning, {last:.1} in the end, {most:.1} at most; lost {}, unaccounted {}",
                self.accounting.lost(),
                self.unaccounted()
            ),
        ];
        if let Some(Estimate { value, error }) = self.growth_kib_h() {
            // Two standard errors are 95 % of a normal distribution.
            lines.push(format!(
                "  growth after the warm-up: {value:.0} ±{error:.0} KiB an hour; with 95 % confidence at most {:.0}",
                value + 2.0 * error
            ));
        }
        lines
    }

    pub(crate) fn json(&self) -> Value {
        let growth = self.growth_kib_h();
        json!({
            "seconds": self.seconds,
            "connections_per_s": self.per_s,
            "failing_per_s": self.failing_per_s,
            "pods_replaced": self.replaced,
            "agent_cpu_percent": self.agent_cpu,
            "growth_kib_per_h": growth.map(|growth| json!({ "value": growth.value, "error": growth.error })),
            "rss": self.samples.iter().map(|sample| json!([sample.seconds, sample.value])).collect::<Vec<_>>(),
            "accounting": self.accounting.json(),
            "lines": self.lines,
        })
    }
}
