//! The flows that are alive, bounded: when it is full, the oldest goes and is counted. Pure.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{event::socket::SocketId, flow::Flow};

/// Flows that are kept apart as long as they are young: most connections are short, and their flows then stay in a table that
/// fits the processor's cache, however many long ones there are (measured: `cargo xtask bench --only growth`).
const YOUNG: usize = 4096;

/// Flows by socket.
#[derive(Debug)]
pub struct FlowTable {
    young: Generation,
    old: Generation,
    limit: usize,
    evicted: u64,
}

impl FlowTable {
    /// A table of at most `limit` flows.
    pub fn new(limit: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), limit: limit.max(1), evicted: 0 }
    }

    /// How many are alive.
    pub fn len(&self) -> usize {
        self.young.flows.len() + self.old.flows.len()
    }

    /// None is alive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were dropped because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The flow of a socket.
    pub fn get(&self, socket: SocketId) -> Option<&Flow> {
        let flow = self.young.flows.get(&socket).or_else(|| self.old.flows.get(&socket));
        flow.map(Box::as_ref)
    }

    /// The flow of a socket, to be changed.
    pub fn get_mut(&mut self, socket: SocketId) -> Option<&mut Flow> {
        let Self { young, old, .. } = self;
        let flow = young.flows.get_mut(&socket).or_else(|| old.flows.get_mut(&socket));
        flow.map(Box::as_mut)
    }

    /// Adds a flow, and gives back the one that had to go for it.
    pub fn insert(&mut self, flow: Flow) -> Option<Flow> {
        let evicted = if self.len() >= self.limit { self.evict_oldest() } else { None };
        if self.young.flows.len() >= YOUNG
            && let Some(grown) = self.young.take_oldest()
        {
            self.old.insert(grown);
        }
        self.young.insert(Box::new(flow));
        evicted.map(|flow| *flow)
    }

    /// Takes a flow out.
    pub fn remove(&mut self, socket: SocketId) -> Option<Flow> {
        let flow = self.young.flows.remove(&socket).or_else(|| self.old.flows.remove(&socket));
        flow.map(|flow| *flow)
    }

    fn evict_oldest(&mut self) -> Option<Box<Flow>> {
        let oldest = self.old.take_oldest().or_else(|| self.young.take_oldest());
        self.evicted += u64::from(oldest.is_some());
        oldest
    }
}

/// Flows in the order of their coming.
#[derive(Debug, Default)]
struct Generation {
    /// Boxed: a table of flows would be copied whole whenever it grows.
    flows: FxHashMap<SocketId, Box<Flow>>,
    /// Sockets in the order of their coming; those that are gone are skipped and swept.
    order: VecDeque<SocketId>,
}

impl Generation {
    fn insert(&mut self, flow: Box<Flow>) {
        self.order.push_back(flow.socket);
        self.flows.insert(flow.socket, flow);
        if self.order.len() > 2 * self.flows.len() + 1024 {
            self.order.retain(|socket| self.flows.contains_key(socket));
        }
    }

    fn take_oldest(&mut self) -> Option<Box<Flow>> {
        while let Some(socket) = self.order.pop_front() {
            if let Some(flow) = self.flows.remove(&socket) {
                return Some(flow);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowTable, YOUNG};
    use crate::{
        event::{
            socket::{Opened, Owner, SocketId},
            time::Time,
        },
        flow::Flow,
        update::Role,
    };

    fn flow(socket: u64) -> Flow {
        let local = "10.1.1.25:50714".parse().unwrap();
        let opened = Opened {
            time: Time(socket),
            socket: SocketId(socket),
            local,
            remote: local,
            owner: Owner::default(),
        };
        Flow::begin(Role::Connector, &opened, 0)
    }

    fn filled(limit: usize, count: u64) -> FlowTable {
        let mut table = FlowTable::new(limit);
        for socket in 0..count {
            table.insert(flow(socket));
        }
        table
    }

    #[test]
    fn flows_are_found_when_they_have_grown_old() {
        let count = 3 * YOUNG as u64;
        let mut table = filled(usize::MAX, count);
        assert_eq!(table.len() as u64, count);
        for socket in (0..count).map(SocketId) {
            assert_eq!(table.get(socket).map(|flow| flow.socket), Some(socket));
            assert_eq!(table.get_mut(socket).map(|flow| flow.socket), Some(socket));
            assert_eq!(table.remove(socket).map(|flow| flow.socket), Some(socket));
            assert!(table.get(socket).is_none());
        }
        assert!(table.is_empty());
        assert_eq!(table.evicted(), 0);
    }

    #[test]
    fn the_oldest_goes_first_wherever_it_is() {
        for limit in [1, 3, 2 * YOUNG] {
            let mut table = filled(limit, limit as u64);
            for next in 0..2 * limit as u64 {
                let evicted = table.insert(flow(limit as u64 + next));
                assert_eq!(evicted.map(|flow| flow.socket), Some(SocketId(next)), "at most {limit}");
                assert_eq!((table.len(), table.evicted()), (limit, next + 1));
            }
        }
    }

    #[test]
    fn what_is_gone_leaves_nothing_behind() {
        let mut table = FlowTable::new(usize::MAX);
        for socket in 0..20 * YOUNG as u64 {
            table.insert(flow(socket));
            table.remove(SocketId(socket));
        }
        assert!(table.young.order.len() < 2 * YOUNG && table.old.order.is_empty());
    }
}
