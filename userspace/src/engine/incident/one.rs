//! The life of one finding: failed, said, failed again, resolved, flapping; must not know the others. Pure.

use std::net::SocketAddr;

use crate::{
    engine::{
        held::Held,
        incident::{Actor, Success},
        judge::Judged,
    },
    envoy::{Heard, question::Question},
    event::time::{SECOND_NS, Time},
    update::{Confidence, Finding, Resolved},
};

/// A finding that goes on is said again at most this often, and one that comes back no sooner.
const REPEAT_NS: u64 = 10 * SECOND_NS;

/// The longest that a pair that fails and works in turn is kept from being said again: each turn doubles it.
const LONGEST_REPEAT_NS: u64 = 320 * SECOND_NS;

#[derive(Debug)]
pub(super) struct Incident {
    /// Also in its finding; this one is not replaced by that of a newer attempt.
    number: u64,
    /// Boxed, because the tree of incidents has room for twice as many as are in it.
    finding: Box<Finding>,
    actor: Option<Actor>,
    /// The last attempt, of which an Envoy may say something yet.
    question: Question,
    /// The attempt that the finding tells of, while the configuration of its proxy is not known.
    unconfigured: Option<Box<Held>>,
    /// Addresses that fail; those beyond [`Finding::MAX_ADDRESSES`] are not kept.
    failing: Vec<SocketAddr>,
    /// What was said last; none before anything was said.
    said: Option<Said>,
    /// Failed attempts that were told.
    told: u64,
    repeat_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    at: Time,
    count: u64,
    confidence: Confidence,
    /// It was said that it is resolved.
    was_resolved: bool,
}

impl Incident {
    pub(super) fn new(number: u64, judged: Judged) -> Self {
        let Judged { owner, finding, question, unconfigured, .. } = judged;
        let (actor, failing) = (owner.as_ref().map(Actor::of), vec![finding.server.address]);
        Self {
            number,
            finding: Box::new(finding),
            actor,
            question,
            unconfigured,
            failing,
            said: None,
            told: 0,
            repeat_ns: REPEAT_NS,
        }
    }

    /// Takes in a further failure. Whether its address did not fail before.
    pub(super) fn failed_again(&mut self, judged: Judged) -> bool {
        let Judged { owner, finding: newer, question, unconfigured, .. } = judged;
        self.actor = owner.as_ref().map(Actor::of);
        self.question = question.following(&self.question);
        let server = newer.server.address;
        let is_new = !self.failing.contains(&server) && self.failing.len() < Finding::MAX_ADDRESSES;
        if is_new {
            self.failing.push(server);
        }
        let Finding { count, first_seen, confidence, ref mut addresses, .. } = *self.finding;
        let mut addresses = std::mem::take(addresses);
        if !addresses.contains(&server) && addresses.len() < Finding::MAX_ADDRESSES {
            addresses.push(server);
        }
        // What was certain once stays so: the evidence was direct. The newer attempt's story goes with its own evidence.
        if newer.confidence >= confidence {
            (*self.finding, self.unconfigured) = (newer, unconfigured);
        } else {
            (self.finding.time, self.finding.last_seen) = (newer.time, newer.last_seen);
        }
        self.finding.count = count + 1;
        self.finding.first_seen = first_seen;
        self.finding.addresses = addresses;
        is_new
    }

    /// More is known of what was said. Whether that is news.
    pub(super) fn complete(&mut self, judged: Judged) -> bool {
        let Judged { owner, finding, question, unconfigured, .. } = judged;
        let is_news = tells_more(&finding, &self.finding);
        (self.actor, self.unconfigured) = (owner.as_ref().map(Actor::of), unconfigured);
        self.question = question.following(&self.question);
        let Finding { count, first_seen, last_seen, ref mut addresses, .. } = *self.finding;
        let addresses = std::mem::take(addresses);
        *self.finding = Finding { count, first_seen, last_seen, addresses, ..finding };
        is_news
    }

    /// What was taken for something else is the same.
    pub(super) fn absorb(&mut self, other: Self) {
        self.finding.count += other.finding.count;
        self.told += other.told;
        self.finding.first_seen = self.finding.first_seen.min(other.finding.first_seen);
        add_new(&mut self.finding.addresses, other.finding.addresses);
        add_new(&mut self.failing, other.failing);
    }

    /// Addresses that fail.
    pub(super) fn failing(&self) -> &[SocketAddr] {
        &self.failing
    }

    /// It is said, and was not resolved since.
    pub(super) fn is_said(&self) -> bool {
        self.said.is_some_and(|said| !said.was_resolved)
    }

    /// It is time to say it (again), also because of another address that fails.
    pub(super) fn is_due(&self, has_new_address: bool) -> bool {
        let Some(said) = self.said else { return true };
        let is_surer = self.finding.confidence > said.confidence;
        (!said.was_resolved && (is_surer || has_new_address))
            || self.finding.last_seen.since_ns(said.at) >= self.repeat_ns
    }

    /// When what was not said is to be said even if it does not fail again; none if it works, or all was said.
    pub(super) fn due(&self) -> Option<Time> {
        self.has_news().then(|| self.said.map_or(Time::default(), |said| said.at + self.repeat_ns))
    }

    /// Asks what an Envoy says of the last attempt. Whether that is a reason to say it once more.
    pub(super) fn hears(&mut self, heard: &Heard) -> bool {
        self.question.ask(heard, &mut self.finding.confidence) && self.is_said()
    }

    /// The attempt that was said without the configuration of its proxy, which is known now.
    pub(super) fn take_configured(&mut self, heard: &Heard) -> Option<Box<Held>> {
        if self.is_said() && self.question.is_configured(heard) { self.unconfigured.take() } else { None }
    }

    /// It fails, and not all of that was said.
    fn has_news(&self) -> bool {
        !self.failing.is_empty() && self.said.is_none_or(|said| said.count != self.finding.count)
    }

    /// Says it at its last failure.
    pub(super) fn say(&mut self) -> Box<Finding> {
        self.said_at(self.finding.last_seen)
    }

    /// Says it at another time than that of a failure.
    pub(super) fn say_at(&mut self, now: Time) -> Box<Finding> {
        self.finding.time = now;
        self.said_at(now)
    }

    fn said_at(&mut self, at: Time) -> Box<Finding> {
        let Finding { count, confidence, .. } = *self.finding;
        self.said = Some(Said { at, count, confidence, was_resolved: false });
        let mut finding = self.finding.clone();
        finding.evidence.extend(self.question.sentences().map(Into::into));
        (finding.incident, finding.newly_failed) = (self.number, self.tell());
        finding
    }

    /// Counts all failed attempts as told. Gives how many of them were not.
    fn tell(&mut self) -> u64 {
        let newly_failed = self.finding.count.saturating_sub(self.told);
        self.told = self.finding.count;
        newly_failed
    }

    /// The success is of the same client, and later than the last failure: records of several CPUs may come a little out of
    /// order, and an answer before the last failure mends nothing.
    pub(super) fn is_mended_by(&self, success: &Success<'_>) -> bool {
        let is_same = match (self.actor, success.owner.map(Actor::of)) {
            (Some(failed), Some(succeeded)) => failed.is_mended_by(succeeded),
            (None, _) | (_, None) => true,
        };
        is_same && success.exchange.time >= self.finding.last_seen
    }

    /// An address works. Gives the resolution when all that failed work, and that something was wrong was said.
    pub(super) fn reached(&mut self, success: &Success<'_>) -> Option<Resolved> {
        self.failing.retain(|address| *address != success.server);
        let said = self.said.as_mut().filter(|said| !said.was_resolved)?;
        if !self.failing.is_empty() {
            return None;
        }
        said.was_resolved = true;
        said.at = success.exchange.time;
        self.repeat_ns = (self.repeat_ns * 2).min(LONGEST_REPEAT_NS);
        Some(self.resolved(success))
    }

    fn resolved(&mut self, success: &Success<'_>) -> Resolved {
        let newly_failed = self.tell();
        let how = if success.was_tls { "in TLS" } else { "in plaintext" };
        let Finding { code, confidence, cause, server, count, first_seen, last_seen, .. } = &*self.finding;
        let (address, client) = (success.server, success.exchange.client);
        Resolved {
            time: success.exchange.time,
            code: *code,
            cause: cause.clone(),
            client: success.client.clone(),
            server: server.clone(),
            evidence: vec![format!("{address} answers {client} {how} now").into()],
            count: *count,
            first_seen: *first_seen,
            last_seen: *last_seen,
            confidence: *confidence,
            incident: self.number,
            newly_failed,
        }
    }
}

fn tells_more(newer: &Finding, older: &Finding) -> bool {
    let told = |finding: &Finding| {
        let Finding { confidence, cause, client, server, evidence, fix, .. } = finding.clone();
        (confidence, cause, client, server, evidence, fix)
    };
    told(newer) != told(older)
}

fn add_new(addresses: &mut Vec<SocketAddr>, others: Vec<SocketAddr>) {
    for address in others {
        if !addresses.contains(&address) && addresses.len() < Finding::MAX_ADDRESSES {
            addresses.push(address);
        }
    }
}
