//! The sum of what several sources counted; must not know what was counted.

use std::collections::BTreeMap;

use crate::event::loss::{Counters, Loss};

/// What each source counted last.
#[derive(Debug)]
pub(super) struct Counts(Vec<Counters>);

impl Counts {
    /// So many sources, of which none has counted anything.
    pub(super) fn new(sources: usize) -> Self {
        Self(vec![Counters::default(); sources])
    }

    /// A source counted; the sum of all, less what each has `repeated` of another one.
    pub(super) fn sum(&mut self, source: usize, counters: Counters, repeated: &[u64]) -> Counters {
        let time = counters.time;
        if let Some(last) = self.0.get_mut(source) {
            *last = counters;
        }
        let mut lost: BTreeMap<Loss, u64> = BTreeMap::new();
        for (loss, count) in self.0.iter().flat_map(|counters| &counters.lost) {
            *lost.entry(*loss).or_default() += count;
        }
        let seen = self.0.iter().zip(repeated).map(|(last, repeated)| last.seen.saturating_sub(*repeated));
        Counters {
            time,
            seen: seen.sum(),
            own: self.0.iter().map(|last| last.own).sum(),
            lost: lost.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;
    use crate::event::{
        loss::{Counters, Loss},
        time::Time,
    };

    #[test]
    fn what_each_counted_last_is_added_up() {
        let mut counts = Counts::new(2);
        let counters = |time, seen, lost| Counters { time: Time(time), seen, own: 1, lost: vec![lost] };
        counts.sum(0, counters(1, 5, (Loss::Hello, 2)), &[0, 0]);
        counts.sum(1, counters(2, 7, (Loss::CutPacket, 4)), &[0, 0]);
        let sum = counts.sum(0, counters(3, 9, (Loss::Hello, 3)), &[0, 6]);
        let lost = vec![(Loss::Hello, 3), (Loss::CutPacket, 4)];
        assert_eq!(sum, Counters { time: Time(3), seen: 9 + 1, own: 2, lost });
    }
}
