//! A control group of processes as one thing that uses processor time and memory; it must not know what they do.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::cgroup::CgroupTree;

use crate::proc_text;

/// A control group that is gone, with all that runs in it, when this is dropped.
#[derive(Debug)]
pub(crate) struct Group(CgroupTree);

impl Group {
    /// With the lab's prefix, so that whatever sweeps up after a killed run finds it.
    pub(crate) fn create() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self(CgroupTree::create(&format!("mtlsnoop-lab-{}-bench{nth}", std::process::id()))?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(self.path())
    }

    /// How often its threads went to sleep so far, each time to be woken again.
    pub(crate) fn sleeps(&self) -> Result<u64> {
        let of_task = |task: &Path| fs::read_to_string(task.join("status")).ok();
        let mut sleeps = 0;
        for process in self.processes()? {
            // A process that has ended meanwhile sleeps no more.
            let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
            let statuses = tasks.flatten().filter_map(|task| of_task(&task.path()));
            sleeps += statuses.filter_map(|status| proc_text::sleeps(&status)).sum::<u64>();
        }
        Ok(sleeps)
    }

    /// Memory in use now, without the pages of rings that are shared with the kernel.
    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        let maps = self.processes()?.into_iter().filter_map(|process| {
            // A process that has ended meanwhile has no memory.
            fs::read_to_string(format!("/proc/{process}/smaps")).ok()
        });
        Ok(maps.map(|maps| proc_text::rss_without_rings_bytes(&maps)).sum())
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let path = self.path().join("cgroup.procs");
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }
}

/// Processor time of a control group, with all below it, so far.
pub(crate) fn cpu(group: &Path) -> Result<Duration> {
    let path = group.join("cpu.stat");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let used = proc_text::cpu_us(&text);
    Ok(Duration::from_micros(used.with_context(|| format!("{} has no usage_usec", path.display()))?))
}
