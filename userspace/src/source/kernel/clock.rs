//! The kernel's clocks in terms of the calendar: `bpf_ktime_get_ns` and jiffies to nanoseconds since the epoch.

use nix::{
    errno::Errno,
    sys::time::TimeSpec,
    time::{ClockId, clock_getres, clock_gettime},
};

use crate::event::time::{MILLISECOND_NS, SECOND_NS, Time};

/// Less than this between calendar and clock is no step: two clocks are not read at the same moment, and a busy processor may be
/// taken away between them.
const STEP_LEAST_NS: u64 = 100 * MILLISECOND_NS;

/// How kernel times translate. Taken once at the start: a later step of the calendar moves nothing, so that what happened keeps its
/// order and its durations. How far the calendar went away since is told by [`Self::step_ns`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What to add to a `CLOCK_MONOTONIC` time.
    pub(super) monotonic_to_epoch_ns: u64,
    /// How long a jiffy is.
    pub(super) jiffy_ns: u64,
}

/// Both clocks, read at the same time.
#[derive(Clone, Copy, Debug)]
struct Reading {
    monotonic_ns: u64,
    calendar_ns: u64,
}

impl Reading {
    fn take() -> Result<Self, Errno> {
        let before = ns(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let calendar_ns = ns(clock_gettime(ClockId::CLOCK_REALTIME)?);
        let after = ns(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        Ok(Self { monotonic_ns: before.midpoint(after), calendar_ns })
    }
}

impl Clock {
    /// Reads the clocks of this machine.
    pub(super) fn read() -> Result<Self, Errno> {
        // The coarse clock ticks with the timer interrupt, so its resolution is a jiffy (`KTIME_LOW_RES`,
        // kernel/time/posix-timers.c); `sysconf(_SC_CLK_TCK)` would give USER_HZ, which is always 100.
        let jiffy_ns = ns(clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)?);
        Ok(Self::at(Reading::take()?, jiffy_ns))
    }

    fn at(reading: Reading, jiffy_ns: u64) -> Self {
        Self { monotonic_to_epoch_ns: reading.calendar_ns.saturating_sub(reading.monotonic_ns), jiffy_ns }
    }

    /// The moment of a `CLOCK_MONOTONIC` time.
    pub(super) fn time(&self, monotonic_ns: u64) -> Time {
        Time(monotonic_ns.saturating_add(self.monotonic_to_epoch_ns))
    }

    /// This moment.
    pub(super) fn now(&self) -> Time {
        self.time(clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, ns))
    }

    /// How far the calendar was set forward since the start, or back; 0 when it was not. Both clocks are slewed alike (`adjtimex(2)`), so
    /// that only steps, leap seconds and suspends part them.
    pub(super) fn step_ns(&self) -> i64 {
        Reading::take().map_or(0, |reading| self.step_at(reading))
    }

    fn step_at(&self, reading: Reading) -> i64 {
        let expected = self.time(reading.monotonic_ns).0;
        let step = i128::from(reading.calendar_ns) - i128::from(expected);
        if step.unsigned_abs() < u128::from(STEP_LEAST_NS) { 0 } else { i64::try_from(step).unwrap_or(0) }
    }
}

/// 0 for times before the clock began, which kernels do not give.
fn ns(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(SECOND_NS).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{Clock, Reading};
    use crate::event::time::{MILLISECOND_NS, SECOND_NS, Time};

    const BOOTED_NS: u64 = 1_700_000_000 * SECOND_NS;

    /// So long after boot, with the calendar set by so much since the start.
    fn reading(monotonic_ns: u64, set_ns: i64) -> Reading {
        Reading { monotonic_ns, calendar_ns: (BOOTED_NS + monotonic_ns).saturating_add_signed(set_ns) }
    }

    #[test]
    fn a_step_of_the_calendar_is_told_and_moves_nothing() {
        let hour_ns = 3600 * SECOND_NS.cast_signed();
        let jitter_ns = 3 * MILLISECOND_NS.cast_signed();
        let clock = Clock::at(reading(10 * SECOND_NS, 0), 1);
        for (set_ns, step_ns) in [
            (0, 0),
            (jitter_ns, 0),
            (-jitter_ns, 0),
            (hour_ns, hour_ns),
            (-hour_ns, -hour_ns),
            // Back to before the machine was booted, and to before the epoch.
            (-20 * hour_ns, -20 * hour_ns),
            (i64::MIN, -(BOOTED_NS + 20 * SECOND_NS).cast_signed()),
        ] {
            assert_eq!(clock.step_at(reading(20 * SECOND_NS, set_ns)), step_ns, "{set_ns}");
            let (before, after) = (clock.time(19 * SECOND_NS), clock.time(21 * SECOND_NS));
            assert_eq!((before, after), (Time(BOOTED_NS + 19 * SECOND_NS), Time(BOOTED_NS + 21 * SECOND_NS)));
        }
        // Stepped forward, and back again by somebody who noticed.
        assert_eq!(clock.step_at(reading(30 * SECOND_NS, 0)), 0);
    }

    #[test]
    fn this_machine_was_not_stepped_just_now() {
        assert_eq!(Clock::read().unwrap().step_ns(), 0);
    }
}
