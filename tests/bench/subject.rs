//! What is compared with nothing at all: how it is attached, what it says of itself, how it is detached.

use anyhow::Result;
use mtlsnoop::source::kernel::Capture;

use crate::{accounting::Accounting, agent::Agent};

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nothing: what is measured is the measurement.
    Nothing,
    /// The tracer.
    Tracer(Capture),
}

impl Subject {
    /// Each, in the order of the table.
    pub(crate) const ALL: [Self; 3] =
        [Self::Nothing, Self::Tracer(Capture::Sentinel), Self::Tracer(Capture::Always)];

    /// As it is called in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Tracer(Capture::Sentinel) => "sentinel",
            Self::Tracer(Capture::Always) => "always",
        }
    }

    /// Attaches it; it works when this returns.
    pub(crate) fn attach(self, agents_cpus: &[usize]) -> Result<Attached> {
        Ok(match self {
            Self::Nothing => Attached::Nothing,
            Self::Tracer(capture) => Attached::Tracer(Agent::start(capture, agents_cpus)?),
        })
    }
}

/// What is attached now. Dropping it detaches as well.
pub(crate) enum Attached {
    Nothing,
    Tracer(Agent),
}

impl Attached {
    /// Processor time that its agent has used so far.
    pub(crate) fn cpu_ns(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Tracer(agent) => agent.cpu_ns(),
        }
    }

    /// Detaches it, and gives what it has counted; nothing for what does not count.
    pub(crate) fn detach(self) -> Result<Accounting> {
        match self {
            Self::Nothing => Ok(Accounting::default()),
            Self::Tracer(agent) => agent.stop(),
        }
    }
}
