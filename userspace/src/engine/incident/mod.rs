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
    key: Key,
    incident: Incident,
    /// Under which time it is among those that are due.
    due: Option<Time>,
}

/// Findings that are not resolved, or were a short while ago.
#[derive(Debug)]
pub(super) struct Incidents {
    /// In the order of their coming.
    all: BTreeMap<Turn, Kept>,
    /// The turn of the next one that comes.
    next: Turn,
    turns: FxHashMap<Key, Turn>,
    /// By the addresses that fail.
    by_server: FxHashMap<SocketAddr, Vec<Turn>>,
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
            all: BTreeMap::new(),
            next: 0,
            turns: FxHashMap::default(),
            by_server: FxHashMap::default(),
            due: BTreeSet::new(),
            limit: limit.max(1),
            said: 0,
            resolved: 0,
        }
    }

    /// Somebody does not reach this address.
    pub(super) fn has_failing(&self, server: SocketAddr) -> bool {
        self.by_server.contains_key(&server)
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
        let (turn, is_new) = match self.known(&key) {
            Some((turn, incident)) => {
                let is_new = incident.failed_again(judged);
                if is_new {
                    self.by_server.entry(server).or_default().push(turn);
                }
                (turn, is_new)
            }
            None => (self.insert(key.clone(), Incident::new(self.next, judged)), true),
        };
        if let Some(Kept { incident, .. }) = self.all.get_mut(&turn)
            && incident.is_due(is_new)
        {
            self.said += u64::from(!incident.is_said());
            updates.push(Update::Finding(incident.say()));
        }
        self.await_due(turn);
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
        if is_news {
            self.said += u64::from(!incident.is_said());
            updates.push(Update::Finding(incident.say_at(now)));
        }
        let turn = self.insert(key.clone(), incident);
        self.await_due(turn);
        key
    }

    /// To be called when it may have become due, or be so no longer.
    fn await_due(&mut self, turn: Turn) {
        let Some(Kept { incident, due: awaited, .. }) = self.all.get_mut(&turn) else { return };
        let due = incident.due();
        if due != *awaited {
            self.due.extend(due.map(|due| (due, turn)));
            if let Some(before) = std::mem::replace(awaited, due) {
                self.due.remove(&(before, turn));
            }
        }
    }

    fn known(&mut self, key: &Key) -> Option<(Turn, &mut Incident)> {
        let turn = *self.turns.get(key)?;
        self.all.get_mut(&turn).map(|kept| (turn, &mut kept.incident))
    }

    fn insert(&mut self, key: Key, incident: Incident) -> Turn {
        self.make_room();
        let turn = self.next;
        self.next += 1;
        for server in incident.failing() {
            self.by_server.entry(*server).or_default().push(turn);
        }
        self.turns.insert(key.clone(), turn);
        self.all.insert(turn, Kept { key, incident, due: None });
        turn
    }

    fn make_room(&mut self) {
        if self.all.len() >= self.limit
            && let Some(oldest) = self.all.first_key_value().map(|(turn, _)| *turn)
        {
            self.take(oldest);
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Incident> {
        let turn = *self.turns.get(key)?;
        self.take(turn)
    }

    fn take(&mut self, turn: Turn) -> Option<Incident> {
        let Kept { key, incident, due } = self.all.remove(&turn)?;
        self.turns.remove(&key);
        if let Some(due) = due {
            self.due.remove(&(due, turn));
        }
        for server in incident.failing() {
            self.forget(*server, turn);
        }
        Some(incident)
    }

    /// An Envoy logged something: what was said of the same destination may have more evidence.
    pub(super) fn heard_of(&mut self, heard: &Heard, entry: &LogEntry, now: Time, updates: &mut Vec<Update>) {
        let downstream = entry.downstream_local.filter(|local| entry.upstream_host != Some(*local));
        for server in [entry.upstream_host, downstream].into_iter().flatten() {
            for turn in self.by_server.get(&server).into_iter().flatten() {
                if let Some(kept) = self.all.get_mut(turn) {
                    hear(kept, heard, now, updates);
                }
            }
        }
    }

    /// The attempts that were said without the configuration of their proxy, which is known now; each once.
    pub(super) fn take_configured(&mut self, heard: &Heard) -> Vec<(Key, Held)> {
        let mut taken = Vec::new();
        for Kept { key, incident, .. } in self.all.values_mut() {
            taken.extend(incident.take_configured(heard).map(|held| (key.clone(), *held)));
        }
        taken
    }

    /// An Envoy's configuration became known: everything that was said may have more evidence.
    pub(super) fn heard(&mut self, heard: &Heard, now: Time, updates: &mut Vec<Update>) {
        for kept in self.all.values_mut() {
            hear(kept, heard, now, updates);
        }
    }

    /// A client reached a destination.
    pub(super) fn succeeded(&mut self, success: &Success<'_>, updates: &mut Vec<Update>) {
        let Some(turns) = self.by_server.get(&success.server) else { return };
        let client = ClientKey::of(success.client, success.owner);
        for turn in turns.clone() {
            let Some(Kept { key, incident, .. }) = self.all.get_mut(&turn) else { continue };
            if key.client != client || !success.mends(key.code) || !incident.is_mended_by(success) {
                continue;
            }
            if let Some(resolved) = incident.reached(success) {
                self.resolved += 1;
                updates.push(Update::Resolved(Box::new(resolved)));
            }
            self.await_due(turn);
            self.forget(success.server, turn);
        }
    }

    fn forget(&mut self, server: SocketAddr, turn: Turn) {
        if let Some(turns) = self.by_server.get_mut(&server) {
            turns.retain(|other| *other != turn);
            if turns.is_empty() {
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
            let Some(Kept { incident, due, .. }) = self.all.get_mut(&turn) else { continue };
            *due = None;
            // It may have been said since, because an Envoy said something of it.
            if incident.due().is_none() {
                continue;
            }
            self.said += u64::from(!incident.is_said());
            updates.push(Update::Finding(incident.say_at(now)));
        }
    }
}

/// Says it once more, if there is evidence of a new kind.
fn hear(kept: &mut Kept, heard: &Heard, now: Time, updates: &mut Vec<Update>) {
    if kept.incident.hears(heard) {
        updates.push(Update::Finding(kept.incident.say_at(now)));
    }
}
