//! Everything measured of one configuration under one load, and what becomes of it; how it is measured is not known here.

use anyhow::{Context as _, Result};

use crate::{
    accounting::Accounting,
    arguments::Plan,
    budget,
    load::Load,
    need::Progress,
    statistic::{Estimate, median},
    subject::{Counted, Subject, started::Usage},
    window::{Window, loss_percent},
};

/// One configuration under one load.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) load: Load,
    pub(crate) subject: Subject,
    /// What was measured, or why nothing could be.
    pub(crate) result: Result<Measured, String>,
}

/// What was measured of one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// How often it was compared with nothing.
    pub(crate) pairs: usize,
    /// Operations a second with nothing attached.
    pub(crate) without_per_s: f64,
    /// Throughput lost, in percent.
    pub(crate) loss: Estimate,
    /// The same by the processor time that the load used, in percent: other programs disturb it less.
    pub(crate) cpu_loss: Estimate,
    /// Processor time of the agent, in percent of one processor.
    pub(crate) agent_cpu: f64,
    /// Most memory of the agent, without rings.
    pub(crate) rss_bytes: u64,
    /// How often the agent was woken, a second.
    pub(crate) wakeups_per_s: f64,
    /// Events that it says it lost.
    pub(crate) lost: u64,
    /// Of the tracer, over all windows and the time around them.
    pub(crate) accounting: Option<Accounting>,
}

/// Everything measured of one configuration so far.
pub(crate) struct Series {
    pub(crate) subject: Subject,
    load: Load,
    /// What the error of its loss is to be.
    aim: f64,
    is_urgent: bool,
    without_per_s: Vec<f64>,
    loss: Vec<f64>,
    cpu_loss: Vec<f64>,
    agent_cpu: Vec<f64>,
    wakeups_per_s: Vec<f64>,
    rss_bytes: u64,
    lost: u64,
    accounting: Option<Accounting>,
    /// Why it cannot be measured.
    refused: Option<String>,
}

/// What can be toggled is measured better than the rest by this.
const TOGGLED_IS_BETTER: f64 = 5.0;

impl Series {
    pub(crate) fn new(load: Load, subject: Subject, plan: &Plan) -> Self {
        let budget = budget::of_loss(load, subject);
        Self {
            subject,
            load,
            aim: if subject.mode().is_some() { plan.error / TOGGLED_IS_BETTER } else { plan.error },
            is_urgent: budget.is_some(),
            without_per_s: Vec::new(),
            loss: Vec::new(),
            cpu_loss: Vec::new(),
            agent_cpu: Vec::new(),
            wakeups_per_s: Vec::new(),
            rss_bytes: 0,
            lost: 0,
            accounting: None,
            refused: None,
        }
    }

    pub(crate) fn progress(&self, plan: &Plan) -> Progress {
        let is_refused = self.refused.is_some();
        Progress {
            count: self.loss.len(),
            least: if is_refused { 0 } else { plan.least_pairs(self.subject) },
            error: if is_refused { 0.0 } else { self.error() },
            aim: self.aim,
            is_urgent: self.is_urgent,
        }
    }

    fn error(&self) -> f64 {
        Estimate::of(&self.loss).map_or(f64::INFINITY, |loss| loss.error)
    }

    /// Adds what was done with it, and as long without it at about the same time.
    pub(crate) fn compare(&mut self, with: Window, without: Window) {
        self.loss.push(loss_percent(with.per_s(), without.per_s()));
        self.cpu_loss.push(loss_percent(with.per_cpu_s(), without.per_cpu_s()));
        self.without_per_s.push(without.per_s());
    }

    /// Adds what the agent used between two looks.
    pub(crate) fn use_up(&mut self, begun: Usage, used: Usage, rss_bytes: u64, window: Window) {
        let seconds = window.time.as_secs_f64();
        self.agent_cpu.push(100.0 * used.cpu.saturating_sub(begun.cpu).as_secs_f64() / seconds);
        #[expect(clippy::cast_precision_loss, reason = "wakeups of a second")]
        self.wakeups_per_s.push(used.sleeps.saturating_sub(begun.sleeps) as f64 / seconds);
        self.rss_bytes = self.rss_bytes.max(rss_bytes);
    }

    /// Adds what it has counted, while the load did so many operations at least.
    pub(crate) fn count(&mut self, counted: Counted, operations: u64) {
        self.lost += counted.lost;
        let Some(mut accounting) = counted.accounting else { return };
        accounting.expect_ends(self.load.ends_per_operation() * operations);
        match &mut self.accounting {
            Some(sum) => sum.add(accounting),
            none => *none = Some(accounting),
        }
    }

    /// It does not run here.
    pub(crate) fn refuse(&mut self, why: String) {
        self.refused = Some(why);
    }

    pub(crate) fn say(&self) {
        let (load, subject) = (self.load.name(), self.subject.name());
        match (&self.refused, Estimate::of(&self.loss)) {
            (Some(why), _) => eprintln!("bench: {load}, {subject}: {why}"),
            (None, Some(Estimate { value, error })) => {
                eprintln!("bench: {load}, {subject}: {value:.2} ±{error:.2} % after {}", self.loss.len());
            }
            (None, None) => {}
        }
    }

    pub(crate) fn finish(self) -> Result<Comparison> {
        let (load, subject) = (self.load, self.subject);
        let result = match self.refused.clone() {
            Some(why) => Err(why),
            None => Ok(self.measured().context("nothing was measured")?),
        };
        Ok(Comparison { load, subject, result })
    }

    fn measured(self) -> Option<Measured> {
        Some(Measured {
            pairs: self.loss.len(),
            without_per_s: median(&self.without_per_s)?,
            loss: Estimate::of(&self.loss)?,
            cpu_loss: Estimate::of(&self.cpu_loss)?,
            agent_cpu: median(&self.agent_cpu)?,
            rss_bytes: self.rss_bytes,
            wakeups_per_s: median(&self.wakeups_per_s)?,
            lost: self.lost,
            accounting: self.accounting,
        })
    }
}
