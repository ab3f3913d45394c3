//! The command line of the benchmark; it must not know how anything is measured.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    load::{Load, worker::Worker},
    node::client::Client,
    served::Cluster,
    subject::{Subject, agent::Agent, naive::Naive},
};

/// What tracing costs. `cargo xtask bench` runs it.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) plan: Plan,
    #[command(subcommand)]
    pub(crate) process: Option<Process>,
    /// What `cargo bench` passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured, and where it goes.
#[derive(Args)]
pub(crate) struct Plan {
    /// Length of one window where processes are started
    #[arg(long, default_value = "0.5", value_parser = seconds, value_name = "N")]
    pub(crate) seconds: Duration,
    /// Measure until the standard error of each loss is at most this, in percent; a fifth of it for what can be toggled
    #[arg(long, default_value_t = 0.5, value_name = "PERCENT")]
    pub(crate) error: f64,
    /// Measure no longer than this under each load
    #[arg(long, default_value = "165", value_parser = whole_seconds, value_name = "SECONDS")]
    limit: Duration,
    /// Only these loads
    #[arg(long, value_delimiter = ',', value_name = "LOAD")]
    load: Vec<Load>,
    /// Only with these attached
    #[arg(long, value_delimiter = ',', value_name = "WHAT")]
    attached: Vec<Subject>,
    /// Only these parts; with --load or --attached only losses
    #[arg(long, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// Length of the soak
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1440), value_name = "N")]
    soak_minutes: u64,
    /// Short windows and few of them, to see that it works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Fail on each missed budget
    #[arg(long, conflicts_with_all = ["load", "attached", "only", "quick"])]
    pub(crate) check: bool,
    /// Write the results here as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What each load loses with each thing attached
    Losses,
    /// Connections lost or unaccounted at the full rate
    FullRate,
    /// Memory of the agent, idle and with many connections
    Memory,
    /// From the decisive event to the finding
    Latency,
    /// Speed of the core
    Replay,
    /// Speed of reading packet captures
    Capture,
    /// How cost grows with connections, pods and endpoints
    Growth,
    /// What a cluster of 150 000 pods costs the agent and the API server
    Cluster,
    /// Memory and losses of the agent under 5 000 connections/s for a long time
    Soak,
}

impl Plan {
    pub(crate) fn loads(&self) -> Vec<Load> {
        if self.load.is_empty() { Load::ALL.to_vec() } else { self.load.clone() }
    }

    pub(crate) fn subjects(&self) -> Vec<Subject> {
        if self.attached.is_empty() { Subject::value_variants().to_vec() } else { self.attached.clone() }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        let has_filter = !self.load.is_empty() || !self.attached.is_empty();
        if self.only.is_empty() { !has_filter || part == Part::Losses } else { self.only.contains(&part) }
    }

    pub(crate) fn window(&self) -> Duration {
        if self.quick { Duration::from_millis(200) } else { self.seconds }
    }

    pub(crate) fn limit(&self) -> Duration {
        if self.quick { Duration::ZERO } else { self.limit }
    }

    pub(crate) fn soak(&self) -> Duration {
        if self.quick { Duration::from_secs(20) } else { Duration::from_secs(60 * self.soak_minutes) }
    }

    /// How many comparisons a toggled process is good for: three seconds of them.
    pub(crate) fn blocks(&self) -> usize {
        if self.quick { 4 } else { 32 }
    }

    /// How many comparisons there are in any case. Starting a peer takes seconds, and what it costs is no close call.
    pub(crate) fn least_pairs(&self, subject: Subject) -> usize {
        match (self.quick, subject.is_peer()) {
            (true, _) => 2,
            (false, true) => 3,
            (false, false) if subject.mode().is_some() => 3 * self.blocks(),
            (false, false) => 16,
        }
    }
}

/// Parts that run in processes of their own.
#[derive(Subcommand)]
pub(crate) enum Process {
    /// The load, until standard input ends
    #[command(hide = true)]
    Load(Worker),
    /// The tracer, until SIGINT
    #[command(hide = true)]
    Agent(Agent),
    /// A sidecar that fails again and again, until it is killed
    #[command(hide = true)]
    Suspect,
    /// Open connections that stay, until standard input ends
    #[command(hide = true)]
    Hold {
        /// How many
        connections: usize,
    },
    /// Cost of this many connections at a time
    #[command(hide = true)]
    Flows {
        /// How many
        count: usize,
    },
    /// Cost of this many pods
    #[command(hide = true)]
    Pods {
        /// How many
        count: usize,
    },
    /// Cost of this many endpoints, known through changes
    #[command(hide = true)]
    Changes {
        /// How many
        count: usize,
    },
    /// The API server of the large cluster, until standard input ends
    #[command(hide = true)]
    Cluster(Cluster),
    /// A watch of all pods, until standard input ends
    #[command(hide = true)]
    Naive(Naive),
    /// All servers of other nodes, until standard input ends
    #[command(hide = true)]
    Server,
    /// A pod's sidecar, until standard input ends
    #[command(hide = true)]
    Client(Client),
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.1..=60.0).contains(&seconds) {
        return Err("a window has 0.1 to 60 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn whole_seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).map_err(|_| "not a whole number of seconds".to_owned())
}
