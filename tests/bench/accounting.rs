//! Whether the tracer's numbers add up, and whether they agree with what the load did.

use std::collections::BTreeMap;

use mtlsnoop::{event::loss::Loss, update::Summary};
use serde_json::{Value, json};

/// What was counted while something was attached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounting {
    pub(crate) events: u64,
    pub(crate) seen: u64,
    pub(crate) reported: u64,
    pub(crate) own: u64,
    pub(crate) open: u64,
    /// Ends of connections that began before; the sentinel sees no beginnings, so with it these are all.
    pub(crate) began_before: u64,
    pub(crate) lost: BTreeMap<Loss, u64>,
    /// What does not add up.
    pub(crate) complaints: Vec<String>,
}

impl Accounting {
    pub(crate) fn of(summary: &Summary, events: u64) -> Self {
        let mut lost = BTreeMap::new();
        for &(loss, count) in &summary.lost {
            *lost.entry(loss).or_default() += count;
        }
        let Summary { seen, reported, own, open, began_before, .. } = *summary;
        let mut counted =
            Self { events, seen, reported, own, open, began_before, lost, complaints: Vec::new() };
        let told = reported + own + open + counted.lost_flows();
        if seen != told {
            counted.complaints.push(format!(
                "{seen} connection ends were seen, but {reported} reported, {own} own, {open} open and {} lost ones make {told}",
                counted.lost_flows()
            ));
        }
        counted
    }

    /// Losses of whole connection ends.
    fn lost_flows(&self) -> u64 {
        self.lost.iter().filter(|(loss, _)| loss.is_of_flow()).map(|(_, count)| count).sum()
    }

    /// All losses.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Compares with the load, which began and ended this many connection ends at least.
    pub(crate) fn expect_ends(&mut self, least: u64) {
        let ended = self.reported + self.began_before + self.lost();
        if ended < least {
            self.complaints
                .push(format!("the load ended {least} connection ends, but only {ended} were noticed"));
        }
    }

    /// Adds what was counted another time.
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.seen += other.seen;
        self.reported += other.reported;
        self.own += other.own;
        self.open += other.open;
        self.began_before += other.began_before;
        for (loss, count) in other.lost {
            *self.lost.entry(loss).or_default() += count;
        }
        self.complaints.extend(other.complaints);
    }

    pub(crate) fn json(&self) -> Value {
        let lost: BTreeMap<&str, u64> = self.lost.iter().map(|(loss, count)| (loss.name(), *count)).collect();
        json!({
            "events": self.events,
            "seen": self.seen,
            "reported": self.reported,
            "own": self.own,
            "open": self.open,
            "began_before": self.began_before,
            "lost": lost,
        })
    }
}
