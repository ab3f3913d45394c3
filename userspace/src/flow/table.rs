//! The flows that are alive, bounded: when it is full, the oldest goes and is counted. Pure.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{event::socket::SocketId, flow::Flow};

/// Flows by socket.
#[derive(Debug)]
pub struct FlowTable {
    /// Apart from the table itself, which stays small enough to be looked through when there are very many.
    flows: FxHashMap<SocketId, Box<Flow>>,
    /// Sockets in the order of their coming; those that are gone are skipped and swept.
    order: VecDeque<SocketId>,
    limit: usize,
    evicted: u64,
}

impl FlowTable {
    /// A table of at most `limit` flows.
    pub fn new(limit: usize) -> Self {
        Self { flows: FxHashMap::default(), order: VecDeque::new(), limit: limit.max(1), evicted: 0 }
    }

    /// How many are alive.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// None is alive.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many were dropped because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The flow of a socket.
    pub fn get(&self, socket: SocketId) -> Option<&Flow> {
        self.flows.get(&socket).map(|flow| &**flow)
    }

    /// The flow of a socket, to be changed.
    pub fn get_mut(&mut self, socket: SocketId) -> Option<&mut Flow> {
        self.flows.get_mut(&socket).map(|flow| &mut **flow)
    }

    /// Adds a flow, and gives back the one that had to go for it.
    pub fn insert(&mut self, flow: Flow) -> Option<Flow> {
        let evicted = if self.flows.len() >= self.limit { self.evict_oldest() } else { None };
        self.order.push_back(flow.socket);
        self.flows.insert(flow.socket, Box::new(flow));
        if self.order.len() > 2 * self.flows.len() + 1024 {
            self.order.retain(|socket| self.flows.contains_key(socket));
        }
        evicted
    }

    /// Takes a flow out.
    pub fn remove(&mut self, socket: SocketId) -> Option<Flow> {
        self.flows.remove(&socket).map(|flow| *flow)
    }

    fn evict_oldest(&mut self) -> Option<Flow> {
        while let Some(socket) = self.order.pop_front() {
            if let Some(flow) = self.flows.remove(&socket) {
                self.evicted += 1;
                return Some(*flow);
            }
        }
        None
    }
}
