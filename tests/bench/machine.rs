//! Where and when it was measured; without it numbers mean nothing.

use std::{fmt, fs, thread};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

/// This machine, at the beginning.
pub(crate) struct Machine {
    time: Timestamp,
    kernel: String,
    processor: String,
    processors: usize,
    /// Runnable tasks in the last minute: on a quiet machine below 1.
    load_average: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let name = nix::sys::utsname::uname().context("could not ask for the kernel's version")?;
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        // "model name : …" on x86; other machines tell less there.
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let load = fs::read_to_string("/proc/loadavg").context("could not read /proc/loadavg")?;
        Ok(Self {
            time: Timestamp::now(),
            kernel: name.release().to_string_lossy().into_owned(),
            processor: model
                .map_or(std::env::consts::ARCH, |text| text.trim_start_matches([' ', '\t', ':']))
                .to_owned(),
            processors: thread::available_parallelism().context("could not count the processors")?.get(),
            load_average: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "time": self.time.to_string(),
            "kernel": self.kernel,
            "processor": self.processor,
            "processors": self.processors,
            "load_average": self.load_average,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, kernel, processor, processors, load_average } = self;
        write!(
            out,
            "Linux {kernel}, {processors} CPUs ({processor}), {time:.0}, load average before {load_average}"
        )
    }
}
