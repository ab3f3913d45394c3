//! From link types to the IP packet inside; must not know files, nor what is in the IP packet.

use etherparse::{EtherType, SingleVlanSlice};

/// What comes before the IP packet: a link type (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Address family in 4 bytes, then IP: BSD loopback in either byte order.
    Loopback,
    /// Ethernet II, with VLAN tags or without.
    Ethernet,
    /// IP at once.
    Ip,
    /// `tcpdump -i any`, version 1: 16 bytes.
    LinuxCooked,
    /// `tcpdump -i any`, version 2: 20 bytes.
    LinuxCooked2,
    /// None of these, by its number.
    Other(u16),
}

/// Which way a packet went through the stack that captured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To this stack.
    In,
    /// From it.
    Out,
    /// From another to yet another, or to many.
    Past,
    /// One interface was captured, and that does not tell.
    NotKnown,
}

/// `include/uapi/linux/if_packet.h`; the same in `LINKTYPE_LINUX_SLL` and `LINKTYPE_LINUX_SLL2`.
const PACKET_HOST: u16 = 0;
const PACKET_OUTGOING: u16 = 4;

const LINUX_COOKED_BYTES: usize = 16;
const LINUX_COOKED_2_BYTES: usize = 20;
const ETHERNET_BYTES: usize = 14;
const LOOPBACK_BYTES: usize = 4;

/// More tags than this are no VLANs any more.
const TAGS_MAX: usize = 4;

impl Link {
    /// By its number.
    pub(super) fn of(number: u16) -> Self {
        match number {
            0 | 108 => Self::Loopback,
            1 => Self::Ethernet,
            // 12 and 14 are what some BSDs wrote for it (LINKTYPE_RAW).
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            113 => Self::LinuxCooked,
            276 => Self::LinuxCooked2,
            other => Self::Other(other),
        }
    }

    /// Which way the packet went through the stack that it was captured in.
    pub(super) fn way(self, packet: &[u8]) -> Way {
        let kind = match self {
            Self::LinuxCooked => packet.get(..2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]])),
            Self::LinuxCooked2 => packet.get(10).copied().map(u16::from),
            Self::Loopback | Self::Ethernet | Self::Ip | Self::Other(_) => return Way::NotKnown,
        };
        match kind {
            Some(PACKET_HOST) => Way::In,
            Some(PACKET_OUTGOING) => Way::Out,
            Some(_) | None => Way::Past,
        }
    }

    /// The IP packet in a packet of this kind; none when it holds something else, or was cut before it.
    pub(super) fn ip_of(self, packet: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Loopback => packet.get(LOOPBACK_BYTES..),
            Self::Ip => Some(packet),
            Self::Ethernet => of_type(type_at(packet, 12)?, packet.get(ETHERNET_BYTES..)?),
            Self::LinuxCooked => of_type(type_at(packet, 14)?, packet.get(LINUX_COOKED_BYTES..)?),
            Self::LinuxCooked2 => of_type(type_at(packet, 0)?, packet.get(LINUX_COOKED_2_BYTES..)?),
            Self::Other(_) => None,
        }
    }
}

/// What people call a link type that is not read.
pub(super) fn name(number: u16) -> &'static str {
    match number {
        9 => "PPP",
        105 => "IEEE 802.11",
        127 => "radiotap",
        147..=162 => "private use",
        189 | 220 => "USB",
        195 | 230 => "IEEE 802.15.4",
        187 | 201 => "Bluetooth",
        239 => "NFLOG",
        252 => "Wireshark upper PDU",
        253 => "netlink",
        258 => "PKTAP",
        _ => "unknown",
    }
}

fn type_at(packet: &[u8], at: usize) -> Option<EtherType> {
    let bytes = packet.get(at..at + 2)?;
    Some(EtherType(u16::from_be_bytes([bytes[0], bytes[1]])))
}

/// The IP packet behind an Ethernet type, through VLAN tags.
fn of_type(mut what: EtherType, mut payload: &[u8]) -> Option<&[u8]> {
    for _ in 0..=TAGS_MAX {
        match what {
            EtherType::IPV4 | EtherType::IPV6 => return Some(payload),
            EtherType::VLAN_TAGGED_FRAME
            | EtherType::PROVIDER_BRIDGING
            | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {
                let tag = SingleVlanSlice::from_slice(payload).ok()?;
                what = tag.ether_type();
                payload = &payload[tag.header_len()..];
            }
            _ => return None,
        }
    }
    None
}
