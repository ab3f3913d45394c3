//! A budget and an aim, and what a measured value makes of them; it must not know what is measured.

use crate::statistic::Estimate;

use Limit::{AtLeast, AtMost};

/// Budget and aim.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64, f64),
    AtLeast(f64, f64),
}

impl Limit {
    pub(crate) fn budget(self) -> f64 {
        match self {
            AtMost(budget, _) | AtLeast(budget, _) => budget,
        }
    }

    pub(crate) fn aim(self) -> f64 {
        match self {
            AtMost(_, aim) | AtLeast(_, aim) => aim,
        }
    }

    /// What a measured value makes of it.
    pub(crate) fn verdict(self, measured: Estimate) -> Verdict {
        let Estimate { value, error } = measured;
        if !value.is_finite() {
            Verdict::NotMeasured
        } else if error > self.budget() {
            Verdict::Unsure
        } else if self.is_beyond(self.budget(), measured) {
            Verdict::Missed
        } else if self.is_beyond(self.aim(), measured) {
            Verdict::Kept
        } else {
            Verdict::AimReached
        }
    }

    /// Whether a value is on the wrong side of a bound by more than its standard error.
    fn is_beyond(self, bound: f64, Estimate { value, error }: Estimate) -> bool {
        match self {
            AtMost(..) => value - error > bound,
            AtLeast(..) => value + error < bound,
        }
    }
}

/// What became of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    AimReached,
    Kept,
    Missed,
    /// Its error is larger than what is to be told.
    Unsure,
    NotMeasured,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AimReached => "aim reached",
            Self::Kept => "kept",
            Self::Missed => "MISSED",
            Self::Unsure => "unsure",
            Self::NotMeasured => "not measured",
        }
    }

    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::AimReached | Self::Kept)
    }
}
