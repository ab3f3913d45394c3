//! Captures of one short conversation in every form of file, link and packet; must not know who reads them.

/// The conversation: a client connects, says something, gets an answer or none, and leaves.
struct Told<'a> {
    said: &'a [u8],
    answered: &'a [u8],
}

/// How its packets lie in a file.
#[derive(Clone, Copy)]
enum Link {
    /// 101: raw IP.
    Raw,
    /// 1: Ethernet, with this many VLAN tags.
    Ethernet(usize),
    /// 113: Linux cooked.
    Cooked,
    /// 276: Linux cooked, version 2.
    Cooked2,
    /// 0: BSD loopback.
    Loopback,
}

const LINKS: [Link; 6] =
    [Link::Raw, Link::Ethernet(0), Link::Ethernet(2), Link::Cooked, Link::Cooked2, Link::Loopback];

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const FIN: u8 = 1;

/// Each hello as raw IPv4, and a short one in each form.
pub(super) fn of(hellos: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let whole = |hello: &Vec<u8>| pcap(Link::Raw, &conversation(&Told { said: hello, answered: &[] }, false));
    let mut files: Vec<Vec<u8>> = hellos.iter().map(whole).collect();
    let Some(short) = hellos.iter().min_by_key(|hello| hello.len()) else { return files };
    for link in LINKS {
        for is_ipv6 in [false, true] {
            let packets = conversation(&Told { said: short, answered: b"ERROR\r\n" }, is_ipv6);
            files.push(pcap(link, &packets));
        }
        files.push(pcapng(link, &conversation(&Told { said: b"PING\r\n", answered: b"+PONG\r\n" }, false)));
    }
    let mut packets = conversation(&Told { said: short, answered: &[] }, false);
    // The hello in two segments, out of order, the first of them twice.
    let hello = packets.remove(2);
    let (head, payload) = hello.split_at(40);
    for (from, to) in [(50, payload.len()), (0, 50), (0, 60)] {
        packets.insert(2, segment(head, payload, from, to));
    }
    files.push(pcap(Link::Raw, &packets));
    let refused = [packet(false, true, SYN, [100, 0], &[]), packet(false, false, RST | ACK, [0, 101], &[])];
    files.push(pcap(Link::Raw, &refused));
    files
}

/// A part of a packet of raw IPv4.
fn segment(head: &[u8], payload: &[u8], from: usize, to: usize) -> Vec<u8> {
    let part = &payload[from..to.max(from)];
    let sequence = 101 + u32::try_from(from).unwrap_or(0);
    let acknowledged = head[28..32].try_into().map_or(0, u32::from_be_bytes);
    packet(false, true, ACK, [sequence, acknowledged], part)
}

fn conversation(told: &Told<'_>, is_ipv6: bool) -> Vec<Vec<u8>> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
    let (sent, received) = (101 + length(told.said), 501 + length(told.answered));
    let mut packets = vec![
        packet(is_ipv6, true, SYN, [100, 0], &[]),
        packet(is_ipv6, false, SYN | ACK, [500, 101], &[]),
        packet(is_ipv6, true, ACK, [101, 501], told.said),
    ];
    if !told.answered.is_empty() {
        packets.push(packet(is_ipv6, false, ACK, [501, sent], told.answered));
    }
    packets.extend([
        packet(is_ipv6, true, FIN | ACK, [sent, received], &[]),
        packet(is_ipv6, false, FIN | ACK, [received, sent + 1], &[]),
        packet(is_ipv6, true, ACK, [sent + 1, received + 1], &[]),
    ]);
    packets
}

/// IPv4 or IPv6 and TCP without options (RFC 791 §3.1, RFC 8200 §3, RFC 9293 §3.1), from 10.1.1.25:50714 to 10.1.1.24:6379 or back.
fn packet(is_ipv6: bool, by_client: bool, flags: u8, numbers: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let ends = [([10, 1, 1, 25], 50_714_u16), ([10, 1, 1, 24], 6379)];
    let [(from, from_port), (to, to_port)] = if by_client { ends } else { [ends[1], ends[0]] };
    let with_header = |header: usize| u16::try_from(header + payload.len()).unwrap_or(0).to_be_bytes();
    let ip = if is_ipv6 {
        let length = with_header(20);
        let long = |short: [u8; 4]| [&[0xfd; 12], &short[..]].concat();
        [&[0x60, 0, 0, 0, length[0], length[1], 6, 64], &long(from)[..], &long(to)].concat()
    } else {
        let length = with_header(40);
        [&[0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 6, 0, 0], &from[..], &to].concat()
    };
    let ports = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
    let numbers = numbers.map(u32::to_be_bytes).concat();
    [ip, ports, numbers, vec![0x50, flags, 0xff, 0xff, 0, 0, 0, 0], payload.to_vec()].concat()
}

impl Link {
    fn number(self) -> u32 {
        match self {
            Self::Raw => 101,
            Self::Ethernet(_) => 1,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Loopback => 0,
        }
    }

    /// The packet with what stands before it.
    fn framed(self, packet: &[u8]) -> Vec<u8> {
        let is_ipv6 = packet[0] >> 4 == 6;
        let protocol: [u8; 2] = if is_ipv6 { [0x86, 0xdd] } else { [0x08, 0] };
        let before = match self {
            Self::Raw => Vec::new(),
            Self::Ethernet(tags) => [vec![2; 12], [0x81, 0, 0, 7].repeat(tags), protocol.into()].concat(),
            Self::Cooked => [vec![0; 14], protocol.into()].concat(),
            Self::Cooked2 => [&protocol[..], &[0; 18]].concat(),
            // `PF_INET` and `PF_INET6` of its own machine, little-endian.
            Self::Loopback => vec![if is_ipv6 { 30 } else { 2 }, 0, 0, 0],
        };
        [before, packet.to_vec()].concat()
    }
}

/// With microseconds, little-endian.
fn pcap(link: Link, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link.number()].map(u32::to_le_bytes).concat();
    for (second, packet) in (1_599_917_903_u32..).zip(packets) {
        let packet = link.framed(packet);
        let length = u32::try_from(packet.len()).unwrap_or(0);
        file.extend([second, 0, length, length].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

/// One section, one interface, little-endian (draft-ietf-opsawg-pcapng §4).
fn pcapng(link: Link, packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padding = vec![0; body.len().wrapping_neg() % 4];
        let length = u32::try_from(12 + body.len() + padding.len()).unwrap_or(0).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &padding, &length].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let interface = [&link.number().to_le_bytes()[..2], &[0; 2], &65_535_u32.to_le_bytes()].concat();
    let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    for (second, packet) in (1_599_917_903_u64..).zip(packets) {
        let packet = link.framed(packet);
        let (length, time) = (u32::try_from(packet.len()).unwrap_or(0), second * 1_000_000);
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
        let head = [0, high, low, length, length].map(u32::to_le_bytes).concat();
        file.extend(block(6, &[head, packet].concat()));
    }
    file
}
