//! How often something may be announced: each Event ever more rarely, and all together only so many a minute; must not know what
//! is announced. Pure.

use crate::event::time::{SECOND_NS, Time};

/// An Event that was announced is told again after this long.
const FIRST_PAUSE_NS: u64 = 60 * SECOND_NS;

/// Each pause is twice as long as the one before, up to this: well below the hour that an API server keeps Events by default
/// (`--event-ttl` of kube-apiserver), and begins again with each update.
const LONGEST_PAUSE_NS: u64 = 16 * 60 * SECOND_NS;

/// No pause with its share of chance is longer.
const LONGEST_WAIT_NS: u64 = LONGEST_PAUSE_NS + LONGEST_PAUSE_NS / SHARES_OF_CHANCE;

/// A quarter of a pause is left to chance, so that the agents of many nodes that tell of one Event do not all come at once.
const SHARES_OF_CHANCE: u64 = 4;

/// The pauses between two announcements of one Event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    next_ns: u64,
    chance: u64,
}

impl Pauses {
    /// `chance` is any number that is another one for another agent.
    pub(super) fn new(chance: u64) -> Self {
        Self { next_ns: FIRST_PAUSE_NS, chance }
    }

    /// It is announced now: when it may be announced again.
    pub(super) fn announced(&mut self, now: Time) -> Time {
        let pause_ns = self.next_ns;
        self.next_ns = (pause_ns * 2).min(LONGEST_PAUSE_NS);
        now + pause_ns + self.chance % (pause_ns / SHARES_OF_CHANCE)
    }
}

/// It is time, or the clock was set back since that time was fixed.
pub(super) fn is_due(due: Time, now: Time) -> bool {
    due <= now || due.since_ns(now) > LONGEST_WAIT_NS
}

/// So many in a minute: that many at once where there were none before, and then evenly spread.
#[derive(Debug)]
pub(super) struct Budget {
    each_ns: u64,
    burst_ns: u64,
    /// Until when what was spent lasts at the even pace.
    spent_until: Time,
}

impl Budget {
    const MINUTE_NS: u64 = 60 * SECOND_NS;

    pub(super) fn new(per_minute: u32) -> Self {
        let each_ns = Self::MINUTE_NS / u64::from(per_minute.max(1));
        Self { each_ns, burst_ns: Self::MINUTE_NS - each_ns, spent_until: Time::default() }
    }

    /// One more may go now.
    pub(super) fn has_left(&self, now: Time) -> bool {
        let debt_ns = self.spent_until.since_ns(now);
        // More than could ever be spent: the clock was set back.
        debt_ns <= self.burst_ns || debt_ns > Self::MINUTE_NS
    }

    /// One goes now.
    pub(super) fn spend(&mut self, now: Time) {
        let is_set_back = self.spent_until.since_ns(now) > Self::MINUTE_NS;
        let from = if is_set_back { now } else { self.spent_until.max(now) };
        self.spent_until = from + self.each_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Pauses, is_due};
    use crate::event::time::{SECOND_NS, Time};

    fn at(seconds: u64) -> Time {
        Time(1_000_000 * SECOND_NS) + seconds * SECOND_NS
    }

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        let mut pauses = Pauses::new(0);
        let minutes: Vec<u64> =
            (0..7).map(|_| pauses.announced(at(0)).since_ns(at(0)) / SECOND_NS / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn chance_makes_a_pause_longer_by_less_than_a_quarter() {
        let seconds = |chance| Pauses::new(chance).announced(at(0)).since_ns(at(0)) / SECOND_NS;
        assert_eq!(seconds(0), 60);
        assert_eq!(seconds(5 * SECOND_NS), 65);
        assert_eq!(seconds(14 * SECOND_NS), 74);
        assert_eq!(seconds(15 * SECOND_NS), 60);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        for (due, now, expected) in [
            (60, 59, false),
            (60, 60, true),
            (60, 61, true),
            (1200, 0, false),
            (1201, 0, true),
            (90_000, 0, true),
        ] {
            assert_eq!(is_due(at(due), at(now)), expected, "{due} {now}");
        }
        let mut budget = Budget::new(3);
        for _ in 0..3 {
            budget.spend(at(100_000));
        }
        assert!(!budget.has_left(at(100_000)));
        for _ in 0..3 {
            assert!(budget.has_left(at(0)));
            budget.spend(at(0));
        }
        assert!(!budget.has_left(at(0)));
    }

    #[test]
    fn so_many_at_once_and_then_evenly() {
        let mut budget = Budget::new(6);
        let mut spent = Vec::new();
        for second in 0..40 {
            while budget.has_left(at(second)) {
                budget.spend(at(second));
                spent.push(second);
            }
        }
        assert_eq!(spent, [0, 0, 0, 0, 0, 0, 10, 20, 30]);
    }

    #[test]
    fn none_a_minute_is_one() {
        let mut budget = Budget::new(0);
        assert!(budget.has_left(at(0)));
        budget.spend(at(0));
        assert!(!budget.has_left(at(59)) && budget.has_left(at(60)));
    }
}
