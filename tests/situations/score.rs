//! What was found against what should have been; it must not know how it was found.

use crate::{
    expected::{Expected, Wanted},
    finding::Finding,
};

/// How well one way of looking did in one situation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Findings that should be and are.
    pub(crate) right: u32,
    /// Findings that should be and are not.
    pub(crate) missing: u32,
    /// Findings that should not be.
    pub(crate) wrong: u32,
}

impl Score {
    /// Everything in one.
    pub(crate) fn sum(scores: impl IntoIterator<Item = Self>) -> Self {
        scores.into_iter().fold(Self::default(), |sum, score| Self {
            right: sum.right + score.right,
            missing: sum.missing + score.missing,
            wrong: sum.wrong + score.wrong,
        })
    }

    /// Nothing is missing and nothing is wrong.
    pub(crate) fn is_perfect(self) -> bool {
        self.missing == 0 && self.wrong == 0
    }

    /// How much of what should be is.
    pub(crate) fn recall_percent(self) -> f64 {
        percent(self.right, self.right + self.missing)
    }

    /// How much of what is should be.
    pub(crate) fn precision_percent(self) -> f64 {
        percent(self.right, self.right + self.wrong)
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 { 100.0 } else { 100.0 * f64::from(part) / f64::from(whole) }
}

/// How sure a finding has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// As the situation says.
    Exact,
    /// A capture knows no process, so it may be less sure; never more.
    AtMost,
}

/// Compares.
pub(crate) fn score(expected: Expected, found: &[Finding], demand: Demand) -> Score {
    let is_right = |finding: &Finding| match expected {
        Expected::Quiet => false,
        Expected::Finding(wanted) => is_wanted(wanted, finding, demand),
    };
    let right = found.iter().filter(|finding| is_right(finding)).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Score {
        right: count(right),
        missing: u32::from(right == 0 && expected != Expected::Quiet),
        wrong: count(found.len() - right),
    }
}

fn is_wanted(wanted: Wanted, finding: &Finding, demand: Demand) -> bool {
    let is_sure_enough = match demand {
        Demand::Exact => finding.confidence == wanted.confidence,
        Demand::AtMost => finding.confidence != "certain" || wanted.confidence == "certain",
    };
    finding.code == wanted.code
        && finding.cause == wanted.cause
        && wanted.behaviour.split(" or ").any(|behaviour| behaviour == finding.behaviour)
        && (wanted.protocol.is_none() || finding.protocol.as_deref() == wanted.protocol)
        && is_sure_enough
}
