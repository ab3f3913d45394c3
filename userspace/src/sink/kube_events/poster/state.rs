//! What came of announcements, in numbers; must not know how it came.

use std::sync::atomic::{AtomicU64, Ordering};

/// What can come of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a new Event.
    Created,
    /// The Event says more than before.
    Renewed,
    /// The Event says as much already: the other end's agent was first.
    Unchanged,
    /// RBAC does not allow it.
    Forbidden,
    /// The API server does not want this Event.
    Refused,
    /// The API server did not answer, or had no time, again and again.
    Unanswered,
    /// There were too many, or the agent ended.
    Dropped,
}

impl Outcome {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Renewed,
        Self::Unchanged,
        Self::Forbidden,
        Self::Refused,
        Self::Unanswered,
        Self::Dropped,
    ];

    /// Stable name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Renewed => "renewed",
            Self::Unchanged => "unchanged",
            Self::Forbidden => "forbidden",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Dropped => "dropped",
        }
    }
}

/// How many announcements had each outcome so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PosterState([u64; Outcome::ALL.len()]);

impl PosterState {
    /// How many had this one.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// All of them by their names.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::ALL.map(|outcome| (outcome.name(), self.of(outcome))).into_iter()
    }

    /// With so many more of one.
    pub(in crate::sink::kube_events) fn with(mut self, outcome: Outcome, more: u64) -> Self {
        self.0[outcome as usize] += more;
        self
    }
}

/// The counts, shared with who posts.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; Outcome::ALL.len()]);

impl Tally {
    pub(super) fn count(&self, outcome: Outcome) {
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> PosterState {
        PosterState(self.0.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Tally};

    #[test]
    fn each_outcome_has_a_count_of_its_own() {
        let tally = Tally::default();
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "{outcome:?}");
            (0..=index).for_each(|_| tally.count(outcome));
        }
        let counts: Vec<u64> = tally.state().outcomes().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(tally.state().with(Outcome::Dropped, 3).of(Outcome::Dropped), 10);
    }
}
