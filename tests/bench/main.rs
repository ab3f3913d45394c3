//! `cargo xtask bench`: what tracing costs, measured on this machine. It knows the order of things, not how any is done.

mod accounting;
mod arguments;
mod budget;
mod cpus;
mod figure;
mod group;
mod hello;
mod limit;
mod load;
mod machine;
mod measurement;
mod need;
mod node;
mod pause;
mod proc_text;
mod report;
mod results;
mod series;
mod served;
mod spoken;
mod statistic;
mod subject;
mod table;
mod trend;
mod wakeup;
mod window;
mod wire;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser as _;
use mtlsnoop_tests::interrupt::{self, Interrupted};

use crate::{
    arguments::{Arguments, Part, Plan, Process},
    cpus::Cpus,
    figure::{capture, changes, cluster, flows, full_rate, latency, memory, pods, replay, soak},
    load::worker,
    machine::Machine,
    node::{client, server},
    report::Report,
    results::Results,
    subject::{agent, naive, suspect},
};

/// What a shell says of a program that SIGINT ended: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.process {
        Some(Process::Load(worker)) => worker::run(worker),
        Some(Process::Agent(agent)) => agent::run(agent),
        Some(Process::Suspect) => suspect::run(),
        Some(Process::Hold { connections }) => memory::hold_open(*connections),
        Some(Process::Flows { count }) => flows::run(*count),
        Some(Process::Pods { count }) => pods::run(*count),
        Some(Process::Changes { count }) => changes::run(*count),
        Some(Process::Cluster(served)) => served::run(served),
        Some(Process::Naive(naive)) => naive::run(naive),
        Some(Process::Server) => server::run(),
        Some(Process::Client(client)) => client::run(client),
        None => interrupt::catch().and_then(|()| measure(&arguments.plan)),
    }
}

/// Everything in one go. What was measured is printed also when the accounting does not hold; then it fails.
fn measure(plan: &Plan) -> Result<()> {
    let machine = Machine::look()?;
    let results = figures(plan, machine, &Cpus::divide()?)?;
    let report = Report { plan, results };
    report.print()?;
    if let Some(path) = &plan.json {
        report.write(path)?;
    }
    report.check()
}

fn figures(plan: &Plan, machine: Machine, cpus: &Cpus) -> Result<Results> {
    let mut comparisons = Vec::new();
    for load in if plan.has(Part::Losses) { plan.loads() } else { Vec::new() } {
        comparisons.extend(measurement::compare(load, plan, cpus)?);
    }
    let (minute, ends, findings, looked_up) =
        if plan.quick { (5, 10_000, 100, 10) } else { (60, 100_000, 1000, 200) };
    let has = |part| plan.has(part).then_some(());
    Ok(Results {
        machine,
        comparisons,
        wakeup_us: has(Part::Losses).map(|()| wakeup::cost_us(cpus)).transpose()?,
        full_rate: has(Part::FullRate)
            .map(|()| full_rate::measure(Duration::from_secs(minute), cpus))
            .transpose()?,
        memory: has(Part::Memory).map(|()| memory::measure(ends)).transpose()?,
        latency: has(Part::Latency).map(|()| latency::measure(findings)).transpose()?,
        replay: has(Part::Replay).map(|()| replay::measure(cpus)).transpose()?,
        capture: has(Part::Capture).map(|()| capture::measure(plan.quick)).transpose()?,
        flows: has(Part::Growth).map(|()| flows::measure()).transpose()?,
        pods: has(Part::Growth).map(|()| pods::measure()).transpose()?,
        changes: has(Part::Growth).map(|()| changes::measure()).transpose()?,
        cluster: has(Part::Cluster)
            .map(|()| cluster::measure(Duration::from_secs(minute), looked_up, cpus))
            .transpose()?,
        soak: has(Part::Soak).map(|()| soak::measure(plan.soak(), cpus)).transpose()?,
    })
}
