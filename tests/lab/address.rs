//! Addresses of pods: one range a cluster, IPv4 and IPv6 alike; it must not know which pods there are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The range of one cluster: `10.a.b.0/24` and `fd00:6d73:a:b::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    a: u8,
    b: u8,
}

impl Range {
    /// The range in the incident's log: pods are 10.1.1.24 and 10.1.1.25.
    pub const INCIDENT: Self = Self { a: 1, b: 1 };

    /// A range of its own for the `nth` cluster of process `pid`. A tracer sees every namespace of the machine,
    /// so tests that run at the same time tell their own connections by it.
    pub fn of_process(pid: u32, nth: u32) -> Self {
        // 16 clusters a process; processes that live at the same time seldom are 4000 numbers apart.
        let index = pid.wrapping_mul(16).wrapping_add(nth);
        // 10.1.* belongs to `INCIDENT`.
        let [.., a, b] = index.to_be_bytes();
        Self { a: a.max(2), b }
    }

    /// The IPv4 address of host number `host`.
    pub fn ipv4(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, self.a, self.b, host)
    }

    /// The IPv6 address of host number `host`, which is read in decimal like the one of IPv4: `::24`.
    pub fn ipv6(self, host: u8) -> Ipv6Addr {
        let digits = u16::from(host / 100 % 10) << 8 | u16::from(host / 10 % 10) << 4 | u16::from(host % 10);
        // RFC 4193, section 3.1: fd00::/8 is for local use. 0x6d73 is "ms".
        Ipv6Addr::new(0xfd00, 0x6d73, self.a.into(), self.b.into(), 0, 0, 0, digits)
    }

    /// Whether an address is in one of the two ranges.
    pub fn contains(self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => address.octets()[..3] == self.ipv4(0).octets()[..3],
            IpAddr::V6(address) => address.segments()[..4] == self.ipv6(0).segments()[..4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_look_like_the_incident() {
        assert_eq!(Range::INCIDENT.ipv4(24).to_string(), "10.1.1.24");
        assert_eq!(Range::INCIDENT.ipv6(24).to_string(), "fd00:6d73:1:1::24");
        assert_eq!(Range::INCIDENT.ipv6(207).to_string(), "fd00:6d73:1:1::207");
    }

    #[test]
    fn a_range_knows_its_own_and_nobody_elses() {
        let (ours, other) = (Range::of_process(4711, 0), Range::of_process(4712, 0));
        for address in [IpAddr::from(ours.ipv4(9)), ours.ipv6(9).into(), ours.ipv4(9).to_ipv6_mapped().into()]
        {
            assert!(ours.contains(address), "{address}");
            assert!(!other.contains(address), "{address}");
        }
    }
}
