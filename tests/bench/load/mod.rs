//! The loads that are run while something is attached and detached; what is attached they do not know.

pub(crate) mod mesh;
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
    /// 64 kB one way and 100 bytes back on one connection.
    Bulk,
    /// As `rr`, from pod to pod through two Envoy sidecars with mutual TLS between them.
    Mesh,
}

impl Load {
    /// Each, in the order of the table.
    pub(crate) const ALL: [Self; 4] = [Self::Conn, Self::Rr, Self::Bulk, Self::Mesh];

    /// As it is called in the table and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Conn => "conn",
            Self::Rr => "rr",
            Self::Bulk => "bulk",
            Self::Mesh => "mesh",
        }
    }

    /// Request and answer.
    pub(crate) fn sizes_bytes(self) -> (usize, usize) {
        match self {
            Self::Conn => (500, 100),
            Self::Rr | Self::Mesh => (100, 100),
            Self::Bulk => (65_536, 100),
        }
    }

    /// How many connection ends each operation begins and ends on this machine.
    pub(crate) fn ends_per_operation(self) -> u64 {
        match self {
            Self::Conn => 2,
            Self::Rr | Self::Bulk | Self::Mesh => 0,
        }
    }
}
