//! The series of one metric, with a bound on how many there are and on how long a quiet one stays; must not know what it counts.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use crate::{
    event::time::Time,
    sink::metrics::definition::{Definition, OTHER},
};

/// Values of the labels, in the order of their definition.
pub(super) type Labels = Arc<[Box<str>]>;

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most series of a metric; what comes more is counted under `~other`.
    pub series: usize,
    /// Series that did not change for this long are forgotten.
    pub expiry: Duration,
}

/// What a series is at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
}

/// One series as it is exported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) value: Value,
}

/// Counts that grow.
#[derive(Debug)]
pub(super) struct Family {
    definition: &'static Definition,
    limits: Limits,
    series: FxHashMap<Labels, Series>,
    overflowed: u64,
}

#[derive(Debug, Default)]
struct Series {
    count: u64,
    changed: Time,
}

impl Family {
    /// Without series.
    pub(super) fn new(definition: &'static Definition, limits: Limits) -> Self {
        Self { definition, limits, series: FxHashMap::default(), overflowed: 0 }
    }

    /// What it is.
    pub(super) fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// Adds to a series, or to the one that stands for all others when there are too many.
    pub(super) fn add(&mut self, labels: Labels, count: u64, now: Time) {
        let is_room = self.series.len() < self.limits.series || self.series.contains_key(&labels);
        let labels = if is_room {
            labels
        } else {
            self.overflowed += count;
            self.of_others(&labels)
        };
        let series = self.series.entry(labels).or_default();
        series.count += count;
        series.changed = series.changed.max(now);
    }

    /// Forgets series that did not change for long.
    pub(super) fn expire(&mut self, now: Time) {
        let expiry_ns = u64::try_from(self.limits.expiry.as_nanos()).unwrap_or(u64::MAX);
        self.series.retain(|_, series| now.since_ns(series.changed) <= expiry_ns);
    }

    /// How much was counted for others.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// All series.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let sample = |(labels, series): (&Labels, &Series)| Sample {
            labels: Arc::clone(labels),
            value: Value::Count(series.count),
        };
        self.series.iter().map(sample).collect()
    }

    /// Labels that have few values keep them: there are no more of these than of codes and reasons.
    fn of_others(&self, labels: &Labels) -> Labels {
        let values = self.definition.labels.iter().zip(labels.iter());
        values
            .map(|(label, value)| if Definition::is_open(label) { OTHER.into() } else { value.clone() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Family, Labels, Limits, Value};
    use crate::{
        event::time::{SECOND_NS, Time},
        sink::metrics::definition::FAILED_CONNECTIONS,
    };

    fn family() -> Family {
        Family::new(&FAILED_CONNECTIONS, Limits { series: 2, expiry: Duration::from_secs(10) })
    }

    fn labels(reason: &str, client: &str) -> Labels {
        [reason, "default", client, "default", "StatefulSet/redis"].map(Into::into).into()
    }

    fn counts(family: &Family) -> Vec<(String, u64)> {
        let mut counts: Vec<_> = family
            .samples()
            .into_iter()
            .map(|sample| match sample.value {
                Value::Count(count) => (sample.labels.join(" "), count),
                Value::Number(_) => panic!("a count is no number"),
            })
            .collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn there_are_never_more_series_than_allowed_and_those_of_others() {
        let mut family = family();
        for nth in 0..100 {
            for reason in ["refused", "reset"] {
                family.add(labels(reason, &format!("client-{nth}")), 1, Time(0));
            }
        }
        family.add(labels("refused", "client-0"), 1, Time(0));
        let expected = [
            ("refused default client-0 default StatefulSet/redis".to_owned(), 2),
            ("refused ~other ~other ~other ~other".to_owned(), 99),
            ("reset default client-0 default StatefulSet/redis".to_owned(), 1),
            ("reset ~other ~other ~other ~other".to_owned(), 99),
        ];
        assert_eq!(counts(&family), expected);
        assert_eq!(family.overflowed(), 198);
    }

    #[test]
    fn a_quiet_series_goes_and_begins_anew() {
        let mut family = family();
        let at = |second| Time(second * SECOND_NS);
        family.add(labels("reset", "quiet"), 5, at(0));
        family.add(labels("reset", "busy"), 5, at(0));
        family.add(labels("reset", "busy"), 1, at(10));
        family.expire(at(10));
        assert_eq!(counts(&family).len(), 2);
        family.expire(at(11));
        assert_eq!(counts(&family), [("reset default busy default StatefulSet/redis".to_owned(), 6)]);
        // There is room again.
        family.add(labels("reset", "quiet"), 1, at(12));
        assert_eq!(counts(&family)[1], ("reset default quiet default StatefulSet/redis".to_owned(), 1));
    }
}
