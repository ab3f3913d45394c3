//! What the programs cost, as the kernel counts it; must not know what they do. Counting costs a little on every run of every program
//! on the machine, so it is never switched on here.

use std::{fs, time::Duration};

use aya::Ebpf;

/// Whether the kernel counts (Documentation/admin-guide/sysctl/kernel.rst, `bpf_stats_enabled`).
const IS_COUNTED: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// How often a program ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its name in the object.
    pub program: Box<str>,
    /// How long in all.
    pub time: Duration,
    /// How often.
    pub count: u64,
}

/// All programs that are loaded; none where nobody counts.
pub(super) fn of(programs: &Ebpf) -> Vec<Ran> {
    if fs::read_to_string(IS_COUNTED).is_ok_and(|counted| counted.trim() != "1") {
        return Vec::new();
    }
    let ran = |(name, program): (&str, &aya::programs::Program)| {
        // What is not loaded has no information.
        let info = program.info().ok()?;
        Some(Ran { program: name.into(), time: info.run_time(), count: info.run_count() })
    };
    programs.programs().filter_map(ran).collect()
}
