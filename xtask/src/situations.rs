//! `cargo xtask situations`: what is found in every situation, against what should be. It prepares and starts the program,
//! and knows no situation.
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mtlsnoop_tests::interrupt;

use crate::{
    build, process,
    setup::{self, Purpose},
    test,
    workspace::{Workspace, absolute},
};

/// How much is lived through, and where it goes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these situations, by their names in the table
    #[arg(long, value_name = "NAME,…")]
    only: Option<String>,
    /// Only what the tracer sees; nothing is captured
    #[arg(long)]
    live: bool,
    /// Write the table into tests/situations/table.md, if all is found as it should be
    #[arg(long, conflicts_with_all = ["only", "live"])]
    bless: bool,
    /// Write the results here as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Sets up, builds, and runs it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("tracing and making network namespaces needs root; run this as root");
    }
    let tools = setup::ready(workspace, Purpose::Test)?;
    build::both(workspace, &tools.toolchain)?;
    let mut cargo = test::cargo_test(workspace, &tools);
    cargo.args(["--quiet", "--test", "situations", "--"]);
    cargo.args(options.arguments()?);
    // Ctrl-C reaches the program too, which ends by itself; this process must not end before it.
    interrupt::catch()?;
    let result = process::run(&mut cargo);
    interrupt::check()?;
    result
}

impl Options {
    /// The same for the program.
    fn arguments(&self) -> Result<Vec<String>> {
        let Self { only, live, bless, json } = self;
        let mut arguments: Vec<String> = only.iter().map(|only| format!("--only={only}")).collect();
        for (name, is_set) in [("--live", live), ("--bless", bless)] {
            arguments.extend(is_set.then(|| name.to_owned()));
        }
        if let Some(path) = json {
            // Cargo starts tests in the folder of their package.
            arguments.push(format!("--json={}", absolute(path)?.display()));
        }
        Ok(arguments)
    }
}
