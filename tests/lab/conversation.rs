//! A TCP connection as IP packets, as a capture at one place shows it; it must not know capture files.

use std::net::SocketAddr;

use etherparse::{Icmpv4Type, PacketBuilder, TcpHeader, icmpv4::DestUnreachableHeader};

/// An IP packet, and when it passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Since the epoch.
    pub time_ns: u64,
    /// From its IP header on.
    pub ip: Vec<u8>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end that connected.
    Client,
    /// The end that listened.
    Server,
}

/// A connection that goes on packet by packet.
#[derive(Clone, Debug)]
pub struct Conversation {
    ends: [SocketAddr; 2],
    now_ns: u64,
    /// Next sequence number of each end.
    next: [u32; 2],
    /// What each end has of the other.
    has: [u32; 2],
    packets: Vec<Packet>,
}

/// From one packet to the next.
const STEP_NS: u64 = 50_000;

impl Conversation {
    /// Nothing was sent yet.
    pub fn new(client: SocketAddr, server: SocketAddr, at_ns: u64) -> Self {
        // Close to the end of the numbers, so that they wrap around.
        let next = [u32::MAX - u32::from(client.port()) % 199, u32::from(server.port()) << 15];
        Self { ends: [client, server], now_ns: at_ns, next, has: [0, 0], packets: Vec::new() }
    }

    /// The same ends again, as another connection.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.next = self.next.map(|next| next.wrapping_add(1_000_000));
        self
    }

    /// SYN, SYN-ACK, ACK.
    #[must_use]
    pub fn connect(self) -> Self {
        self.syn().syn_ack().ack(End::Client)
    }

    /// The client's SYN.
    #[must_use]
    pub fn syn(self) -> Self {
        self.send(End::Client, &[], |tcp| {
            tcp.syn = true;
            tcp.ack = false;
        })
    }

    /// The server's answer to it.
    #[must_use]
    pub fn syn_ack(self) -> Self {
        self.send(End::Server, &[], |tcp| tcp.syn = true)
    }

    /// One end tells what it has.
    #[must_use]
    pub fn ack(self, end: End) -> Self {
        self.send(end, &[], |_| {})
    }

    /// One end sends payload, and the other tells that it has it.
    #[must_use]
    pub fn say(self, end: End, payload: &[u8]) -> Self {
        self.send(end, payload, |tcp| tcp.psh = true).ack(end.other())
    }

    /// Each end sends payload before it has the other's.
    #[must_use]
    pub fn cross(mut self, of_client: &[u8], of_server: &[u8]) -> Self {
        let had = self.has;
        self = self.send(End::Client, of_client, |tcp| tcp.psh = true);
        self.has = had;
        self = self.send(End::Server, of_server, |tcp| tcp.psh = true);
        self.has = [self.next[1], self.next[0]];
        self.ack(End::Client).ack(End::Server)
    }

    /// One end closes.
    #[must_use]
    pub fn fin(self, end: End) -> Self {
        self.send(end, &[], |tcp| tcp.fin = true)
    }

    /// One end closes, then the other, and all is acknowledged.
    #[must_use]
    pub fn close(self, first: End) -> Self {
        self.fin(first).fin(first.other()).ack(first)
    }

    /// One end cuts the connection.
    #[must_use]
    pub fn rst(self, end: End) -> Self {
        self.send(end, &[], |tcp| tcp.rst = true)
    }

    /// Time passes.
    #[must_use]
    pub fn wait_ms(mut self, ms: u64) -> Self {
        self.now_ns += ms * 1_000_000;
        self
    }

    /// A router says that the last packet cannot be delivered to its host; IPv4 only.
    #[must_use]
    pub fn unreachable(mut self) -> Self {
        const ROUTER: [u8; 4] = [192, 0, 2, 1];
        const CLIENT: [u8; 4] = [10, 1, 1, 25];
        let quoted = self.packets.last().map(|packet| packet.ip.clone()).unwrap_or_default();
        let what = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Host);
        let mut ip = Vec::new();
        let builder = PacketBuilder::ipv4(ROUTER, CLIENT, 64).icmpv4(what);
        if builder.write(&mut ip, &quoted).is_ok() {
            self.pass(ip);
        }
        self
    }

    /// From now on the server's end has another address where this is captured: something translates it on its way.
    #[must_use]
    pub fn translated(mut self, server: SocketAddr) -> Self {
        self.ends[1] = server;
        self
    }

    /// The packets so far.
    pub fn packets(self) -> Vec<Packet> {
        self.packets
    }

    fn send(mut self, end: End, payload: &[u8], set: impl Fn(&mut TcpHeader)) -> Self {
        let (this, other) = (end.index(), end.other().index());
        let (source, destination) = (self.ends[this], self.ends[other]);
        let mut tcp = TcpHeader::new(source.port(), destination.port(), self.next[this], 64_000);
        tcp.ack = true;
        set(&mut tcp);
        tcp.acknowledgment_number = if tcp.ack { self.has[this] } else { 0 };
        let length =
            u32::try_from(payload.len()).unwrap_or(u32::MAX) + u32::from(tcp.syn) + u32::from(tcp.fin);
        self.next[this] = self.next[this].wrapping_add(length);
        self.has[other] = self.next[this];
        if let Some(ip) = ip_packet(source, destination, tcp, payload) {
            self.pass(ip);
        }
        self
    }

    fn pass(&mut self, ip: Vec<u8>) {
        self.packets.push(Packet { time_ns: self.now_ns, ip });
        self.now_ns += STEP_NS;
    }
}

impl End {
    /// The end at the other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

/// A TCP segment in an IP packet; none between addresses of two kinds.
fn ip_packet(source: SocketAddr, destination: SocketAddr, tcp: TcpHeader, payload: &[u8]) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    let builder = match (source, destination) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
            PacketBuilder::ipv4(source.ip().octets(), destination.ip().octets(), 64)
        }
        (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
            PacketBuilder::ipv6(source.ip().octets(), destination.ip().octets(), 64)
        }
        (SocketAddr::V4(_), SocketAddr::V6(_)) | (SocketAddr::V6(_), SocketAddr::V4(_)) => return None,
    };
    builder.tcp_header(tcp).write(&mut packet, payload).ok()?;
    Some(packet)
}
