//! From an IP packet to the TCP segment in it, or to what an ICMP error says of one; must not know connections.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{IpNumber, LaxIpSlice, TcpHeader, TcpSlice};

use crate::event::loss::Loss;

/// An address and port, as short and as quick to compare as can be: IPv4 as IPv4-mapped IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Endpoint {
    pub(super) address: u128,
    pub(super) port: u16,
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(IpAddr::V6(Ipv6Addr::from_bits(endpoint.address)).to_canonical(), endpoint.port)
    }
}

/// Where IPv4-mapped addresses begin (RFC 4291 §2.5.5.2).
const MAPPED: u128 = 0xffff << 32;

/// What of the TCP flags matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    fn of(tcp: &TcpSlice<'_>) -> Self {
        let bit = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        Self(
            bit(tcp.fin(), Self::FIN)
                | bit(tcp.syn(), Self::SYN)
                | bit(tcp.rst(), Self::RST)
                | bit(tcp.ack(), Self::ACK),
        )
    }

    pub(super) fn has_fin(self) -> bool {
        self.0 & Self::FIN != 0
    }

    pub(super) fn has_syn(self) -> bool {
        self.0 & Self::SYN != 0
    }

    pub(super) fn has_rst(self) -> bool {
        self.0 & Self::RST != 0
    }

    pub(super) fn has_ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: Flags,
    /// Its payload, as far as it was captured.
    pub(super) payload: &'a [u8],
    /// How much payload it had on the wire.
    pub(super) payload_bytes: u32,
}

/// A host or router said that a segment cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undelivered {
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) sequence: u32,
    /// What the sender's kernel makes of it.
    pub(super) error: u32,
}

/// What is in an IP packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    Segment(Segment<'a>),
    Undelivered(Undelivered),
    /// Nothing of TCP.
    Other,
    /// Something of TCP that cannot be read.
    Lost(Loss),
}

/// Reads an IP packet, of which `cut_bytes` are missing at its end.
pub(super) fn content(ip: &[u8], cut_bytes: u32) -> Content<'_> {
    let Ok((slice, stopped)) = LaxIpSlice::from_slice(ip) else {
        return if cut_bytes > 0 { Content::Lost(Loss::CutPacket) } else { Content::Other };
    };
    let payload = slice.payload();
    match payload.ip_number {
        IpNumber::TCP if payload.fragmented => Content::Lost(Loss::Fragment),
        IpNumber::TCP => {
            let missing_bytes = missing_bytes(&slice, ip.len(), cut_bytes);
            segment(&slice, payload.payload, missing_bytes)
        }
        IpNumber::ICMP => undelivered(payload.payload, error_of_icmp_v4),
        IpNumber::IPV6_ICMP => undelivered(payload.payload, error_of_icmp_v6),
        _ if stopped.is_some() && cut_bytes > 0 => Content::Lost(Loss::CutPacket),
        _ => Content::Other,
    }
}

/// How much of what the IP header tells of was not captured. Offloaded packets may have a length of 0 in it.
fn missing_bytes(slice: &LaxIpSlice<'_>, captured_bytes: usize, cut_bytes: u32) -> u32 {
    let told_bytes = match slice {
        LaxIpSlice::Ipv4(ip) => usize::from(ip.header().total_len()),
        LaxIpSlice::Ipv6(ip) if ip.header().payload_length() == 0 => 0,
        LaxIpSlice::Ipv6(ip) => 40 + usize::from(ip.header().payload_length()),
    };
    if told_bytes == 0 {
        return cut_bytes;
    }
    u32::try_from(told_bytes.saturating_sub(captured_bytes)).unwrap_or(0)
}

fn segment<'a>(slice: &LaxIpSlice<'_>, tcp_bytes: &'a [u8], missing_bytes: u32) -> Content<'a> {
    let mut padded = [0; HEADER_BYTES_MAX];
    let (tcp, payload) = match TcpSlice::from_slice(tcp_bytes) {
        Ok(tcp) => {
            let header_bytes = tcp.header_len();
            (tcp, &tcp_bytes[header_bytes..])
        }
        // Cut within its options: all that matters comes before them.
        Err(_) if missing_bytes > 0 && tcp_bytes.len() >= TcpHeader::MIN_LEN => {
            let known_bytes = tcp_bytes.len().min(HEADER_BYTES_MAX);
            padded[..known_bytes].copy_from_slice(&tcp_bytes[..known_bytes]);
            let Ok(tcp) = TcpSlice::from_slice(&padded) else {
                return Content::Lost(Loss::MalformedPacket);
            };
            (tcp, &[][..])
        }
        Err(_) if missing_bytes > 0 => return Content::Lost(Loss::CutPacket),
        Err(_) => return Content::Lost(Loss::MalformedPacket),
    };
    let on_wire_bytes = tcp_bytes.len() + missing_bytes as usize;
    let (source, destination) = addresses(slice);
    Content::Segment(Segment {
        source: Endpoint { address: source, port: tcp.source_port() },
        destination: Endpoint { address: destination, port: tcp.destination_port() },
        sequence: tcp.sequence_number(),
        acknowledged: tcp.acknowledgment_number(),
        flags: Flags::of(&tcp),
        payload,
        payload_bytes: u32::try_from(on_wire_bytes.saturating_sub(tcp.header_len())).unwrap_or(0),
    })
}

/// The data offset has 4 bits (RFC 9293 §3.1).
const HEADER_BYTES_MAX: usize = 60;

fn addresses(slice: &LaxIpSlice<'_>) -> (u128, u128) {
    match slice {
        LaxIpSlice::Ipv4(ip) => {
            let header = ip.header();
            let mapped = |address: [u8; 4]| MAPPED | u128::from(u32::from_be_bytes(address));
            (mapped(header.source()), mapped(header.destination()))
        }
        LaxIpSlice::Ipv6(ip) => {
            let header = ip.header();
            (u128::from_be_bytes(header.source()), u128::from_be_bytes(header.destination()))
        }
    }
}

/// ICMP errors have 8 bytes before the packet they are about (RFC 792, RFC 4443 §3).
const ICMP_BYTES: usize = 8;

/// What an ICMP error says of the TCP segment that it quotes: at least ports and sequence number.
fn undelivered(icmp: &[u8], error: fn(u8, u8) -> Option<u32>) -> Content<'_> {
    let (Some(&[what, code]), Some(quoted)) = (icmp.first_chunk(), icmp.get(ICMP_BYTES..)) else {
        return Content::Other;
    };
    let Some(error) = error(what, code) else { return Content::Other };
    let Ok((slice, _)) = LaxIpSlice::from_slice(quoted) else { return Content::Other };
    let payload = slice.payload();
    let Some(tcp) = payload.payload.first_chunk::<8>() else { return Content::Other };
    if payload.ip_number != IpNumber::TCP || payload.fragmented {
        return Content::Other;
    }
    let (source, destination) = addresses(&slice);
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    Content::Undelivered(Undelivered {
        source: Endpoint { address: source, port: port(0) },
        destination: Endpoint { address: destination, port: port(2) },
        sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
        error,
    })
}

/// Errors that end a connect (`include/uapi/asm-generic/errno.h`).
pub(super) mod errno {
    pub(in crate::source::capture) const BROKEN_PIPE: u32 = 32;
    pub(in crate::source::capture) const ACCESS: u32 = 13;
    pub(in crate::source::capture) const PROTOCOL: u32 = 92;
    pub(in crate::source::capture) const NETWORK_UNREACHABLE: u32 = 101;
    pub(in crate::source::capture) const RESET: u32 = 104;
    pub(in crate::source::capture) const TIMED_OUT: u32 = 110;
    pub(in crate::source::capture) const REFUSED: u32 = 111;
    pub(in crate::source::capture) const HOST_UNREACHABLE: u32 = 113;
}

/// `icmp_err_convert` (net/ipv4/icmp.c): destination unreachable is type 3.
fn error_of_icmp_v4(what: u8, code: u8) -> Option<u32> {
    match (what, code) {
        // Too large for the path, source route failed: these end nothing.
        (3, 4 | 5) => None,
        (3, 0 | 6 | 9 | 11) => Some(errno::NETWORK_UNREACHABLE),
        (3, 2) => Some(errno::PROTOCOL),
        (3, 3) => Some(errno::REFUSED),
        (3, 0..=15) => Some(errno::HOST_UNREACHABLE),
        _ => None,
    }
}

/// `tab_unreach` (net/ipv6/icmp.c): destination unreachable is type 1.
fn error_of_icmp_v6(what: u8, code: u8) -> Option<u32> {
    match (what, code) {
        (1, 0) => Some(errno::NETWORK_UNREACHABLE),
        (1, 1 | 5 | 6) => Some(errno::ACCESS),
        (1, 2 | 3) => Some(errno::HOST_UNREACHABLE),
        (1, 4) => Some(errno::REFUSED),
        _ => None,
    }
}
