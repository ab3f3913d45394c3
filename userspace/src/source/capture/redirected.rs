//! Connections that a pod's own sidecar takes over, as a capture of all of the pod's interfaces shows them: what the proxy's kernel would
//! have told of its end. Must not know segments or files.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        Event,
        socket::{Direction, Ended, Opened, Owner, Reset, SocketId, State},
        time::Time,
    },
    identity::proxy,
    source::capture::segment::Endpoint,
};

/// Where sidecars take what their pod sends: Istio, Kuma, Consul and OSM, and Linkerd (sources: `identity/proxy.rs`).
const PORTS: [u16; 2] = [15_001, 4140];

/// A SYN that no program sent so: nobody connects from another address to the loopback, but `REDIRECT` on the way out makes that of any
/// connect, before packets are captured. The answer is captured before it gets the address back that the program had wanted to reach; so its
/// source is that address.
pub(super) fn may_be(client: Endpoint, server: Endpoint) -> bool {
    PORTS.contains(&server.port) && is_loopback(server) && !is_loopback(client)
}

fn is_loopback(endpoint: Endpoint) -> bool {
    IpAddr::V6(Ipv6Addr::from_bits(endpoint.address)).to_canonical().is_loopback()
}

/// Whose socket it is where nothing is known.
pub(super) fn nobody() -> Owner {
    Owner { uid: u32::MAX, ..Owner::default() }
}

/// Whose socket it is where it is known to be none that is redirected.
pub(super) fn proxy() -> Owner {
    Owner { gid: proxy::GROUP, ..nobody() }
}

/// The proxy's end of a redirected connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) socket: SocketId,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

impl Accepted {
    pub(super) fn began(&self, time: Time) -> Event {
        let Self { socket, local, remote } = *self;
        Event::Accepted(Opened { time, socket, local, remote, owner: proxy() })
    }

    /// The same reset, at this end.
    pub(super) fn reset(&self, of_app: &Reset) -> Event {
        let Self { socket, local, remote } = *self;
        let direction = match of_app.direction {
            Direction::Sent => Direction::Received,
            Direction::Received => Direction::Sent,
        };
        Event::Reset(Reset { socket: Some(socket), local, remote, direction, ..of_app.clone() })
    }

    /// The same end, at this end, whose kernel was in this state.
    pub(super) fn ended(&self, of_app: &Ended, state: State, bytes_acked: u64, peer_closed: bool) -> Event {
        let Self { socket, local, remote } = *self;
        Event::Ended(Ended {
            socket,
            local,
            remote,
            state,
            bytes_sent: of_app.bytes_received,
            bytes_acked,
            bytes_received: of_app.bytes_sent,
            peer_closed,
            last_sent: None,
            ..of_app.clone()
        })
    }
}

/// How many connections from an address are redirected now.
#[derive(Debug, Default)]
pub(super) struct Redirections(FxHashMap<u128, u32>);

impl Redirections {
    pub(super) fn add(&mut self, address: u128) {
        *self.0.entry(address).or_default() += 1;
    }

    pub(super) fn remove(&mut self, address: u128) {
        if let Some(count) = self.0.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&address);
            }
        }
    }

    /// Whose a socket is that connects from there and is not redirected. Where others are, only the proxy gets past that, and what its
    /// pod's annotations leave out.
    pub(super) fn owner(&self, address: u128) -> Owner {
        if self.0.contains_key(&address) { proxy() } else { nobody() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Redirections, may_be, nobody, proxy};

    /// IPv4 as IPv4-mapped IPv6.
    fn at(address: [u8; 4], port: u16) -> Endpoint {
        Endpoint { address: std::net::Ipv4Addr::from(address).to_ipv6_mapped().to_bits(), port }
    }

    #[test]
    fn only_what_no_program_sends_is_redirected() {
        let (app, local) = (at([10, 1, 1, 25], 50_000), at([127, 0, 0, 1], 50_000));
        for (client, server, expected) in [
            (app, at([127, 0, 0, 1], 15_001), true),
            (app, at([127, 0, 0, 1], 4140), true),
            (app, Endpoint { address: 1, port: 15_001 }, true),
            (app, at([127, 0, 0, 1], 8080), false),
            (app, at([10, 1, 1, 24], 15_001), false),
            (local, at([127, 0, 0, 1], 15_001), false),
        ] {
            assert_eq!(may_be(client, server), expected, "{server:?}");
        }
    }

    #[test]
    fn who_is_not_redirected_is_the_proxy_while_others_are() {
        let mut redirections = Redirections::default();
        for count in [1, 2] {
            redirections.add(25);
            assert_eq!(redirections.owner(25), proxy(), "{count}");
        }
        assert_eq!(redirections.owner(26), nobody(), "another pod");
        redirections.remove(25);
        assert_eq!(redirections.owner(25), proxy(), "one is left");
        redirections.remove(25);
        assert_eq!(redirections.owner(25), nobody());
    }
}
