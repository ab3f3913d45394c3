//! Each configuration against one running load, in windows with it and without it by turns; what a load is, and what is
//! attached, is not known here.

use std::time::{Duration, Instant};

use anyhow::Result;
use mtlsnoop_tests::interrupt::Interrupted;

use crate::{
    arguments::Plan,
    cpus::Cpus,
    load::{Load, running::Running},
    need,
    pause::pause,
    series::{Comparison, Series},
    subject::{Subject, agent::Mode, toggled::Toggled},
    window::Window,
};

/// Between the start or the end of a process and the window: what the kernel defers is done by then.
const SETTLE: Duration = Duration::from_millis(150);

/// The same between attaching or detaching by a running process, which takes less than a millisecond.
const SETTLE_TOGGLED: Duration = Duration::from_millis(5);

/// Windows that can be toggled are short: the machine drifts less between two of them.
pub(crate) const TOGGLED_WINDOW: Duration = Duration::from_millis(20);

/// How long a load runs before anything is measured: until the number of its TIME-WAIT sockets is steady.
const WARM_UP: Duration = Duration::from_secs(2);

/// Runs a load and measures each configuration against it.
pub(crate) fn compare(load: Load, plan: &Plan, cpus: &Cpus) -> Result<Vec<Comparison>> {
    let mut stage = Stage { running: Running::start(load, cpus)?, plan, before: None };
    pause(WARM_UP)?;
    let end = Instant::now() + plan.limit();
    let mut series: Vec<Series> =
        plan.subjects().into_iter().map(|subject| Series::new(load, subject, plan)).collect();
    let mut previous = None;
    loop {
        let progress: Vec<_> = series.iter().map(|one| one.progress(plan)).collect();
        let Some(next) = need::next(&progress, previous, Instant::now() >= end) else { break };
        stage.measure(&mut series[next])?;
        previous = Some(next);
        series[next].say();
    }
    series.into_iter().map(Series::finish).collect()
}

/// What does not change between windows.
struct Stage<'a> {
    running: Running,
    plan: &'a Plan,
    /// The window just before, if it was one of nothing.
    before: Option<Window>,
}

impl Stage<'_> {
    fn measure(&mut self, series: &mut Series) -> Result<()> {
        if let Some(mode) = series.subject.mode() {
            return self.measure_toggled(series, mode);
        }
        match self.measure_started(series) {
            // A tool that does not run here is told by name; that is no reason to measure nothing.
            Err(error) if series.subject.is_peer() && !error.is::<Interrupted>() => {
                series.refuse(format!("{error:#}"));
                Ok(())
            }
            measured => measured,
        }
    }

    /// One process, told over and over to attach and to detach. First it is attached for as long as any other, to see what
    /// it uses.
    fn measure_toggled(&mut self, series: &mut Series, mode: Mode) -> Result<()> {
        self.before = None;
        let mut toggled = Toggled::start(mode)?;
        pause(SETTLE)?;
        let begun = toggled.usage()?;
        let window = self.window(self.plan.window())?;
        series.use_up(begun, toggled.usage()?, toggled.rss_bytes()?, window);
        let mut operations = sure(window);
        for _ in 0..self.plan.blocks() {
            // With, without, without, with: what drifts evenly is the same in both.
            let first = self.window(TOGGLED_WINDOW)?;
            toggled.detach()?;
            pause(SETTLE_TOGGLED)?;
            let without = self.window(TOGGLED_WINDOW)? + self.window(TOGGLED_WINDOW)?;
            toggled.attach()?;
            pause(SETTLE_TOGGLED)?;
            let last = self.window(TOGGLED_WINDOW)?;
            series.compare(first + last, without);
            operations += sure(first) + sure(last);
        }
        series.count(toggled.stop()?, operations);
        Ok(())
    }

    /// A process that is started for a window, between windows for which one that attaches nothing is started.
    fn measure_started(&mut self, series: &mut Series) -> Result<()> {
        let before = match self.before.take() {
            Some(before) => before,
            None => self.window_of_nothing()?,
        };
        let attached = series.subject.attach(self.running.place())?;
        pause(SETTLE)?;
        let begun = attached.usage()?;
        let with = self.window(self.plan.window())?;
        series.use_up(begun, attached.usage()?, attached.rss_bytes()?, with);
        let counted = attached.detach()?;
        let after = self.window_of_nothing()?;
        self.before = Some(after);
        series.count(counted, sure(with));
        series.compare(with, before + after);
        Ok(())
    }

    /// Beside a process that attaches nothing, so that it differs by the tracer alone.
    fn window_of_nothing(&mut self) -> Result<Window> {
        let nothing = Subject::Nothing.attach(self.running.place())?;
        pause(SETTLE)?;
        let window = self.window(self.plan.window())?;
        nothing.detach()?;
        Ok(window)
    }

    fn window(&mut self, duration: Duration) -> Result<Window> {
        let begin = self.running.sample()?;
        pause(duration)?;
        Ok(begin.until(self.running.sample()?))
    }
}

/// Operations that were begun and ended in a window: the first was begun before it, and the last may not be closed yet.
fn sure(window: Window) -> u64 {
    window.operations.saturating_sub(2)
}
