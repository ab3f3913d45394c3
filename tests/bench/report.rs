//! The results for people and for programs, and whether they may be believed; how they were measured is not known here.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{
    arguments::Plan, machine::Machine, measurement::Comparison, replay::Replay, statistic::Estimate,
    table::Table,
};

/// Everything that was measured in one go.
pub(crate) struct Report<'a> {
    pub(crate) machine: Machine,
    pub(crate) plan: &'a Plan,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) replay: Replay,
}

impl Report<'_> {
    /// One table on standard output.
    pub(crate) fn print(&self) -> Result<()> {
        let table = Table {
            heading: [
                "load",
                "attached",
                "without/s",
                "loss %",
                "±",
                "loss by CPU time %",
                "±",
                "agent CPU %",
                "ends seen",
                "reported",
                "open",
                "began before",
                "lost",
            ],
            lines: self.comparisons.iter().map(line).collect(),
        };
        let Replay { events, per_s } = &self.replay;
        write!(
            io::stdout().lock(),
            "{}\n{} pairs of windows of {:.1} s each, medians and their standard errors\n\n{table}\ncore on replay: \
             {:.2} ±{:.2} million events/s on one core ({events} events)\n",
            self.machine,
            self.plan.pairs,
            self.plan.seconds.as_secs_f64(),
            per_s.value / 1e6,
            per_s.error / 1e6,
        )
        .context("could not print the results")
    }

    /// The same as one JSON object.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let results = json!({
            "machine": self.machine.json(),
            "window_s": self.plan.seconds.as_secs_f64(),
            "pairs": self.plan.pairs,
            "comparisons": self.comparisons.iter().map(comparison).collect::<Vec<_>>(),
            "replay": { "events": self.replay.events, "events_per_s": estimate(self.replay.per_s) },
        });
        fs::write(path, format!("{results:#}\n"))
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// Fails when numbers of the tracer do not add up.
    pub(crate) fn check(&self) -> Result<()> {
        let complaints: Vec<String> =
            self.comparisons
                .iter()
                .flat_map(|one| {
                    one.accounting.complaints.iter().map(|complaint| {
                        format!("{} under {}: {complaint}", one.subject.name(), one.load.name())
                    })
                })
                .collect();
        if !complaints.is_empty() {
            bail!(
                "the accounting does not hold, so the numbers above mean little:\n{}",
                complaints.join("\n")
            );
        }
        Ok(())
    }
}

fn line(one: &Comparison) -> [String; 13] {
    let counted = &one.accounting;
    [
        one.load.name().to_owned(),
        one.subject.name().to_owned(),
        format!("{:.0}", one.without_per_s),
        format!("{:.1}", one.loss.value),
        format!("{:.1}", one.loss.error),
        format!("{:.1}", one.cpu_loss.value),
        format!("{:.1}", one.cpu_loss.error),
        format!("{:.1}", one.agent_cpu),
        counted.seen.to_string(),
        counted.reported.to_string(),
        counted.open.to_string(),
        counted.began_before.to_string(),
        counted.lost().to_string(),
    ]
}

fn comparison(one: &Comparison) -> Value {
    json!({
        "load": one.load.name(),
        "attached": one.subject.name(),
        "without_per_s": one.without_per_s,
        "loss_percent": estimate(one.loss),
        "loss_by_cpu_time_percent": estimate(one.cpu_loss),
        "agent_cpu_percent": one.agent_cpu,
        "accounting": one.accounting.json(),
    })
}

fn estimate(estimate: Estimate) -> Value {
    json!({ "value": estimate.value, "error": estimate.error })
}
