//! What a load has done in a stretch of time, and what of it is lost against another one; it must not know what was attached.

use std::{ops::Add, time::Duration};

/// What was done in a window, or in several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) operations: u64,
    pub(crate) time: Duration,
    /// That the load used.
    pub(crate) cpu: Duration,
}

impl Window {
    /// Operations in a second.
    pub(crate) fn per_s(&self) -> f64 {
        self.over(self.time)
    }

    /// Operations in a second of the load's processor time.
    pub(crate) fn per_cpu_s(&self) -> f64 {
        self.over(self.cpu)
    }

    fn over(&self, time: Duration) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "operations of a minute")]
        let operations = self.operations as f64;
        operations / time.as_secs_f64()
    }
}

impl Add for Window {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            time: self.time + other.time,
            cpu: self.cpu + other.cpu,
        }
    }
}

/// How much less one rate is than another, in percent.
pub(crate) fn loss_percent(with: f64, without: f64) -> f64 {
    100.0 * (1.0 - with / without)
}
