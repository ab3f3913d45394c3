//! Whether a minute of connections as fast as they come is accounted for, to the last one.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    accounting::Accounting,
    cpus::Cpus,
    load::{Load, running::Running},
    pause::pause,
    subject::Subject,
};

/// All modes of the tracer at the same time, under the load of connections.
pub(crate) struct FullRate {
    pub(crate) seconds: f64,
    /// Connection ends a second.
    pub(crate) ends_per_s: f64,
    pub(crate) runs: Vec<Run>,
}

/// One mode.
pub(crate) struct Run {
    pub(crate) subject: Subject,
    /// Processor time, in percent of one processor.
    pub(crate) agent_cpu: f64,
    pub(crate) accounting: Accounting,
}

pub(crate) fn measure(duration: Duration, cpus: &Cpus) -> Result<FullRate> {
    eprintln!("bench: full rate for {} s", duration.as_secs());
    // Before the load, so that none of its connections is older than the tracer.
    let started = Subject::each_mode().map(|subject| Ok((subject, subject.start()?)));
    let started = started.collect::<Result<Vec<_>>>()?;
    let mut load = Running::start(Load::Conn, cpus)?;
    let begin = load.sample()?.done;
    let before = started.iter().map(|(_, one)| one.usage()).collect::<Result<Vec<_>>>()?;
    pause(duration)?;
    let after = started.iter().map(|(_, one)| one.usage()).collect::<Result<Vec<_>>>()?;
    let end = load.sample()?.done;
    drop(load);
    let seconds = end.time.saturating_sub(begin.time).as_secs_f64();
    let mut runs = Vec::new();
    for ((subject, one), (before, after)) in started.into_iter().zip(before.into_iter().zip(after)) {
        let mut accounting = Accounting::parse(&one.stop()?.last)?;
        // The last one may have been begun and never closed.
        accounting.expect_ends(Load::Conn.ends_per_operation() * (end.operations - 1));
        let agent_cpu = 100.0 * after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds;
        runs.push(Run { subject, agent_cpu, accounting });
    }
    #[expect(clippy::cast_precision_loss, reason = "connections of a minute")]
    let ends = (Load::Conn.ends_per_operation() * (end.operations - begin.operations)) as f64;
    Ok(FullRate { seconds, ends_per_s: ends / seconds, runs })
}

impl FullRate {
    /// Connections lost or unaccounted, in the worst mode.
    pub(crate) fn missing(&self) -> u64 {
        let of = |run: &Run| run.accounting.lost() + run.accounting.unaccounted;
        self.runs.iter().map(of).max().unwrap_or(0)
    }

    pub(crate) fn json(&self) -> Value {
        let run = |run: &Run| {
            json!({
                "attached": run.subject.name(),
                "agent_cpu_percent": run.agent_cpu,
                "accounting": run.accounting.json(),
            })
        };
        json!({
            "seconds": self.seconds,
            "connection_ends_per_s": self.ends_per_s,
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
        })
    }
}
