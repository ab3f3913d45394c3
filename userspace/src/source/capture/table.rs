//! Connections by their two ends, bounded; must not know what a connection is.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::source::capture::{connection::Connection, segment::Endpoint};

/// Both ends, whichever way a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends(Endpoint, Endpoint);

impl Ends {
    /// Of a segment between these two.
    pub(super) fn of(one: Endpoint, other: Endpoint) -> Self {
        if one <= other { Self(one, other) } else { Self(other, one) }
    }
}

/// The place of a connection, which may have been taken by another one meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    at: u32,
    number: u64,
}

/// A client's end, and the sequence number of its SYN: the same wherever a connection is seen, also where its other end
/// was translated.
type Beginning = (Endpoint, u32);

/// Connections.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: FxHashMap<Ends, u32>,
    beginnings: FxHashMap<Beginning, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// In the order of their coming; those that are gone are skipped and swept.
    order: VecDeque<Slot>,
    count: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    ends: Ends,
    /// The same connection where its other end was translated.
    translated: Option<Ends>,
    beginning: Option<Beginning>,
    connection: Connection,
}

impl Table {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The connection between these ends.
    pub(super) fn find(&self, ends: Ends) -> Option<Slot> {
        let at = *self.places.get(&ends)?;
        Some(Slot { at, number: self.entries.get(at as usize)?.number })
    }

    /// The connection that has this place, if it still has it.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Connection> {
        let entry = self.entries.get_mut(slot.at as usize).filter(|entry| entry.number == slot.number)?;
        entry.held.as_mut().map(|held| &mut held.connection)
    }

    /// The connection that began with this SYN, between whichever ends.
    pub(super) fn of_beginning(&self, client: Endpoint, syn: u32) -> Option<Slot> {
        let at = *self.beginnings.get(&(client, syn))?;
        Some(Slot { at, number: self.entries.get(at as usize)?.number })
    }

    /// The connection is seen between these ends too. `false` when it is so between others already.
    pub(super) fn translate(&mut self, slot: Slot, ends: Ends) -> bool {
        let entry = self.entries.get_mut(slot.at as usize).filter(|entry| entry.number == slot.number);
        let Some(held) = entry.and_then(|entry| entry.held.as_mut()) else { return false };
        if held.translated.is_some() {
            return false;
        }
        held.translated = Some(ends);
        self.places.insert(ends, slot.at);
        true
    }

    /// Adds one; another one between the same ends must be gone.
    pub(super) fn insert(&mut self, ends: Ends, connection: Connection) -> Slot {
        self.count += 1;
        let beginning =
            connection.syn().filter(|_| !connection.is_older()).map(|syn| (connection.client, syn));
        let held = Held { ends, translated: None, beginning, connection };
        let entry = Entry { number: self.count, held: Some(held) };
        let at = if let Some(at) = self.free.pop() {
            self.entries[at as usize] = entry;
            at
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        };
        self.places.insert(ends, at);
        if let Some(beginning) = beginning {
            self.beginnings.insert(beginning, at);
        }
        let slot = Slot { at, number: self.count };
        self.order.push_back(slot);
        if self.order.len() > 2 * self.len() + 1024 {
            let entries = &self.entries;
            self.order.retain(|slot| entries[slot.at as usize].number == slot.number);
        }
        slot
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Connection> {
        let entry = self.entries.get_mut(slot.at as usize).filter(|entry| entry.number == slot.number)?;
        let held = entry.held.take()?;
        entry.number = 0;
        for ends in [Some(held.ends), held.translated].into_iter().flatten() {
            self.places.remove(&ends);
        }
        if let Some(beginning) = held.beginning {
            self.beginnings.remove(&beginning);
        }
        self.free.push(slot.at);
        Some(held.connection)
    }

    /// Takes out the one that came first.
    pub(super) fn remove_oldest(&mut self) -> Option<Connection> {
        while let Some(slot) = self.order.pop_front() {
            if let Some(connection) = self.remove(slot) {
                return Some(connection);
            }
        }
        None
    }

    /// All that are there, in the order of their coming.
    pub(super) fn all(&self) -> Vec<Slot> {
        let is_there = |slot: &&Slot| self.entries[slot.at as usize].number == slot.number;
        self.order.iter().filter(is_there).copied().collect()
    }
}
