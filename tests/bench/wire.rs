//! What went over the loopback of a network namespace; it must not know what it was.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::netns::Netns;

use crate::proc_text;

/// What has gone over it at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    at: Instant,
    pub(crate) bytes: u64,
}

impl Wire {
    /// What has gone over it so far: both directions, with headers.
    pub(crate) fn read(netns: &Netns) -> Result<Self> {
        let table = netns.enter(|| {
            // `/proc/net` is that of the process's first thread.
            fs::read_to_string("/proc/thread-self/net/dev").context("could not read the devices' counters")
        })?;
        let bytes = proc_text::received_bytes(&table, "lo").context("there is no loopback")?;
        Ok(Self { at: Instant::now(), bytes })
    }

    /// Bytes a second from this one to a later one, and how long that was.
    pub(crate) fn until(self, end: Self) -> (f64, Duration) {
        let time = end.at.saturating_duration_since(self.at);
        #[expect(clippy::cast_precision_loss, reason = "bytes of minutes")]
        let bytes = end.bytes.saturating_sub(self.bytes) as f64;
        (bytes / time.as_secs_f64(), time)
    }
}
