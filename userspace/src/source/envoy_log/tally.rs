//! What a log held, counted: nothing of it goes unnoticed. Must not know how lines are read.

use std::fmt;

/// What became of the lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entries of failures: those are handed on.
    pub failures: u64,
    /// Entries of what went well: nothing is to be learned from them.
    pub well: u64,
    /// Lines that are no entries: messages of Envoy and of Istio's agent.
    pub others: u64,
    /// Entries that could not be read, and lines that were too long.
    pub unreadable: u64,
    /// The first line that could not be read, counted from where reading began.
    pub first_unreadable: Option<u64>,
}

impl Tally {
    /// All lines.
    pub fn lines(&self) -> u64 {
        self.failures + self.well + self.others + self.unreadable
    }

    /// There were entries, or at least something that looked like one.
    pub fn has_entries(&self) -> bool {
        self.failures + self.well + self.unreadable > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, well, others, .. } = self;
        write!(
            formatter,
            "{failures} entries of failures, {well} without one, {others} lines that are no entries"
        )?;
        match self.first_unreadable {
            None => Ok(()),
            Some(line) => write!(
                formatter,
                ", and {} entries that cannot be read (the first is line {line}): only Istio's own formats can, text and JSON, \
                 so a format of one's own (meshConfig.accessLogFormat) cannot",
                self.unreadable
            ),
        }
    }
}
