//! What a capture's connections and losses are counted in; must not know why anything was lost.

use crate::event::{
    loss::{Counters, Loss},
    time::Time,
};

/// Counts so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Connections that began in the capture.
    pub(super) seen: u64,
    lost: [u64; Loss::ALL.len()],
    has_news: bool,
}

impl Tally {
    /// A connection began.
    pub(super) fn begin(&mut self) {
        self.seen += 1;
    }

    /// Something was lost.
    pub(super) fn lose(&mut self, loss: Loss) {
        self.lose_many(loss, 1);
    }

    /// So many were lost.
    pub(super) fn lose_many(&mut self, loss: Loss, count: u64) {
        self.lost[loss as usize] += count;
        self.has_news |= count > 0;
    }

    /// Something was lost since the last counters.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// The counts now.
    pub(super) fn counters(&mut self, time: Time) -> Counters {
        self.has_news = false;
        let lost = Loss::ALL.into_iter().zip(self.lost).filter(|(_, count)| *count > 0).collect();
        Counters { time, seen: self.seen, own: 0, lost }
    }
}
