//! The packets of a pcap or pcapng file, in the order of their time as far as they were read; must not know what is in them.

use std::io::Read;

use pcap_parser::{
    LegacyPcapBlock, PcapHeader,
    nom::{self, Needed, Offset as _},
    parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header,
};

use crate::{
    event::time::{SECOND_NS, Time},
    source::{
        capture::{
            link::Link,
            sections::{Block, Sections},
            window::{BLOCK_BYTES_MAX, Window},
        },
        unreadable::{Broken, Reason},
    },
};

/// A packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) time: Time,
    pub(super) link: Link,
    pub(super) bytes: &'a [u8],
    /// How many bytes of it were not captured.
    pub(super) cut_bytes: u32,
}

/// Where a packet is in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) time: Time,
    pub(super) link: Link,
    pub(super) at: usize,
    pub(super) bytes: u32,
    pub(super) cut_bytes: u32,
}

/// How the file is written.
#[derive(Debug)]
enum Format {
    Pcap { is_big_endian: bool, tick_ns: u32, link: Link },
    PcapNg(Sections),
}

/// What came of reading a part of the file.
enum Step {
    Packet(Place),
    Nothing,
    More,
    Corrupt,
}

/// The packets of a file.
#[derive(Debug)]
pub(super) struct Packets<R> {
    window: Window<R>,
    format: Format,
    /// What is in the window, by time.
    places: Vec<Place>,
    next: usize,
    broken: Option<Broken>,
    is_over: bool,
    /// Packets of a kind that is not read, and the number of that kind.
    pub(super) of_other_links: u64,
    pub(super) other_link: Option<u16>,
}

impl<R: Read> Packets<R> {
    /// Reads the header.
    pub(super) fn open(from: R) -> Result<Self, Reason> {
        let mut window = Window::new(from);
        window.read_more()?;
        if window.data().is_empty() {
            return Err(Reason::Empty);
        }
        let format = if window.data().starts_with(&SECTION_HEADER) {
            Format::PcapNg(Sections::default())
        } else {
            let (rest, header) = parse_pcap_header(window.data()).map_err(|error| match error {
                nom::Err::Incomplete(_) => Reason::CaptureHeaderCutShort,
                nom::Err::Error(_) | nom::Err::Failure(_) => Reason::Unknown,
            })?;
            let header_bytes = window.data().offset(rest);
            let format = of_header(&header)?;
            window.consume(header_bytes);
            format
        };
        Ok(Self {
            window,
            format,
            places: Vec::new(),
            next: 0,
            broken: None,
            is_over: false,
            of_other_links: 0,
            other_link: None,
        })
    }

    /// Packets that the capturing program says it dropped.
    pub(super) fn dropped(&self) -> u64 {
        match &self.format {
            Format::Pcap { .. } => 0,
            Format::PcapNg(sections) => sections.dropped(),
        }
    }

    /// Blocks that hold packets, and could not be read.
    pub(super) fn undecodable(&self) -> u64 {
        match &self.format {
            Format::Pcap { .. } => 0,
            Format::PcapNg(sections) => sections.undecodable(),
        }
    }

    /// The next packet; none at the end. After an error there is nothing more to be had.
    pub(super) fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Broken> {
        while self.next >= self.places.len() {
            if let Some(broken) = self.broken.take() {
                self.is_over = true;
                return Err(broken);
            }
            if self.is_over {
                return Ok(None);
            }
            self.read_some();
        }
        let Place { time, link, at, bytes, cut_bytes } = self.places[self.next];
        self.next += 1;
        Ok(Some(Packet { time, link, bytes: self.window.at(at, bytes as usize), cut_bytes }))
    }

    /// Finds the packets of the next part of the file.
    fn read_some(&mut self) {
        self.places.clear();
        self.next = 0;
        loop {
            match self.step() {
                Step::Packet(place) => self.add(place),
                Step::Nothing => {}
                Step::Corrupt => {
                    self.broken = Some(Broken::Corrupt { offset: self.window.offset() });
                    break;
                }
                Step::More if !self.places.is_empty() => break,
                Step::More => {
                    if !self.fill() {
                        break;
                    }
                }
            }
        }
        if !self.places.is_sorted_by_key(|place| place.time) {
            self.places.sort_by_key(|place| place.time);
        }
    }

    fn add(&mut self, place: Place) {
        if let Link::Other(number) = place.link {
            self.of_other_links += 1;
            self.other_link = Some(number);
        } else {
            self.places.push(place);
        }
    }

    /// Reads more of the file; `false` when there is no more.
    fn fill(&mut self) -> bool {
        let offset = self.window.offset();
        if self.window.is_at_end() {
            self.is_over = true;
            if !self.window.data().is_empty() {
                self.broken = Some(Broken::CutShort { offset });
            }
            return false;
        }
        self.broken = match self.window.read_more() {
            Ok(true) => return true,
            Ok(false) => Some(Broken::Corrupt { offset }),
            Err(error) => Some(Broken::Unreadable { offset, error }),
        };
        false
    }

    fn step(&mut self) -> Step {
        let place = self.window.place();
        let data = self.window.data();
        let (used, step) = match &mut self.format {
            Format::Pcap { is_big_endian, tick_ns, link } => {
                let parse = if *is_big_endian { parse_pcap_frame_be } else { parse_pcap_frame };
                match parse(data) {
                    Ok((rest, frame)) => {
                        let time = time_of(&frame, *tick_ns);
                        let cut_bytes = frame.origlen.saturating_sub(frame.caplen);
                        let at = place + data.offset(frame.data);
                        let found = Place { time, link: *link, at, bytes: frame.caplen, cut_bytes };
                        (data.offset(rest), Step::Packet(found))
                    }
                    Err(error) => (0, more_or_corrupt(&error)),
                }
            }
            Format::PcapNg(sections) => match sections.read(data) {
                Block::Packet { used, at, bytes, time, link, cut_bytes } => {
                    (used, Step::Packet(Place { time, link, at: place + at, bytes, cut_bytes }))
                }
                Block::Other { used } => (used, Step::Nothing),
                Block::Incomplete => (0, Step::More),
                Block::Corrupt => (0, Step::Corrupt),
            },
        };
        self.window.consume(used);
        step
    }
}

/// The first bytes of pcapng.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

fn of_header(header: &PcapHeader) -> Result<Format, Reason> {
    // The upper half tells of frame check sequences (LINKTYPE field, man 5 pcap-savefile).
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "the lower half is the number"
    )]
    let number = header.network.0 as u16;
    let link = Link::of(number);
    if let Link::Other(number) = link {
        return Err(Reason::OtherLink { number });
    }
    let tick_ns = if header.is_nanosecond_precision() { 1 } else { 1000 };
    Ok(Format::Pcap { is_big_endian: header.is_bigendian(), tick_ns, link })
}

fn time_of(frame: &LegacyPcapBlock<'_>, tick_ns: u32) -> Time {
    Time(u64::from(frame.ts_sec) * SECOND_NS) + u64::from(frame.ts_usec) * u64::from(tick_ns)
}

/// What is not whole may be so after more is read, unless it claims to be longer than anything is.
pub(super) fn is_too_long<E>(error: &nom::Err<E>) -> bool {
    match error {
        nom::Err::Incomplete(Needed::Size(bytes)) => bytes.get() > BLOCK_BYTES_MAX,
        nom::Err::Incomplete(Needed::Unknown) => false,
        nom::Err::Error(_) | nom::Err::Failure(_) => true,
    }
}

fn more_or_corrupt<E>(error: &nom::Err<E>) -> Step {
    if is_too_long(error) { Step::Corrupt } else { Step::More }
}
