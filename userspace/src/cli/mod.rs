//! The command line: what can be said, and its help; must not know how anything is done.

pub mod agent;
mod envoy;
mod logged;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint, builder::PossibleValuesParser};
use clap_complete::Shell;
use jiff::SignedDuration;
use mtlsnoop_ebpf::program;

use crate::{
    cli::{
        agent::AgentArgs,
        envoy::EnvoyArgs,
        logged::{SendArgs, ShowArgs},
    },
    config::{self, Analyze, ClusterSource, Color, Contradiction, Doctor, Format, Hooks, Output, Trace},
    filter::Selection,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done, also when ended with Ctrl-C or SIGTERM, or when nobody reads the output any more
  1  could not run, or could not do all that was asked for
  2  wrong usage
  3  with --fail-on-finding: done, and there was a finding";

const DOCTOR_EXIT_CODES: &str = "\
Every hook is loaded and attached in each of its variants, for a moment; nothing stays.

Exit codes:
  0  tracing is possible
  1  it is not, and the last line says what to do
  2  wrong usage";

const TRACE_EXAMPLES: &str = "\
Examples:
  What is wrong on this node right now, with names and causes from the Kubernetes API:
    sudo mtlsnoop trace --kubeconfig ~/.kube/config --node \"$(hostname)\"

  The same where the node cannot reach the API, with what kubectl printed elsewhere:
    kubectl get pods,services,endpointslices -A -o json > cluster.json
    sudo mtlsnoop trace --cluster cluster.json

  With what Istio is told to do, so that more causes are known:
    kinds=destinationrules,peerauthentications,serviceentries,workloadentries
    kubectl get pods,services,endpointslices,$kinds -A -o json > cluster.json
    kubectl get configmap istio -n istio-system -o json >> cluster.json

  Five minutes of one namespace as JSON, recorded for later:
    sudo mtlsnoop trace --cluster cluster.json -n default --duration 5m -o json -w incident.mtlsnoop

  Every connection of this node, without a cluster:
    sudo mtlsnoop trace --cluster none --all

Names come from the Kubernetes API where there is one (`--cluster auto`): as a pod does, else by
KUBECONFIG or ~/.kube/config, which are root's own under sudo. Without one, or without a right,
addresses are named.

Text and JSON go to standard output, everything about the run itself to standard error. A line there
that begins with `tracing` says that from now on everything is seen. Ctrl-C ends with a summary, a
second Ctrl-C at once.";

const ANALYZE_EXAMPLES: &str = "\
Examples:
  What the trace said, again:
    mtlsnoop analyze incident.mtlsnoop

  The same incident with a cluster file that was not at hand then, in a script:
    mtlsnoop analyze incident.mtlsnoop --cluster cluster.json -o json --fail-on-finding

  A packet capture, with names:
    tcpdump -i any -w incident.pcap tcp
    mtlsnoop analyze incident.pcap --cluster cluster.json

  One incident from both ends, recorded on two nodes:
    mtlsnoop analyze client-node.mtlsnoop server-node.mtlsnoop

With the same flags, the JSON lines of one recording are byte for byte those of the live trace. A capture
shows no processes, containers and network namespaces; findings say what can be said without.";

/// Finds mesh mTLS sent to plaintext backends, live, in the kernel
///
/// A client with a service-mesh sidecar cannot reach a backend, and the sidecar's log says no more than `UF,URX`? The
/// sidecar may speak mTLS to a process that speaks plaintext. mtlsnoop sees it happen, names both ends and the cause,
/// shows the evidence, prints the manifest that mends it, and says when it is mended. It only observes: traffic is
/// never changed.
#[derive(Debug, Parser)]
#[command(name = "mtlsnoop", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace this node live; needs root
    #[command(after_help = TRACE_EXAMPLES)]
    Trace(TraceArgs),
    /// Watch this node for good: findings, metrics and Kubernetes Events; needs root
    #[command(after_help = agent::EXAMPLES)]
    Agent(Box<AgentArgs>),
    /// Say of recordings and packet captures what a live trace says
    #[command(after_help = ANALYZE_EXAMPLES)]
    Analyze(AnalyzeArgs),
    /// Say what this node can do, by trying it
    #[command(after_help = DOCTOR_EXIT_CODES)]
    Doctor(DoctorArgs),
    /// Show what agents wrote as JSON lines, from standard input
    #[command(after_help = logged::EXAMPLES)]
    Show(ShowArgs),
    /// Send a recording to standard output, and its checksum to standard error
    #[command(hide = true)]
    Send(SendArgs),
    /// Print the JSON Schema of what `-o json` writes
    Schema {
        /// Of which output
        #[arg(value_enum, default_value_t = SchemaOf::Lines)]
        of: SchemaOf,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  mtlsnoop completions bash > /etc/bash_completion.d/mtlsnoop")]
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    #[command(flatten)]
    output: OutputArgs,
    /// Where names of pods and Services come from: the Kubernetes API if there is one (`auto`), nowhere (`none`), or a file
    ///
    /// Of the API, this node's pods, headless Services and Istio's rules are watched, and what a finding needs beyond that is
    /// looked up; that takes the rights that README.md names. A file holds what `kubectl get pods,services,endpointslices -A -o json` prints; where Istio is installed,
    /// `destinationrules,peerauthentications,serviceentries,workloadentries` belong to it too, and the `ConfigMap` `istio` may
    /// follow. It is read once, at the start.
    #[arg(long, value_name = "auto|none|FILE", default_value = "auto", value_parser = cluster_source, value_hint = ValueHint::FilePath)]
    cluster: ClusterSource,
    /// Reach the Kubernetes API as FILE says; by default as a pod does, else by KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, env = "MTLSNOOP_KUBECONFIG", hide_env_values = true)]
    kubeconfig: Option<PathBuf>,
    /// Name of this node in the cluster, as `spec.nodeName` of its pods has it; `uname -n` by default
    #[arg(long, value_name = "NAME", env = "MTLSNOOP_NODE", hide_env_values = true)]
    node: Option<String>,
    /// Record to FILE, for `mtlsnoop analyze`
    ///
    /// The recording holds connections, client hellos and at most 64 first bytes of their answers, and no other
    /// payload. An existing recording is replaced; a file that is anything else is left alone.
    #[arg(short = 'w', long = "write", value_name = "FILE", value_hint = ValueHint::FilePath)]
    record: Option<PathBuf>,
    /// End after this long, such as 30s, 5m or 1h30m
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// How much of connections is followed
    #[arg(long, value_enum, default_value_t = Capture::Always)]
    capture: Capture,
    /// With --capture adaptive: follow a suspect pod no longer after this long without anything new
    #[arg(long, value_parser = duration, default_value = "5m30s")]
    disarm_after: Duration,
    /// Show the kernel side's own diagnostics on standard error
    #[arg(long)]
    kernel_log: bool,
    /// End with standard input, as `kubectl mtlsnoop` needs it: a Ctrl-C there is not heard here
    #[arg(long, hide = true, conflicts_with = "logs")]
    end_with_input: bool,
    #[command(flatten)]
    envoys: EnvoyArgs,
    #[command(flatten)]
    hooks: HooksArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Text for people, or JSON: one object
    #[arg(short, long = "output", value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    output: OutputFormat,
    #[command(flatten)]
    hooks: HooksArgs,
}

/// What may be used of the kernel: for tests, and for finding out what is to blame.
#[derive(Debug, Args)]
struct HooksArgs {
    /// Where the kernel's type information is
    #[arg(long, hide = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    btf: Option<PathBuf>,
    /// Do without this program of a hook, as if the kernel refused it; may be given several times
    #[arg(long = "without-hook", hide = true, value_name = "PROGRAM", value_parser = PossibleValuesParser::new(program::ALL))]
    without: Vec<String>,
}

/// What `schema` prints the schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The lines of `trace` and `analyze`
    Lines,
    /// The object of `doctor`
    Doctor,
}

/// Arguments of `analyze`.
#[derive(Debug, Args)]
pub struct AnalyzeArgs {
    /// Recordings (`mtlsnoop trace -w FILE`) and packet captures (`tcpdump -w FILE`: pcap, pcapng)
    ///
    /// Several are read as one, by time: of several nodes, or of one incident from both ends.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Where names of pods and Services come from: `auto` (the recordings), `none`, or a file
    ///
    /// A file holds what `kubectl get pods,services,endpointslices -A -o json` prints, with Istio also
    /// `destinationrules,peerauthentications,serviceentries,workloadentries`, and is used instead of what
    /// recordings hold.
    #[arg(long, value_name = "auto|none|FILE", default_value = "auto", value_parser = cluster_source, value_hint = ValueHint::FilePath)]
    cluster: ClusterSource,
    #[command(flatten)]
    envoys: EnvoyArgs,
}

/// What is written, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct OutputArgs {
    /// Text for people, or JSON: one object a line
    #[arg(short, long = "output", value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    output: OutputFormat,
    /// Show healthy connections too, not only what is wrong
    #[arg(long)]
    all: bool,
    /// Only what has an end in this namespace; may be given several times
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// All namespaces, which is the default
    #[arg(short = 'A', long, conflicts_with = "namespaces")]
    all_namespaces: bool,
    /// Only what has this pod as an end, by its name or NAMESPACE/NAME; may be given several times
    #[arg(short, long = "pod", value_name = "POD")]
    pods: Vec<String>,
    /// Exit with 3 when there was a finding
    #[arg(long)]
    fail_on_finding: bool,
    /// When to use colours; `auto` is on a terminal, unless the environment has `NO_COLOR`
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    color: ColorChoice,
    /// Say more about the run itself on standard error
    #[arg(short, long, action = ArgAction::SetTrue)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputFormat {
    /// Text for people
    Text,
    /// One JSON object a line, as `mtlsnoop schema` describes them
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Capture {
    /// Only ends (next to no cost); but everything of pods whose connections end suspiciously, until they are quiet
    Adaptive,
    /// Everything of every connection
    Always,
}

impl From<ColorChoice> for Color {
    fn from(choice: ColorChoice) -> Self {
        match choice {
            ColorChoice::Auto => Self::Auto,
            ColorChoice::Always => Self::Always,
            ColorChoice::Never => Self::Never,
        }
    }
}

impl TraceArgs {
    /// What was asked for, checked.
    pub fn config(self) -> Result<Trace, Contradiction> {
        let Self {
            output,
            cluster,
            kubeconfig,
            node,
            record,
            duration,
            capture,
            disarm_after,
            kernel_log,
            end_with_input,
            envoys,
            hooks,
        } = self;
        Trace {
            output: output.config(),
            cluster,
            kubeconfig,
            node: node.map(Into::into),
            record,
            duration,
            capture: capture.into(),
            disarm_after,
            is_kernel_log_shown: kernel_log,
            ends_with_input: end_with_input,
            hooks: hooks.config(),
            envoys: envoys.config(),
        }
        .check()
    }
}

impl DoctorArgs {
    /// What was asked for.
    pub fn config(self) -> Doctor {
        Doctor { format: self.output.into(), hooks: self.hooks.config() }
    }
}

impl HooksArgs {
    fn config(self) -> Hooks {
        let Self { btf, without } = self;
        Hooks { btf, without }
    }
}

impl From<Capture> for config::Capture {
    fn from(capture: Capture) -> Self {
        match capture {
            Capture::Adaptive => Self::Adaptive,
            Capture::Always => Self::Always,
        }
    }
}

impl From<OutputFormat> for Format {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Text => Self::Text,
            OutputFormat::Json => Self::Json,
        }
    }
}

impl AnalyzeArgs {
    /// What was asked for, checked.
    pub fn config(self) -> Result<Analyze, Contradiction> {
        let (output, envoys) = (self.output.config(), self.envoys.config());
        Analyze { output, cluster: self.cluster, files: self.files, envoys }.check()
    }
}

impl OutputArgs {
    fn config(self) -> Output {
        let Self { output, all, namespaces, all_namespaces: _, pods, fail_on_finding, color, verbose } = self;
        Output {
            format: output.into(),
            color: color.into(),
            selection: Selection { connections: all, namespaces, pods },
            is_finding_failure: fail_on_finding,
            is_verbose: verbose,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "clap's value parsers return a Result")]
fn cluster_source(text: &str) -> Result<ClusterSource, String> {
    Ok(match text {
        "auto" => ClusterSource::Auto,
        "none" => ClusterSource::None,
        file => ClusterSource::File(PathBuf::from(file)),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it should be longer than nothing and have units, such as 30s, 5m or 1h30m".to_owned())
}
