//! The hooks as data: what each gives, what it attaches to, in which variants, and what is lost without it.

use std::{collections::BTreeSet, fmt};

use mtlsnoop_ebpf::program;

use crate::source::kernel::capability::Capability;

/// Where a program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `tp_btf/NAME`.
    Tracepoint(&'static str),
    /// `fexit/FUNCTION`.
    Exit(&'static str),
    /// `kprobe` or `kretprobe`, as the program is, on each of these functions.
    Probe(&'static [&'static str]),
    /// `tracepoint/tcp:tcp_receive_reset`: the classic one.
    ResetReceived,
    /// `sock_ops` of the root cgroup.
    Calls,
    /// `cgroup_skb/egress` of the root cgroup.
    Egress,
    /// `cgroup_skb/ingress` of the root cgroup.
    Ingress,
}

impl Place {
    /// It is a control group's.
    pub(super) fn is_of_cgroup(self) -> bool {
        matches!(self, Self::Calls | Self::Egress | Self::Ingress)
    }

    /// What loading and attaching there needs, found by test (`tests/kernel/capability.rs`).
    pub(super) fn needs(self) -> &'static [Capability] {
        match self {
            Self::Tracepoint(_) | Self::Exit(_) | Self::Probe(_) | Self::ResetReceived => {
                &[Capability::Bpf, Capability::Perfmon]
            }
            Self::Calls | Self::Egress | Self::Ingress => {
                &[Capability::Bpf, Capability::Perfmon, Capability::NetAdmin]
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracepoint(name) => write!(formatter, "tp_btf/{name}"),
            Self::Exit(function) => write!(formatter, "fexit/{function}"),
            Self::Probe(functions) => write!(formatter, "kprobe/{}", functions.join(",")),
            Self::ResetReceived => formatter.write_str("tracepoint/tcp:tcp_receive_reset"),
            Self::Calls => formatter.write_str("sock_ops"),
            Self::Egress => formatter.write_str("cgroup_skb/egress"),
            Self::Ingress => formatter.write_str("cgroup_skb/ingress"),
        }
    }
}

/// A program at its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Program in the object.
    pub(super) program: &'static str,
    /// Where it goes.
    pub(super) place: Place,
}

/// One way to observe something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    /// What is attached, in this order; all or nothing.
    pub(super) parts: &'static [Part],
    /// What it tells less than the variant before it.
    pub(super) lost: Option<&'static str>,
}

impl Variant {
    /// Its name: that of its first program.
    pub(super) fn name(&self) -> &'static str {
        self.parts.first().map_or("", |part| part.program)
    }
}

/// One observed thing. Variants are tried in their order, and the first that loads and attaches is used: never chosen
/// by kernel version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Name for people.
    pub(super) name: &'static str,
    /// What it tells.
    pub(super) gives: &'static str,
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
    /// The sentinel, and for control groups that are suspect, everything that [`Self::Always`] has.
    Adaptive,
    /// Every connection from its connect on, with the first payload each way.
    #[default]
    Always,
}

impl Capture {
    /// All, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Sentinel, Self::Adaptive, Self::Always];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sentinel => "sentinel",
            Self::Adaptive => "adaptive",
            Self::Always => "always",
        }
    }

    /// The smallest set of capabilities with which all that it requires can be attached.
    pub fn needs(self) -> Vec<Capability> {
        let plans = self.plans().iter().chain(self.armed_plans());
        let required = plans.filter(|plan| plan.is_required);
        let parts = required.filter_map(|plan| plan.variants.first()).flat_map(|variant| variant.parts);
        let needed: BTreeSet<_> = parts.flat_map(|part| part.place.needs()).copied().collect();
        needed.into_iter().collect()
    }

    /// What it attaches at start.
    pub(super) fn plans(self) -> &'static [Plan] {
        match self {
            Self::Sentinel | Self::Adaptive => &SENTINEL,
            Self::Always => &ALWAYS,
        }
    }

    /// What it loads at start, to attach it later.
    pub(super) fn armed_plans(self) -> &'static [Plan] {
        match self {
            Self::Adaptive => &MICROSCOPE,
            Self::Sentinel | Self::Always => &[],
        }
    }
}

const CONNECTIONS: Plan = Plan {
    name: "connections",
    gives: "who connects to whom, with process, container, bytes and errors; who listens",
    variants: &[
        Variant { parts: &[tracepoint(program::SOCKET_STATE, "inet_sock_set_state")], lost: None },
        Variant {
            parts: &[Part { program: program::SOCKET_CALLED, place: Place::Calls }],
            lost: Some(
                "processes, users, containers and errors are not known, connections older than the trace are not seen, and a \
                 finding is resolved by other pods only",
            ),
        },
    ],
    is_required: true,
    lost_without: "connections cannot be followed",
};

const SOCKET_ENDS: Plan = Plan {
    name: "ends of sockets",
    gives: "the whole story of each connection in numbers, at its end",
    variants: &[Variant { parts: &[tracepoint(program::SOCKET_DESTROYED, "tcp_destroy_sock")], lost: None }],
    is_required: true,
    lost_without: "nothing is known of connections",
};

const RESETS_RECEIVED: Plan = Plan {
    name: "resets received",
    gives: "which connections the other end cut",
    variants: &[
        Variant { parts: &[tracepoint(program::RESET_RECEIVED, "tcp_receive_reset")], lost: None },
        Variant {
            parts: &[Part { program: program::RESET_RECEIVED_CLASSIC, place: Place::ResetReceived }],
            lost: None,
        },
    ],
    is_required: false,
    lost_without: "a received reset is told by the socket's error only",
};

const RESETS_SENT: Plan = Plan {
    name: "resets sent",
    gives: "which connections this node cut or refused, and why",
    variants: &[
        Variant { parts: &[tracepoint(program::RESET_SENT, "tcp_send_reset")], lost: None },
        Variant {
            parts: &[tracepoint(program::RESET_SENT_WITHOUT_REASON, "tcp_send_reset")],
            lost: Some("refusals of ports without a listener are not seen, and resets have no reason"),
        },
    ],
    is_required: false,
    lost_without: "refusals to remote clients are not seen, and resets have no reason",
};

const PAYLOAD_SENT: Plan = Plan {
    name: "payload sent",
    gives: "client hellos that this node's clients send, and first bytes that its servers send",
    variants: &[Variant {
        parts: &[Part { program: program::PAYLOAD_SENT, place: Place::Egress }],
        lost: None,
    }],
    is_required: true,
    lost_without: "hellos that clients on this node send are not seen",
};

const PAYLOAD_RECEIVED: Plan = Plan {
    name: "payload received",
    gives: "answers to this node's clients, and client hellos that reach its servers",
    variants: &[Variant {
        parts: &[Part { program: program::PAYLOAD_RECEIVED, place: Place::Ingress }],
        lost: None,
    }],
    is_required: true,
    lost_without: "answers to clients on this node are not seen",
};

const CONNECTS_FAILED: Plan = Plan {
    name: "connects that fail at once",
    gives: "connects without a route or a free port, and why they failed",
    variants: &[
        Variant {
            parts: &[
                Part { program: program::CONNECT_V4_EXITED, place: Place::Exit("tcp_v4_connect") },
                Part { program: program::CONNECT_V6_EXITED, place: Place::Exit("tcp_v6_connect") },
            ],
            lost: None,
        },
        Variant {
            parts: &[
                Part { program: program::CONNECT_BEGAN, place: Place::Probe(&CONNECTS) },
                Part { program: program::CONNECT_RETURNED, place: Place::Probe(&CONNECTS) },
            ],
            lost: None,
        },
    ],
    is_required: false,
    lost_without: "connects without a route are not seen, and those without a free port have no error",
};

/// The functions that connect.
const CONNECTS: [&str; 2] = ["tcp_v4_connect", "tcp_v6_connect"];

const fn tracepoint(program: &'static str, name: &'static str) -> Part {
    Part { program, place: Place::Tracepoint(name) }
}

const SENTINEL: [Plan; 3] = [SOCKET_ENDS, RESETS_RECEIVED, RESETS_SENT];

/// The same programs as in [`ALWAYS`].
const MICROSCOPE: [Plan; 3] = [PAYLOAD_SENT, PAYLOAD_RECEIVED, CONNECTIONS];

/// Connections last: of every connection that is seen to begin, the first payload is seen too.
const ALWAYS: [Plan; 6] =
    [PAYLOAD_SENT, PAYLOAD_RECEIVED, RESETS_RECEIVED, RESETS_SENT, CONNECTS_FAILED, CONNECTIONS];

/// Every hook of every mode, once.
pub(super) fn all() -> Vec<&'static Plan> {
    let mut plans: Vec<&Plan> = Vec::new();
    for plan in
        Capture::ALL.into_iter().flat_map(|capture| capture.plans().iter().chain(capture.armed_plans()))
    {
        if !plans.iter().any(|known| known.name == plan.name) {
            plans.push(plan);
        }
    }
    plans
}

/// What became of a hook on this kernel.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Name for people.
    pub name: &'static str,
    /// The program that is attached (the first of several); none when no variant could be.
    pub program: Option<&'static str>,
    /// What the attached variant tells less than the best one.
    pub lost: Option<&'static str>,
    /// Why the variants before it, or all, could not be attached.
    pub refused: Vec<String>,
    /// What is not known without it.
    pub lost_without: &'static str,
}

impl Hook {
    /// It is the one for connects that fail at once, and attached.
    pub(super) fn tells_failed_connects(&self) -> bool {
        self.name == CONNECTS_FAILED.name && self.program.is_some()
    }

    /// It tells of connections from the kernel's public fields alone.
    pub(super) fn tells_public_fields(&self) -> bool {
        self.program == Some(program::SOCKET_CALLED)
    }

    /// It is the one for received resets, and attached.
    pub(super) fn tells_resets(&self) -> bool {
        self.name == RESETS_RECEIVED.name && self.program.is_some()
    }

    /// It tells less here than it could.
    pub fn is_lessened(&self) -> bool {
        self.program.is_none() || self.lost.is_some()
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, program, lost, refused, lost_without } = self;
        match (program, lost) {
            (Some(program), None) => write!(formatter, "{name}: {program}"),
            (Some(program), Some(lost)) => {
                write!(formatter, "{name}: {program}, with which {lost} ({})", refused.join("; "))
            }
            (None, _) => {
                write!(formatter, "{name}: not available, {lost_without} ({})", refused.join("; "))
            }
        }
    }
}
