//! The loads that are run while the tracer is attached and detached; what is attached they do not know.

pub(crate) mod running;
pub(crate) mod worker;

use clap::ValueEnum;

/// What client and server do over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Connect, 500 bytes, 100 bytes back, close.
    Conn,
    /// 100 bytes each way on one connection.
    Rr,
}

impl Load {
    /// Each, in the order of the table.
    pub(crate) const ALL: [Self; 2] = [Self::Conn, Self::Rr];

    /// As it is called in the table and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Rr => "rr",
        }
    }

    /// Request and answer.
    pub(crate) fn sizes_bytes(self) -> (usize, usize) {
        match self {
            Self::Conn => (500, 100),
            Self::Rr => (100, 100),
        }
    }

    /// How many connection ends each operation begins and ends on this machine.
    pub(crate) fn ends_per_operation(self) -> u64 {
        match self {
            Self::Conn => 2,
            Self::Rr => 0,
        }
    }
}
