//! Who runs where: the load on one processor, so that no wakeup crosses from one to another; all else on the others.

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The processors of the load, and of all else.
#[derive(Clone, Debug)]
pub(crate) struct Cpus {
    /// The load's.
    pub(crate) load: usize,
    others: Vec<usize>,
}

impl Cpus {
    /// Divides the processors that this process may use, and keeps the calling thread, with all that it starts from now on,
    /// off the load's; on it when there is only one.
    pub(crate) fn divide() -> Result<Self> {
        let set =
            sched_getaffinity(Pid::from_raw(0)).context("could not ask for the processors to run on")?;
        let allowed: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect();
        let (&load, others) = allowed.split_first().context("this process may run on no processor")?;
        let others = if others.is_empty() { vec![load] } else { others.to_vec() };
        stay_on(&others)?;
        Ok(Self { load, others })
    }

    /// Starts something that belongs to the load. What is started inherits the processors of the thread that starts it, and
    /// ends with that thread, so it is the calling one.
    pub(crate) fn start_on_load<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        stay_on(&[self.load])?;
        let started = start();
        stay_on(&self.others)?;
        started
    }
}

/// Keeps the calling thread on some processors.
pub(crate) fn stay_on(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu).with_context(|| format!("there is no processor {cpu}"))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).context("could not choose a processor to run on")
}
