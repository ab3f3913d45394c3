//! Captures of one short conversation in every form of file and link; must not know who reads them.

use crate::seed::packet::{ACK, RST, SYN, Told, conversation, packet, redirected, segment};

/// How packets lie in a file.
#[derive(Clone, Copy)]
enum Link {
    /// IP at once, by its several numbers.
    Raw(u16),
    /// 1: Ethernet, with these VLAN tags.
    Ethernet(&'static [u16]),
    /// 113: Linux cooked.
    Cooked,
    /// 276: Linux cooked, version 2.
    Cooked2,
    /// BSD loopback, 0 of its own machine's byte order, and 108 of the network's.
    Loopback(u16),
    /// 127: one that is not read.
    Radiotap,
}

/// 802.1Q, 802.1ad and what some switches take for it (IEEE 802 numbers, `EtherType`).
const LINKS: [Link; 14] = [
    Link::Raw(101),
    Link::Raw(12),
    Link::Raw(14),
    Link::Raw(228),
    Link::Raw(229),
    Link::Ethernet(&[]),
    Link::Ethernet(&[0x8100]),
    Link::Ethernet(&[0x88a8, 0x8100]),
    Link::Ethernet(&[0x9100, 0x8100]),
    Link::Cooked,
    Link::Cooked2,
    Link::Loopback(0),
    Link::Loopback(108),
    Link::Radiotap,
];

/// The byte order of the machine that wrote a file.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// Seconds since 1970 of the first packet.
const BEGAN_S: u32 = 1_599_917_903;

/// Longer than any packet here.
const WHOLE: usize = 65_535;

/// Each hello as raw IPv4, and a short one in each form.
pub(super) fn of(hellos: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let raw = Link::Raw(101);
    let whole = |hello: &Vec<u8>| {
        pcap(
            raw,
            Order::Little,
            MICROSECONDS,
            WHOLE,
            &conversation(&Told { said: hello, answered: &[] }, false),
        )
    };
    let mut files: Vec<Vec<u8>> = hellos.iter().map(whole).collect();
    let Some(short) = hellos.iter().min_by_key(|hello| hello.len()) else { return files };
    let refused = Told { said: short, answered: b"ERROR\r\n" };
    let served = Told { said: b"PING\r\n", answered: b"+PONG\r\n" };
    for link in LINKS {
        for is_ipv6 in [false, true] {
            let packets = conversation(&refused, is_ipv6);
            files.push(pcap(link, Order::Little, MICROSECONDS, WHOLE, &packets));
        }
        files.push(pcapng(&[link], Order::Big, &conversation(&served, false)));
    }
    let packets = conversation(&refused, false);
    for (order, magic, snap_bytes) in [
        (Order::Big, MICROSECONDS, WHOLE),
        (Order::Big, NANOSECONDS, 96),
        (Order::Little, NANOSECONDS, WHOLE),
        // Cut in the hello, in the TCP header and in the IP header.
        (Order::Little, MICROSECONDS, 128),
        (Order::Little, MICROSECONDS, 44),
        (Order::Little, MICROSECONDS, 18),
    ] {
        files.push(pcap(raw, order, magic, snap_bytes, &packets));
    }
    files.push(pcapng(&[Link::Ethernet(&[0x8100]), Link::Cooked2], Order::Little, &packets));
    files.push(rare_blocks(&packets));
    for link in [Link::Cooked, Link::Cooked2] {
        files.push(pcap(link, Order::Little, MICROSECONDS, WHOLE, &redirected(&refused)));
    }
    files.push(pcap(raw, Order::Little, MICROSECONDS, WHOLE, &out_of_order(short)));
    let refused = [packet(false, true, SYN, [100, 0], &[]), packet(false, false, RST | ACK, [0, 101], &[])];
    files.push(pcap(raw, Order::Little, MICROSECONDS, WHOLE, &refused));
    // It begins in the middle.
    files.push(pcap(raw, Order::Little, MICROSECONDS, WHOLE, &packets[2..]));
    files
}

/// The hello in two segments, out of order, the first of them twice.
fn out_of_order(hello: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = conversation(&Told { said: hello, answered: &[] }, false);
    let hello = packets.remove(2);
    let (head, payload) = hello.split_at(40);
    for (from, to) in [(50, payload.len()), (0, 50), (0, 60)] {
        packets.insert(2, segment(head, payload, from, to));
    }
    packets
}

impl Link {
    fn number(self) -> u16 {
        match self {
            Self::Raw(number) | Self::Loopback(number) => number,
            Self::Ethernet(_) => 1,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Radiotap => 127,
        }
    }

    /// The packet with what stands before it.
    fn framed(self, packet: &[u8]) -> Vec<u8> {
        let is_ipv6 = packet[0] >> 4 == 6;
        let protocol: [u8; 2] = if is_ipv6 { [0x86, 0xdd] } else { [0x08, 0] };
        let tag = |ether_type: &u16| [ether_type.to_be_bytes(), [0, 7]].concat();
        // `PF_INET` and `PF_INET6` of a BSD.
        let family = if is_ipv6 { 30_u32 } else { 2 };
        let before = match self {
            Self::Raw(_) => Vec::new(),
            Self::Ethernet(tags) => {
                [vec![2; 12], tags.iter().flat_map(tag).collect(), protocol.into()].concat()
            }
            Self::Cooked => [vec![0; 14], protocol.into()].concat(),
            Self::Cooked2 => [&protocol[..], &[0; 18]].concat(),
            Self::Loopback(108) => family.to_be_bytes().into(),
            Self::Loopback(_) => family.to_le_bytes().into(),
            Self::Radiotap => vec![0, 0, 8, 0, 0, 0, 0, 0],
        };
        [before, packet.to_vec()].concat()
    }
}

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn words<const COUNT: usize>(self, numbers: [u32; COUNT]) -> Vec<u8> {
        numbers.map(|number| self.u32(number)).concat()
    }

    /// A block of pcapng, and an option of one.
    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = padded(body);
        let length = self.u32(small(12 + padded.len()));
        [&self.u32(kind)[..], &length, &padded, &length].concat()
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap_or(0);
        [&self.u16(code)[..], &self.u16(length), &padded(value)].concat()
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    [bytes, &vec![0; bytes.len().wrapping_neg() % 4]].concat()
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// What the times of a pcap are in (draft-ietf-opsawg-pcap §4).
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

fn pcap(link: Link, order: Order, magic: u32, snap_bytes: usize, packets: &[Vec<u8>]) -> Vec<u8> {
    let version = [order.u16(2), order.u16(4)].concat();
    let head = order.words([0, 0, small(snap_bytes), u32::from(link.number())]);
    let mut file = [&order.u32(magic)[..], &version, &head].concat();
    for (second, packet) in (BEGAN_S..).zip(packets) {
        let packet = link.framed(packet);
        let kept = &packet[..packet.len().min(snap_bytes)];
        file.extend(order.words([second, 7, small(kept.len()), small(packet.len())]));
        file.extend(kept);
    }
    file
}

/// Types of blocks (draft-ietf-opsawg-pcapng §4).
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

fn section(order: Order) -> Vec<u8> {
    let version = [order.u16(1), order.u16(0)].concat();
    order.block(SECTION, &[&order.u32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat())
}

/// `resolution`: of its times, a negative power of ten.
fn interface(order: Order, link: Link, resolution: u8) -> Vec<u8> {
    let head = [&order.u16(link.number())[..], &[0; 2], &order.u32(small(WHOLE))].concat();
    order.block(INTERFACE, &[head, order.option(9, &[resolution]), order.option(0, &[])].concat())
}

/// One section; the packets are of its interfaces in turn, the first of which has microseconds, the others nanoseconds.
fn pcapng(links: &[Link], order: Order, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = section(order);
    for (nth, link) in links.iter().enumerate() {
        file.extend(interface(order, *link, if nth == 0 { 6 } else { 9 }));
    }
    let interfaces = (0_u32..).zip(links).cycle();
    for ((second, packet), (id, link)) in (u64::from(BEGAN_S)..).zip(packets).zip(interfaces) {
        let packet = link.framed(packet);
        let time = second * if id == 0 { 1_000_000 } else { 1_000_000_000 };
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
        let head = order.words([id, high, low, small(packet.len()), small(packet.len())]);
        let body = [head, padded(&packet), order.option(2, &[0, 0, 0, 1]), order.option(0, &[])].concat();
        file.extend(order.block(PACKET, &body));
    }
    file
}

/// Packets without a time, one of before 2009, names, and how many were dropped; then another section in the other order.
fn rare_blocks(packets: &[Vec<u8>]) -> Vec<u8> {
    let (order, link) = (Order::Little, Link::Raw(101));
    let mut file = [section(order), interface(order, link, 0x94)].concat();
    for packet in packets {
        file.extend(order.block(SIMPLE_PACKET, &[&order.u32(small(packet.len()))[..], packet].concat()));
    }
    file.extend(order.block(OBSOLETE_PACKET, &[0; 20]));
    file.extend(order.block(NAMES, &[0, 1, 8, 0, 10, 1, 1, 24, b'a', b'.', b'b', 0, 0, 0, 0, 0]));
    let dropped = order.option(5, &3_u64.to_le_bytes());
    file.extend(order.block(STATISTICS, &[&[0; 12][..], &dropped, &order.option(0, &[])].concat()));
    file.extend(pcapng(&[link], Order::Big, &packets[..2]));
    file
}
