//! `cargo xtask bench`: what tracing costs, measured on this machine. It knows the order of things, not how any is done.

mod accounting;
mod agent;
mod arguments;
mod cpus;
mod load;
mod machine;
mod measurement;
mod pause;
mod replay;
mod report;
mod statistic;
mod subject;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use mtlsnoop_tests::interrupt::{self, Interrupted};

use crate::{
    arguments::{Arguments, Part, Plan},
    load::Load,
    machine::Machine,
    report::Report,
};

/// What a shell says of a program that SIGINT ended: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.part {
        Some(Part::Load { load, cpu }) => load::worker::run(load, cpu),
        None => interrupt::catch().and_then(|()| measure(&arguments.plan)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything in one go. What was measured is printed also when the accounting does not hold; then it fails.
fn measure(plan: &Plan) -> Result<()> {
    let machine = Machine::look()?;
    let comparisons =
        Load::ALL.into_iter().map(|load| measurement::compare(load, plan)).collect::<Result<Vec<_>>>()?;
    let replay = replay::measure()?;
    let report = Report { machine, plan, comparisons: comparisons.concat(), replay };
    report.print()?;
    if let Some(path) = &plan.json {
        report.write(path)?;
    }
    report.check()
}
