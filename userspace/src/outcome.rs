//! How a run ended, and how output that nobody takes ends it; must not know what was run.

use std::{io, process::ExitCode};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was asked for was done.
    Done,
    /// Not everything could be done; why was said.
    Incomplete,
    /// It was asked for wrongly, and did not begin; why was said.
    WrongUsage,
    /// Done, and there was a finding that is to be a failure.
    Finding,
}

impl Outcome {
    /// The outcome of a run that did what it could.
    pub fn of(is_complete: bool, is_failed_by_finding: bool) -> Self {
        match (is_complete, is_failed_by_finding) {
            (false, _) => Self::Incomplete,
            (true, true) => Self::Finding,
            (true, false) => Self::Done,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Incomplete => 1,
            Outcome::WrongUsage => 2,
            Outcome::Finding => 3,
        })
    }
}

/// Standard output does not take what is written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}. Likely cause: a full disk; try another destination")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// The reader went away, as `head` does: no failure.
    pub fn is_reader_gone(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}
