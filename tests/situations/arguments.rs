//! What one can ask of the program; it must not know what becomes of it.

use std::path::PathBuf;

use clap::Parser;

/// Lives through every situation, and compares what is found with what should be.
#[derive(Debug, Parser)]
#[command(name = "situations")]
pub(crate) struct Arguments {
    /// Only these situations
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Only what the tracer sees; nothing is captured
    #[arg(long)]
    pub(crate) live: bool,
    /// Write the table into the docs
    #[arg(long, conflicts_with_all = ["only", "live"])]
    pub(crate) bless: bool,
    /// Write the results here as well
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
