//! The capabilities that tracing needs, in one place: what each is for, what is lost without it, and which this process has.

use std::fmt;

use caps::{CapSet, CapsHashSet};

/// A capability that something here needs (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
    /// `CAP_SYS_PTRACE`.
    SysPtrace,
    /// `CAP_DAC_READ_SEARCH`.
    DacReadSearch,
}

impl Capability {
    /// All, the needed ones first.
    pub const ALL: [Self; 5] =
        [Self::Bpf, Self::Perfmon, Self::NetAdmin, Self::SysPtrace, Self::DacReadSearch];

    /// Name without `CAP_`, as Kubernetes and Docker write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bpf => "BPF",
            Self::Perfmon => "PERFMON",
            Self::NetAdmin => "NET_ADMIN",
            Self::SysPtrace => "SYS_PTRACE",
            Self::DacReadSearch => "DAC_READ_SEARCH",
        }
    }

    /// What it is needed for.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Bpf => "loading programs and making their maps",
            Self::Perfmon => "programs that read kernel memory",
            Self::NetAdmin => "programs on packets of control groups",
            Self::SysPtrace | Self::DacReadSearch => "finding what listened before tracing began",
        }
    }

    /// What is not known without one that tracing can do without; none for a needed one.
    pub fn lost_without(self) -> Option<&'static str> {
        match self {
            Self::Bpf | Self::Perfmon | Self::NetAdmin => None,
            Self::SysPtrace | Self::DacReadSearch => {
                Some("processes of servers that listened before tracing began are not named")
            }
        }
    }

    fn kernel(self) -> caps::Capability {
        match self {
            Self::Bpf => caps::Capability::CAP_BPF,
            Self::Perfmon => caps::Capability::CAP_PERFMON,
            Self::NetAdmin => caps::Capability::CAP_NET_ADMIN,
            Self::SysPtrace => caps::Capability::CAP_SYS_PTRACE,
            Self::DacReadSearch => caps::Capability::CAP_DAC_READ_SEARCH,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The effective capabilities of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(CapsHashSet);

impl Held {
    /// Those of the current thread. If the kernel does not tell, none.
    pub fn by_this_thread() -> Self {
        Self(caps::read(None, CapSet::Effective).unwrap_or_default())
    }

    /// Whether what needs this capability is allowed.
    pub fn allows(&self, capability: Capability) -> bool {
        // The kernel takes this one for those that were split off from it (`bpf_capable`, `perfmon_capable`,
        // include/linux/capability.h).
        let is_part_of_admin = matches!(capability, Capability::Bpf | Capability::Perfmon);
        let is_admin = is_part_of_admin && self.0.contains(&caps::Capability::CAP_SYS_ADMIN);
        is_admin || self.0.contains(&capability.kernel())
    }

    /// Those of these that are missing.
    pub fn missing(&self, needed: &[Capability]) -> Vec<Capability> {
        needed.iter().copied().filter(|capability| !self.allows(*capability)).collect()
    }
}

/// As a sentence names what is missing: `the capabilities BPF and PERFMON`.
pub fn named(capabilities: &[Capability]) -> String {
    let noun = if capabilities.len() == 1 { "capability" } else { "capabilities" };
    format!("the {noun} {}", listed(capabilities))
}

/// Names as a sentence has them: `BPF, PERFMON and NET_ADMIN`.
pub fn listed(capabilities: &[Capability]) -> String {
    match capabilities {
        [] => String::new(),
        [only] => only.name().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|capability| capability.name()).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}

/// As `setcap` and `setpriv` write them: `cap_bpf,cap_perfmon`.
pub fn for_setcap(capabilities: &[Capability]) -> String {
    let names: Vec<_> =
        capabilities.iter().map(|capability| format!("cap_{}", capability.name().to_lowercase())).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::{Capability, Held, for_setcap, listed};

    #[test]
    fn what_is_missing_is_told_from_the_effective_set() {
        use Capability::{Bpf, NetAdmin, Perfmon};
        use caps::Capability::{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN};

        let needed = [Bpf, Perfmon, NetAdmin];
        for (held, missing) in [
            (vec![], vec![Bpf, Perfmon, NetAdmin]),
            (vec![CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN], vec![]),
            (vec![CAP_BPF, CAP_NET_ADMIN], vec![Perfmon]),
            (vec![CAP_SYS_ADMIN], vec![NetAdmin]),
        ] {
            let held = Held(held.into_iter().collect());
            assert_eq!(held.missing(&needed), missing, "{held:?}");
        }
    }

    #[test]
    fn names_are_listed_for_people_and_for_commands() {
        let [bpf, perfmon, net_admin, ..] = Capability::ALL;
        for (capabilities, sentence, command) in [
            (vec![], "", ""),
            (vec![bpf], "BPF", "cap_bpf"),
            (vec![bpf, net_admin], "BPF and NET_ADMIN", "cap_bpf,cap_net_admin"),
            (
                vec![bpf, perfmon, net_admin],
                "BPF, PERFMON and NET_ADMIN",
                "cap_bpf,cap_perfmon,cap_net_admin",
            ),
        ] {
            assert_eq!(listed(&capabilities), sentence);
            assert_eq!(for_setcap(&capabilities), command);
        }
    }
}
