//! The figures of the budget that are no loss of throughput; each knows how it is measured, none what its budget is.

pub(crate) mod capture;
pub(crate) mod changes;
pub(crate) mod cluster;
pub(crate) mod enriched;
pub(crate) mod flows;
pub(crate) mod full_rate;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod pods;
pub(crate) mod replay;
pub(crate) mod soak;
mod traffic;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Runs a part in a process of its own, where nothing else has used memory before, and gives the JSON that it prints.
fn in_own_process(arguments: &[&str]) -> Result<Value> {
    let this = std::env::current_exe().context("could not find this program")?;
    let output =
        Command::new(this).args(arguments).output().context("could not start a part of the benchmark")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed ({}): {stderr}", arguments.join(" "), output.status);
    serde_json::from_slice(&output.stdout).context("a part of the benchmark printed something else than JSON")
}

/// Anonymous memory of this process: what it has allocated and touched.
fn allocated_bytes() -> Result<u64> {
    mtlsnoop::memory::give_back();
    let status = std::fs::read_to_string("/proc/self/status").context("could not read /proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next()?.parse().ok());
    Ok(1024 * kib.unwrap_or(0_u64))
}
