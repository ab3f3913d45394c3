//! What is compared with nothing at all: how it is attached, what it uses and says of itself, how it is detached.

pub(crate) mod agent;
pub(crate) mod naive;
mod peer;
mod probe;
pub(crate) mod started;
pub(crate) mod suspect;
pub(crate) mod toggled;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use mtlsnoop_tests::{command::Launch, program};
use tempfile::TempDir;

use crate::{
    accounting::Accounting,
    load::running::Place,
    subject::{
        agent::Mode,
        peer::Peer,
        started::{Said, Started, Usage, Watch},
        suspect::Suspect,
    },
};

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Subject {
    /// Nothing, by a process that loads the sentinel and looks into an empty ring: what is measured is the measurement.
    Nothing,
    /// The tracer's sentinel alone.
    Sentinel,
    /// The tracer, following what is suspect while nothing is.
    AdaptiveIdle,
    /// The same while it follows a sidecar that fails again and again, in another pod than the load's.
    AdaptiveArmed,
    /// The tracer, following every connection.
    Always,
    /// With a filter for `ClientHello`s.
    Tcpdump,
    /// With a filter for `ClientHello`s.
    Tshark,
    /// Of libbpf-tools.
    Tcplife,
    /// Of libbpf-tools.
    Tcpstates,
    /// A line for each event of the tracer's tracepoints.
    Bpftrace,
}

/// Whose it is.
enum Kind {
    Nothing,
    Ours,
    Peer(&'static Peer),
}

impl Subject {
    /// As it is called in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Sentinel => "sentinel",
            Self::AdaptiveIdle => "adaptive, idle",
            Self::AdaptiveArmed => "adaptive, armed",
            Self::Always => "always",
            Self::Tcpdump => "tcpdump",
            Self::Tshark => "tshark",
            Self::Tcplife => "tcplife",
            Self::Tcpstates => "tcpstates",
            Self::Bpftrace => "bpftrace",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Nothing => Kind::Nothing,
            Self::Sentinel | Self::AdaptiveIdle | Self::AdaptiveArmed | Self::Always => Kind::Ours,
            Self::Tcpdump => Kind::Peer(&peer::TCPDUMP),
            Self::Tshark => Kind::Peer(&peer::TSHARK),
            Self::Tcplife => Kind::Peer(&peer::TCPLIFE),
            Self::Tcpstates => Kind::Peer(&peer::TCPSTATES),
            Self::Bpftrace => Kind::Peer(&peer::BPFTRACE),
        }
    }

    /// The modes of the tracer, as long as nothing is suspect.
    pub(crate) fn each_mode() -> impl Iterator<Item = Self> {
        let modes = Self::value_variants().iter().copied().filter(|subject| subject.is_ours());
        modes.filter(|subject| *subject != Self::AdaptiveArmed)
    }

    /// The tracer follows every connection from its beginning in this mode, and knows which are open.
    pub(crate) fn follows_connections(self) -> bool {
        self == Self::Always
    }

    /// How a running process attaches and detaches it; none where it is started and ended instead.
    pub(crate) fn mode(self) -> Option<Mode> {
        match self {
            Self::Nothing => Some(Mode::Nothing),
            Self::Sentinel => Some(Mode::Sentinel),
            Self::AdaptiveIdle => Some(Mode::Adaptive),
            Self::Always => Some(Mode::Always),
            _ => None,
        }
    }

    /// It is the tracer, in one of its modes.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self.kind(), Kind::Ours)
    }

    /// It is a tool of others.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self.kind(), Kind::Peer(_))
    }

    /// Attaches it; it works when this returns.
    pub(crate) fn attach(self, place: &Place) -> Result<Attached> {
        Ok(match self.kind() {
            Kind::Nothing => Attached::Nothing(self.start()?),
            Kind::Ours if self == Self::AdaptiveArmed => {
                let mut started = self.start()?;
                let suspect = Suspect::start()?;
                started.wait_for_stderr("it to watch the suspect", |line| line.contains("closely"))?;
                Attached::Ours(started, Some(suspect))
            }
            Kind::Ours => Attached::Ours(self.start()?, None),
            Kind::Peer(peer) => Attached::Peer(peer, peer.start(place)?),
        })
    }

    /// Starts the tracer in this mode, or what stands for none, without a look at any load.
    pub(crate) fn start(self) -> Result<Started> {
        let mut started = Started::start(|folder| self.launch(folder), Watch::default())?;
        started.wait_for_stderr("the tracer to be ready", |line| line.starts_with("tracing"))?;
        Ok(started)
    }

    fn launch(self, folder: &TempDir) -> Result<Launch> {
        let capture = match self {
            Self::Nothing => return this_program(folder, Mode::Nothing),
            Self::Sentinel => return this_program(folder, Mode::Sentinel),
            Self::AdaptiveIdle | Self::AdaptiveArmed => "adaptive",
            _ => "always",
        };
        let trace = Launch::new(&program::TRACER.find()?, folder.path()).args(["trace", "-o", "json", "-v"]);
        Ok(trace.arg_pair("--capture", capture))
    }
}

/// The tracer, as the benchmark runs it.
fn this_program(folder: &TempDir, mode: Mode) -> Result<Launch> {
    let this = std::env::current_exe().context("could not find this program")?;
    Ok(Launch::new(&this, folder.path()).args(["agent", mode.name()]))
}

/// What is attached now. Dropping it detaches as well.
pub(crate) enum Attached {
    /// The process attaches nothing.
    Nothing(Started),
    /// Whoever it watches goes after it.
    Ours(Started, Option<Suspect>),
    Peer(&'static Peer, Started),
}

/// What something that was attached has counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Events that it says it lost.
    pub(crate) lost: u64,
    /// The tracer's own accounting.
    pub(crate) accounting: Option<Accounting>,
}

impl Counted {
    /// From the tracer's last line.
    fn by_tracer(said: &Said) -> Result<Self> {
        let accounting = Accounting::parse(&said.last)?;
        Ok(Self { lost: accounting.lost(), accounting: Some(accounting) })
    }
}

impl Attached {
    /// What its processes have used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        match self {
            Self::Nothing(started) | Self::Ours(started, _) | Self::Peer(_, started) => started.usage(),
        }
    }

    /// Memory of its processes.
    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        match self {
            Self::Nothing(started) | Self::Ours(started, _) | Self::Peer(_, started) => started.rss_bytes(),
        }
    }

    /// Detaches it, and gives what it has counted.
    pub(crate) fn detach(self) -> Result<Counted> {
        match self {
            Self::Nothing(started) => started.stop().map(|_said| Counted::default()),
            Self::Ours(started, _suspect) => Counted::by_tracer(&started.stop()?),
            Self::Peer(peer, started) => Ok(Counted { lost: peer.lost(&started.stop()?), accounting: None }),
        }
    }
}
