//! The options of `agent`, each also by a variable of the environment and by a key of the configuration file; must not know how an
//! agent works.

mod layer;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, ValueEnum, ValueHint, builder::PossibleValuesParser};
use mtlsnoop_ebpf::program;

pub use layer::{AskedWrongly, asked};

use crate::{
    cli::{Capture, cluster_source, duration},
    config::{self, ClusterSource, Contradiction, Hooks},
    filter::Selection,
    notice,
    recorder::Rotation,
    sink::metrics::Limits,
    update,
};

/// The end of the help.
pub(super) const EXAMPLES: &str = "\
Every option that has a variable of the environment is also a key of the configuration file, by its long
name: `--log-level debug`, MTLSNOOP_LOG_LEVEL=debug and `log-level: debug` are the same. An option goes
before the environment, the environment before the file, and the file before the default. The file is read
again on SIGHUP and when it has changed: `log-level` takes effect, the other keys need a restart.

Examples:
  On a node, with the Kubernetes API that the environment or ~/.kube/config tells of:
    sudo mtlsnoop agent --node \"$(hostname)\"

  Configured by a file, checked before it is used:
    mtlsnoop agent --config /etc/mtlsnoop/config.yaml --check-config

  The last 256 MiB of events at hand for `mtlsnoop analyze`:
    sudo mtlsnoop agent -w /var/lib/mtlsnoop/recording --write-size 64MiB --write-files 4

Findings go to standard output as JSON lines (`mtlsnoop schema`), everything about the run itself to standard
error. /metrics is for Prometheus; /livez and /readyz are for the kubelet. SIGTERM ends it with a summary.";

/// Arguments of `agent`.
#[derive(Clone, Debug, Args)]
pub struct AgentArgs {
    /// Read options from FILE: YAML, with the long names of options as keys
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "MTLSNOOP_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Only say whether options, environment and file are right
    #[arg(long)]
    check_config: bool,
    /// Serve /metrics, /livez and /readyz at this address; [::] is IPv4 too
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "[::]:9469",
        env = "MTLSNOOP_LISTEN",
        hide_env_values = true
    )]
    listen: SocketAddr,
    /// Name of this node in the cluster, as `spec.nodeName` of its pods has it; `uname -n` by default
    ///
    /// Within a pod `uname -n` is the pod's name, so that the node's has to be said there.
    #[arg(long, value_name = "NAME", env = "MTLSNOOP_NODE", hide_env_values = true)]
    node: Option<String>,
    /// Where names of pods and Services come from: the Kubernetes API (`auto`), nowhere (`none`), or a file
    ///
    /// A file holds what `kubectl get pods,services,endpointslices -A -o json` prints, as for `trace`.
    #[arg(long, value_name = "auto|none|FILE", default_value = "auto", value_parser = cluster_source, value_hint = ValueHint::FilePath, env = "MTLSNOOP_CLUSTER", hide_env_values = true)]
    cluster: ClusterSource,
    /// Reach the Kubernetes API as FILE says; by default as a pod does, else by KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "MTLSNOOP_KUBECONFIG", hide_env_values = true)]
    kubeconfig: Option<PathBuf>,
    /// How much of connections is followed
    #[arg(long, value_enum, default_value_t = Capture::Adaptive, env = "MTLSNOOP_CAPTURE", hide_env_values = true)]
    capture: Capture,
    /// With --capture adaptive: follow a suspect pod no longer after this long without anything new
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m30s", env = "MTLSNOOP_DISARM_AFTER", hide_env_values = true)]
    disarm_after: Duration,
    /// Write healthy connections too, not only what is wrong
    #[arg(long, value_name = "true|false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", env = "MTLSNOOP_ALL", hide_env_values = true, hide_possible_values = true)]
    all: bool,
    /// Only what has an end in this namespace; may be given several times
    #[arg(
        short,
        long = "namespace",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        env = "MTLSNOOP_NAMESPACE",
        hide_env_values = true
    )]
    namespaces: Vec<String>,
    /// Only what has this pod as an end, by its name or NAMESPACE/NAME; may be given several times
    #[arg(
        short,
        long = "pod",
        value_name = "POD",
        value_delimiter = ',',
        env = "MTLSNOOP_POD",
        hide_env_values = true
    )]
    pods: Vec<String>,
    /// Ask the admin port (15000) of each proxy of which there is a finding for its configuration
    ///
    /// Once, within its pod's network namespace; needs the capabilities `SYS_ADMIN` and `SYS_PTRACE`.
    #[arg(long, value_enum, default_value_t = ConfigDump::None, env = "MTLSNOOP_CONFIG_DUMP", hide_env_values = true)]
    config_dump: ConfigDump,
    /// Make Kubernetes Events of findings; needs the Kubernetes API
    #[arg(long, value_name = "true|false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", env = "MTLSNOOP_ANNOUNCE", hide_env_values = true, hide_possible_values = true)]
    announce: bool,
    /// Make Events only of findings that are at least so sure
    ///
    /// A finding that is only possible may be something else: an Event that is wrong costs the trust in all of them.
    #[arg(long, value_enum, default_value_t = Confidence::Likely, env = "MTLSNOOP_ANNOUNCE_CONFIDENCE", hide_env_values = true)]
    announce_confidence: Confidence,
    /// Record to FILE, for `mtlsnoop analyze`; FILE.1, FILE.2 … are older
    ///
    /// Each file can be analyzed alone. When the disk is full, recording stops, is tried again every minute, and
    /// what is missing is counted; tracing goes on.
    #[arg(short = 'w', long = "write", value_name = "FILE", value_hint = ValueHint::FilePath, env = "MTLSNOOP_WRITE", hide_env_values = true)]
    record: Option<PathBuf>,
    /// Begin the next file of the recording when this one is longer, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64MiB", env = "MTLSNOOP_WRITE_SIZE", hide_env_values = true)]
    write_size: u64,
    /// Keep this many files of the recording
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000), default_value_t = 4, env = "MTLSNOOP_WRITE_FILES", hide_env_values = true)]
    write_files: u32,
    /// Most series of a metric; what comes more is counted under `~other`
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000), default_value_t = 2000, env = "MTLSNOOP_METRICS_SERIES", hide_env_values = true)]
    metrics_series: u32,
    /// Forget series of findings and failed connections that did not change for this long
    ///
    /// The default is longer than the longest pause of a container in `CrashLoopBackOff` (5 min), so that an incident's
    /// series stays while it lasts. A counter that was forgotten begins anew at 0.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m", env = "MTLSNOOP_METRICS_EXPIRY", hide_env_values = true)]
    metrics_expiry: Duration,
    /// How much is said of the run itself
    #[arg(long, value_enum, default_value_t = LogLevel::Info, env = "MTLSNOOP_LOG_LEVEL", hide_env_values = true)]
    log_level: LogLevel,
    /// How that is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "MTLSNOOP_LOG_FORMAT", hide_env_values = true)]
    log_format: LogFormat,
    /// Size of the kernel's ring: a power of two of at least a page
    #[arg(long, hide = true, value_name = "BYTES")]
    ring_bytes: Option<u32>,
    /// Where the kernel's type information is
    #[arg(long, hide = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    btf: Option<PathBuf>,
    /// Do without this program of a hook, as if the kernel refused it; may be given several times
    #[arg(long = "without-hook", hide = true, value_name = "PROGRAM", value_parser = PossibleValuesParser::new(program::ALL))]
    without: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ConfigDump {
    /// Nobody is asked
    None,
    /// Proxies of which there is a finding
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Confidence {
    /// All of them
    Possible,
    /// No better explanation is known
    Likely,
    /// There is direct evidence
    Certain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    /// What ends the run
    Error,
    /// What should be looked at
    Warn,
    /// What the agent does
    Info,
    /// What it does in detail
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Text for people
    Text,
    /// One JSON object a line
    Json,
}

impl AgentArgs {
    /// Nothing is to be run.
    pub fn is_check(&self) -> bool {
        self.check_config
    }

    /// What was asked for, checked.
    pub fn config(self) -> Result<config::Agent, Contradiction> {
        let rotation = Rotation { file_bytes: self.write_size, files: self.write_files };
        config::Agent {
            listen: self.listen,
            node: self.node.map(String::into_boxed_str),
            cluster: self.cluster,
            kubeconfig: self.kubeconfig,
            selection: Selection { connections: self.all, namespaces: self.namespaces, pods: self.pods },
            capture: self.capture.into(),
            disarm_after: self.disarm_after,
            asks_proxies: self.config_dump == ConfigDump::Auto,
            announces: self.announce,
            announced_confidence: self.announce_confidence.into(),
            record: self.record.map(|path| (path, rotation)),
            metrics: Limits {
                series: usize::try_from(self.metrics_series).unwrap_or(usize::MAX),
                expiry: self.metrics_expiry,
            },
            log_level: self.log_level.into(),
            log_format: self.log_format.into(),
            file: self.config,
            ring_bytes: self.ring_bytes,
            hooks: Hooks { btf: self.btf, without: self.without },
        }
        .check()
    }
}

impl From<Confidence> for update::Confidence {
    fn from(confidence: Confidence) -> Self {
        match confidence {
            Confidence::Possible => Self::Possible,
            Confidence::Likely => Self::Likely,
            Confidence::Certain => Self::Certain,
        }
    }
}

impl From<LogLevel> for notice::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

impl From<LogFormat> for notice::Form {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// A number of bytes with its unit.
fn size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 16;
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let parsed = units.iter().find_map(|(unit, shift)| {
        let count: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        count.checked_mul(1 << shift)
    });
    parsed.filter(|bytes| *bytes >= LEAST).ok_or_else(|| {
        "it should be at least 64KiB and have a unit: KiB, MiB or GiB, such as 64MiB".to_owned()
    })
}

#[cfg(test)]
mod tests;
