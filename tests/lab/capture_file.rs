//! Packets as capture files, in every form that is written; it must not know what the packets are.

use std::borrow::Cow;

use etherparse::{EtherType, Ethernet2Header, SingleVlanHeader, VlanId};
use pcap_parser::{
    EPB_MAGIC, EnhancedPacketBlock, IDB_MAGIC, ISB_MAGIC, InterfaceDescriptionBlock,
    InterfaceStatisticsBlock, Linktype, OptionCode, PcapNGOption, SHB_MAGIC, SectionHeaderBlock, ToVec as _,
};

use crate::conversation::Packet;

/// What comes before the IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with so many VLAN tags.
    Ethernet(u8),
    /// `tcpdump -i any`, version 1.
    LinuxCooked,
    /// `tcpdump -i any`, version 2.
    LinuxCooked2,
    /// Nothing.
    Raw,
    /// BSD loopback, family in the order of a little-endian host.
    Null,
    /// OpenBSD loopback, family in network order.
    Loop,
}

impl Link {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Ethernet(0),
        Self::Ethernet(1),
        Self::Ethernet(2),
        Self::LinuxCooked,
        Self::LinuxCooked2,
        Self::Raw,
        Self::Null,
        Self::Loop,
    ];

    /// Its number (<https://www.tcpdump.org/linktypes.html>).
    pub fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet(_) => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::LinuxCooked => 113,
            Self::LinuxCooked2 => 276,
        }
    }

    /// The packet with what comes before it.
    pub fn frame(self, ip: &[u8]) -> Vec<u8> {
        let is_v6 = ip.first().is_some_and(|first| first >> 4 == 6);
        let what = if is_v6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let [high, low] = what.0.to_be_bytes();
        // AF_INET, and AF_INET6 of FreeBSD.
        let family: u32 = if is_v6 { 28 } else { 2 };
        let before = match self {
            Self::Ethernet(tags) => ethernet(tags, what),
            Self::LinuxCooked => vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, high, low],
            Self::LinuxCooked2 => vec![high, low, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
            Self::Raw => Vec::new(),
            Self::Null => family.to_le_bytes().into(),
            Self::Loop => family.to_be_bytes().into(),
        };
        [&before, ip].concat()
    }
}

fn ethernet(tags: u8, what: EtherType) -> Vec<u8> {
    let tag =
        |number: u8| if number == 1 { EtherType::VLAN_TAGGED_FRAME } else { EtherType::PROVIDER_BRIDGING };
    let ether_type = if tags == 0 { what } else { tag(tags) };
    let mut bytes =
        Ethernet2Header { source: [2, 0, 0, 0, 0, 1], destination: [2, 0, 0, 0, 0, 2], ether_type }
            .to_bytes()
            .to_vec();
    for number in (1..=tags).rev() {
        let ether_type = if number == 1 { what } else { tag(number - 1) };
        let header = SingleVlanHeader { vlan_id: VlanId::ZERO, ether_type, ..SingleVlanHeader::default() };
        bytes.extend_from_slice(&header.to_bytes());
    }
    bytes
}

/// How numbers are written in a pcap file.
#[derive(Clone, Copy, Debug)]
pub struct Pcap {
    /// What comes before the IP packets.
    pub link: Link,
    /// The byte order.
    pub is_big_endian: bool,
    /// Times are in nanoseconds, not microseconds.
    pub is_in_ns: bool,
    /// No more of a packet is kept.
    pub snap_bytes: usize,
}

impl Pcap {
    /// As tcpdump writes.
    pub fn of(link: Link) -> Self {
        Self { link, is_big_endian: false, is_in_ns: false, snap_bytes: 262_144 }
    }

    /// The file.
    pub fn file<'a>(self, packets: impl IntoIterator<Item = &'a Packet>) -> Vec<u8> {
        let magic = if self.is_in_ns { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut file = Vec::new();
        self.write(&mut file, &[magic]);
        // Version 2.4, two of them in one number.
        file.extend(if self.is_big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
        let snap_bytes = u32::try_from(self.snap_bytes).unwrap_or(u32::MAX);
        self.write(&mut file, &[0, 0, snap_bytes, self.link.number().into()]);
        for packet in packets {
            self.append(&mut file, packet);
        }
        file
    }

    /// One more packet for a file.
    pub fn append(self, file: &mut Vec<u8>, packet: &Packet) {
        let frame = self.link.frame(&packet.ip);
        let kept = &frame[..frame.len().min(self.snap_bytes)];
        let tick_ns = if self.is_in_ns { 1 } else { 1000 };
        let numbers = [
            packet.time_ns / 1_000_000_000,
            packet.time_ns % 1_000_000_000 / tick_ns,
            kept.len() as u64,
            frame.len() as u64,
        ];
        self.write(file, &numbers.map(|number| u32::try_from(number).unwrap_or(u32::MAX)));
        file.extend_from_slice(kept);
    }

    fn write(self, file: &mut Vec<u8>, numbers: &[u32]) {
        for number in numbers {
            file.extend(if self.is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() });
        }
    }
}

/// A pcapng file, block by block; little-endian.
#[derive(Debug, Default)]
pub struct PcapNg {
    file: Vec<u8>,
    /// Of the section: link and what a tick is.
    interfaces: Vec<(Link, Resolution)>,
}

/// What a tick of an interface's times is.
#[derive(Clone, Copy, Debug)]
pub enum Resolution {
    /// 10 to the minus this.
    Decimal(u8),
    /// 2 to the minus this.
    Binary(u8),
}

impl PcapNg {
    /// A section begins.
    #[must_use]
    pub fn section(mut self) -> Self {
        let mut block = SectionHeaderBlock {
            block_type: SHB_MAGIC,
            block_len1: 0,
            bom: pcap_parser::BOM_MAGIC,
            major_version: 1,
            minor_version: 0,
            section_len: -1,
            options: Vec::new(),
            block_len2: 0,
        };
        self.interfaces.clear();
        self.file.extend(block.to_vec().unwrap_or_default());
        self
    }

    /// An interface of the section.
    #[must_use]
    pub fn interface(mut self, link: Link, resolution: Resolution) -> Self {
        let code = match resolution {
            Resolution::Decimal(power) => power,
            Resolution::Binary(power) => 0x80 | power,
        };
        let mut block = InterfaceDescriptionBlock {
            block_type: IDB_MAGIC,
            block_len1: 0,
            linktype: Linktype(link.number().into()),
            reserved: 0,
            snaplen: 0,
            options: vec![option(OptionCode::IfTsresol, vec![code])],
            block_len2: 0,
            if_tsresol: code,
            if_tsoffset: 0,
        };
        self.interfaces.push((link, resolution));
        self.file.extend(block.to_vec().unwrap_or_default());
        self
    }

    /// A packet of an interface.
    #[must_use]
    pub fn packet(mut self, interface: u32, packet: &Packet) -> Self {
        let known = usize::try_from(interface).ok().and_then(|number| self.interfaces.get(number));
        let (link, resolution) = known.copied().unwrap_or((Link::Raw, Resolution::Decimal(6)));
        let per_s = match resolution {
            Resolution::Decimal(power) => 10_u128.pow(power.into()),
            Resolution::Binary(power) => 1 << power,
        };
        let ticks = u128::from(packet.time_ns) * per_s / 1_000_000_000;
        let [high, low] =
            [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
        let frame = link.frame(&packet.ip);
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let mut block = EnhancedPacketBlock {
            block_type: EPB_MAGIC,
            block_len1: 0,
            if_id: interface,
            ts_high: high,
            ts_low: low,
            caplen: bytes,
            origlen: bytes,
            data: &frame,
            options: Vec::new(),
            block_len2: 0,
        };
        self.file.extend(block.to_vec().unwrap_or_default());
        self
    }

    /// The capturing program says how much it dropped.
    #[must_use]
    pub fn dropped(mut self, interface: u32, packets: u64) -> Self {
        let mut block = InterfaceStatisticsBlock {
            block_type: ISB_MAGIC,
            block_len1: 0,
            if_id: interface,
            ts_high: 0,
            ts_low: 0,
            options: vec![option(OptionCode::IsbIfDrop, packets.to_le_bytes().to_vec())],
            block_len2: 0,
        };
        self.file.extend(block.to_vec().unwrap_or_default());
        self
    }

    /// The file so far.
    pub fn file(self) -> Vec<u8> {
        self.file
    }
}

fn option(code: OptionCode, mut value: Vec<u8>) -> PcapNGOption<'static> {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    value.resize(value.len().next_multiple_of(4), 0);
    PcapNGOption { code, len, value: Cow::Owned(value) }
}
