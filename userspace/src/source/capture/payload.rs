//! First payloads of both directions: a `ClientHello`, the first bytes of an answer to one, and of all else a class.
//!
//! It tells what the programs in the kernel tell (`ebpf/src/hook/payload.rs`), and holds pieces that came out of order. It
//! must not know sequence numbers.

use bytes::Bytes;
use mtlsnoop_ebpf::{
    classify::{Class as Kernel, HELLO_HEADER_BYTES, LOOK_BYTES, hello_bytes},
    record::{ANSWER_LIMIT_BYTES, HELLO_LIMIT_BYTES},
};

use crate::{
    event::{
        Event,
        loss::Loss,
        socket::{Class, Direction, FirstBytes, HelloSegment, SocketId},
        time::Time,
    },
    source::class,
};

/// Beyond this nothing of a stream is of interest.
pub(super) const WINDOW_BYTES: u64 = HELLO_LIMIT_BYTES as u64;

/// What a hello's headers take.
#[expect(clippy::cast_possible_truncation, reason = "nine")]
const HEADER_BYTES: u32 = HELLO_HEADER_BYTES as u32;

/// Pieces out of order that are held for one connection.
const HELD_MAX: usize = 8;

/// A piece of payload from the beginning of a stream.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) time: Time,
    pub(super) is_from_client: bool,
    /// Where in the stream it begins.
    pub(super) offset: u32,
    /// How many bytes of the other direction its sender had.
    pub(super) other_offset: u32,
    /// How many bytes it has on the wire.
    pub(super) bytes: u32,
    /// Those that were captured, and that may be of interest.
    pub(super) data: Bytes,
}

impl Piece {
    fn end(&self) -> u32 {
        self.offset.saturating_add(self.bytes)
    }

    /// What follows on this many bytes of the stream.
    fn after(&self, known: u32) -> Bytes {
        let from = usize::try_from(known.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.data.slice(from.min(self.data.len())..)
    }

    fn is_cut(&self) -> bool {
        self.data.len() < self.bytes.min(HELLO_LIMIT_BYTES) as usize
    }
}

/// How far one direction was read.
#[derive(Debug)]
enum Said {
    /// Nothing yet, or too little to tell what it is.
    Begins(Beginning),
    /// It is a hello.
    Hello { expected: u32, known: u32 },
    /// It is something else, of which this much was told.
    Other { known: u32 },
}

#[derive(Debug, Default)]
struct Beginning {
    bytes: Vec<u8>,
    time: Time,
    other_offset: u32,
    /// On the wire.
    length: u32,
}

impl Default for Said {
    fn default() -> Self {
        Self::Begins(Beginning::default())
    }
}

/// The first payloads of a connection.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    client: Said,
    server: Said,
    held: Vec<Piece>,
}

/// Where to what is read goes.
pub(super) struct Told<'a> {
    pub(super) socket: SocketId,
    pub(super) events: &'a mut dyn FnMut(Event),
    pub(super) losses: &'a mut dyn FnMut(Loss),
}

impl Payloads {
    /// Takes in a piece; those that came before it are held and taken in after it.
    pub(super) fn add(&mut self, piece: Piece, told: &mut Told<'_>) {
        if !self.take(&piece, told) {
            self.hold(piece);
            return;
        }
        while let Some(at) = self.held.iter().position(|held| self.is_due(held)) {
            let mut held = self.held.swap_remove(at);
            // It is of use from now on, and told after what it follows on.
            held.time = held.time.max(piece.time);
            self.take(&held, told);
        }
    }

    /// Nothing more comes: tells of what is held as far as it can be told.
    pub(super) fn finish(&mut self, told: &mut Told<'_>) {
        for is_client in [true, false] {
            let said = if is_client { &mut self.client } else { &mut self.server };
            if let Said::Begins(beginning) = said
                && beginning.length > 0
            {
                let beginning = std::mem::take(beginning);
                self.tell(is_client, &beginning, told);
            }
        }
        let held = std::mem::take(&mut self.held);
        if let Some(first) = held.iter().find(|piece| !piece.is_from_client && piece.offset == 0)
            && matches!(self.server, Said::Begins(_))
        {
            let beginning = Beginning::of(first);
            self.tell(false, &beginning, told);
        }
    }

    /// Nothing more is to be told of it.
    pub(super) fn is_over(&self) -> bool {
        let is_client_over = match self.client {
            Said::Begins(_) => false,
            Said::Hello { expected, known } => known >= expected.min(HELLO_LIMIT_BYTES),
            Said::Other { .. } => true,
        };
        let is_server_over = match self.server {
            Said::Begins(_) => false,
            Said::Hello { .. } => true,
            Said::Other { known } => known >= ANSWER_LIMIT_BYTES || matches!(self.client, Said::Other { .. }),
        };
        is_client_over && is_server_over
    }

    fn hold(&mut self, piece: Piece) {
        let limit = if piece.is_from_client { HELLO_LIMIT_BYTES } else { ANSWER_LIMIT_BYTES };
        let bytes: usize = self.held.iter().map(|held| held.data.len()).sum();
        let fits = self.held.len() < HELD_MAX && bytes + piece.data.len() <= HELLO_LIMIT_BYTES as usize;
        if piece.offset < limit && fits {
            self.held.push(piece);
        }
    }

    fn is_due(&self, piece: &Piece) -> bool {
        let said = if piece.is_from_client { &self.client } else { &self.server };
        match said {
            Said::Begins(beginning) => {
                piece.offset <= beginning.length && (piece.is_from_client || !self.is_early(piece))
            }
            Said::Hello { .. } => true,
            Said::Other { known } => piece.offset <= *known,
        }
    }

    /// An answer came before what it answers: the listener had more of the client than was seen.
    fn is_early(&self, piece: &Piece) -> bool {
        matches!(self.client, Said::Begins(_)) && piece.other_offset > 0
    }

    /// `false` when it must be held.
    fn take(&mut self, piece: &Piece, told: &mut Told<'_>) -> bool {
        if !self.is_due(piece) {
            return false;
        }
        let is_answer = !piece.is_from_client && matches!(self.client, Said::Hello { .. });
        let said = if piece.is_from_client { &mut self.client } else { &mut self.server };
        match said {
            Said::Begins(beginning) => {
                if !beginning.add(piece) {
                    return true;
                }
                let is_known = beginning.is_known(piece.is_from_client) || piece.is_cut();
                if is_known {
                    let beginning = std::mem::take(beginning);
                    self.tell(piece.is_from_client, &beginning, told);
                    if piece.is_cut() {
                        (told.losses)(Loss::CutPacket);
                    }
                }
            }
            Said::Hello { expected, known } => {
                let end = (*expected).min(HELLO_LIMIT_BYTES);
                if piece.is_from_client && piece.offset < end && piece.end() > *known {
                    if piece.offset <= *known {
                        *known = piece.end();
                    }
                    let expected = *expected;
                    let data = limited(&piece.data, end - piece.offset);
                    if piece.is_cut() && data.len() < (end - piece.offset) as usize {
                        (told.losses)(Loss::CutPacket);
                    }
                    hello(told, piece.time, Direction::Sent, piece.offset, expected, data);
                }
            }
            Said::Other { known } => {
                let is_new = piece.end() > *known && *known < ANSWER_LIMIT_BYTES;
                if is_answer && is_new {
                    let offset = *known;
                    let data = limited(&piece.after(offset), ANSWER_LIMIT_BYTES - offset);
                    *known = piece.end();
                    answer(told, piece, offset, data);
                }
            }
        }
        true
    }

    /// The beginning of a direction is known, or there is no more of it.
    fn tell(&mut self, is_client: bool, beginning: &Beginning, told: &mut Told<'_>) {
        let bytes = Bytes::copy_from_slice(&beginning.bytes);
        let class = beginning.class();
        let is_hello = matches!(class, Kernel::ClientHello)
            || (is_client && matches!(class, Kernel::MaybeClientHello) && !bytes.is_empty());
        let direction = if is_client { Direction::Sent } else { Direction::Received };
        if is_hello {
            let expected = beginning.expected();
            let limit = if is_client { HELLO_LIMIT_BYTES } else { ANSWER_LIMIT_BYTES };
            let end = if expected == 0 { HEADER_BYTES } else { expected.min(limit) };
            let said = Said::Hello { expected, known: beginning.length };
            *(if is_client { &mut self.client } else { &mut self.server }) = said;
            hello(told, beginning.time, direction, 0, expected, limited(&bytes, end));
            return;
        }
        *(if is_client { &mut self.client } else { &mut self.server }) =
            Said::Other { known: beginning.length };
        // Cut before its first byte: what it is was not seen.
        if bytes.is_empty() {
            return;
        }
        let is_answer = !is_client && matches!(self.client, Said::Hello { expected: 1.., .. });
        // A connecting end's SYN counts: where it sends, and in what the other end has of it.
        let (offset, other_base) = if is_client { (1, 0) } else { (0, 1) };
        (told.events)(Event::FirstBytes(FirstBytes {
            time: beginning.time,
            socket: told.socket,
            direction,
            offset,
            payload_bytes: beginning.length,
            other_offset: beginning.other_offset + other_base,
            // A hello is told in another way; what only begins like one is nothing that is known.
            class: class::of(class).unwrap_or(Class::Other),
            data: if is_answer { limited(&bytes, ANSWER_LIMIT_BYTES) } else { Bytes::new() },
        }));
    }
}

impl Beginning {
    fn of(piece: &Piece) -> Self {
        let mut beginning = Self::default();
        beginning.add(piece);
        beginning
    }

    /// `false` when it holds nothing new.
    fn add(&mut self, piece: &Piece) -> bool {
        if piece.end() <= self.length {
            return false;
        }
        if self.length == 0 {
            self.time = piece.time;
            self.other_offset = piece.other_offset;
        }
        let new = piece.after(self.length);
        let left = (HELLO_LIMIT_BYTES as usize).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&new[..new.len().min(left)]);
        self.length = piece.end();
        true
    }

    fn head(&self) -> [u8; LOOK_BYTES] {
        let mut head = [0; LOOK_BYTES];
        let length = self.bytes.len().min(LOOK_BYTES);
        head[..length].copy_from_slice(&self.bytes[..length]);
        head
    }

    fn class(&self) -> Kernel {
        Kernel::of(&self.head(), u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// How long the hello is by its headers; 0 when these are not whole.
    fn expected(&self) -> u32 {
        if self.bytes.len() < HELLO_HEADER_BYTES { 0 } else { hello_bytes(&self.head()) }
    }

    /// More of it would change nothing.
    fn is_known(&self, is_client: bool) -> bool {
        match self.class() {
            Kernel::MaybeClientHello => false,
            Kernel::ClientHello => !is_client || self.bytes.len() >= HELLO_HEADER_BYTES,
            _ => true,
        }
    }
}

fn limited(bytes: &Bytes, limit: u32) -> Bytes {
    bytes.slice(..bytes.len().min(limit as usize))
}

fn hello(
    told: &mut Told<'_>,
    time: Time,
    direction: Direction,
    offset: u32,
    expected_bytes: u32,
    data: Bytes,
) {
    let socket = told.socket;
    (told.events)(Event::Hello(HelloSegment { time, socket, direction, offset, expected_bytes, data }));
}

/// More of an answer to a hello.
fn answer(told: &mut Told<'_>, piece: &Piece, offset: u32, data: Bytes) {
    (told.events)(Event::FirstBytes(FirstBytes {
        time: piece.time,
        socket: told.socket,
        direction: Direction::Received,
        offset,
        payload_bytes: piece.end() - offset,
        other_offset: piece.other_offset + 1,
        class: Class::Other,
        data,
    }));
}
