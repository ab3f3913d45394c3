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

/// What `--capture always` attaches.
pub(super) const ALWAYS: [Plan; 5] = [
    Plan {
        name: "connections",
        variants: &[Variant {
            program: program::SOCKET_STATE,
            place: Place::Tracepoint("inet_sock_set_state"),
        }],
        is_required: true,
        lost_without: "connections cannot be followed",
    },
    Plan {
        name: "resets received",
        variants: &[Variant {
            program: program::RESET_RECEIVED,
            place: Place::Tracepoint("tcp_receive_reset"),
        }],
        is_required: false,
        lost_without: "a received reset is told by the socket's error only",
    },
    Plan {
        name: "resets sent",
        variants: &[
            Variant { program: program::RESET_SENT, place: Place::Tracepoint("tcp_send_reset") },
            Variant {
                program: program::RESET_SENT_WITHOUT_REASON,
                place: Place::Tracepoint("tcp_send_reset"),
            },
        ],
        is_required: false,
        lost_without: "refusals to remote clients are not seen, and resets have no reason",
    },
    Plan {
        name: "payload sent",
        variants: &[Variant { program: program::PAYLOAD_SENT, place: Place::Egress }],
        is_required: true,
        lost_without: "hellos that clients on this node send are not seen",
    },
    Plan {
        name: "payload received",
        variants: &[Variant { program: program::PAYLOAD_RECEIVED, place: Place::Ingress }],
        is_required: true,
        lost_without: "answers to clients on this node are not seen",
    },
];

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
