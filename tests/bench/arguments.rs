//! The command line of the benchmark; it must not know what is measured.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::load::Load;

/// What tracing costs. `cargo xtask bench` runs it.
#[derive(Parser)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) plan: Plan,
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
    /// What `cargo bench` passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured, and where it goes.
#[derive(Args)]
pub(crate) struct Plan {
    /// Length of one window
    #[arg(long, default_value = "0.5", value_parser = seconds, value_name = "N")]
    pub(crate) seconds: Duration,
    /// How often each configuration is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub(crate) pairs: u32,
    /// Write the results here as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Parts of the benchmark that run in processes of their own.
#[derive(Subcommand)]
pub(crate) enum Part {
    /// The load, until standard input ends
    #[command(hide = true)]
    Load {
        /// Which
        load: Load,
        /// Where it runs
        cpu: usize,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if !(0.1..=60.0).contains(&seconds) {
        return Err("a window has 0.1 to 60 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}
