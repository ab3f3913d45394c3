//! One direction of a connection in numbers: how far it got, and how much of it the other end has; must not know payload.

use crate::event::time::Time;

/// Sequence numbers that differ by more than this belong to another connection (RFC 7323 §2.3: no window is larger).
const NEAR: u64 = 1 << 30;

/// What one end sends.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of its SYN; none as long as it is not known.
    first: Option<u32>,
    /// Payload bytes up to the last that was seen, with those that were not captured.
    pub(super) sent_bytes: u64,
    /// How much sequence space the other end has of it, SYN and FIN included.
    pub(super) acknowledged: u64,
    /// Its end.
    pub(super) fin: Option<Fin>,
}

/// The end of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fin {
    /// When it was first seen.
    pub(super) time: Time,
    /// How many payload bytes came before it.
    pub(super) after_bytes: u64,
    /// How much sequence space of the other direction its sender had.
    pub(super) other: u64,
}

impl Stream {
    /// A stream whose SYN has this sequence number.
    pub(super) fn from_syn(sequence: u32) -> Self {
        Self { first: Some(sequence), ..Self::default() }
    }

    /// The sequence number of its SYN.
    pub(super) fn first(&self) -> Option<u32> {
        self.first
    }

    /// Its SYN must have had this sequence number, unless another one is known.
    pub(super) fn set_first(&mut self, sequence: u32) {
        self.first.get_or_insert(sequence);
    }

    /// Where in the payload a sequence number is; none when it is not of this stream.
    pub(super) fn offset(&self, sequence: u32) -> Option<u64> {
        let place = extended(sequence.wrapping_sub(self.first?.wrapping_add(1)), self.sent_bytes)?;
        (place <= self.sent_bytes + NEAR).then_some(place)
    }

    /// How much sequence space of this stream an acknowledgement number stands for; none when it is not of this stream.
    pub(super) fn space(&self, acknowledged: u32) -> Option<u64> {
        let space = extended(acknowledged.wrapping_sub(self.first?), self.acknowledged)?;
        (space <= self.sent_bytes.max(self.acknowledged) + NEAR).then_some(space)
    }

    /// The other end has this much.
    pub(super) fn acknowledge(&mut self, space: u64) {
        self.acknowledged = self.acknowledged.max(space);
    }

    /// Payload up to here was sent. `true` when some of it was not seen before.
    pub(super) fn sent(&mut self, end_bytes: u64) -> bool {
        let is_new = end_bytes > self.sent_bytes;
        self.sent_bytes = self.sent_bytes.max(end_bytes);
        is_new
    }

    /// Its FIN was seen; sent again, its sender may have got more meanwhile.
    pub(super) fn end(&mut self, fin: Fin) {
        let known = self.fin.get_or_insert(fin);
        known.other = known.other.min(fin.other);
        known.time = known.time.min(fin.time);
    }

    /// Sequence space with SYN and FIN; none before its end.
    pub(super) fn whole(&self) -> Option<u64> {
        self.fin.map(|fin| fin.after_bytes + 2)
    }

    /// The other end has all of it, its FIN too.
    pub(super) fn is_ended_and_acknowledged(&self) -> bool {
        self.whole().is_some_and(|whole| self.acknowledged >= whole)
    }

    /// Payload that the other end has, whether it was captured or not.
    pub(super) fn arrived_bytes(&self) -> u64 {
        let acknowledged_bytes = self.acknowledged.saturating_sub(1);
        self.fin.map_or(acknowledged_bytes, |fin| acknowledged_bytes.min(fin.after_bytes))
    }

    /// The other end has more of it than was captured.
    pub(super) fn has_gap(&self) -> bool {
        self.arrived_bytes() > self.sent_bytes
    }
}

/// The number near `known` that has these low 32 bits; none when it would be below 0.
fn extended(low: u32, known: u64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is compared")]
    let difference = low.wrapping_sub(known as u32).cast_signed();
    known.checked_add_signed(difference.into())
}

#[cfg(test)]
mod tests {
    use super::{Fin, Stream};
    use crate::event::time::Time;

    #[test]
    fn places_are_counted_from_the_syn_through_every_wrap() {
        let mut stream = Stream::from_syn(u32::MAX - 10);
        assert_eq!(stream.offset(u32::MAX - 9), Some(0));
        assert_eq!(stream.offset(u32::MAX - 10), None, "a keep-alive before the first byte");
        let mut sequence = u32::MAX - 9;
        let mut place = 0;
        for _ in 0..12 {
            let step = 900_000_000_u32;
            assert_eq!(stream.offset(sequence), Some(place));
            place += u64::from(step);
            sequence = sequence.wrapping_add(step);
            assert!(stream.sent(place));
            stream.acknowledge(stream.space(sequence).unwrap());
            assert_eq!(stream.arrived_bytes(), place);
        }
        assert!(place > 2 * u64::from(u32::MAX));
    }

    #[test]
    fn what_is_sent_again_is_nothing_new() {
        let mut stream = Stream::from_syn(5);
        assert!(stream.sent(100));
        assert!(!stream.sent(100));
        assert!(!stream.sent(50));
        assert_eq!(stream.sent_bytes, 100);
    }

    #[test]
    fn a_fin_counts_as_one_and_a_gap_is_noticed() {
        let mut stream = Stream::from_syn(0);
        stream.sent(205);
        stream.acknowledge(206);
        assert!(!stream.has_gap());
        stream.end(Fin { time: Time(9), after_bytes: 205, other: 1 });
        stream.end(Fin { time: Time(8), after_bytes: 205, other: 0 });
        assert!(!stream.is_ended_and_acknowledged());
        stream.acknowledge(207);
        assert!(stream.is_ended_and_acknowledged());
        assert_eq!((stream.arrived_bytes(), stream.has_gap()), (205, false));
        assert_eq!(stream.fin.map(|fin| (fin.time, fin.other)), Some((Time(8), 0)));
        let mut lossy = Stream::from_syn(0);
        lossy.acknowledge(lossy.space(301).unwrap());
        assert_eq!((lossy.arrived_bytes(), lossy.has_gap()), (300, true));
    }
}
