//! The command line of what is done with the output of agents: `show` and `send`; must not know how it is done.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::{
    cli::{ColorChoice, OutputFormat},
    config::Show,
};

/// Examples of `show`.
pub(super) const EXAMPLES: &str = "\
Lines that are not of findings are left out, such as those of standard error.

Examples:
  What the agents of a cluster found so far:
    kubectl logs -n mtlsnoop -l app.kubernetes.io/name=mtlsnoop --tail=-1 | mtlsnoop show --sort

  The same, with nothing but kubectl at hand (it runs this in one of the agents' pods):
    kubectl mtlsnoop findings";

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Text for people, or the JSON lines as they are
    #[arg(short, long = "output", value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    output: OutputFormat,
    /// Only what has an end in this namespace; may be given several times
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// When to use colours; `auto` is on a terminal, unless the environment has `NO_COLOR`
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    color: ColorChoice,
    /// In the order of time, when the input has ended: it may be several logs, one after the other
    #[arg(long)]
    sort: bool,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Recording to send, as far as it is written
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

impl ShowArgs {
    /// What was asked for.
    pub fn config(self) -> Show {
        let Self { output, namespaces, color, sort } = self;
        Show { format: output.into(), color: color.into(), namespaces, is_sorted: sort }
    }
}
