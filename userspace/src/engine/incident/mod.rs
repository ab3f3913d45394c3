//! Findings over time: one for each client, destination and cause, counted, repeated sparingly, and resolved. Pure, bounded.

mod key;
mod one;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

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

/// In which turn an incident came.
type Turn = u64;

#[derive(Debug)]
struct Kept {
    incident: Incident,
    turn: Turn,
    /// Under which time it is among those that are due.
    due: Option<Time>,
}

/// Findings that are not resolved, or were a short while ago.
#[derive(Debug)]
pub(super) struct Incidents {
    all: FxHashMap<Key, Kept>,
    /// In the order of their coming.
    order: BTreeMap<Turn, Key>,
    /// The turn of the next one that comes.
    next: Turn,
    /// By the addresses that fail.
    by_server: FxHashMap<SocketAddr, Vec<Key>>,
    /// Those with failures that were not said, and when these are to be said.
    due: BTreeSet<(Time, Turn)>,
    limit: usize,
    said: u64,
    resolved: u64,
}

impl Incidents {
    /// At most `limit` at a time; the oldest is forgotten first.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            all: FxHashMap::default(),
            order: BTreeMap::new(),
            next: 0,
            by_server: FxHashMap::default(),
            due: BTreeSet::new(),
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
        let is_new = if let Some(kept) = self.all.get_mut(&key) {
            kept.incident.failed_again(judged)
        } else {
            self.insert(key.clone(), Incident::new(judged));
            true
        };
        if is_new {
            self.by_server.entry(server).or_default().push(key.clone());
        }
        if let Some(Kept { incident, .. }) = self.all.get_mut(&key)
            && incident.is_due(is_new)
        {
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

    /// To be called when it may have become due, or be so no longer.
    fn await_due(&mut self, key: &Key) {
        let Some(Kept { incident, turn, due: awaited }) = self.all.get_mut(key) else { return };
        let due = incident.due();
        if due != *awaited {
            self.due.extend(due.map(|due| (due, *turn)));
            if let Some(before) = std::mem::replace(awaited, due) {
                self.due.remove(&(before, *turn));
            }
        }
    }

    fn insert(&mut self, key: Key, incident: Incident) {
        self.make_room();
        let turn = self.next;
        self.next += 1;
        self.order.insert(turn, key.clone());
        self.all.insert(key, Kept { incident, turn, due: None });
    }

    fn remove(&mut self, key: &Key) -> Option<Incident> {
        let Kept { incident, turn, due } = self.all.remove(key)?;
        self.order.remove(&turn);
        if let Some(due) = due {
            self.due.remove(&(due, turn));
        }
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
        for key in self.order.values() {
            let held = self.all.get_mut(key).and_then(|kept| kept.incident.take_configured(heard));
            taken.extend(held.map(|held| (key.clone(), *held)));
        }
        taken
    }

    /// An Envoy's configuration became known: everything that was said may have more evidence.
    pub(super) fn heard(&mut self, heard: &Heard, now: Time, updates: &mut Vec<Update>) {
        for key in self.order.values() {
            hear(self.all.get_mut(key), heard, now, updates);
        }
    }

    fn make_room(&mut self) {
        if self.all.len() < self.limit {
            return;
        }
        if let Some(oldest) = self.order.values().next().cloned() {
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
            let Some(Kept { incident, .. }) = self.all.get_mut(&key) else { continue };
            if !incident.is_mended_by(success) {
                continue;
            }
            if let Some(resolved) = incident.reached(success) {
                self.resolved += 1;
                updates.push(Update::Resolved(Box::new(resolved)));
            }
            self.await_due(&key);
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
        if self.due.first().is_some_and(|(due, _)| *due <= now) {
            let later = self.due.split_off(&(now, Turn::MAX));
            let due = std::mem::replace(&mut self.due, later);
            self.say(due, now, updates);
        }
    }

    /// Says the last counts of what is still wrong.
    pub(super) fn finish(&mut self, now: Time, updates: &mut Vec<Update>) {
        let due = std::mem::take(&mut self.due);
        self.say(due, now, updates);
    }

    /// Says what was due, in the order of its coming.
    fn say(&mut self, due: BTreeSet<(Time, Turn)>, now: Time, updates: &mut Vec<Update>) {
        let turns: BTreeSet<Turn> = due.into_iter().map(|(_, turn)| turn).collect();
        for turn in turns {
            let kept = self.order.get(&turn).and_then(|key| self.all.get_mut(key));
            let Some(Kept { incident, due, .. }) = kept else { continue };
            *due = None;
            // It may have been said since, because an Envoy said something of it.
            if incident.due().is_none() {
                continue;
            }
            self.said += u64::from(!incident.is_said());
            updates.push(Update::Finding(Box::new(incident.say_at(now))));
        }
    }
}

/// Says it once more, if there is evidence of a new kind.
fn hear(kept: Option<&mut Kept>, heard: &Heard, now: Time, updates: &mut Vec<Update>) {
    if let Some(Kept { incident, .. }) = kept
        && incident.hears(heard)
    {
        updates.push(Update::Finding(Box::new(incident.say_at(now))));
    }
}
