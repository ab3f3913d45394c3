//! Each configuration against one running load, in windows that alternate with windows of nothing; what a load is, and what
//! is attached, is not known here.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    accounting::Accounting,
    arguments::Plan,
    cpus,
    load::{
        Load,
        running::{Running, Sample},
    },
    pause::pause,
    statistic::{Estimate, median},
    subject::Subject,
};

/// Between attaching or detaching and the window: what the kernel defers is done by then.
const SETTLE: Duration = Duration::from_millis(150);

/// How long a load runs before anything is measured: until the number of its TIME-WAIT sockets is steady.
const WARM_UP: Duration = Duration::from_secs(2);

/// One configuration under one load.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) load: Load,
    pub(crate) subject: Subject,
    /// Operations a second with nothing attached.
    pub(crate) without_per_s: f64,
    /// Throughput lost, in percent.
    pub(crate) loss: Estimate,
    /// The same by the processor time that client and server used, in percent: other programs disturb it less.
    pub(crate) cpu_loss: Estimate,
    /// Processor time of the agent, in percent of one processor.
    pub(crate) agent_cpu: f64,
    /// Over all windows, and the time around them.
    pub(crate) accounting: Accounting,
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
        let operations = end.operations.saturating_sub(begin.operations);
        #[expect(clippy::cast_precision_loss, reason = "operations of a minute")]
        let over = |time: Duration| operations as f64 / time.as_secs_f64();
        Self {
            operations,
            per_s: over(end.time.saturating_sub(begin.time)),
            per_cpu_s: over(end.cpu.saturating_sub(begin.cpu)),
        }
    }
}

/// Everything measured of one configuration.
#[derive(Default)]
struct Series {
    without_per_s: Vec<f64>,
    loss: Vec<f64>,
    cpu_loss: Vec<f64>,
    agent_cpu: Vec<f64>,
    accounting: Accounting,
}

/// Runs a load and measures each configuration against it.
pub(crate) fn compare(load: Load, plan: &Plan) -> Result<Vec<Comparison>> {
    let (load_cpu, agents_cpus) = cpus::divide(&cpus::allowed()?)?;
    let mut stage = Stage { load, running: Running::start(load, load_cpu)?, agents_cpus, plan };
    pause(WARM_UP)?;
    let mut series: [Series; Subject::ALL.len()] = Default::default();
    let mut before = stage.window()?;
    for round in 0..plan.pairs as usize {
        eprintln!("bench: {}, round {} of {}", load.name(), round + 1, plan.pairs);
        for turn in 0..series.len() {
            // Another one first in each round, so that none always follows the same one.
            let index = (round + turn) % series.len();
            let after = stage.measure(Subject::ALL[index], before, &mut series[index])?;
            before = after;
        }
    }
    Subject::ALL.into_iter().zip(series).map(|(subject, series)| series.finish(load, subject)).collect()
}

/// What does not change between windows.
struct Stage<'a> {
    load: Load,
    running: Running,
    agents_cpus: Vec<usize>,
    plan: &'a Plan,
}

impl Stage<'_> {
    /// A window with `subject` attached, compared with the ones without before and after it. Gives the one after.
    fn measure(&mut self, subject: Subject, before: Window, series: &mut Series) -> Result<Window> {
        let attached = subject.attach(&self.agents_cpus)?;
        pause(SETTLE)?;
        let begun_ns = attached.cpu_ns();
        let with = self.window()?;
        let agent_ns = attached.cpu_ns() - begun_ns;
        let mut accounting = attached.detach()?;
        if accounting.events > 0 {
            // The first was begun before the window, the last may not be closed yet.
            accounting.expect_ends(self.load.ends_per_operation() * with.operations.saturating_sub(2));
        }
        let after = self.window_of_nothing()?;
        let loss =
            |of: fn(&Window) -> f64| 100.0 * (1.0 - of(&with) / f64::midpoint(of(&before), of(&after)));
        series.loss.push(loss(|window| window.per_s));
        series.cpu_loss.push(loss(|window| window.per_cpu_s));
        series.without_per_s.push(after.per_s);
        let agent = Duration::from_nanos(agent_ns).as_secs_f64();
        series.agent_cpu.push(100.0 * agent / self.plan.seconds.as_secs_f64());
        series.accounting.add(accounting);
        Ok(after)
    }

    fn window_of_nothing(&mut self) -> Result<Window> {
        pause(SETTLE)?;
        self.window()
    }

    fn window(&mut self) -> Result<Window> {
        let begin = self.running.sample()?;
        pause(self.plan.seconds)?;
        Ok(Window::between(begin, self.running.sample()?))
    }
}

impl Series {
    fn finish(self, load: Load, subject: Subject) -> Result<Comparison> {
        let nothing = "nothing was measured";
        Ok(Comparison {
            load,
            subject,
            without_per_s: median(&self.without_per_s).context(nothing)?,
            loss: Estimate::of(&self.loss).context(nothing)?,
            cpu_loss: Estimate::of(&self.cpu_loss).context(nothing)?,
            agent_cpu: median(&self.agent_cpu).context(nothing)?,
            accounting: self.accounting,
        })
    }
}
