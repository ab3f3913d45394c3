//! Each configuration against one running load, in windows that alternate with windows of nothing; what a load is, and what
//! is attached, is not known here.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::interrupt::Interrupted;

use crate::{
    accounting::Accounting,
    arguments::Plan,
    budget,
    cpus::Cpus,
    load::{
        Load,
        running::{Running, Sample},
    },
    need::{self, Progress},
    pause::pause,
    statistic::{Estimate, median},
    subject::Subject,
};

/// Between attaching or detaching and the window: what the kernel defers is done by then.
const SETTLE: Duration = Duration::from_millis(150);

/// How long a load runs before anything is measured: until the number of its TIME-WAIT sockets is steady.
const WARM_UP: Duration = Duration::from_secs(2);

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
    /// How many windows with it.
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

/// What was done in a window.
#[derive(Clone, Copy)]
struct Window {
    operations: u64,
    per_s: f64,
    per_cpu_s: f64,
}

impl Window {
    fn between(begin: Sample, end: Sample) -> Self {
        let operations = end.done.operations.saturating_sub(begin.done.operations);
        #[expect(clippy::cast_precision_loss, reason = "operations of a minute")]
        let over = |time: Duration| operations as f64 / time.as_secs_f64();
        Self {
            operations,
            per_s: over(end.done.time.saturating_sub(begin.done.time)),
            per_cpu_s: over(end.cpu.saturating_sub(begin.cpu)),
        }
    }
}

/// Everything measured of one configuration so far.
struct Series {
    subject: Subject,
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

/// Runs a load and measures each configuration against it.
pub(crate) fn compare(load: Load, plan: &Plan, cpus: &Cpus) -> Result<Vec<Comparison>> {
    let mut stage = Stage { load, running: Running::start(load, cpus)?, plan };
    pause(WARM_UP)?;
    let end = Instant::now() + plan.limit();
    let mut series: Vec<Series> =
        plan.subjects().into_iter().map(|subject| Series::new(load, subject, plan)).collect();
    let mut before = stage.window_of_nothing()?;
    let mut previous = None;
    loop {
        let progress: Vec<_> = series.iter().map(|one| one.progress(plan)).collect();
        let Some(next) = need::next(&progress, previous, Instant::now() >= end) else { break };
        before = stage.measure(&mut series[next], before)?;
        previous = Some(next);
        series[next].say(load);
    }
    series.into_iter().map(|series| series.finish(load)).collect()
}

/// What does not change between windows.
struct Stage<'a> {
    load: Load,
    running: Running,
    plan: &'a Plan,
}

impl Stage<'_> {
    /// A window with something attached, compared with the ones without before and after it. Gives the one after.
    fn measure(&mut self, series: &mut Series, before: Window) -> Result<Window> {
        match self.try_to_measure(series, before) {
            // A tool that does not run here is told by name; that is no reason to measure nothing.
            Err(error) if series.subject.is_peer() && !error.is::<Interrupted>() => {
                series.refused = Some(format!("{error:#}"));
                self.window_of_nothing()
            }
            measured => measured,
        }
    }

    fn try_to_measure(&mut self, series: &mut Series, before: Window) -> Result<Window> {
        let attached = series.subject.attach(self.running.place())?;
        pause(SETTLE)?;
        let begun = attached.usage()?;
        let with = self.window()?;
        let used = attached.usage()?;
        series.rss_bytes = series.rss_bytes.max(attached.rss_bytes()?);
        let mut counted = attached.detach()?;
        let after = self.window_of_nothing()?;
        if let Some(accounting) = &mut counted.accounting {
            // The first was begun before the window, the last may not be closed yet.
            accounting.expect_ends(self.load.ends_per_operation() * with.operations.saturating_sub(2));
        }
        series.lost += counted.lost;
        series.add_accounting(counted.accounting);
        series.compare(before, with, after);
        let seconds = self.plan.window().as_secs_f64();
        series.agent_cpu.push(100.0 * used.cpu.saturating_sub(begun.cpu).as_secs_f64() / seconds);
        #[expect(clippy::cast_precision_loss, reason = "wakeups of a second")]
        series.wakeups_per_s.push(used.sleeps.saturating_sub(begun.sleeps) as f64 / seconds);
        Ok(after)
    }

    /// Beside a process that does nothing, so that it differs by the tracer alone.
    fn window_of_nothing(&mut self) -> Result<Window> {
        let nothing = Subject::Nothing.attach(self.running.place())?;
        pause(SETTLE)?;
        let window = self.window()?;
        nothing.detach()?;
        Ok(window)
    }

    fn window(&mut self) -> Result<Window> {
        let begin = self.running.sample()?;
        pause(self.plan.window())?;
        Ok(Window::between(begin, self.running.sample()?))
    }
}

impl Series {
    fn new(load: Load, subject: Subject, plan: &Plan) -> Self {
        let budget = budget::of_loss(load, subject);
        Self {
            subject,
            // A budget is kept or missed only where the error is smaller.
            aim: budget.map_or(plan.error, |budget| plan.error.min(budget / 2.0)),
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

    fn progress(&self, plan: &Plan) -> Progress {
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

    fn compare(&mut self, before: Window, with: Window, after: Window) {
        let loss =
            |of: fn(&Window) -> f64| 100.0 * (1.0 - of(&with) / f64::midpoint(of(&before), of(&after)));
        self.loss.push(loss(|window| window.per_s));
        self.cpu_loss.push(loss(|window| window.per_cpu_s));
        self.without_per_s.push(after.per_s);
    }

    fn add_accounting(&mut self, accounting: Option<Accounting>) {
        match (&mut self.accounting, accounting) {
            (Some(sum), Some(one)) => sum.add(one),
            (sum @ None, one) => *sum = one,
            (Some(_), None) => {}
        }
    }

    fn say(&self, load: Load) {
        let (load, subject) = (load.name(), self.subject.name());
        match (&self.refused, Estimate::of(&self.loss)) {
            (Some(why), _) => eprintln!("bench: {load}, {subject}: {why}"),
            (None, Some(Estimate { value, error })) => {
                eprintln!("bench: {load}, {subject}: {value:.1} ±{error:.1} % after {}", self.loss.len());
            }
            (None, None) => {}
        }
    }

    fn finish(self, load: Load) -> Result<Comparison> {
        let subject = self.subject;
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
