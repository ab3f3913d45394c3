//! `cargo xtask bench`: what tracing costs on this machine. It prepares and starts the benchmark, and knows nothing of
//! what is measured.
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mtlsnoop_tests::interrupt;

use crate::{
    build, process,
    setup::{self, Purpose},
    workspace::{Workspace, absolute},
};

/// How much is measured, and where it goes. Names are the benchmark's, which says which there are.
#[derive(Args)]
pub(crate) struct Options {
    /// Length of one window where processes are started
    #[arg(long, value_name = "N")]
    seconds: Option<String>,
    /// Measure until the standard error of each loss is at most this, in percent; a fifth of it for what can be toggled
    #[arg(long, value_name = "PERCENT")]
    error: Option<String>,
    /// Measure no longer than this under each load
    #[arg(long, value_name = "SECONDS")]
    limit: Option<String>,
    /// Only these loads: conn, rr, bulk, mesh
    #[arg(long, value_name = "LOAD,…")]
    load: Option<String>,
    /// Only with these attached: nothing, sentinel, adaptive-idle, tcpdump, …
    #[arg(long, value_name = "WHAT,…")]
    attached: Option<String>,
    /// Only these parts: losses, full-rate, memory, latency, replay, capture, growth, cluster, soak; with --load or --attached only losses
    #[arg(long, value_name = "PART,…")]
    only: Option<String>,
    /// Length of the soak
    #[arg(long, value_name = "N")]
    soak_minutes: Option<String>,
    /// Short windows and few of them, to see that it works
    #[arg(long)]
    quick: bool,
    /// Fail on each missed budget
    #[arg(long)]
    check: bool,
    /// Write the results here as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sets up, builds, and measures.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the benchmark loads programs into the kernel and makes network namespaces, which needs root; run this as root"
        );
    }
    let tools = setup::ready(workspace, Purpose::Bench)?;
    build::both(workspace, &tools.toolchain)?;
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--quiet", "--package", "mtlsnoop-tests", "--bench", "cost", "--"]);
    cargo.args(options.arguments()?).env("MTLSNOOP_BIN", workspace.binary());
    if let Some(envoy) = &tools.envoy {
        cargo.env("MTLSNOOP_ENVOY", envoy);
    }
    // Ctrl-C reaches the benchmark too, which ends by itself; this process must not end before it.
    interrupt::catch()?;
    let result = process::run(&mut cargo);
    interrupt::check()?;
    result
}

impl Options {
    /// The same for the benchmark.
    fn arguments(&self) -> Result<Vec<String>> {
        let Self { seconds, error, limit, load, attached, only, soak_minutes, quick, check, json } = self;
        let mut arguments = Vec::new();
        for (name, value) in [
            ("--seconds", seconds),
            ("--error", error),
            ("--limit", limit),
            ("--load", load),
            ("--attached", attached),
            ("--only", only),
            ("--soak-minutes", soak_minutes),
        ] {
            arguments.extend(value.as_ref().map(|value| format!("{name}={value}")));
        }
        for (name, is_set) in [("--quick", quick), ("--check", check)] {
            arguments.extend(is_set.then(|| name.to_owned()));
        }
        if let Some(path) = json {
            // Cargo starts benchmarks in the folder of their package.
            arguments.push(format!("--json={}", absolute(path)?.display()));
        }
        Ok(arguments)
    }
}
