//! What happened to one end of one TCP connection.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::{hex, time::Time};

/// One socket of the traced node: the kernel's socket cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SocketId(pub u64);

/// A command name as the kernel keeps it, without an allocation: at most 15 bytes (`TASK_COMM_LEN`, include/linux/sched.h).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct ProcessName {
    bytes: [u8; 15],
    length: u8,
}

impl ProcessName {
    /// From the kernel's bytes, up to the first NUL; what is not UTF-8 ends it.
    pub fn from_kernel(comm: &[u8; 16]) -> Self {
        let until_nul = comm.split(|byte| *byte == 0).next().unwrap_or_default();
        let valid = until_nul.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Self::from(valid)
    }

    /// The name; empty when not known.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    /// It is not known.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl From<&str> for ProcessName {
    /// Cut after the last whole character that fits.
    fn from(name: &str) -> Self {
        let mut bytes = [0; 15];
        let length = name.floor_char_boundary(bytes.len());
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self { bytes, length: u8::try_from(length).unwrap_or(0) }
    }
}

impl From<String> for ProcessName {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.as_str().to_owned()
    }
}

impl std::fmt::Debug for ProcessName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.as_str())
    }
}

/// Whose socket it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Thread group id in the initial pid namespace; 0 when not known (an accepted socket).
    pub pid: u32,
    /// Command name; empty when not known.
    pub process: ProcessName,
    /// User id of the socket; the highest number when not known.
    pub uid: u32,
    /// Group id of the process; 0 when not known.
    pub gid: u32,
    /// cgroup id; 0 when not known.
    pub cgroup: u64,
    /// Inode of the network namespace (or another number of it, where the kernel does not tell the inode).
    pub netns: u32,
}

impl Owner {
    /// The user, unless the source could not tell: then it is nobody's number (`(uid_t) -1`).
    pub fn known_uid(&self) -> Option<u32> {
        (self.uid != u32::MAX).then_some(self.uid)
    }
}

/// A connect was started, or a connection was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// When.
    pub time: Time,
    /// The socket.
    pub socket: SocketId,
    /// Own end; the port is 0 when none was chosen yet.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whose it is.
    pub owner: Owner,
}

/// A started connect was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Established {
    /// When.
    pub time: Time,
    /// The socket.
    pub socket: SocketId,
    /// Own end, with its port.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// A connection came to the pod that accepts it, as a capture from within that pod shows: what this pod's own proxy opens for it is told
/// as well, but not who accepted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// When it was answered.
    pub time: Time,
    /// The connecting socket.
    pub socket: SocketId,
}

/// Which way something went, seen from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It left the socket.
    Sent,
    /// It reached the socket.
    Received,
}

/// A part of a `ClientHello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloSegment {
    /// When.
    pub time: Time,
    /// The socket.
    pub socket: SocketId,
    /// Which way it went.
    pub direction: Direction,
    /// Where in the hello it begins, in bytes.
    pub offset: u32,
    /// How many bytes the hello has by its own headers; 0 when not yet known.
    pub expected_bytes: u32,
    /// The bytes.
    #[serde(with = "hex")]
    pub data: Bytes,
}

/// What first bytes look like: the kernel's classes (`mtlsnoop_ebpf::classify::Class`), without those of a `ClientHello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing that is known.
    Other,
    /// A TLS handshake record other than a `ClientHello`.
    TlsHandshake,
    /// A TLS alert record.
    TlsAlert,
    /// Printable text.
    Text,
    /// An HTTP/1 request line.
    HttpRequest,
    /// An HTTP/1 status line.
    HttpResponse,
    /// The HTTP/2 preface.
    Http2Preface,
    /// RESP, as Redis speaks.
    Redis,
    /// A MySQL greeting.
    MysqlGreeting,
    /// A PostgreSQL startup.
    PostgresStartup,
    /// A NATS greeting.
    NatsInfo,
    /// `220 `, as SMTP and FTP greet.
    Reply220,
    /// An SSH banner.
    Ssh,
    /// An AMQP header.
    Amqp,
    /// A Kafka request.
    Kafka,
    /// A MongoDB message.
    Mongodb,
    /// A ZooKeeper session request.
    Zookeeper,
    /// A Cassandra (CQL) request.
    Cassandra,
    /// An Elasticsearch transport message.
    Elasticsearch,
    /// An MQTT CONNECT.
    Mqtt,
}

/// First bytes of a direction that are no `ClientHello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstBytes {
    /// When.
    pub time: Time,
    /// The socket.
    pub socket: SocketId,
    /// Which way they went.
    pub direction: Direction,
    /// Where in the stream they begin; 1 too high when sent by the connecting end (its SYN counts).
    pub offset: u32,
    /// How many there were in the packet.
    pub payload_bytes: u32,
    /// How much of the other direction their sender had; 1 too high when received by the connecting end.
    pub other_offset: u32,
    /// What they look like.
    pub class: Class,
    /// The bytes, at most 64, and only where a `ClientHello` went the other way before.
    #[serde(with = "hex")]
    pub data: Bytes,
}

/// A reset was sent or received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// When.
    pub time: Time,
    /// The socket; none when a packet to nobody was answered.
    pub socket: Option<SocketId>,
    /// Which way it went.
    pub direction: Direction,
    /// Own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The kernel's reason (`enum sk_rst_reason`, include/net/rstreason.h), where it gives one.
    pub reason: Option<u32>,
    /// It answered a connect.
    #[serde(default)]
    pub connecting: bool,
}

/// State of a socket before its end (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not known: an end that only the sentinel saw.
    Unknown,
    /// Connected, nobody had closed.
    Established,
    /// The connect was not answered yet.
    SynSent,
    /// This end had closed, the peer had not acknowledged it.
    FinWait1,
    /// This end had closed, and the peer had acknowledged it.
    FinWait2,
    /// The peer had closed, this end had not.
    CloseWait,
    /// Both had closed, the peer first.
    LastAck,
    /// Both had closed at the same time.
    Closing,
}

/// One end of a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub time: Time,
    /// The socket.
    pub socket: SocketId,
    /// Own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// User id of the socket.
    pub uid: u32,
    /// cgroup id; 0 when not known.
    pub cgroup: u64,
    /// Inode of the network namespace.
    pub netns: u32,
    /// State before the end.
    pub state: State,
    /// Pending error of the socket, a positive errno; 0 for none.
    pub error: u32,
    /// Payload bytes sent, without retransmissions.
    pub bytes_sent: u64,
    /// Sequence space acknowledged by the peer, SYN and FIN included.
    pub bytes_acked: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// The peer's FIN had arrived.
    pub peer_closed: bool,
    /// When payload was last sent; none when none was.
    pub last_sent: Option<Time>,
    /// Smoothed round trip time in microseconds; 0 when not measured.
    pub srtt_us: u32,
    /// Whether a listener made the socket; told by the sentinel only, which sees no beginnings.
    #[serde(default)]
    pub accepted: Option<bool>,
}

/// A socket that listens or listened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// When it began, ended, or was found.
    pub time: Time,
    /// Its address and port.
    pub local: SocketAddr,
    /// Whose it is.
    pub owner: Owner,
}
