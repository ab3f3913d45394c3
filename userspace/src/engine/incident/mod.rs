//! Findings over time: one for each client, destination and cause, counted, repeated sparingly, and resolved. Pure, bounded.

mod key;
mod one;

use std::{collections::VecDeque, net::SocketAddr};

use rustc_hash::FxHashMap;

use crate::{
    engine::{held::Held, judge::Judged},
    envoy::Heard,
    event::{envoy::LogEntry, socket::Owner, time::Time},
    listener::Exchange,
    update::{Code, Party, Update},
};

use key::Actor;
pub(super) use key::{ClientKey, Key};
use one::Incident;

/// A client got an answer from a destination, in the language it had spoken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Success<'a> {
    pub(super) client: &'a Party,
    /// Whose the connecting socket is, when it is on this node.
    pub(super) owner: Option<&'a Owner>,
    pub(super) server: SocketAddr,
    pub(super) exchange: Exchange,
    pub(super) was_tls: bool,
    /// The application behind a proxy got an answer too, so that the handshake was no more than a beginning.
    pub(super) reached_app: bool,
}

impl Success<'_> {
    /// Shows that what this code says is over.
    fn mends(&self, code: Code) -> bool {
        match code {
            Code::MtlsToPlaintext
            | Code::PlaintextToMtls
            | Code::TlsToPlaintext
            | Code::ServerFirstDeadlock => true,
            Code::TlsToHttpPort => self.was_tls,
            // These begin with a ServerHello as well.
            Code::DoubleTls | Code::MtlsRejected => self.reached_app || !self.was_tls,
        }
    }
}

/// Findings that are not resolved, or were a short while ago.
#[derive(Debug)]
pub(super) struct Incidents {
    all: FxHashMap<Key, Incident>,
    /// In the order of their coming.
    order: VecDeque<Key>,
    /// By the addresses that fail.
    by_server: FxHashMap<SocketAddr, Vec<Key>>,
    /// When failures that were not said are to be said, or sooner; none if there are none.
    due: Option<Time>,
    limit: usize,
    said: u64,
    resolved: u64,
}

impl Incidents {
    /// At most `limit` at a time; the oldest is forgotten first.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            all: FxHashMap::default(),
            order: VecDeque::new(),
            by_server: FxHashMap::default(),
            due: None,
            limit: limit.max(1),
            said: 0,
            resolved: 0,
        }
    }

    /// No address fails.
    pub(super) fn is_empty(&self) -> bool {
        self.by_server.is_empty()
    }

    /// How many were said, repetitions not counted.
    pub(super) fn said(&self) -> u64 {
        self.said
    }

    /// How many were resolved.
    pub(super) fn resolved(&self) -> u64 {
        self.resolved
    }

    /// An attempt failed. Tells under which key it is kept.
    pub(super) fn failed(&mut self, judged: Judged, updates: &mut Vec<Update>) -> Key {
        let (key, server) = (Key::of(&judged), judged.finding.server.address);
        let is_new = if let Some(incident) = self.all.get_mut(&key) {
            incident.failed_again(judged)
        } else {
            self.insert(key.clone(), Incident::new(judged));
            true
        };
        if is_new {
            self.by_server.entry(server).or_default().push(key.clone());
        }
        if let Some(incident) = self.all.get_mut(&key).filter(|incident| incident.is_due(is_new)) {
            self.said += u64::from(!incident.is_said());
            updates.push(Update::Finding(Box::new(incident.say())));
        }
        self.await_due(&key);
        key
    }

    /// More is known of an attempt that was said: what was said before goes on under what it is now.
    pub(super) fn completed(
        &mut self,
        earlier: &Key,
        judged: Judged,
        now: Time,
        updates: &mut Vec<Update>,
    ) -> Key {
        let Some(mut before) = self.remove(earlier) else { return self.failed(judged, updates) };
        let key = Key::of(&judged);
        let (mut incident, is_news) = if let Some(mut known) = self.remove(&key) {
            known.absorb(before);
            let is_news = !known.is_said();
            (known, is_news)
        } else {
            let is_news = before.complete(judged);
            (before, is_news)
        };
        for server in incident.failing() {
            self.by_server.entry(*server).or_default().push(key.clone());
        }
        if is_news {
            self.said += u64::from(!incident.is_said());
            updates.push(Update::Finding(Box::new(incident.say_at(now))));
        }
        self.insert(key.clone(), incident);
        self.await_due(&key);
        key
    }

    fn await_due(&mut self, key: &Key) {
        let due = self.all.get(key).and_then(Incident::due);
        self.due = self.due.into_iter().chain(due).min();
    }

    fn insert(&mut self, key: Key, incident: Incident) {
        self.make_room();
        self.order.push_back(key.clone());
        self.all.insert(key, incident);
    }

    fn remove(&mut self, key: &Key) -> Option<Incident> {
        let incident = self.all.remove(key)?;
        self.order.retain(|other| other != key);
        for server in incident.failing() {
            self.forget(*server, key);
        }
        Some(incident)
    }

    /// An Envoy logged something: what was said of the same destination may have more evidence.
    pub(super) fn heard_of(&mut self, heard: &Heard, entry: &LogEntry, now: Time, updates: &mut Vec<Update>) {
        let downstream = entry.downstream_local.filter(|local| entry.upstream_host != Some(*local));
        for server in [entry.upstream_host, downstream].into_iter().flatten() {
            for key in self.by_server.get(&server).into_iter().flatten() {
                hear(self.all.get_mut(key), heard, now, updates);
            }
        }
    }

    /// The attempts that were said without the configuration of their proxy, which is known now; each once.
    pub(super) fn take_configured(&mut self, heard: &Heard) -> Vec<(Key, Held)> {
        let mut taken = Vec::new();
        for key in &self.order {
            let held = self.all.get_mut(key).and_then(|incident| incident.take_configured(heard));
            taken.extend(held.map(|held| (key.clone(), *held)));
        }
        taken
    }

    /// An Envoy's configuration became known: everything that was said may have more evidence.
    pub(super) fn heard(&mut self, heard: &Heard, now: Time, updates: &mut Vec<Update>) {
        for key in &self.order {
            hear(self.all.get_mut(key), heard, now, updates);
        }
    }

    fn make_room(&mut self) {
        if self.all.len() < self.limit {
            return;
        }
        if let Some(oldest) = self.order.front().cloned() {
            self.remove(&oldest);
        }
    }

    /// A client reached a destination.
    pub(super) fn succeeded(&mut self, success: &Success<'_>, updates: &mut Vec<Update>) {
        let Some(keys) = self.by_server.get(&success.server) else { return };
        let client = ClientKey::of(success.client, success.owner);
        let keys: Vec<Key> =
            keys.iter().filter(|key| key.client == client && success.mends(key.code)).cloned().collect();
        for key in keys {
            let Some(incident) = self.all.get_mut(&key) else { continue };
            if !incident.is_mended_by(success) {
                continue;
            }
            if let Some(resolved) = incident.reached(success) {
                self.resolved += 1;
                updates.push(Update::Resolved(Box::new(resolved)));
            }
            self.forget(success.server, &key);
        }
    }

    fn forget(&mut self, server: SocketAddr, key: &Key) {
        if let Some(keys) = self.by_server.get_mut(&server) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_server.remove(&server);
            }
        }
    }

    /// Time passed: says the counts of what goes on, also where nothing fails just now.
    pub(super) fn tick(&mut self, now: Time, updates: &mut Vec<Update>) {
        if self.due.is_some_and(|due| due <= now) {
            self.say_due(now, now, updates);
        }
    }

    /// Says the last counts of what is still wrong.
    pub(super) fn finish(&mut self, now: Time, updates: &mut Vec<Update>) {
        self.say_due(Time(u64::MAX), now, updates);
    }

    /// Says what is due until then.
    fn say_due(&mut self, until: Time, now: Time, updates: &mut Vec<Update>) {
        self.due = None;
        for key in &self.order {
            let Some(incident) = self.all.get_mut(key) else { continue };
            let Some(due) = incident.due() else { continue };
            if due <= until {
                self.said += u64::from(!incident.is_said());
                updates.push(Update::Finding(Box::new(incident.say_at(now))));
            } else {
                self.due = self.due.into_iter().chain([due]).min();
            }
        }
    }
}

/// Says it once more, if there is evidence of a new kind.
fn hear(incident: Option<&mut Incident>, heard: &Heard, now: Time, updates: &mut Vec<Update>) {
    if let Some(incident) = incident
        && incident.hears(heard)
    {
        updates.push(Update::Finding(Box::new(incident.say_at(now))));
    }
}
