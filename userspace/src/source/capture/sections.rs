//! Sections, interfaces and packets of pcapng, block by block; must not know how the file is read.

use pcap_parser::{
    Block as Parsed, EnhancedPacketBlock, InterfaceDescriptionBlock, InterfaceStatisticsBlock, OptionCode,
    PcapNGOption, SimplePacketBlock,
    nom::{self, Offset as _},
    parse_block_be, parse_block_le,
};

use crate::{
    event::time::{SECOND_NS, Time},
    source::capture::{link::Link, packets::is_too_long},
};

/// What a block holds.
#[derive(Debug)]
pub(super) enum Block {
    /// A packet, and where it is in what was given.
    Packet { used: usize, at: usize, bytes: u32, time: Time, link: Link, cut_bytes: u32 },
    /// Something else.
    Other { used: usize },
    /// There is more of it.
    Incomplete,
    /// It is no block.
    Corrupt,
}

/// What is known of the section that is being read.
#[derive(Debug, Default)]
pub(super) struct Sections {
    is_big_endian: bool,
    interfaces: Vec<Interface>,
    /// Of packets that have none.
    last_time: Time,
    dropped_before: u64,
    undecodable: u64,
}

#[derive(Debug)]
struct Interface {
    link: Link,
    snap_bytes: u32,
    /// How many ticks a second has.
    ticks_per_s: u64,
    offset_s: i64,
    dropped: u64,
}

/// A block has its type and length before all else, and its length again at its end.
const LEAST_BYTES: usize = 12;

/// `Packet Block` of before 2009, which nothing writes any more (pcapng, appendix).
const OBSOLETE_PACKET: u32 = 2;

impl Sections {
    /// Packets that the capturing program says it dropped, in all sections.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped_before + self.interfaces.iter().map(|interface| interface.dropped).sum::<u64>()
    }

    /// Packets that could not be read.
    pub(super) fn undecodable(&self) -> u64 {
        self.undecodable
    }

    /// Reads the block that the bytes begin with.
    pub(super) fn read(&mut self, data: &[u8]) -> Block {
        // The parser checks that for most kinds of blocks, and subtracts all the same for the others.
        if self.length(data).is_some_and(|length| length < LEAST_BYTES) {
            return Block::Corrupt;
        }
        let parse = if self.is_big_endian { parse_block_be } else { parse_block_le };
        let (rest, block) = match parse(data) {
            Ok(parsed) => parsed,
            Err(error) => return self.without_block(data, &error),
        };
        let used = data.offset(rest);
        match block {
            Parsed::SectionHeader(header) => {
                self.dropped_before = self.dropped();
                self.interfaces.clear();
                self.is_big_endian = header.big_endian();
            }
            Parsed::InterfaceDescription(description) => {
                self.interfaces.push(Interface::of(&description, self.is_big_endian));
            }
            Parsed::InterfaceStatistics(statistics) => self.count_dropped(&statistics),
            Parsed::EnhancedPacket(packet) => return self.enhanced(data, used, &packet),
            Parsed::SimplePacket(packet) => return self.simple(data, used, &packet),
            Parsed::Unknown(block) if block.block_type == OBSOLETE_PACKET => self.undecodable += 1,
            Parsed::NameResolution(_)
            | Parsed::SystemdJournalExport(_)
            | Parsed::DecryptionSecrets(_)
            | Parsed::ProcessInformation(_)
            | Parsed::Custom(_)
            | Parsed::Unknown(_) => {}
        }
        Block::Other { used }
    }

    /// A block that says it is whole and cannot be read is none.
    fn without_block<E>(&self, data: &[u8], error: &nom::Err<E>) -> Block {
        let is_whole = self.length(data).is_some_and(|length| length <= data.len());
        if is_too_long(error) || is_whole { Block::Corrupt } else { Block::Incomplete }
    }

    /// How long the block says that it is; none for a section header, where it may be in the other byte order.
    fn length(&self, data: &[u8]) -> Option<usize> {
        if data.starts_with(&super::packets::SECTION_HEADER) {
            return None;
        }
        let bytes = data.get(4..8)?.first_chunk()?;
        let length = if self.is_big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) };
        Some(length as usize)
    }

    fn enhanced(&mut self, data: &[u8], used: usize, packet: &EnhancedPacketBlock<'_>) -> Block {
        let interface = usize::try_from(packet.if_id).ok().and_then(|id| self.interfaces.get(id));
        let (Some(interface), true) = (interface, packet.caplen as usize <= packet.data.len()) else {
            self.undecodable += 1;
            return Block::Other { used };
        };
        let time = interface.time(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low));
        self.last_time = time;
        Block::Packet {
            used,
            at: data.offset(packet.data),
            bytes: packet.caplen,
            time,
            link: interface.link,
            cut_bytes: packet.origlen.saturating_sub(packet.caplen),
        }
    }

    /// It is of the first interface and has no time: that of the packet before it.
    fn simple(&mut self, data: &[u8], used: usize, packet: &SimplePacketBlock<'_>) -> Block {
        let Some(interface) = self.interfaces.first() else {
            self.undecodable += 1;
            return Block::Other { used };
        };
        let snap_bytes = if interface.snap_bytes == 0 { u32::MAX } else { interface.snap_bytes };
        let there_bytes = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
        let bytes = packet.origlen.min(snap_bytes).min(there_bytes);
        Block::Packet {
            used,
            at: data.offset(packet.data),
            bytes,
            time: self.last_time,
            link: interface.link,
            cut_bytes: packet.origlen - bytes,
        }
    }

    /// Totals since the interface was opened.
    fn count_dropped(&mut self, statistics: &InterfaceStatisticsBlock<'_>) {
        let is_big_endian = self.is_big_endian;
        let total = |code| number(&statistics.options, code, is_big_endian).unwrap_or(0);
        let dropped = total(OptionCode::IsbIfDrop).saturating_add(total(OptionCode::IsbOsDrop));
        let interface = usize::try_from(statistics.if_id).ok().and_then(|id| self.interfaces.get_mut(id));
        if let Some(interface) = interface {
            interface.dropped = interface.dropped.max(dropped);
        }
    }
}

impl Interface {
    fn of(description: &InterfaceDescriptionBlock<'_>, is_big_endian: bool) -> Self {
        let offset = number(&description.options, OptionCode::IfTsoffset, is_big_endian);
        Self {
            link: Link::of(u16::try_from(description.linktype.0).unwrap_or(u16::MAX)),
            snap_bytes: description.snaplen,
            ticks_per_s: ticks_per_s(description.if_tsresol),
            offset_s: offset.map_or(0, u64::cast_signed),
            dropped: 0,
        }
    }

    fn time(&self, ticks: u64) -> Time {
        let ns = match self.ticks_per_s {
            1_000_000 => ticks.saturating_mul(1000),
            SECOND_NS => ticks,
            ticks_per_s => {
                let ns = u128::from(ticks) * u128::from(SECOND_NS) / u128::from(ticks_per_s);
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        };
        let offset_ns = self.offset_s.saturating_mul(SECOND_NS.cast_signed());
        Time(ns.saturating_add_signed(offset_ns))
    }
}

/// `if_tsresol`: a negative power of 10, or of 2 when the highest bit is set (pcapng §4.2). What is finer than any clock is
/// taken for the default, microseconds.
fn ticks_per_s(resolution: u8) -> u64 {
    let power = u32::from(resolution & 0x7f);
    let ticks = if resolution & 0x80 == 0 { 10_u64.checked_pow(power) } else { 1_u64.checked_shl(power) };
    ticks.unwrap_or(1_000_000)
}

/// An option of 8 bytes, in the byte order of its section.
fn number(options: &[PcapNGOption<'_>], code: OptionCode, is_big_endian: bool) -> Option<u64> {
    let option = options.iter().find(|option| option.code == code)?;
    let bytes: [u8; 8] = option.as_bytes().ok()?.try_into().ok()?;
    Some(if is_big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use super::{Block, Link, Sections, Time, ticks_per_s};

    const SECTION: u32 = 0x0a0d_0d0a;
    const INTERFACE: u32 = 1;
    const STATISTICS: u32 = 5;
    const PACKET: u32 = 6;

    /// A block in big-endian order, as big-endian machines write it.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(12 + body.len()).unwrap().to_be_bytes();
        [&kind.to_be_bytes(), &length, body, &length].concat()
    }

    /// An option of 8 bytes.
    fn option(code: u16, value: u64) -> Vec<u8> {
        [&code.to_be_bytes()[..], &8_u16.to_be_bytes(), &value.to_be_bytes()].concat()
    }

    fn read_all(file: &[u8]) -> (Sections, Vec<Block>) {
        let (mut sections, mut blocks, mut rest) = (Sections::default(), Vec::new(), file);
        while !rest.is_empty() {
            let block = sections.read(rest);
            let used = match block {
                Block::Packet { used, .. } | Block::Other { used } => used,
                Block::Incomplete | Block::Corrupt => panic!("{block:?}"),
            };
            rest = &rest[used..];
            blocks.push(block);
        }
        (sections, blocks)
    }

    #[test]
    fn numbers_are_read_in_the_order_of_their_section() {
        let section =
            block(SECTION, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        // Link type 101, no snapshot length, and an hour to add to every time.
        let interface = block(INTERFACE, &[&[0, 101, 0, 0, 0, 0, 0, 0][..], &option(14, 3600)].concat());
        // Interface 0, 5 µs after the epoch, 2 of 9 bytes.
        let packet = block(PACKET, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 9, 7, 8, 0, 0]);
        let dropped = [&[0; 12][..], &option(5, 3), &option(7, 4)].concat();
        let file = [section, interface, packet, block(STATISTICS, &dropped)].concat();
        let (sections, blocks) = read_all(&file);
        let [_, _, Block::Packet { bytes: 2, time, link: Link::Ip, cut_bytes: 7, .. }, _] = blocks[..] else {
            panic!("{blocks:?}")
        };
        assert_eq!(time, Time(3_600_000_005_000));
        assert_eq!(sections.dropped(), 7);
    }

    #[test]
    fn no_block_is_shorter_than_its_own_head() {
        const PROCESS: u32 = 0x8000_0001;

        for kind in [INTERFACE, STATISTICS, PACKET, PROCESS, 77] {
            for length in 0..12_u32 {
                let block = [&kind.to_le_bytes()[..], &length.to_le_bytes(), &[0; 24]].concat();
                assert!(matches!(Sections::default().read(&block), Block::Corrupt), "{kind} {length}");
            }
        }
    }

    #[test]
    fn resolutions_are_powers_of_ten_or_of_two() {
        for (code, expected) in [
            (6, 1_000_000),
            (9, 1_000_000_000),
            (0, 1),
            (0x94, 1 << 20),
            (0xbf, 1 << 63),
            (20, 1_000_000),
            (0xff, 1_000_000),
        ] {
            assert_eq!(ticks_per_s(code), expected, "{code:#x}");
        }
    }
}
