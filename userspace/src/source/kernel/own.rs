//! The tracer's own sockets, which are left out: those it connects, and those that its listeners accept.

use std::net::SocketAddr;

use rustc_hash::FxHashSet;

use crate::{event::Event, source::kernel::decode::Decoded};

/// Which sockets are the tracer's own.
#[derive(Debug, Default)]
pub(super) struct OwnSockets {
    sockets: FxHashSet<u64>,
    /// Network namespace and address of own listeners.
    listeners: FxHashSet<(u32, SocketAddr)>,
    begun: u64,
    ended: u64,
}

impl OwnSockets {
    /// How many own connection ends have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// How many of them are over.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// Whether an event is about one of the tracer's own sockets.
    pub(super) fn is_own(&mut self, decoded: &Decoded) -> bool {
        match &decoded.event {
            Event::Opened(_) if decoded.is_own => self.add(decoded.socket),
            Event::Listening(listener) if decoded.is_own => {
                self.listeners.insert((listener.owner.netns, listener.local));
                true
            }
            Event::ListenerClosed(listener) => self.listeners.remove(&(listener.owner.netns, listener.local)),
            Event::Accepted(accepted) if self.is_own_listener(accepted.owner.netns, accepted.local) => {
                self.add(decoded.socket)
            }
            Event::Ended(_) => {
                let is_own = self.sockets.remove(&decoded.socket);
                self.ended += u64::from(is_own);
                is_own
            }
            _ => self.sockets.contains(&decoded.socket),
        }
    }

    fn add(&mut self, socket: u64) -> bool {
        self.sockets.insert(socket);
        self.begun += 1;
        true
    }

    fn is_own_listener(&self, netns: u32, local: SocketAddr) -> bool {
        if self.listeners.is_empty() {
            return false;
        }
        let mut any = local;
        any.set_ip(if local.is_ipv4() {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        });
        let dual_stack = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), local.port());
        [local, any, dual_stack].into_iter().any(|address| self.listeners.contains(&(netns, address)))
    }
}
