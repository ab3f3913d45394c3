//! Findings as counts: each is said several times, and is active until it is resolved or quiet. It must not know how it is exported.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    event::time::Time,
    sink::metrics::{
        definition::{FINDINGS, FINDINGS_ACTIVE, FINDINGS_RESOLVED},
        family::{Family, Labels, Limits, Sample},
    },
    update::{Finding, Party, Resolved},
};

/// Most incidents that can be active, some more than the core keeps; with more, the oldest are taken for quiet.
const SAID_MAX: usize = 4096;

/// Counts of findings.
#[derive(Debug)]
pub(super) struct Findings {
    limits: Limits,
    pub(super) failed: Family,
    pub(super) resolved: Family,
    /// What was said last of each incident, by its number.
    said: BTreeMap<u64, Said>,
}

#[derive(Debug)]
struct Said {
    at: Time,
    labels: Labels,
}

impl Findings {
    /// Nothing was found yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            failed: Family::new(&FINDINGS, limits),
            resolved: Family::new(&FINDINGS_RESOLVED, limits),
            said: BTreeMap::new(),
        }
    }

    /// A finding was said, for the first time or again.
    pub(super) fn found(&mut self, finding: &Finding) {
        let (code, cause) = (finding.code.name(), finding.cause.code);
        let (client, server) = (&finding.client, &finding.server);
        let labels = of_finding([code, cause, finding.confidence.name()], client, server);
        self.failed.add(labels, finding.newly_failed, finding.time);
        let labels = of_finding([code, cause], client, server);
        self.said.insert(finding.incident, Said { at: finding.time, labels });
        if self.said.len() > SAID_MAX {
            self.said.pop_first();
        }
    }

    /// A finding is over.
    pub(super) fn over(&mut self, resolved: &Resolved) {
        self.said.remove(&resolved.incident);
        let (code, cause) = (resolved.code.name(), resolved.cause.code);
        let (client, server) = (&resolved.client, &resolved.server);
        if resolved.newly_failed > 0 {
            let labels = of_finding([code, cause, resolved.confidence.name()], client, server);
            self.failed.add(labels, resolved.newly_failed, resolved.time);
        }
        self.resolved.add(of_finding([code, cause], client, server), 1, resolved.time);
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
        for said in self.said.values().filter(|said| now.since_ns(said.at) <= expiry_ns) {
            active.add(Arc::clone(&said.labels), 1, now);
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
        update::{Confidence, Finding, Party, Resolved},
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
        for (newly_failed, confidence, failed, series) in [
            (1, Confidence::Possible, 1, 1),
            (0, Confidence::Certain, 1, 2),
            (6, Confidence::Certain, 7, 2),
            (0, Confidence::Certain, 7, 2),
        ] {
            // Each time of another address: it is the same all the same.
            let server =
                Party { address: samples::address(&format!("10.1.2.{failed}:6379")), ..first.server.clone() };
            findings.found(&Finding { confidence, server, newly_failed, ..first.clone() });
            assert_eq!(
                (count(&findings.failed.samples()), findings.failed.samples().len()),
                (failed, series)
            );
            assert_eq!(count(&findings.active(first.time)), 1);
        }
        // Another cause, for all that is known of whom it concerns.
        findings.found(&Finding { incident: first.incident + 1, ..first.clone() });
        assert_eq!((count(&findings.active(first.time)), findings.active(first.time).len()), (2, 1));
        findings.over(&Resolved { newly_failed: 2, ..samples::resolved() });
        assert_eq!((count(&findings.active(first.time)), count(&findings.resolved.samples())), (1, 1));
        assert_eq!(
            count(&findings.failed.samples()),
            10,
            "also those that nothing was said of when it was resolved"
        );
        let later = first.time + 16 * 60 * SECOND_NS;
        assert_eq!(count(&findings.active(later)), 0, "it was quiet");
    }
}
