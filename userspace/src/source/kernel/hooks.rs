//! The hooks as data: what each gives, what it attaches to, in which variants, and what is lost without it.

use std::fmt;

use mtlsnoop_ebpf::program;

/// Where a program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `tp_btf/NAME`.
    Tracepoint(&'static str),
    /// `cgroup_skb/egress` of the root cgroup.
    Egress,
    /// `cgroup_skb/ingress` of the root cgroup.
    Ingress,
}

/// One way to observe something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    /// Program in the object.
    pub(super) program: &'static str,
    /// Where it goes.
    pub(super) place: Place,
}

/// One observed thing. Variants are tried in their order, and the first that loads and attaches is used: never chosen
/// by kernel version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Name for people.
    pub(super) name: &'static str,
    /// Ways to observe it.
    pub(super) variants: &'static [Variant],
    /// Tracing makes no sense without it.
    pub(super) is_required: bool,
    /// What is not known without it.
    pub(super) lost_without: &'static str,
}

/// How much is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// One record per socket at its end, and resets; nothing per packet. It tells suspicions, not findings.
    Sentinel,
    /// Every connection from its connect on, with the first payload each way.
    #[default]
    Always,
}

impl Capture {
    /// What it attaches.
    pub(super) fn plans(self) -> &'static [Plan] {
        match self {
            Self::Sentinel => &SENTINEL,
            Self::Always => &ALWAYS,
        }
    }
}

const CONNECTIONS: Plan = Plan {
    name: "connections",
    variants: &[Variant { program: program::SOCKET_STATE, place: Place::Tracepoint("inet_sock_set_state") }],
    is_required: true,
    lost_without: "connections cannot be followed",
};

const SOCKET_ENDS: Plan = Plan {
    name: "ends of sockets",
    variants: &[Variant { program: program::SOCKET_DESTROYED, place: Place::Tracepoint("tcp_destroy_sock") }],
    is_required: true,
    lost_without: "nothing is known of connections",
};

const RESETS_RECEIVED: Plan = Plan {
    name: "resets received",
    variants: &[Variant { program: program::RESET_RECEIVED, place: Place::Tracepoint("tcp_receive_reset") }],
    is_required: false,
    lost_without: "a received reset is told by the socket's error only",
};

const RESETS_SENT: Plan = Plan {
    name: "resets sent",
    variants: &[
        Variant { program: program::RESET_SENT, place: Place::Tracepoint("tcp_send_reset") },
        Variant { program: program::RESET_SENT_WITHOUT_REASON, place: Place::Tracepoint("tcp_send_reset") },
    ],
    is_required: false,
    lost_without: "refusals to remote clients are not seen, and resets have no reason",
};

const PAYLOAD_SENT: Plan = Plan {
    name: "payload sent",
    variants: &[Variant { program: program::PAYLOAD_SENT, place: Place::Egress }],
    is_required: true,
    lost_without: "hellos that clients on this node send are not seen",
};

const PAYLOAD_RECEIVED: Plan = Plan {
    name: "payload received",
    variants: &[Variant { program: program::PAYLOAD_RECEIVED, place: Place::Ingress }],
    is_required: true,
    lost_without: "answers to clients on this node are not seen",
};

const SENTINEL: [Plan; 3] = [SOCKET_ENDS, RESETS_RECEIVED, RESETS_SENT];

/// Connections last: of every connection that is seen to begin, the first payload is seen too.
const ALWAYS: [Plan; 5] = [PAYLOAD_SENT, PAYLOAD_RECEIVED, RESETS_RECEIVED, RESETS_SENT, CONNECTIONS];

/// What became of a hook on this kernel.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Name for people.
    pub name: &'static str,
    /// The program that is attached; none when no variant could be.
    pub program: Option<&'static str>,
    /// Why the variants before it, or all, could not be attached.
    pub refused: Vec<String>,
    /// What is not known without it.
    pub lost_without: &'static str,
}

impl fmt::Display for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.program {
            Some(program) => write!(formatter, "{}: {program}", self.name),
            None => write!(
                formatter,
                "{}: not available, {} ({})",
                self.name,
                self.lost_without,
                self.refused.join("; ")
            ),
        }
    }
}
