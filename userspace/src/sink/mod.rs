//! Where updates go; sinks must not know sources, clocks or what was filtered out and why.

pub mod corrected;
pub mod json;
pub mod kube_events;
pub mod metrics;
pub mod record;
#[cfg(test)]
pub(crate) mod samples;
pub mod terminal;

use std::io;

use crate::{
    event::{loss::Loss, time::Time},
    update::{Summary, Update},
};

/// Somewhere updates go. What is written depends on the updates alone, so that a replay gives what the live trace gave.
pub trait Sink {
    /// Takes an update.
    fn update(&mut self, update: &Update) -> io::Result<()>;

    /// Takes the accounting, once, at the end.
    fn account(&mut self, accounting: &Accounting) -> io::Result<()>;

    /// Hands on what was taken so far.
    fn flush(&mut self) -> io::Result<()>;
}

/// The accounting as it is shown: `seen` is the sum of `reported`, `filtered`, `open` and the losses of whole connection
/// ends ([`Loss::is_of_flow`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// When.
    pub time: Time,
    /// Connection ends that began while tracing.
    pub seen: u64,
    /// Of these, ended and reported.
    pub reported: u64,
    /// Of these, left out: the tracer's own, and those of pods that were not asked for.
    pub filtered: u64,
    /// Of these, still open.
    pub open: u64,
    /// Connection ends older than the tracer that ended meanwhile.
    pub began_before: u64,
    /// Findings said, repetitions not counted.
    pub findings: u64,
    /// Findings resolved.
    pub resolved: u64,
    /// Losses by kind; those that are not 0.
    pub lost: Vec<(Loss, u64)>,
}

impl From<Summary> for Accounting {
    fn from(summary: Summary) -> Self {
        let Summary { time, seen, reported, own, open, began_before, findings, resolved, lost } = summary;
        Self { time, seen, reported, filtered: own, open, began_before, findings, resolved, lost }
    }
}
