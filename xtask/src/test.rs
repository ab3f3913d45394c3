//! `cargo xtask test`: every test in stages, and a table of how each went. What a stage tests is not known here.
use std::{
    fmt,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{
    build, check, deploy, process,
    setup::{self, Purpose, Tools},
    vm,
    workspace::Workspace,
};

/// The unit tests in `tests/` that no library holds: those of programs without harness, and of the lab's API server, which need
/// no more than the loopback.
const UNIT_TARGETS: [&str; 3] = ["api", "bench", "situations-unit"];

/// One stage, cheapest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Stage {
    /// Format, lints, rules of the design
    Check,
    /// Unit tests of every package
    Unit,
    /// Recorded stories through the core: events in, findings out
    Scenarios,
    /// The fuzz targets on their corpus and seeds
    Fuzz,
    /// The command line: messages and exit codes
    Cli,
    /// Record layout, JSON Schema, fixed names
    Contract,
    /// Chart, manifests, dashboard and alert rules, by the tools of those who read them
    Deploy,
    /// Kubernetes Events and the plugin of kubectl, against an API server
    Cluster,
    /// The lab that the next three run in: pods, servers, clients (needs root)
    Lab,
    /// The programs in this machine's kernel (needs root)
    Kernel,
    /// The agent's container in a real runtime (needs root)
    Container,
    /// The incident in small, without Envoy, as on every kernel (needs root)
    Verdicts,
    /// The whole incident with real Envoy and real servers (needs root)
    Incident,
    /// Agent mode: the incident with an API server, and what goes wrong with that (needs root)
    Agent,
    /// Every situation, live and captured, against what should be found (needs root)
    Situations,
    /// The stages kernel and verdicts on other kernels, in virtual machines
    Vm,
}

/// How a stage went.
struct Outcome {
    stage: Stage,
    result: Result<()>,
    took: Duration,
}

/// Runs these stages, or all.
pub(crate) fn run(workspace: &Workspace, only: &[Stage]) -> Result<()> {
    let tools = setup::ready(workspace, Purpose::Test)?;
    build::both(workspace, &tools.toolchain)?;
    let chosen =
        Stage::value_variants().iter().copied().filter(|stage| only.is_empty() || only.contains(stage));
    let outcomes: Vec<Outcome> = chosen.map(|stage| timed(workspace, &tools, stage)).collect();
    eprintln!("\n{}", Table(&outcomes));
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .map(|outcome| outcome.stage.to_string())
        .collect();
    if !failed.is_empty() {
        bail!("failed: {0}. Again with `cargo xtask test --only {0}`", failed.join(","));
    }
    Ok(())
}

fn timed(workspace: &Workspace, tools: &Tools, stage: Stage) -> Outcome {
    eprintln!("\n=== {stage} ===");
    let begun = Instant::now();
    let result = stage.run(workspace, tools);
    if let Err(error) = &result {
        eprintln!("{stage}: {error:#}");
    }
    let took = begun.elapsed();
    eprintln!("=== {stage}: {} after {:.1} s ===", verdict(&result), took.as_secs_f64());
    Outcome { stage, result, took }
}

impl Stage {
    fn run(self, workspace: &Workspace, tools: &Tools) -> Result<()> {
        if self.needs_root() && !nix::unistd::geteuid().is_root() {
            bail!(
                "loading programs into the kernel and making network namespaces needs root; run this as root"
            );
        }
        match self.target() {
            Some(target) => {
                let mut cargo = cargo_test(workspace, tools);
                cargo.args(["--test", target]);
                if self.needs_root() && self != Self::Situations {
                    // One at a time: each changes what the kernel has loaded, and counts what is left afterwards.
                    cargo.args(["--", "--test-threads=1"]);
                }
                process::run(&mut cargo)
            }
            None if self == Self::Vm => vm::run_all(workspace),
            None if self == Self::Check => check::everything(workspace, &tools.toolchain),
            None if self == Self::Deploy => {
                deploy::everything(workspace, &setup::validators_ready(workspace)?)
            }
            None => {
                let mut cargo = cargo_test(workspace, tools);
                cargo.args(["--lib", "--bins"]);
                process::run(cargo.args(UNIT_TARGETS.map(|target| ["--test", target]).as_flattened()))
            }
        }
    }

    /// The test target in `tests/` or `tests/fuzz/`.
    fn target(self) -> Option<&'static str> {
        match self {
            Self::Check | Self::Unit | Self::Deploy | Self::Vm => None,
            Self::Scenarios => Some("replay"),
            Self::Fuzz => Some("corpus"),
            Self::Cli => Some("cli"),
            Self::Contract => Some("contract"),
            Self::Cluster => Some("cluster"),
            Self::Lab => Some("lab"),
            Self::Kernel => Some("kernel"),
            Self::Container => Some("container"),
            Self::Verdicts => Some("verdicts"),
            Self::Incident => Some("incident"),
            Self::Agent => Some("agent"),
            Self::Situations => Some("situations"),
        }
    }

    fn needs_root(self) -> bool {
        matches!(
            self,
            Self::Lab
                | Self::Kernel
                | Self::Container
                | Self::Verdicts
                | Self::Incident
                | Self::Agent
                | Self::Situations
        )
    }
}

/// In the dev profile: compiling the tests takes half as long as in the release profile, and running them is no slower
/// where it counts. The product that they run is the release build. Always with the whole workspace: for a part of it the
/// features of dependencies differ, and everything would be compiled, and lie on the disk, once more for each part.
pub(crate) fn cargo_test(workspace: &Workspace, tools: &Tools) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace"]).env("MTLSNOOP_BIN", workspace.binary());
    if let Some(envoy) = &tools.envoy {
        cargo.env("MTLSNOOP_ENVOY", envoy);
    }
    cargo
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        out.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// All outcomes, a line each.
struct Table<'a>(&'a [Outcome]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Outcome { stage, result, took } in self.0 {
            writeln!(out, "{stage:<10} {:<7} {:>7.1} s", verdict(result), took.as_secs_f64())?;
        }
        Ok(())
    }
}

fn verdict(result: &Result<()>) -> &'static str {
    if result.is_ok() { "passed" } else { "FAILED" }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::anyhow;
    use clap::ValueEnum as _;

    use super::{Outcome, Stage, Table, UNIT_TARGETS};

    #[test]
    fn the_table_has_a_line_for_each_stage_with_its_result_and_time() {
        let outcomes = [
            Outcome { stage: Stage::Unit, result: Ok(()), took: Duration::from_millis(1250) },
            Outcome { stage: Stage::Scenarios, result: Err(anyhow!("no")), took: Duration::from_secs(61) },
        ];
        assert_eq!(
            Table(&outcomes).to_string(),
            "unit       passed      1.2 s\nscenarios  FAILED     61.0 s\n"
        );
    }

    #[test]
    fn every_stage_has_a_name_and_those_that_load_programs_come_last() {
        let names: Vec<String> = Stage::value_variants().iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "check",
                "unit",
                "scenarios",
                "fuzz",
                "cli",
                "contract",
                "deploy",
                "cluster",
                "lab",
                "kernel",
                "container",
                "verdicts",
                "incident",
                "agent",
                "situations",
                "vm"
            ]
        );
        let on_this_machine = Stage::value_variants().iter().filter(|stage| **stage != Stage::Vm);
        assert!(on_this_machine.is_sorted_by_key(|stage| stage.needs_root()));
    }

    #[test]
    fn no_test_target_is_left_out() {
        let manifests = [include_str!("../../tests/Cargo.toml"), include_str!("../../tests/fuzz/Cargo.toml")];
        let mut found: Vec<&str> = manifests
            .iter()
            .flat_map(|manifest| manifest.split("[[test]]").skip(1))
            .filter_map(|target| target.split_once("name = \"")?.1.split('"').next())
            .collect();
        found.sort_unstable();
        let mut run: Vec<&str> = Stage::value_variants().iter().filter_map(|stage| stage.target()).collect();
        run.extend(UNIT_TARGETS);
        run.sort_unstable();
        assert_eq!(found, run);
    }
}
