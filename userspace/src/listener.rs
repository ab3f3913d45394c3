//! What is known of listeners: who holds them, and what they answered to anyone so far. Pure, bounded.
#![deny(clippy::disallowed_methods)]

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        socket::{Listener, Owner},
        time::Time,
    },
    protocol::Protocol,
};

/// A destination as others reach it: an address and port, and the network namespace where these mean something only
/// there (loopback, or both ends in one namespace).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Address and port.
    pub address: SocketAddr,
    /// The namespace within which this was seen; none for what the network sees.
    pub within: Option<u32>,
}

/// An exchange that shows what a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When the answer was seen.
    pub time: Time,
    /// Who was answered.
    pub client: SocketAddr,
    /// What was spoken, as far as bytes tell.
    pub protocol: Option<Protocol>,
}

/// What a destination showed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knowledge {
    /// Last plaintext that it answered to a plaintext client.
    pub plaintext: Option<Exchange>,
    /// Last hello that it answered with TLS.
    pub tls: Option<Exchange>,
    /// The last one of these that a mesh wrote.
    pub mtls: Option<Exchange>,
    /// Last greeting: what it said before it had anything of the client.
    pub greeting: Option<Exchange>,
}

/// What is known of listeners.
#[derive(Debug)]
pub struct Listeners {
    owners: FxHashMap<(u32, SocketAddr), Owner>,
    /// In which network namespace connections to an address are accepted on this node.
    homes: FxHashMap<IpAddr, u32>,
    /// Boxed, because the table has room for more than twice as many as are in it.
    knowledge: FxHashMap<Destination, Box<Knowledge>>,
    /// Destinations in the order of their coming.
    order: VecDeque<Destination>,
    limit: usize,
}

impl Listeners {
    /// Knowledge of at most `limit` destinations and holders of as many listeners; of destinations the oldest goes first.
    pub fn new(limit: usize) -> Self {
        Self {
            owners: FxHashMap::default(),
            homes: FxHashMap::default(),
            knowledge: FxHashMap::default(),
            order: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    /// A socket listens. At the limit all are forgotten: so many have not ended, but their ends were not told, as when only
    /// the listeners that are there are told from time to time.
    pub fn began(&mut self, listener: &Listener) {
        let place = (listener.owner.netns, listener.local);
        if self.owners.len() >= self.limit && !self.owners.contains_key(&place) {
            self.owners.clear();
        }
        self.owners.insert(place, listener.owner.clone());
    }

    /// A connection to `local` was accepted in a namespace. Beyond the limit nothing more is learnt of new addresses.
    pub fn accepted(&mut self, netns: u32, local: IpAddr) {
        if self.homes.len() < self.limit || self.homes.contains_key(&local) {
            self.homes.insert(local, netns);
        }
    }

    /// A socket listens no more; what the address showed may be told by another process soon, so it is forgotten. An address
    /// that is known to be another namespace's is not concerned: every pod can have a wildcard listener at the same port.
    pub fn ended(&mut self, listener: &Listener) {
        let netns = listener.owner.netns;
        self.owners.remove(&(netns, listener.local));
        let homes = &self.homes;
        self.knowledge.retain(|destination, _| {
            let home = destination.within.or_else(|| homes.get(&destination.address.ip()).copied());
            home.is_some_and(|home| home != netns) || !covers(listener.local, destination.address)
        });
        self.order.retain(|destination| self.knowledge.contains_key(destination));
    }

    /// Who holds the listener that accepts at `local`: exact address first, then the wildcards.
    pub fn owner_at(&self, netns: u32, local: SocketAddr) -> Option<&Owner> {
        let any = |address: IpAddr| SocketAddr::new(address, local.port());
        let any_v4 = local.is_ipv4().then(|| any(Ipv4Addr::UNSPECIFIED.into()));
        [Some(local), any_v4, Some(any(Ipv6Addr::UNSPECIFIED.into()))]
            .into_iter()
            .flatten()
            .find_map(|address| self.owners.get(&(netns, address)))
    }

    /// A destination answered a plaintext client in plaintext.
    pub fn answered_plaintext(&mut self, destination: Destination, exchange: Exchange) {
        if let Some(known) = self.entry(destination) {
            let protocol = exchange.protocol.or(known.plaintext.and_then(|earlier| earlier.protocol));
            known.plaintext = Some(Exchange { protocol, ..exchange });
        }
    }

    /// A destination answered a hello with TLS.
    pub fn answered_tls(&mut self, destination: Destination, exchange: Exchange, was_of_mesh: bool) {
        if let Some(known) = self.entry(destination) {
            known.tls = Some(exchange);
            if was_of_mesh {
                known.mtls = Some(exchange);
            }
        }
    }

    /// A destination greeted a client in plaintext.
    pub fn greeted(&mut self, destination: Destination, exchange: Exchange) {
        if let Some(known) = self.entry(destination) {
            known.greeting = Some(exchange);
        }
    }

    /// What a destination showed.
    pub fn knowledge_of(&self, destination: Destination) -> Knowledge {
        self.knowledge.get(&destination).map_or_else(Knowledge::default, |known| **known)
    }

    fn entry(&mut self, destination: Destination) -> Option<&mut Knowledge> {
        if !self.knowledge.contains_key(&destination) {
            if self.knowledge.len() >= self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.knowledge.remove(&oldest);
            }
            self.order.push_back(destination);
            self.knowledge.insert(destination, Box::default());
        }
        self.knowledge.get_mut(&destination).map(Box::as_mut)
    }
}

/// A listener at `local` accepts what is sent to `address`.
fn covers(local: SocketAddr, address: SocketAddr) -> bool {
    let is_any = local.ip().is_unspecified() && (local.is_ipv6() || address.is_ipv4());
    local.port() == address.port() && (is_any || local.ip() == address.ip())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::{Destination, Exchange, Listeners};
    use crate::{
        engine::Settings,
        event::{
            socket::{Listener, Owner},
            time::Time,
        },
    };

    const OURS: u32 = 7;
    const OTHER: u32 = 8;

    /// Whether what Redis showed at an address is still known when a listener has ended.
    fn is_kept(home: Option<u32>, within: Option<u32>, listener: (u32, &str)) -> bool {
        let mut listeners = Listeners::new(10);
        let address = "10.1.1.24:6379".parse().unwrap();
        let client = "10.1.1.25:50000".parse().unwrap();
        let destination = Destination { address, within };
        if let Some(netns) = home {
            listeners.accepted(netns, address.ip());
        }
        listeners.answered_plaintext(destination, Exchange { time: Time::default(), client, protocol: None });
        let (netns, local) = listener;
        let owner = Owner { netns, ..Owner::default() };
        listeners.ended(&Listener { time: Time::default(), local: local.parse().unwrap(), owner });
        listeners.knowledge_of(destination).plaintext.is_some()
    }

    #[test]
    fn what_an_address_showed_ends_with_its_listener_and_with_no_other() {
        let table = [
            ("its own wildcard", Some(OURS), None, (OURS, "[::]:6379"), false),
            ("its own address", Some(OURS), None, (OURS, "10.1.1.24:6379"), false),
            ("another pod's wildcard", Some(OURS), None, (OTHER, "[::]:6379"), true),
            ("another port", Some(OURS), None, (OURS, "[::]:6380"), true),
            ("nobody knows whose it is", None, None, (OTHER, "0.0.0.0:6379"), false),
            ("within a namespace", None, Some(OURS), (OURS, "0.0.0.0:6379"), false),
            ("within another namespace", None, Some(OURS), (OTHER, "0.0.0.0:6379"), true),
        ];
        for (name, home, within, listener, expected) in table {
            assert_eq!(is_kept(home, within, listener), expected, "{name}");
        }
    }

    #[test]
    fn knowledge_takes_no_more_room_while_destinations_come_and_go() {
        let limit = u32::try_from(Settings::default().max_destinations).unwrap();
        let mut listeners = Listeners::new(limit as usize);
        let mut learn = |number: u32| {
            let address = SocketAddr::new(IpAddr::from(number.to_be_bytes()), 6379);
            let exchange = Exchange { time: Time::default(), client: address, protocol: None };
            listeners.greeted(Destination { address, within: None }, exchange);
            listeners.knowledge.capacity()
        };
        let most_room = (0..20 * limit).map(&mut learn).max().unwrap();
        assert_eq!((listeners.knowledge.len(), most_room), (limit as usize, 2 * limit as usize));
    }
}
