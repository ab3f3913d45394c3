//! Findings over time: one for each client and destination, counted, repeated sparingly, and resolved. Pure, bounded.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        socket::{Owner, ProcessName},
        time::{SECOND_NS, Time},
    },
    listener::Exchange,
    update::{Confidence, Finding, Party, Resolved, Update},
};

/// A finding that goes on is said again at most this often.
const REPEAT_NS: u64 = 10 * SECOND_NS;

/// Who fails: as people know it, if that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ClientKey {
    /// Namespace and workload.
    Workload(Box<str>, Box<str>),
    /// Namespace and pod.
    Pod(Box<str>, Box<str>),
    /// Network namespace of a client on this node.
    Netns(u32),
    /// Address of a client elsewhere.
    Address(IpAddr),
}

impl ClientKey {
    /// The best that is known of a client.
    pub(super) fn of(client: &Party, owner: Option<&Owner>) -> Self {
        let namespace = client.namespace.clone().unwrap_or_default();
        match (&client.workload, &client.pod, owner) {
            (Some(workload), _, _) => Self::Workload(namespace, workload.clone()),
            (None, Some(pod), _) => Self::Pod(namespace, pod.clone()),
            (None, None, Some(owner)) => Self::Netns(owner.netns),
            (None, None, None) => Self::Address(client.address.ip()),
        }
    }
}

/// A client got an answer from a destination, in the language it had spoken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Success<'a> {
    pub(super) client: &'a Party,
    /// Whose the connecting socket is, when it is on this node.
    pub(super) owner: Option<&'a Owner>,
    pub(super) server: SocketAddr,
    pub(super) exchange: Exchange,
    pub(super) was_tls: bool,
}

/// Which socket owner failed: a later success counts only if it is the same one's, or another pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Actor {
    netns: u32,
    uid: Option<u32>,
    process: ProcessName,
}

impl Actor {
    fn of(owner: &Owner) -> Self {
        Self { netns: owner.netns, uid: owner.known_uid(), process: owner.process }
    }

    /// Of a socket whose user is not known it cannot be told. In the same namespace the app's own socket has the same destination as its sidecar's: it must be the same user
    /// and process. Another namespace is another pod of the same workload.
    fn is_mended_by(self, other: Self) -> bool {
        (self.uid.is_some() && self == other) || self.netns != other.netns
    }
}

#[derive(Debug)]
struct Incident {
    finding: Finding,
    actor: Option<Actor>,
    last_seen: Time,
    said_at: Time,
    said_count: u64,
    said_confidence: Confidence,
}

type Key = (ClientKey, SocketAddr);

/// Findings that are not resolved.
#[derive(Debug)]
pub(super) struct Incidents {
    open: FxHashMap<Key, Incident>,
    /// In the order of their coming.
    order: VecDeque<Key>,
    limit: usize,
    said: u64,
    resolved: u64,
}

impl Incidents {
    /// At most `limit` at a time; the oldest is forgotten first.
    pub(super) fn new(limit: usize) -> Self {
        Self { open: FxHashMap::default(), order: VecDeque::new(), limit: limit.max(1), said: 0, resolved: 0 }
    }

    /// Nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many were said, repetitions not counted.
    pub(super) fn said(&self) -> u64 {
        self.said
    }

    /// How many were resolved.
    pub(super) fn resolved(&self) -> u64 {
        self.resolved
    }

    /// An attempt failed.
    pub(super) fn failed(
        &mut self,
        client: ClientKey,
        owner: Option<&Owner>,
        finding: Finding,
        updates: &mut Vec<Update>,
    ) {
        let key = (client, finding.server.address);
        let actor = owner.map(Actor::of);
        if let Some(incident) = self.open.get_mut(&key) {
            incident.repeat(finding, actor);
            let is_due = incident.last_seen.since_ns(incident.said_at) >= REPEAT_NS;
            if is_due || incident.finding.confidence > incident.said_confidence {
                incident.say(updates);
            }
            return;
        }
        if self.open.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        let mut incident = Incident {
            actor,
            last_seen: finding.time,
            said_at: finding.time,
            said_count: 0,
            said_confidence: finding.confidence,
            finding,
        };
        incident.say(updates);
        self.said += 1;
        self.order.push_back(key.clone());
        self.open.insert(key, incident);
    }

    /// A client reached a destination.
    pub(super) fn succeeded(&mut self, success: &Success<'_>, updates: &mut Vec<Update>) {
        let key = (ClientKey::of(success.client, success.owner), success.server);
        let Some(incident) = self.open.get(&key) else { return };
        let is_mended = match (incident.actor, success.owner.map(Actor::of)) {
            (Some(failed), Some(succeeded)) => failed.is_mended_by(succeeded),
            (None, _) | (_, None) => true,
        };
        // Records of several CPUs may come a little out of order: an answer before the last failure mends nothing.
        if !is_mended || success.exchange.time < incident.last_seen {
            return;
        }
        if let Some(incident) = self.open.remove(&key) {
            self.order.retain(|other| *other != key);
            self.resolved += 1;
            updates.push(Update::Resolved(Box::new(incident.resolve(success))));
        }
    }

    /// Says the last counts of what is still wrong.
    pub(super) fn finish(&mut self, now: Time, updates: &mut Vec<Update>) {
        for key in &self.order {
            if let Some(incident) = self.open.get_mut(key)
                && incident.said_count != incident.finding.count
            {
                incident.finding.time = now;
                incident.say(updates);
            }
        }
    }
}

impl Incident {
    fn repeat(&mut self, newer: Finding, actor: Option<Actor>) {
        self.last_seen = newer.time;
        self.actor = actor;
        let Finding { count, first_seen, confidence, .. } = self.finding;
        // What was certain once stays so: the evidence was direct. The newer attempt's story goes with its own evidence.
        if newer.confidence >= confidence {
            self.finding = newer;
        } else {
            self.finding.time = newer.time;
        }
        self.finding.count = count + 1;
        self.finding.first_seen = first_seen;
    }

    fn say(&mut self, updates: &mut Vec<Update>) {
        self.said_at = self.last_seen;
        self.said_count = self.finding.count;
        self.said_confidence = self.finding.confidence;
        updates.push(Update::Finding(Box::new(self.finding.clone())));
    }

    fn resolve(self, success: &Success<'_>) -> Resolved {
        let how = if success.was_tls { "in TLS" } else { "in plaintext" };
        let Finding { code, cause, server, count, first_seen, .. } = self.finding;
        Resolved {
            time: success.exchange.time,
            code,
            cause,
            client: success.client.clone(),
            evidence: vec![
                format!("{} answers {} {how} now", server.address, success.exchange.client).into(),
            ],
            server,
            count,
            first_seen,
            last_seen: self.last_seen,
        }
    }
}
