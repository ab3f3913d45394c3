//! The records that programs put into the ring: explicit integers in native byte order, no padding, one struct a kind.
//!
//! Addresses are always 16 bytes: IPv4 is written as an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). Ports are in
//! host byte order. Times are `bpf_ktime_get_ns`, nanoseconds of `CLOCK_MONOTONIC`.

/// First bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Header {
    /// When it happened, ns of `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// Socket cookie (`sock_gen_cookie`); 0 where no socket is involved.
    pub socket: u64,
    /// One of [`kind`].
    pub kind: u16,
    /// Set of [`flag`].
    pub flags: u16,
    /// Always 0.
    pub reserved: u32,
}

/// Values of [`Header::kind`].
pub mod kind {
    /// A connect was started: [`super::Opened`].
    pub const OPENED: u16 = 1;
    /// The handshake of a started connect was completed: [`super::Established`].
    pub const ESTABLISHED: u16 = 2;
    /// A listener's connection was completed: [`super::Opened`] without the process.
    pub const ACCEPTED: u16 = 3;
    /// A connection or connect ended: [`super::Ended`].
    pub const ENDED: u16 = 4;
    /// A part of a `ClientHello`: [`super::HelloSegment`].
    pub const HELLO: u16 = 5;
    /// First bytes of a direction that are no `ClientHello`: [`super::FirstBytes`].
    pub const FIRST_BYTES: u16 = 6;
    /// A reset was sent or received: [`super::Reset`].
    pub const RESET: u16 = 7;
    /// A socket began to listen: [`super::Opened`] with the process.
    pub const LISTENING: u16 = 8;
    /// A listener was closed: [`super::Opened`] with the process.
    pub const LISTENER_CLOSED: u16 = 9;
    /// A connect failed before the kernel sent anything: [`super::ConnectFailed`].
    pub const CONNECT_FAILED: u16 = 10;
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// It left this socket (payload or reset); otherwise it reached it.
    pub const SENT: u16 = 1;
    /// The current process is the tracer itself.
    pub const OWN: u16 = 2;
    /// The peer's FIN had arrived (`SOCK_DONE`).
    pub const PEER_CLOSED: u16 = 4;
    /// The kernel gave a reason ([`super::Reset::reason`]).
    pub const REASON: u16 = 8;
    /// The sentinel tells it, when the socket is destroyed.
    pub const SENTINEL: u16 = 16;
    /// The socket was accepted; only with [`SENTINEL`], which otherwise means that it connected.
    pub const ACCEPTED: u16 = 32;
    /// Told from the kernel's public fields alone: no process, user or error; the network namespace is the lower half of its
    /// cookie, and [`super::Ended::bytes_sent`] has the SYN in it.
    pub const PUBLIC_FIELDS: u16 = 64;
}

/// The two ends of a connection, and the network namespace of the socket.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Endpoints {
    /// Own address.
    pub local: [u8; 16],
    /// Peer's address.
    pub remote: [u8; 16],
    /// Own port; 0 before one is chosen.
    pub local_port: u16,
    /// Peer's port.
    pub remote_port: u16,
    /// Inode of the network namespace.
    pub netns: u32,
}

/// The user id of nobody, where it is not known (`INVALID_UID`, include/linux/uidgid.h).
pub const UNKNOWN_UID: u32 = u32::MAX;

/// Who a socket belongs to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Owner {
    /// cgroup id of the socket; 0 when not known.
    pub cgroup: u64,
    /// Thread group id of the current process; 0 where the current process is not the owner.
    pub pid: u32,
    /// User id of the socket.
    pub uid: u32,
    /// Group id of the current process; 0 where the current process is not the owner.
    pub gid: u32,
    /// Always 0.
    pub reserved: u32,
    /// Command name of the current process (of its first thread), NUL padded; empty where the current process is not the owner.
    pub process: [u8; 16],
}

/// A connect was started or accepted, or a listener came or went.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Opened {
    /// Kind `OPENED`, `ACCEPTED`, `LISTENING` or `LISTENER_CLOSED`.
    pub header: Header,
    /// The connection; a listener has no remote end.
    pub endpoints: Endpoints,
    /// The owner.
    pub owner: Owner,
}

/// The handshake of a started connect was completed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Established {
    /// Kind `ESTABLISHED`.
    pub header: Header,
    /// The connection, with the port that was chosen.
    pub endpoints: Endpoints,
}

/// The end of one end of a connection, with its whole story in numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Ended {
    /// Kind `ENDED`.
    pub header: Header,
    /// The connection.
    pub endpoints: Endpoints,
    /// cgroup id of the socket; 0 when not known.
    pub cgroup: u64,
    /// Payload bytes sent, without retransmissions.
    pub bytes_sent: u64,
    /// Sequence space that the peer acknowledged, its SYN and FIN included.
    pub bytes_acked: u64,
    /// Sequence space received, the peer's FIN included.
    pub bytes_received: u64,
    /// User id of the socket.
    pub uid: u32,
    /// Pending error of the socket, a positive errno; 0 for none.
    pub error: i32,
    /// Jiffies since payload was last sent; meaningless when none was.
    pub last_sent_ago_jiffies: u32,
    /// State before the end (`include/net/tcp_states.h`): it tells who closed; 0 with flag `SENTINEL`.
    pub state: u32,
    /// Smoothed round trip time in microseconds.
    pub srtt_us: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A part of a `ClientHello`, with as much data as fits into `N` bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct HelloSegment<const N: usize> {
    /// Kind `HELLO`.
    pub header: Header,
    /// Where in the hello the data begins, in bytes.
    pub offset: u32,
    /// How many bytes of `data` are filled.
    pub length: u32,
    /// How many bytes the hello has as its headers tell, record headers included; 0 when not yet known.
    pub expected: u32,
    /// Always 0.
    pub reserved: u32,
    /// The bytes.
    pub data: [u8; N],
}

/// Sizes of [`HelloSegment::data`] that programs use: TLS 1.2, TLS 1.3, and post-quantum hellos.
pub const HELLO_SEGMENT_BYTES: [usize; 3] = [256, 1024, 4096];

/// Most bytes of a hello that leave the kernel.
pub const HELLO_LIMIT_BYTES: u32 = 4096;

/// Most bytes of an answer that leave the kernel.
pub const ANSWER_LIMIT_BYTES: u32 = 64;

/// First bytes of a direction that are no `ClientHello`.
///
/// There is `data` only on sockets on which a `ClientHello` went the other way; everywhere else `N` is 0, and the class is
/// all that leaves the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct FirstBytes<const N: usize> {
    /// Kind `FIRST_BYTES`.
    pub header: Header,
    /// Where in the stream the packet's payload begins; 1 too high when sent by the connecting end (its SYN counts).
    pub offset: u32,
    /// Payload bytes of the packet.
    pub payload_bytes: u32,
    /// How much of the other direction the sender had: received so far when sent, acknowledged by it when received
    /// (1 too high when received by the connecting end: its SYN counts).
    pub other_offset: u32,
    /// A [`crate::classify::Class`].
    pub class: u16,
    /// How many bytes of `data` are filled.
    pub length: u16,
    /// The bytes.
    pub data: [u8; N],
}

/// A reset was sent or received.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct Reset {
    /// Kind `RESET`; socket 0 when it was sent for no socket.
    pub header: Header,
    /// The connection, as seen from this end.
    pub endpoints: Endpoints,
    /// `enum sk_rst_reason` (`include/net/rstreason.h`), with flag `REASON`.
    pub reason: u32,
    /// State of the socket before the reset (`include/net/tcp_states.h`); 0 when it was sent for no socket.
    pub state: u32,
}

/// A connect failed before the kernel sent anything.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "user", derive(zerocopy::FromBytes, zerocopy::Immutable, zerocopy::KnownLayout))]
pub struct ConnectFailed {
    /// Kind `CONNECT_FAILED`; socket 0 when it has no cookie yet.
    pub header: Header,
    /// What was to be connected.
    pub endpoints: Endpoints,
    /// The owner.
    pub owner: Owner,
    /// What the call gave, a positive errno.
    pub error: i32,
    /// Always 0.
    pub reserved: u32,
}

// The verifier and user space both rely on these: a record must have no padding, or ring memory would leak through it.
const _: () = assert!(size_of::<Header>() == 24);
const _: () = assert!(size_of::<Endpoints>() == 40);
const _: () = assert!(size_of::<Owner>() == 40);
const _: () = assert!(size_of::<Opened>() == 104);
const _: () = assert!(size_of::<Established>() == 64);
const _: () = assert!(size_of::<Ended>() == 24 + 40 + 4 * 8 + 6 * 4);
const _: () = assert!(size_of::<HelloSegment<256>>() == 24 + 16 + 256);
const _: () = assert!(size_of::<FirstBytes<0>>() == 24 + 16);
const _: () = assert!(size_of::<Reset>() == 24 + 40 + 8);
const _: () = assert!(size_of::<ConnectFailed>() == 104 + 8);
