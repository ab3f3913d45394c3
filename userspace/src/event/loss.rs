//! What a source counted: connection ends seen, and every kind of loss by name.

use serde::{Deserialize, Serialize};

use crate::event::time::Time;

macro_rules! losses {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, )+) => {
        /// A kind of loss. Each has a stable name; nothing is lost without one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Loss { $( $(#[$doc])* $variant, )+ }

        impl Loss {
            /// Every kind, in the order of the accounting.
            pub const ALL: [Self; [$( $name ),+].len()] = [$( Self::$variant ),+];

            /// Stable name in JSON and metrics.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// The loss with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|loss| loss.name() == name)
            }
        }
    };
}

losses! {
    /// Kernel: records of started connects that did not fit into the ring.
    Opened = "lost_opened",
    /// Kernel: records of established connects.
    Established = "lost_established",
    /// Kernel: records of accepted connections.
    Accepted = "lost_accepted",
    /// Kernel: records of ends.
    Ended = "lost_ended",
    /// Kernel: segments of a `ClientHello`.
    Hello = "lost_hello",
    /// Kernel: first bytes.
    FirstBytes = "lost_first_bytes",
    /// Kernel: resets.
    Reset = "lost_reset",
    /// Kernel: listeners that came or went.
    Listener = "lost_listener",
    /// Kernel: packets whose first payload could not be read.
    UnreadablePayload = "unreadable_payload",
    /// Kernel: hellos over several segments that could not be followed.
    UntrackedHello = "untracked_hello",
    /// Kernel: sockets whose fields could not be read.
    UnreadableSocket = "unreadable_socket",
    /// Kernel: connects that failed at once.
    ConnectFailed = "lost_connect_failed",
    /// Kernel: ends that the sentinel saw.
    Destroyed = "lost_destroyed",
    /// User space: records of an unknown kind or a wrong size.
    UndecodableRecord = "undecodable_record",
    /// User space: flows dropped from a full table.
    EvictedFlow = "evicted_flow",
    /// User space: hellos of which a part is missing.
    IncompleteHello = "incomplete_hello",
    /// Details of connections that are told by their ends all the same (`--capture adaptive`).
    Detail = "lost_detail",
    /// Capture: packets that were cut before something that is looked at.
    CutPacket = "cut_packet",
    /// Capture: connections of which bytes arrived that are not in the capture.
    CaptureGap = "capture_gap",
    /// Capture: packets that the capturing program dropped, as it says itself.
    CaptureDropped = "capture_dropped",
    /// Capture: TCP in IP fragments, which are not put together.
    Fragment = "ip_fragment",
    /// Capture: packets of a link type that is not read.
    UnknownLink = "unknown_link_type",
    /// Capture: TCP packets with headers that cannot be.
    MalformedPacket = "malformed_packet",
    /// User space: lines of output that nobody took in time.
    Output = "lost_output",
    /// User space: events that the disk did not take.
    Recording = "lost_recording",
}

impl Loss {
    /// The loss is of a connection end as a whole, which then is in no other number of the accounting.
    pub fn is_of_flow(self) -> bool {
        matches!(self, Self::Opened | Self::Accepted | Self::EvictedFlow | Self::Destroyed)
    }
}

/// What a source counted so far: totals since it began, never going down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// When it was read.
    pub time: Time,
    /// Connection ends that began while tracing.
    pub seen: u64,
    /// Connection ends left out because they are the tracer's own.
    pub own: u64,
    /// Losses that are not 0.
    pub lost: Vec<(Loss, u64)>,
}
