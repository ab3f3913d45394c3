//! The results for people and for programs, and whether they may be believed; how they were measured is not known here.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{
    arguments::Plan,
    budget::{BUDGETS, Budget},
    measurement::TOGGLED_WINDOW,
    results::Results,
    series::{Comparison, Measured},
    statistic::Estimate,
    table::Table,
};

/// The results and how they were asked for.
pub(crate) struct Report<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) results: Results,
}

impl Report<'_> {
    /// Tables on standard output.
    pub(crate) fn print(&self) -> Result<()> {
        self.text()
            .context("could not write the results")
            .and_then(|text| io::stdout().write_all(text.as_bytes()).context("could not print the results"))
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        writeln!(out, "{}", self.results.machine)?;
        self.write_losses(&mut out)?;
        self.write_figures(&mut out)?;
        self.write_growth(&mut out)?;
        self.write_agent(&mut out)?;
        if BUDGETS.iter().any(|budget| self.results.figure(budget.figure).is_some()) {
            self.write_budgets(&mut out)?;
        }
        Ok(out)
    }

    fn write_losses(&self, out: &mut String) -> std::fmt::Result {
        if self.results.comparisons.is_empty() {
            return Ok(());
        }
        let table = Table {
            heading: [
                "load",
                "attached",
                "without/s",
                "loss %",
                "±",
                "pairs",
                "agent CPU %",
                "agent RSS MiB",
                "wakeups/s",
                "of the loss %",
                "lost",
            ],
            lines: self.results.comparisons.iter().map(|one| self.line(one)).collect(),
        };
        let (started, toggled) = (self.plan.window().as_secs_f64(), TOGGLED_WINDOW.as_millis());
        writeln!(
            out,
            "windows of {toggled} ms where programs are toggled, of {started:.1} s where processes are started; medians and \
             their standard errors\n\n{table}"
        )?;
        for one in &self.results.comparisons {
            if let Err(why) = &one.result {
                writeln!(
                    out,
                    "{} could not be measured under {}: {why}",
                    one.subject.name(),
                    one.load.name()
                )?;
            }
        }
        Ok(())
    }

    fn line(&self, one: &Comparison) -> [String; 11] {
        let names = [one.load.name().to_owned(), one.subject.name().to_owned()];
        let numbers = match &one.result {
            Ok(measured) => self.numbers(measured),
            Err(_) => std::array::from_fn(|_| "–".to_owned()),
        };
        let mut cells = names.into_iter().chain(numbers);
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    }

    fn numbers(&self, measured: &Measured) -> [String; 9] {
        #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
        let mib = measured.rss_bytes as f64 / f64::from(1 << 20);
        let by_wakeups = self.loss_by_wakeups(measured).map_or_else(String::new, |part| format!("{part:.1}"));
        [
            format!("{:.0}", measured.without_per_s),
            format!("{:.1}", measured.loss.value),
            format!("{:.1}", measured.loss.error),
            measured.pairs.to_string(),
            format!("{:.1}", measured.agent_cpu),
            format!("{mib:.1}"),
            format!("{:.0}", measured.wakeups_per_s),
            by_wakeups,
            measured.lost.to_string(),
        ]
    }

    /// The share of the load's time that went into waking the agent: so much of the loss, in its percent.
    fn loss_by_wakeups(&self, measured: &Measured) -> Option<f64> {
        Some(100.0 * measured.wakeups_per_s * self.results.wakeup_us?.value / 1e6)
    }

    fn write_figures(&self, out: &mut String) -> std::fmt::Result {
        let Results { wakeup_us, full_rate, memory, latency, capture, .. } = &self.results;
        if let Some(Estimate { value, error }) = wakeup_us {
            writeln!(out, "a wakeup of another processor: {value:.1} ±{error:.1} µs for the one that wakes")?;
        }
        if let Some(full_rate) = full_rate {
            writeln!(
                out,
                "full rate, {:.0} s, all modes at once: {:.0} connection ends/s",
                full_rate.seconds, full_rate.ends_per_s
            )?;
            for run in &full_rate.runs {
                let (name, accounting) = (run.subject.name(), &run.accounting);
                let (lost, unaccounted) = (accounting.lost(), accounting.unaccounted);
                writeln!(
                    out,
                    "  {name}: agent CPU {:.1} %, lost {lost}, unaccounted {unaccounted}",
                    run.agent_cpu
                )?;
            }
        }
        if let Some(memory) = memory {
            for run in &memory.runs {
                #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
                let [idle, busy] =
                    [run.idle_bytes, run.busy_bytes].map(|bytes| bytes as f64 / f64::from(1 << 20));
                let name = run.subject.name();
                writeln!(
                    out,
                    "RSS of {name}: {idle:.1} MiB idle, {busy:.1} MiB with {} live flows",
                    memory.ends
                )?;
            }
        }
        for line in capture.iter().flat_map(super::figure::capture::Capture::lines) {
            writeln!(out, "{line}")?;
        }
        if let Some(latency) = latency {
            let (median, p99) = (latency.median_ms, latency.p99_ms);
            writeln!(
                out,
                "decisive event to finding: median {median:.1} ms, p99 {p99:.1} ms of {}",
                latency.findings
            )?;
        }
        Ok(())
    }

    fn write_growth(&self, out: &mut String) -> std::fmt::Result {
        let flows = self.results.flows.as_ref().map(super::figure::flows::Flows::lines);
        let pods = self.results.pods.as_ref().map(super::figure::pods::Pods::lines);
        let changes = self.results.changes.as_ref().map(super::figure::changes::Changes::lines);
        let lines: Vec<_> = flows.into_iter().chain(pods).chain(changes).flatten().collect();
        if lines.is_empty() {
            return Ok(());
        }
        let table = Table { heading: ["growth with", "how many", "event ns", "bytes each"], lines };
        writeln!(out, "\n{table}")
    }

    /// Of the agent in a cluster, and for a long time.
    fn write_agent(&self, out: &mut String) -> std::fmt::Result {
        let Results { cluster, soak, .. } = &self.results;
        let cluster = cluster.iter().flat_map(super::figure::cluster::Clustered::lines);
        for line in cluster.chain(soak.iter().flat_map(super::figure::soak::Soak::lines)) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn write_budgets(&self, out: &mut String) -> std::fmt::Result {
        let line = |budget: &Budget| {
            let number = |number: f64| format!("{number:.1}");
            let measured = self.results.figure(budget.figure);
            [
                budget.name.to_owned(),
                budget.verdict(&self.results).name().to_owned(),
                measured.map_or_else(String::new, |measured| number(measured.value)),
                measured.map_or_else(String::new, |measured| number(measured.error)),
                number(budget.limit.budget()),
                number(budget.limit.aim()),
            ]
        };
        // Who asked for a part does not want to read of the rest.
        let is_wanted = |budget: &&Budget| self.plan.check || self.results.figure(budget.figure).is_some();
        let table = Table {
            heading: ["figure", "verdict", "measured", "±", "budget", "aim"],
            lines: BUDGETS.iter().filter(is_wanted).map(line).collect(),
        };
        writeln!(out, "\n{table}")
    }

    /// The same as one JSON object.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let Results {
            machine,
            comparisons,
            wakeup_us,
            full_rate,
            memory,
            latency,
            replay,
            capture,
            flows,
            pods,
            changes,
            cluster,
            soak,
        } = &self.results;
        let json = json!({
            "machine": machine.json(),
            "window_s": self.plan.window().as_secs_f64(),
            "toggled_window_s": TOGGLED_WINDOW.as_secs_f64(),
            "losses": comparisons.iter().map(comparison).collect::<Vec<_>>(),
            "wakeup_us": wakeup_us.map(estimate),
            "full_rate": full_rate.as_ref().map(super::figure::full_rate::FullRate::json),
            "memory": memory.as_ref().map(super::figure::memory::Memory::json),
            "latency": latency.as_ref().map(super::figure::latency::Latency::json),
            "replay": replay.as_ref().map(super::figure::replay::Replay::json),
            "capture": capture.as_ref().map(super::figure::capture::Capture::json),
            "flows": flows.as_ref().map(super::figure::flows::Flows::json),
            "pods": pods.as_ref().map(super::figure::pods::Pods::json),
            "changes": changes.as_ref().map(super::figure::changes::Changes::json),
            "cluster": cluster.as_ref().map(super::figure::cluster::Clustered::json),
            "soak": soak.as_ref().map(super::figure::soak::Soak::json),
            "budgets": BUDGETS.iter().map(|budget| self.budget(budget)).collect::<Vec<_>>(),
        });
        fs::write(path, format!("{json:#}\n")).with_context(|| format!("could not write {}", path.display()))
    }

    fn budget(&self, budget: &Budget) -> Value {
        json!({
            "figure": budget.name,
            "budget": budget.limit.budget(),
            "aim": budget.limit.aim(),
            "measured": self.results.figure(budget.figure).map(estimate),
            "verdict": budget.verdict(&self.results).name(),
        })
    }

    /// Fails when numbers of the tracer do not add up, and, if it is to, on each missed budget.
    pub(crate) fn check(&self) -> Result<()> {
        let unaccounted: Vec<String> = self.results.comparisons.iter().filter_map(unaccounted).collect();
        if !unaccounted.is_empty() {
            bail!(
                "the accounting does not hold, so the numbers above mean little:\n{}",
                unaccounted.join("\n")
            );
        }
        let is_bad = |budget: &&Budget| !budget.verdict(&self.results).is_good();
        let missed: Vec<String> =
            BUDGETS.iter().filter(is_bad).map(|budget| self.complaint(budget)).collect();
        if self.plan.check && !missed.is_empty() {
            bail!("budgets that were not kept:\n{}", missed.join("\n"));
        }
        Ok(())
    }

    fn complaint(&self, budget: &Budget) -> String {
        let name = budget.name;
        match self.results.figure(budget.figure) {
            Some(Estimate { value, error }) => {
                format!("  {name}: {value:.1} ±{error:.1}, budget {:.1}", budget.limit.budget())
            }
            None => format!("  {name}: not measured"),
        }
    }
}

fn unaccounted(one: &Comparison) -> Option<String> {
    let count = one.result.as_ref().ok()?.accounting.as_ref()?.unaccounted;
    let (subject, load) = (one.subject.name(), one.load.name());
    (count > 0).then(|| format!("{subject} under {load}: {count} connection ends are unaccounted for"))
}

fn comparison(one: &Comparison) -> Value {
    let (load, attached) = (one.load.name(), one.subject.name());
    match &one.result {
        Err(why) => json!({ "load": load, "attached": attached, "could_not_run": why }),
        Ok(measured) => json!({
            "load": load,
            "attached": attached,
            "pairs": measured.pairs,
            "without_per_s": measured.without_per_s,
            "loss_percent": estimate(measured.loss),
            "loss_by_cpu_time_percent": estimate(measured.cpu_loss),
            "agent_cpu_percent": measured.agent_cpu,
            "agent_rss_bytes": measured.rss_bytes,
            "wakeups_per_s": measured.wakeups_per_s,
            "lost": measured.lost,
            "accounting": measured.accounting.as_ref().map(crate::accounting::Accounting::json),
        }),
    }
}

fn estimate(estimate: Estimate) -> Value {
    json!({ "value": estimate.value, "error": estimate.error })
}
