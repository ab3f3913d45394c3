//! The options about what Envoys say themselves; must not know how it is read.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::config::Envoys;

/// What Envoys say themselves.
#[derive(Debug, Args)]
pub(super) struct EnvoyArgs {
    /// Join what an Envoy logged to findings; may be given several times
    ///
    /// FILE is a sidecar's access log in one of Istio's text formats (1.3 and newer) or in its JSON: as Envoy
    /// writes it, as `kubectl logs` prints it (`-` is standard input), or as the container runtime keeps it in
    /// /var/log/containers. `trace` follows it from its end on. Only entries of failures are used, and nothing of
    /// paths, headers and user agents is kept.
    #[arg(long = "envoy-log", value_name = "FILE", value_hint = ValueHint::FilePath)]
    logs: Vec<PathBuf>,
    /// Join what an Envoy is configured to do to findings: `auto`, or a file; may be given several times
    ///
    /// FILE holds what `kubectl exec POD -c istio-proxy -- pilot-agent request GET config_dump` prints, or
    /// `istioctl proxy-config cluster POD -o json`. `auto` asks the admin port (15000) of each proxy of which there is
    /// a finding, once, within its pod's network namespace: only in `trace`, and with the capabilities `SYS_ADMIN` and
    /// `SYS_PTRACE`.
    #[arg(long = "config-dump", value_name = "auto|FILE", value_hint = ValueHint::FilePath)]
    dumps: Vec<PathBuf>,
}

impl EnvoyArgs {
    /// What was asked for.
    pub(super) fn config(self) -> Envoys {
        let (asked, dumps): (Vec<_>, _) = self.dumps.into_iter().partition(|dump| dump.as_os_str() == "auto");
        Envoys { logs: self.logs, dumps, are_asked: !asked.is_empty() }
    }
}
