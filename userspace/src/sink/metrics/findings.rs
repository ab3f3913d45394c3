//! Findings as counts: each is said several times with a growing count, and is active until it is resolved or quiet. It must not know
//! how it is exported.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    event::time::Time,
    sink::{
        FindingKey,
        metrics::{
            definition::{FINDINGS, FINDINGS_ACTIVE, FINDINGS_RESOLVED},
            family::{Family, Labels, Limits, Sample},
        },
    },
    update::{Finding, Party, Resolved},
};

/// Findings are told apart up to this many, some more than the core keeps; with more, the oldest is counted anew when it is said again.
const KNOWN_MAX: usize = 4096;

/// Counts of findings.
#[derive(Debug)]
pub(super) struct Findings {
    limits: Limits,
    pub(super) failed: Family,
    pub(super) resolved: Family,
    known: BTreeMap<FindingKey, Known>,
}

#[derive(Debug)]
struct Known {
    /// Attempts that were counted.
    count: u64,
    said: Time,
    labels: Labels,
}

impl Findings {
    /// Nothing was found yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            failed: Family::new(&FINDINGS, limits),
            resolved: Family::new(&FINDINGS_RESOLVED, limits),
            known: BTreeMap::new(),
        }
    }

    /// A finding was said, for the first time or again.
    pub(super) fn found(&mut self, finding: &Finding) {
        let key = FindingKey::from(finding);
        let before = self.known.get(&key).map_or(0, |known| known.count);
        let (code, cause) = (finding.code.name(), finding.cause.code);
        let (client, server) = (&finding.client, &finding.server);
        let labels = of_finding([code, cause, finding.confidence.name()], client, server);
        self.failed.add(labels, finding.count.saturating_sub(before), finding.time);
        let labels = of_finding([code, cause], client, server);
        self.known.insert(key, Known { count: finding.count, said: finding.time, labels });
        if self.known.len() > KNOWN_MAX {
            self.known.pop_first();
        }
    }

    /// A finding is over.
    pub(super) fn over(&mut self, resolved: &Resolved) {
        self.known.remove(&FindingKey::from(resolved));
        let labels =
            of_finding([resolved.code.name(), resolved.cause.code], &resolved.client, &resolved.server);
        self.resolved.add(labels, 1, resolved.time);
    }

    /// Forgets series that did not change for long.
    pub(super) fn expire(&mut self, now: Time) {
        self.failed.expire(now);
        self.resolved.expire(now);
    }

    /// How many are neither resolved nor quiet.
    pub(super) fn active(&self, now: Time) -> Vec<Sample> {
        let expiry_ns = u64::try_from(self.limits.expiry.as_nanos()).unwrap_or(u64::MAX);
        let mut active = Family::new(&FINDINGS_ACTIVE, self.limits);
        for known in self.known.values().filter(|known| now.since_ns(known.said) <= expiry_ns) {
            active.add(Arc::clone(&known.labels), 1, now);
        }
        active.samples()
    }
}

fn of_finding<const CODES: usize>(codes: [&str; CODES], client: &Party, server: &Party) -> Labels {
    let ends = [&client.namespace, &client.workload, &server.namespace, &server.service];
    codes.into_iter().map(Box::from).chain(ends.map(|name| known_or_empty(name.as_deref()))).collect()
}

/// An empty value is the same as none (Prometheus' data model).
pub(super) fn known_or_empty(value: Option<&str>) -> Box<str> {
    value.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Findings, Limits, Sample};
    use crate::{
        event::time::SECOND_NS,
        sink::{metrics::family::Value, samples},
        update::{Confidence, Finding},
    };

    fn count(samples: &[Sample]) -> u64 {
        let count = |sample: &Sample| match sample.value {
            Value::Count(count) => count,
            Value::Number(_) => panic!("a count is no number"),
        };
        samples.iter().map(count).sum()
    }

    #[test]
    fn attempts_are_counted_once_however_often_a_finding_is_said() {
        let limits = Limits { series: 100, expiry: Duration::from_mins(15) };
        let mut findings = Findings::new(limits);
        let first = samples::finding();
        for (count_of, confidence, failed, series) in [
            (1, Confidence::Possible, 1, 1),
            (1, Confidence::Certain, 1, 2),
            (7, Confidence::Certain, 7, 2),
            (7, Confidence::Certain, 7, 2),
        ] {
            findings.found(&Finding { count: count_of, confidence, ..first.clone() });
            assert_eq!(
                (count(&findings.failed.samples()), findings.failed.samples().len()),
                (failed, series)
            );
            assert_eq!(count(&findings.active(first.time)), 1);
        }
        // Another pod of the same workload.
        let other = samples::address("10.1.1.26:1");
        let client = crate::update::Party { address: other, ..first.client.clone() };
        findings.found(&Finding { client, ..first.clone() });
        assert_eq!((count(&findings.active(first.time)), findings.active(first.time).len()), (2, 1));
        findings.over(&samples::resolved());
        assert_eq!((count(&findings.active(first.time)), count(&findings.resolved.samples())), (1, 1));
        let later = first.time + 16 * 60 * SECOND_NS;
        assert_eq!(count(&findings.active(later)), 0, "it was quiet");
    }
}
