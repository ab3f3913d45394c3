//! The vocabulary between sources and the core: what one kernel saw of one end of one connection, and what is known of
//! the node and the cluster. Pure data; it is also what a recording holds, so a change of it is a new recording version.

pub mod cluster;
pub mod envoy;
mod hex;
pub mod istio;
pub mod loss;
pub mod socket;
pub mod time;

use serde::{Deserialize, Serialize};

use crate::event::{
    cluster::{Change, Cluster},
    envoy::{ClustersSeen, LogEntry},
    loss::Counters,
    socket::{Ended, Established, FirstBytes, HelloSegment, Listener, Opened, Reached, Reset},
    time::Time,
};

/// One thing that happened or became known, with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Tracing began here: what came before was not seen.
    Began(Began),
    /// A connect was started.
    Opened(Opened),
    /// A started connect was answered.
    Established(Established),
    /// A listener's connection was completed.
    Accepted(Opened),
    /// A part of a `ClientHello`.
    Hello(HelloSegment),
    /// First bytes of a direction that are no `ClientHello`.
    FirstBytes(FirstBytes),
    /// A reset was sent or received.
    Reset(Reset),
    /// One end of a connection ended.
    Ended(Ended),
    /// A socket listens.
    Listening(Listener),
    /// A socket listens no more.
    ListenerClosed(Listener),
    /// A control group was seen for the first time.
    Cgroup(Cgroup),
    /// Objects of the cluster; replaces what was known before.
    Cluster(Box<ClusterSeen>),
    /// What the source counted so far.
    Counted(Counters),
    /// Time passed.
    Tick(Time),
    /// An Envoy has written a failure to its access log.
    EnvoyLog(Box<LogEntry>),
    /// The clusters of an Envoy's configuration.
    EnvoyClusters(Box<ClustersSeen>),
    /// Objects of the cluster came, changed and went.
    ClusterChanged(Box<ClusterChanged>),
    /// A connection came to the pod that accepts it.
    Reached(Reached),
}

impl Event {
    /// Stable name of its kind in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Began(_) => "began",
            Self::Opened(_) => "opened",
            Self::Established(_) => "established",
            Self::Accepted(_) => "accepted",
            Self::Hello(_) => "hello",
            Self::FirstBytes(_) => "first_bytes",
            Self::Reset(_) => "reset",
            Self::Ended(_) => "ended",
            Self::Listening(_) => "listening",
            Self::ListenerClosed(_) => "listener_closed",
            Self::Cgroup(_) => "cgroup",
            Self::Cluster(_) => "cluster",
            Self::Counted(_) => "counted",
            Self::Tick(_) => "tick",
            Self::EnvoyLog(_) => "envoy_log",
            Self::EnvoyClusters(_) => "envoy_clusters",
            Self::ClusterChanged(_) => "cluster_changed",
            Self::Reached(_) => "reached",
        }
    }

    /// When it happened or became known.
    pub fn time(&self) -> Time {
        match self {
            Self::Began(began) => began.time,
            Self::Opened(opened) | Self::Accepted(opened) => opened.time,
            Self::Established(established) => established.time,
            Self::Hello(segment) => segment.time,
            Self::FirstBytes(bytes) => bytes.time,
            Self::Reset(reset) => reset.time,
            Self::Ended(ended) => ended.time,
            Self::Listening(listener) | Self::ListenerClosed(listener) => listener.time,
            Self::Cgroup(cgroup) => cgroup.time,
            Self::Cluster(seen) => seen.time,
            Self::Counted(counters) => counters.time,
            Self::Tick(time) => *time,
            Self::EnvoyLog(entry) => entry.time,
            Self::EnvoyClusters(seen) => seen.time,
            Self::ClusterChanged(changed) => changed.time,
            Self::Reached(reached) => reached.time,
        }
    }
}

/// Tracing began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// When the hooks were attached.
    pub time: Time,
    /// Name of the node, as `uname -n` tells.
    pub node: Box<str>,
    /// How much is followed.
    #[serde(default)]
    pub capture: Capture,
    /// What is not known of the cluster is looked up, so that findings wait for it.
    #[serde(default)]
    pub looks_up: bool,
}

/// How much of connections is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Only ends, but where something is suspect: what is counted as seen are ends.
    Adaptive,
    /// Every connection from its connect on: what is counted as seen are beginnings.
    #[default]
    Always,
}

/// A control group was seen for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// When.
    pub time: Time,
    /// Its id, as the kernel gives with sockets.
    pub id: u64,
    /// Its path below the mount of the hierarchy, such as `/kubepods.slice/…`.
    pub path: Box<str>,
}

/// Objects of the cluster became known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSeen {
    /// When.
    pub time: Time,
    /// The objects.
    pub cluster: Cluster,
}

/// Objects of the cluster came, changed and went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterChanged {
    /// When it became known.
    pub time: Time,
    /// What, in its order.
    pub changes: Vec<Change>,
}
