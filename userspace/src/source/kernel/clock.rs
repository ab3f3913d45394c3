//! The kernel's clocks in terms of the calendar: `bpf_ktime_get_ns` and jiffies to nanoseconds since the epoch.

use nix::{
    errno::Errno,
    sys::time::TimeSpec,
    time::{ClockId, clock_getres, clock_gettime},
};

use crate::event::time::{SECOND_NS, Time};

/// How kernel times translate. Taken once at the start: a later step of the calendar clock moves nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What to add to a `CLOCK_MONOTONIC` time.
    pub(super) monotonic_to_epoch_ns: u64,
    /// How long a jiffy is.
    pub(super) jiffy_ns: u64,
}

impl Clock {
    /// Reads the clocks of this machine.
    pub(super) fn read() -> Result<Self, Errno> {
        let before = ns(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let calendar = ns(clock_gettime(ClockId::CLOCK_REALTIME)?);
        let after = ns(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        // The coarse clock ticks with the timer interrupt, so its resolution is a jiffy (`KTIME_LOW_RES`,
        // kernel/time/posix-timers.c); `sysconf(_SC_CLK_TCK)` would give USER_HZ, which is always 100.
        let jiffy_ns = ns(clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)?);
        let middle = before.midpoint(after);
        Ok(Self { monotonic_to_epoch_ns: calendar.saturating_sub(middle), jiffy_ns })
    }

    /// The moment of a `CLOCK_MONOTONIC` time.
    pub(super) fn time(&self, monotonic_ns: u64) -> Time {
        Time(monotonic_ns.saturating_add(self.monotonic_to_epoch_ns))
    }

    /// This moment.
    pub(super) fn now(&self) -> Time {
        self.time(clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, ns))
    }
}

/// 0 for times before the clock began, which kernels do not give.
fn ns(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(SECOND_NS).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}
