//! What a run was asked for, checked; must not know how it is said on the command line.

mod agent;
pub mod file;

use std::{path::PathBuf, time::Duration};

pub use agent::Agent;

use crate::filter::Selection;

/// How updates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is written, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How updates are written.
    pub format: Format,
    /// When there are colours.
    pub color: Color,
    /// Which updates are written.
    pub selection: Selection,
    /// Findings make the exit code 3.
    pub is_finding_failure: bool,
    /// More about the run itself.
    pub is_verbose: bool,
}

/// Where knowledge of the cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterSource {
    /// From wherever there is some.
    Auto,
    /// There is to be none.
    None,
    /// From a file that `kubectl get … -o json` wrote.
    File(PathBuf),
}

/// What Envoys say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envoys {
    /// Access logs; `-` is standard input.
    pub logs: Vec<PathBuf>,
    /// Configuration dumps.
    pub dumps: Vec<PathBuf>,
    /// Running proxies are asked for their configuration when there is a finding about them.
    pub are_asked: bool,
}

/// What may be used of the kernel; for tests and for finding out what is to blame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Where the kernel's type information is, if not at its usual place.
    pub btf: Option<PathBuf>,
    /// Programs that are not to be used.
    pub without: Vec<String>,
}

/// An examination of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doctor {
    /// How it is written.
    pub format: Format,
    /// What may be used of the kernel.
    pub hooks: Hooks,
}

/// What is shown of the lines that agents wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show {
    /// How it is written.
    pub format: Format,
    /// When there are colours.
    pub color: Color,
    /// Only what has an end in one of these; everything where there are none.
    pub namespaces: Vec<String>,
    /// In the order of time, when the input has ended.
    pub is_sorted: bool,
}

/// How much of connections is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Only ends, but of pods that are suspect everything.
    Adaptive,
    /// Everything of every connection.
    Always,
}

/// A live trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What is written, and how.
    pub output: Output,
    /// Where knowledge of the cluster comes from.
    pub cluster: ClusterSource,
    /// How to reach the Kubernetes API, if not from within.
    pub kubeconfig: Option<PathBuf>,
    /// Name of the node; none where `uname -n` tells it.
    pub node: Option<Box<str>>,
    /// Where to record to.
    pub record: Option<PathBuf>,
    /// After how long to end; none to go on.
    pub duration: Option<Duration>,
    /// How much of connections is followed.
    pub capture: Capture,
    /// How long a pod that was suspect is followed at first without anything new.
    pub disarm_after: Duration,
    /// The kernel side's own diagnostics go to standard error.
    pub is_kernel_log_shown: bool,
    /// It ends with its standard input: with whoever holds the other end.
    pub ends_with_input: bool,
    /// What may be used of the kernel.
    pub hooks: Hooks,
    /// What Envoys say themselves.
    pub envoys: Envoys,
}

/// The analysis of recordings and captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analyze {
    /// What is written, and how.
    pub output: Output,
    /// Where knowledge of the cluster comes from; [`ClusterSource::Auto`] is the recordings.
    pub cluster: ClusterSource,
    /// The recordings and captures.
    pub files: Vec<PathBuf>,
    /// What Envoys say themselves.
    pub envoys: Envoys,
}

/// What was asked for makes no sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Pods are asked for, and nothing tells of pods.
    #[error(
        "-n and -p select pods, and nothing here tells which address is which pod: there is no Kubernetes API around (`--kubeconfig FILE`). Add \
         `--cluster FILE`, where FILE holds what `kubectl get pods,services,endpointslices -A -o json` prints"
    )]
    PodsWithoutCluster,
    /// Running proxies are to be asked afterwards.
    #[error(
        "`--config-dump auto` asks running proxies, and `analyze` has none: give the file that `kubectl exec POD -c istio-proxy -- \
         pilot-agent request GET config_dump` prints"
    )]
    NoProxies,
}

impl Trace {
    /// Says what makes no sense together.
    pub fn check(self) -> Result<Self, Contradiction> {
        // Whether a cluster is around is known later.
        if self.output.selection.is_of_pods() && self.cluster == ClusterSource::None {
            return Err(Contradiction::PodsWithoutCluster);
        }
        Ok(self)
    }
}

impl Analyze {
    /// Says what makes no sense together.
    pub fn check(self) -> Result<Self, Contradiction> {
        if self.output.selection.is_of_pods() && self.cluster == ClusterSource::None {
            return Err(Contradiction::PodsWithoutCluster);
        }
        if self.envoys.are_asked {
            return Err(Contradiction::NoProxies);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        Analyze, Capture, ClusterSource, Color, Contradiction, Envoys, Format, Hooks, Output, Trace,
    };
    use crate::filter::Selection;

    fn output(namespaces: &[&str]) -> Output {
        let namespaces = namespaces.iter().map(|&name| name.to_owned()).collect();
        Output {
            format: Format::Text,
            color: Color::Auto,
            selection: Selection { namespaces, ..Selection::default() },
            is_finding_failure: false,
            is_verbose: false,
        }
    }

    #[test]
    fn pods_are_only_selected_where_they_can_be_known() {
        let file = || ClusterSource::File("cluster.json".into());
        let impossible = Err(Contradiction::PodsWithoutCluster);
        for (namespaces, cluster, of_trace, of_analyze) in [
            (&[] as &[&str], ClusterSource::Auto, Ok(()), Ok(())),
            (&[], ClusterSource::None, Ok(()), Ok(())),
            (&["default"], file(), Ok(()), Ok(())),
            (&["default"], ClusterSource::Auto, Ok(()), Ok(())),
            (&["default"], ClusterSource::None, impossible, impossible),
        ] {
            let trace = Trace {
                output: output(namespaces),
                cluster: cluster.clone(),
                kubeconfig: None,
                node: None,
                record: None,
                duration: None,
                capture: Capture::Always,
                disarm_after: Duration::from_mins(1),
                is_kernel_log_shown: false,
                ends_with_input: false,
                hooks: Hooks::default(),
                envoys: Envoys::default(),
            };
            assert_eq!(trace.check().map(drop), of_trace, "{namespaces:?} {cluster:?}");
            let analyze = Analyze {
                output: output(namespaces),
                cluster: cluster.clone(),
                files: vec!["file".into()],
                envoys: Envoys::default(),
            };
            assert_eq!(analyze.check().map(drop), of_analyze, "{namespaces:?} {cluster:?}");
        }
    }
}
