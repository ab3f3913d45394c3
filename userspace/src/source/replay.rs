//! Reads recordings; must not know what becomes of the events, nor who wrote them.

use std::io::Read;

use crate::{
    event::Event,
    recording::{self, Content, HEADER_BYTES, PAYLOAD_BYTES_MAX, PREFIX_BYTES, Prefix, VERSION},
    source::unreadable::{Broken, Reason},
};

/// A recording, event by event.
#[derive(Debug)]
pub struct Replay<R> {
    from: R,
    /// Where the next frame begins.
    offset: u64,
    payload: Vec<u8>,
}

impl<R: Read> Replay<R> {
    /// Reads from anything that gives bytes.
    pub fn new(mut from: R) -> Result<Self, Reason> {
        let mut beginning = Vec::with_capacity(HEADER_BYTES);
        from.by_ref().take(HEADER_BYTES as u64).read_to_end(&mut beginning)?;
        match recording::content(&beginning) {
            Content::Recording { version: VERSION } => {
                Ok(Self { from, offset: HEADER_BYTES as u64, payload: Vec::new() })
            }
            Content::Recording { version } => Err(Reason::OtherVersion { found: version }),
            Content::Empty => Err(Reason::Empty),
            Content::HeaderCutShort => Err(Reason::HeaderCutShort),
            Content::Capture | Content::Gzip | Content::Compressed { .. } | Content::Other => {
                Err(Reason::Unknown)
            }
        }
    }

    /// The next event; none at the end. After an error there is nothing more to be had.
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        let offset = self.offset;
        if self.fill(PREFIX_BYTES as u64)? == 0 {
            return Ok(None);
        }
        let prefix = Prefix::read(&self.payload).ok_or(Broken::CutShort { offset })?;
        if prefix.length > PAYLOAD_BYTES_MAX {
            return Err(Broken::Corrupt { offset });
        }
        let got = self.fill(prefix.length.into())? as u64;
        if got < prefix.length.into() {
            return Err(Broken::CutShort { offset });
        }
        let event = prefix.decode(&self.payload).ok_or(Broken::Corrupt { offset })?;
        self.offset += PREFIX_BYTES as u64 + got;
        Ok(Some(event))
    }

    /// Reads that many bytes into the buffer, or what there is. Memory grows with what is there, not with what a length claims.
    fn fill(&mut self, bytes: u64) -> Result<usize, Broken> {
        self.payload.clear();
        let read = self.from.by_ref().take(bytes).read_to_end(&mut self.payload);
        read.map_err(|error| Broken::Unreadable { offset: self.offset, error })
    }
}

#[cfg(test)]
mod tests {
    use super::Replay;
    use crate::{
        event::{Began, Capture, Event, time::Time},
        recording::{self, HEADER_BYTES, PREFIX_BYTES},
        source::unreadable::{Broken, Reason},
    };

    fn events() -> Vec<Event> {
        let began = Event::Began(Began {
            time: Time(5),
            node: "node".into(),
            capture: Capture::Always,
            looks_up: false,
        });
        vec![began, Event::Tick(Time(6)), Event::Tick(Time(7))]
    }

    /// A recording, and where each of its frames ends.
    fn recorded() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = recording::header().to_vec();
        let mut ends = vec![bytes.len()];
        for event in events() {
            recording::append_frame(&event, &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn replayed(bytes: &[u8]) -> (Vec<Event>, Option<Broken>) {
        let mut replay = Replay::new(bytes).unwrap();
        let mut events = Vec::new();
        loop {
            match replay.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return (events, None),
                Err(broken) => return (events, Some(broken)),
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let (events_read, broken) = replayed(&recorded().0);
        assert_eq!(events_read, events());
        assert!(broken.is_none());
    }

    #[test]
    fn cut_anywhere_everything_whole_before_is_read() {
        let (bytes, ends) = recorded();
        for length in HEADER_BYTES..bytes.len() {
            let (events_read, broken) = replayed(&bytes[..length]);
            let whole = ends.iter().filter(|end| **end <= length).count() - 1;
            assert_eq!(events_read, events()[..whole], "cut at {length}");
            match broken {
                None => assert!(ends.contains(&length), "cut at {length}"),
                Some(Broken::CutShort { offset }) => {
                    assert!(!ends.contains(&length), "cut at {length}");
                    assert_eq!(offset, ends[whole] as u64, "cut at {length}");
                }
                Some(other) => panic!("cut at {length}: {other}"),
            }
        }
    }

    #[test]
    fn a_changed_payload_or_checksum_is_noticed_wherever_it_is() {
        let (bytes, ends) = recorded();
        for at in ends[1] + size_of::<u32>()..ends[2] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let (events_read, broken) = replayed(&changed);
            assert_eq!(events_read, events()[..1], "changed at {at}");
            assert!(
                matches!(broken, Some(Broken::Corrupt { offset }) if offset == ends[1] as u64),
                "changed at {at}: {broken:?}"
            );
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_corruption_and_takes_no_memory() {
        let (mut bytes, ends) = recorded();
        bytes[ends[1]..ends[1] + PREFIX_BYTES].fill(0xff);
        let (events_read, broken) = replayed(&bytes);
        assert_eq!(events_read.len(), 1);
        assert!(matches!(broken, Some(Broken::Corrupt { .. })), "{broken:?}");
    }

    #[test]
    fn what_is_no_recording_says_so() {
        for (bytes, expected) in [
            (b"".as_slice(), "the file is empty"),
            (b"MTLSNO", "ends within its first 10 bytes"),
            (b"{\"kind\":\"List\"}", "neither a recording nor a packet capture"),
            (b"MTLSNOOP\x01\x00", "format version 1, and this mtlsnoop reads version 4"),
            (b"MTLSNOOP\x00\x00", "format version 0"),
        ] {
            let reason: Reason = Replay::new(bytes).unwrap_err();
            assert!(reason.to_string().contains(expected), "{bytes:?}: {reason}");
        }
    }
}
