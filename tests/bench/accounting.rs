//! Whether the tracer's numbers add up, and whether they agree with what the load did.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use mtlsnoop::event::loss::Loss;
use serde_json::{Map, Value, json};

/// What was counted while the tracer was attached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounting {
    pub(crate) seen: u64,
    pub(crate) reported: u64,
    pub(crate) filtered: u64,
    pub(crate) open: u64,
    /// Ends of connections that began before; the sentinel sees no beginnings, so with it these are all.
    pub(crate) began_before: u64,
    pub(crate) lost: BTreeMap<Loss, u64>,
    /// Connection ends that are missing in the sum, or that the load made and nobody noticed.
    pub(crate) unaccounted: u64,
}

impl Accounting {
    /// From the summary, the tracer's last line.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let said = || format!("the tracer's last line is no summary: {line:?}");
        let summary: Value = serde_json::from_str(line).with_context(said)?;
        let number = |name: &str| summary[name].as_u64().with_context(said);
        let losses = summary["lost"].as_object().unwrap_or(&Map::new()).clone();
        let by_name = |(name, count): (&String, &Value)| Some((Loss::from_name(name)?, count.as_u64()?));
        let lost: Option<BTreeMap<Loss, u64>> = losses.iter().map(by_name).collect();
        let mut counted = Self {
            seen: number("seen")?,
            reported: number("reported")?,
            filtered: number("filtered")?,
            open: number("open")?,
            began_before: number("began_before")?,
            lost: lost.with_context(said)?,
            unaccounted: 0,
        };
        let told = counted.reported + counted.filtered + counted.open + counted.lost_flows();
        counted.unaccounted = counted.seen.abs_diff(told);
        Ok(counted)
    }

    /// Losses of whole connection ends.
    fn lost_flows(&self) -> u64 {
        self.lost.iter().filter(|(loss, _)| loss.is_of_flow()).map(|(_, count)| count).sum()
    }

    /// All losses.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Compares with the load, which ended this many connection ends at least.
    pub(crate) fn expect_ends(&mut self, least: u64) {
        let ended = self.reported + self.began_before + self.lost();
        self.unaccounted += least.saturating_sub(ended);
    }

    /// Adds what was counted another time.
    pub(crate) fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.reported += other.reported;
        self.filtered += other.filtered;
        self.open += other.open;
        self.began_before += other.began_before;
        self.unaccounted += other.unaccounted;
        for (loss, count) in other.lost {
            *self.lost.entry(loss).or_default() += count;
        }
    }

    pub(crate) fn json(&self) -> Value {
        let lost: BTreeMap<&str, u64> = self.lost.iter().map(|(loss, count)| (loss.name(), *count)).collect();
        json!({
            "seen": self.seen,
            "reported": self.reported,
            "filtered": self.filtered,
            "open": self.open,
            "began_before": self.began_before,
            "lost": lost,
            "unaccounted": self.unaccounted,
        })
    }
}
