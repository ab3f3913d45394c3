//! Made-up connections as events, both ends of each on one node; they must not depend on anything but their number.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mtlsnoop::event::{
    Event,
    socket::{Ended, Established, Opened, Owner, SocketId, State},
    time::Time,
};
use mtlsnoop_tests::scatter::scatter;

/// The address of pod number `nth`, in 10.0.0.0/8.
pub(crate) fn pod_address(nth: u64) -> Ipv4Addr {
    let [.., a, b, c] = (nth + 1).to_be_bytes();
    Ipv4Addr::new(10, a, b, c)
}

/// Port of every server.
pub(crate) const PORT: u16 = 6379;

/// One connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    nth: u64,
    client: SocketAddr,
    server: SocketAddr,
}

impl Connection {
    /// Connection number `nth` of a node that talks with so many pods, each so many numbers apart from the next.
    pub(crate) fn new(nth: u64, pods: u64, apart: u64) -> Self {
        // Ports come again after 50 000 connections, with the next client.
        let port = u16::try_from(1024 + nth % 50_000).unwrap_or(1024);
        let client = pod_address((nth / 50_000 + nth) % pods * apart);
        let server = pod_address(scatter(nth) % pods * apart);
        Self { nth, client: (client, port).into(), server: (server, PORT).into() }
    }

    pub(crate) fn opening(&self) -> [Event; 3] {
        let Self { client, server, .. } = *self;
        let time = self.time();
        let owner =
            |netns, pid| Owner { pid, process: "redis-cli".into(), netns, cgroup: 77, ..Owner::default() };
        let opened = |socket, local, remote, owner| Opened { time, socket, local, remote, owner };
        let without_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        [
            Event::Opened(opened(self.connector(), without_port, server, owner(1, 4242))),
            Event::Established(Established { time, socket: self.connector(), local: client, remote: server }),
            Event::Accepted(opened(self.acceptor(), server, client, owner(2, 0))),
        ]
    }

    pub(crate) fn ending(&self) -> [Event; 2] {
        let Self { client, server, .. } = *self;
        let ended = |socket, local, remote, netns, state, (bytes_sent, bytes_received)| {
            Event::Ended(Ended {
                time: self.time(),
                socket,
                local,
                remote,
                uid: 0,
                cgroup: 77,
                netns,
                state,
                error: 0,
                bytes_sent,
                bytes_acked: bytes_sent + 2,
                bytes_received,
                peer_closed: true,
                last_sent: Some(self.time()),
                srtt_us: 40,
                accepted: None,
            })
        };
        [
            ended(self.connector(), client, server, 1, State::FinWait2, (500, 100)),
            ended(self.acceptor(), server, client, 2, State::LastAck, (100, 500)),
        ]
    }

    fn connector(&self) -> SocketId {
        SocketId(2 * self.nth + 1)
    }

    fn acceptor(&self) -> SocketId {
        SocketId(2 * self.nth + 2)
    }

    fn time(&self) -> Time {
        Time(1_700_000_000_000_000_000 + 50_000 * self.nth)
    }
}
