//! Reads packet captures: what the connecting end's kernel would have told, as far as its packets show it. It must not
//! know what becomes of the events.
//!
//! What no capture shows stays unknown: process, user, control group and network namespace, and with them who accepted. From within the
//! accepting pod it shows at least that a connection came there, and what that pod opened since.

mod connection;
mod link;
mod order;
mod packets;
mod payload;
mod redirected;
mod sections;
mod segment;
mod stack;
mod stream;
mod table;
mod tally;
mod tracker;
mod window;

use std::io::Read;

use crate::{
    event::{Event, loss::Loss, socket::SocketId},
    source::{
        capture::{
            packets::{Packet, Packets},
            segment::Content,
            tracker::Tracker,
        },
        unreadable::{Broken, Reason},
    },
};

/// This bit is in the number of every connection of a capture, and in no kernel's socket cookie.
pub const CAPTURED: u64 = 1 << 63;

/// The number of the other end of a connection of which both ends are told; of that end, the number of this one.
pub(super) fn other_end(socket: SocketId) -> SocketId {
    SocketId(socket.0 ^ 1)
}

/// What people call a link type that is not read.
pub fn link_name(number: u16) -> &'static str {
    link::name(number)
}

/// Packets that are read at most before something is told.
const UNTOLD_MAX: u32 = 1 << 16;

/// A packet capture, event by event.
#[derive(Debug)]
pub struct CaptureFile<R> {
    packets: Packets<R>,
    tracker: Tracker,
    /// Packets since something was told.
    untold: u32,
    broken: Option<Broken>,
    is_over: bool,
}

impl<R: Read> CaptureFile<R> {
    /// Reads from anything that gives bytes; `node` is what the capture is called.
    pub fn new(from: R, node: &str) -> Result<Self, Reason> {
        Ok(Self {
            packets: Packets::open(from)?,
            tracker: Tracker::new(node),
            untold: 0,
            broken: None,
            is_over: false,
        })
    }

    /// Of so many connections at a time, and no more; the oldest goes first, and is counted.
    #[must_use]
    pub fn with_limit(self, connections: usize) -> Self {
        Self { tracker: self.tracker.with_limit(connections), ..self }
    }

    /// A link type in it that is not read.
    pub fn other_link(&self) -> Option<u16> {
        self.packets.other_link
    }

    /// The next event; none at the end. After an error there is nothing more to be had.
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if let Some(event) = self.next_told() {
                self.untold = 0;
                return Ok(Some(event));
            }
            if self.is_over {
                return self.broken.take().map_or(Ok(None), Err);
            }
            match self.packets.next_packet() {
                Ok(Some(packet)) => {
                    self.untold += 1;
                    let content = content(&packet);
                    self.tracker.take(packet.time, packet.link.way(packet.bytes), &content);
                }
                Ok(None) => self.finish(),
                Err(broken) => {
                    self.broken = Some(broken);
                    self.finish();
                }
            }
        }
    }

    /// What is due, and at times that time passes: whoever reads may want to stop, or to say how far it is.
    fn next_told(&mut self) -> Option<Event> {
        let event = self.tracker.next_event();
        if event.is_some() || self.untold < UNTOLD_MAX {
            return event;
        }
        self.tracker.told_until().map(Event::Tick)
    }

    /// No more of it is read: what was read is told.
    pub fn stop(&mut self) {
        if !self.is_over {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        let Self { packets, tracker, .. } = self;
        tracker.lose(Loss::CaptureDropped, packets.dropped());
        tracker.lose(Loss::UndecodableRecord, packets.undecodable());
        tracker.lose(Loss::UnknownLink, packets.of_other_links);
        tracker.finish();
    }
}

fn content<'a>(packet: &Packet<'a>) -> Content<'a> {
    match packet.link.ip_of(packet.bytes) {
        Some(ip) => segment::content(ip, packet.cut_bytes),
        None => Content::Other,
    }
}
