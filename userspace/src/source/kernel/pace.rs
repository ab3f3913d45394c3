//! How soon the ring is looked at again: soon while records come, seldom while nothing does.

use std::time::Duration;

/// Often enough for what comes to be told at once, and for a burst not to fill 8 MiB of records.
const BUSY: Duration = Duration::from_millis(10);

/// While nothing comes. Each look wakes a processor (7–15 µs of it, and the one that shares its core), and what comes first
/// after a quiet time waits that long at most: less than the 50 ms in which a finding is to be told.
const QUIET: Duration = Duration::from_millis(40);

/// Looks without a record before it is quiet.
const PATIENCE: u32 = 10;

/// The pace.
#[derive(Debug, Default)]
pub(super) struct Pace {
    in_vain: u32,
}

impl Pace {
    /// After a look: how long to wait for the next one.
    pub(super) fn next(&mut self, had_records: bool) -> Duration {
        self.in_vain = if had_records { 0 } else { self.in_vain.saturating_add(1) };
        if self.in_vain < PATIENCE { BUSY } else { QUIET }
    }
}

#[cfg(test)]
mod tests {
    use super::{BUSY, PATIENCE, Pace, QUIET};

    #[test]
    fn it_slows_down_when_nothing_comes_and_speeds_up_at_once() {
        let mut pace = Pace::default();
        for _ in 1..PATIENCE {
            assert_eq!(pace.next(false), BUSY);
        }
        assert_eq!(pace.next(false), QUIET);
        assert_eq!(pace.next(true), BUSY);
        assert_eq!(pace.next(false), BUSY);
    }
}
