//! Who runs where: the load on one processor, so that no wakeup crosses from one to another; the agent on the others.

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The processors that this process may use.
pub(crate) fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("could not ask for the processors to run on")?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect())
}

/// The load's processor, and those that are left for the agent; the same one when there is only one.
pub(crate) fn divide(allowed: &[usize]) -> Result<(usize, Vec<usize>)> {
    let (&load, others) = allowed.split_first().context("this process may run on no processor")?;
    Ok((load, if others.is_empty() { vec![load] } else { others.to_vec() }))
}

/// Keeps the calling thread on some processors.
pub(crate) fn stay_on(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu).with_context(|| format!("there is no processor {cpu}"))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).context("could not choose a processor to run on")
}
