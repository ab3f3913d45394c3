//! `cargo xtask`: the entry points of everything a developer runs. It parses arguments and knows no more.
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{setup::Purpose, test::Stage, workspace::Workspace};

mod bench;
mod build;
mod check;
mod demo;
mod deploy;
mod fuzz;
mod process;
mod setup;
mod situations;
mod step;
mod test;
mod vm;
mod workspace;

/// Everything a developer of mtlsnoop runs. Each command first sets up what it needs.
///
/// Exit codes: 0 done, 1 something failed (the last lines say what and what to try), 2 wrong usage, 130 interrupted.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install what is missing: compiler and linker for eBPF, Envoy, the servers that the tests use
    ///
    /// Quick and silent when all is there, and needs no network then. Installing Debian packages needs root;
    /// without it, the command to run as root is printed. Nothing is installed outside `target/` but Debian
    /// packages, and their services are neither started nor enabled.
    ///
    /// `MTLSNOOP_BPF_TOOLCHAIN` names the compiler for the eBPF programs (a rustup toolchain or a folder with
    /// bin/rustc), `MTLSNOOP_ENVOY` an Envoy to use.
    Setup {
        /// What must work afterwards; each includes `build`, and `test` and `bench` include `demo`
        #[arg(long = "for", value_enum, default_value_t = Purpose::Test)]
        purpose: Purpose,
    },
    /// Build target/release/mtlsnoop, with the eBPF programs inside
    ///
    /// With --static, target/static/mtlsnoop, which needs no libraries: for the image (deploy/Dockerfile).
    Build(build::Options),
    /// The incident on this machine: an app, its Envoy sidecar and a plain Redis; found, mended, resolved
    ///
    /// Sets up and builds first. Needs root. Network namespaces stand for pods; nothing outside them is changed, and
    /// all is gone afterwards, also after Ctrl-C (exit code 130). Succeeds only if all of it happened.
    Demo,
    /// Run all tests: check, unit, scenarios, fuzz, cli, contract, deploy, lab, kernel, container, verdicts, incident, situations, vm
    ///
    /// Sets up and builds first. A failing stage does not keep the later ones from running; a table at the end says how
    /// each went. The stages lab, kernel, container, verdicts, incident and situations need root.
    Test {
        /// Run these stages only
        #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., value_name = "STAGE")]
        only: Vec<Stage>,
    },
    /// Live through every situation that is known, and compare what is found with what should be
    ///
    /// Sets up and builds first. Needs root. Real servers, clients and Envoys in network namespaces of their own, traced live
    /// and captured by tcpdump at the same time; the captures then go through `mtlsnoop analyze`. Prints a table of what was
    /// expected and what was found, and fails unless recall and precision are 100 % both ways. Takes some minutes.
    Situations(situations::Options),
    /// Measure what tracing costs, beside the tools that people use: throughput lost, processor time, memory, losses
    ///
    /// Sets up and builds first. Needs root, and a machine that does nothing else. Loads run in network namespaces of their
    /// own, while one tracer after the other is attached and detached; nothing stays, also after Ctrl-C (exit code 130).
    /// Fails when the tracer's accounting does not add up, and with --check on each missed budget. It takes a quarter of an
    /// hour; --load, --attached and --only measure a part, --quick shows that it works.
    Bench(bench::Options),
    /// Run the tests of the kernel side on Linux 6.1 and 6.12, in virtual machines
    ///
    /// Sets up and builds first. Debian's kernels boot in QEMU without KVM, both at the same time, with the same programs
    /// that the stages `kernel` and `verdicts` of `test` run. Nothing is installed but QEMU; kernels and consoles are in
    /// target/vm. Ctrl-C ends the machines (exit code 130).
    Vm(vm::Options),
    /// Fuzz what reads bytes of strangers: hellos, answers, recordings, captures, cluster files, logs, dumps, kernel records
    ///
    /// Sets up and builds first, with libFuzzer and its coverage. Begins with the corpus in tests/fuzz/corpus and with seeds
    /// made of the test data; goes on with what earlier runs found (target/fuzz/corpus). An input that makes a reader fail
    /// ends it (exit code 1) and is in target/fuzz/failures. `cargo xtask test --only fuzz` runs the corpus alone.
    Fuzz(fuzz::Options),
    /// Check what installs it in a cluster: chart, manifests, dashboard, alert rules, image
    ///
    /// Sets up what checks it: Helm's own engine, Kubernetes' schemas, promtool and linters. Needs neither root nor a cluster.
    /// With --render, deploy/manifests is written from the chart first.
    Deploy(deploy::Options),
    /// Check format, lints (host and eBPF code) and the rules of the design: dependencies, file sizes, names
    Check,
}

/// What a shell says of a program that SIGINT ended: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<demo::Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup { purpose } => setup::ready(&workspace, *purpose).map(drop),
        Command::Build(options) => build::run(&workspace, options),
        Command::Demo => demo::run(&workspace),
        Command::Test { only } => test::run(&workspace, only),
        Command::Situations(options) => situations::run(&workspace, options),
        Command::Bench(options) => bench::run(&workspace, options),
        Command::Vm(options) => vm::run(&workspace, options),
        Command::Fuzz(options) => fuzz::run(&workspace, options),
        Command::Deploy(options) => deploy::run(&workspace, options),
        Command::Check => check::run(&workspace),
    }
}
