//! What objects have that is not used, counted by kind and reason; knows no kind by name.

use std::{collections::BTreeMap, fmt};

/// Objects, or parts of them, of one kind that are not used for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The kind as kubectl names it, with its group: `Pod`, `DestinationRule.networking.istio.io`.
    pub kind: Box<str>,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: u64,
}

/// Why something is not used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Objects of this kind tell nothing that is used.
    Unused,
    /// It is not as objects of its kind are; how it differs.
    Unreadable(Box<str>),
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.kind)?;
        match &self.reason {
            Reason::Unused => Ok(()),
            Reason::Unreadable(why) => write!(f, " ({why})"),
        }
    }
}

/// Counts what is not used.
#[derive(Debug, Default)]
pub(in crate::source) struct Tally(BTreeMap<(Box<str>, Reason), u64>);

impl Tally {
    /// An object of a kind that is not used.
    pub(in crate::source) fn unused(&mut self, kind: &str) {
        self.count(kind, Reason::Unused);
    }

    /// An object, or a part of one, that is not as it should be.
    pub(in crate::source) fn unreadable(&mut self, kind: &str, why: impl Into<Box<str>>) {
        self.count(kind, Reason::Unreadable(why.into()));
    }

    fn count(&mut self, kind: &str, reason: Reason) {
        *self.0.entry((kind.into(), reason)).or_default() += 1;
    }

    /// What was counted, in the order of kinds.
    pub(in crate::source) fn finish(self) -> Vec<Ignored> {
        self.0.into_iter().map(|((kind, reason), count)| Ignored { kind, reason, count }).collect()
    }
}
