//! `cargo xtask bench`: what the tracer costs on this machine. It prepares and starts the benchmark, and knows nothing of
//! what is measured.
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use mtlsnoop_tests::interrupt;

use crate::{
    build, process,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// How much is measured, and where it goes.
#[derive(Args)]
pub(crate) struct Options {
    /// Length of one window
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// How often each configuration is measured
    #[arg(long, value_name = "N")]
    pairs: Option<u32>,
    /// Write the results here as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sets up, builds, and measures. Fails when the tracer's accounting does not hold under load.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the benchmark loads programs into the kernel and makes a network namespace, which needs root; run this as root"
        );
    }
    let tools = setup::ready(workspace, Purpose::Build)?;
    build::both(workspace, &tools.toolchain)?;
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--quiet", "--package", "mtlsnoop-tests", "--bench", "cost", "--"]);
    for (name, value) in [
        ("--seconds", options.seconds.map(|seconds| seconds.to_string())),
        ("--pairs", options.pairs.map(|pairs| pairs.to_string())),
    ] {
        if let Some(value) = value {
            cargo.args([name, &value]);
        }
    }
    if let Some(path) = &options.json {
        // Cargo starts benchmarks in the folder of their package.
        cargo.arg("--json").arg(absolute(path)?);
    }
    // Ctrl-C reaches the benchmark too, which ends by itself; this process must not end before it.
    interrupt::catch()?;
    let result = process::run(&mut cargo);
    interrupt::check()?;
    result
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("could not make {} absolute", path.display()))
}
