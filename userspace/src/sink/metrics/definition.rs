//! Every metric with its labels and its meaning: what is exported, what README says, and nothing of how it is counted.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins anew with the agent, or when it was quiet for long.
    Counter,
    /// A state.
    Gauge,
}

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Its whole name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Stands for everything for which there is no series of its own any more.
pub const OTHER: &str = "~other";

impl Definition {
    /// The label has as many values as a cluster has names.
    pub fn is_open(label: &str) -> bool {
        ["_namespace", "_workload", "_service"].iter().any(|end| label.ends_with(end))
    }
}

macro_rules! definitions {
    ($( $(#[doc = $help:literal])+ $constant:ident = $kind:ident $name:literal [$( $label:literal ),*], )+) => {
        $( $(#[doc = $help])+ pub static $constant: Definition = Definition {
            name: $name,
            kind: Kind::$kind,
            labels: &[$( $label ),*],
            help: concat!($( $help ),+).trim_ascii(),
        }; )+

        /// Every metric, in the order in which they are exported.
        pub static ALL: [&Definition; [$( $name ),+].len()] = [$( &$constant ),+];
    };
}

definitions! {
    /// Failed attempts that findings tell of.
    FINDINGS = Counter "mtlsnoop_findings_total"
        ["code", "cause", "confidence", "client_namespace", "client_workload", "server_namespace", "server_service"],
    /// Findings that are neither resolved nor quiet for the expiry of series.
    FINDINGS_ACTIVE = Gauge "mtlsnoop_findings_active"
        ["code", "cause", "client_namespace", "client_workload", "server_namespace", "server_service"],
    /// Findings that were resolved: the client reaches its destination again.
    FINDINGS_RESOLVED = Counter "mtlsnoop_findings_resolved_total"
        ["code", "cause", "client_namespace", "client_workload", "server_namespace", "server_service"],
    /// Connections that failed, told by the connecting end.
    FAILED_CONNECTIONS = Counter "mtlsnoop_failed_connections_total"
        ["reason", "client_namespace", "client_workload", "server_namespace", "server_workload"],
    /// Events that sources gave.
    EVENTS = Counter "mtlsnoop_events_total" ["kind"],
    /// Connection ends: seen, and of these reported, or filtered (the agent's own, and those that were not asked for).
    CONNECTIONS = Counter "mtlsnoop_connections_total" ["result"],
    /// What was lost, by the name of the loss; each is 0 on a healthy node.
    LOST = Counter "mtlsnoop_lost_total" ["loss"],
    /// How full the kernel's ring was, at most, when it was looked at in the last second.
    RING_FILL = Gauge "mtlsnoop_ring_fill_ratio" [],
    /// How full a map of the kernel side is with what is needed, every 10 s: connections that wait for the answer to a ClientHello (`hellos`), connects under way (`connecting`), control groups that are watched closely (`armed`).
    MAP_FILL = Gauge "mtlsnoop_kernel_map_fill_ratio" ["map"],
    /// Connection ends that are followed.
    FLOWS_OPEN = Gauge "mtlsnoop_flows_open" [],
    /// How many connection ends can be followed; the oldest is dropped for a new one (loss `evicted_flow`).
    FLOWS_MAX = Gauge "mtlsnoop_flows_max" [],
    /// Pods that are watched closely.
    ARMED_PODS = Gauge "mtlsnoop_armed_pods" [],
    /// Time that a kernel program took; only while the kernel counts it (sysctl `kernel.bpf_stats_enabled`).
    PROGRAM_RUN_SECONDS = Counter "mtlsnoop_program_run_seconds_total" ["program"],
    /// How often a kernel program ran; only while the kernel counts it.
    PROGRAM_RUNS = Counter "mtlsnoop_program_runs_total" ["program"],
    /// A hook is attached (1) or not available on this node (0), and by which program.
    HOOK_ATTACHED = Gauge "mtlsnoop_hook_attached" ["hook", "program"],
    /// How far the node's calendar was stepped since the agent began.
    CLOCK_STEP = Gauge "mtlsnoop_clock_step_seconds" [],
    /// State of a watch on the Kubernetes API: 1 for the state that it is in.
    KUBE_WATCH_STATE = Gauge "mtlsnoop_kube_watch_state" ["kind", "state"],
    /// How long ago a watch heard of the Kubernetes API.
    KUBE_WATCH_AGE = Gauge "mtlsnoop_kube_watch_age_seconds" ["kind"],
    /// Requests to the Kubernetes API.
    KUBE_REQUESTS = Counter "mtlsnoop_kube_requests_total" ["verb", "resource", "code"],
    /// Bytes that the Kubernetes API sent.
    KUBE_RECEIVED_BYTES = Counter "mtlsnoop_kube_received_bytes_total" [],
    /// What findings needed to know and was looked up.
    KUBE_LOOKUPS = Counter "mtlsnoop_kube_lookups_total" ["result"],
    /// Kubernetes Events about findings.
    ANNOUNCEMENTS = Counter "mtlsnoop_announcements_total" ["result"],
    /// Lines of standard output and events of the recording that could not be written.
    OUTPUT_LOST = Counter "mtlsnoop_output_lost_total" ["output"],
    /// What is counted under `~other`, because there are as many series as are allowed.
    SERIES_OVERFLOW = Counter "mtlsnoop_series_overflow_total" [],
    /// Always 1: what this agent is.
    BUILD_INFO = Gauge "mtlsnoop_build_info" ["version", "arch"],
}

#[cfg(test)]
mod tests {
    use super::{ALL, Definition, Kind};
    use crate::readme;

    #[test]
    fn readme_has_them_all() {
        let row = |metric: &&Definition| {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} |\n", metric.name, labels.join(", "), metric.help)
        };
        let rows: String = ALL.iter().map(row).collect();
        let table = format!("| metric | labels | what |\n|---|---|---|\n{rows}");
        readme::check_table("metrics", &table);
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in ALL {
            assert!(metric.name.starts_with("mtlsnoop_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(
                metric.help.ends_with('.') && !metric.help.contains('\n'),
                "{}: {}",
                metric.name,
                metric.help
            );
        }
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
