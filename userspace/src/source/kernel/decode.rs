//! From the kernel's records to events. Unknown and ill-formed records are told, never trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use mtlsnoop_ebpf::{
    classify,
    record::{self, HELLO_SEGMENT_BYTES, flag, kind},
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{
    event::{
        Event,
        socket::{
            Class, Direction, Ended, Established, FirstBytes, HelloSegment, Listener, Opened, Owner,
            ProcessName, Reset, SocketId, State,
        },
        time::Time,
    },
    source::{class, kernel::clock::Clock},
};

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoded {
    /// The event.
    pub(super) event: Event,
    /// The socket it is about, 0 for none.
    pub(super) socket: u64,
    /// The tracer itself did it.
    pub(super) is_own: bool,
    /// It is told from the kernel's public fields alone.
    pub(super) is_public: bool,
    /// What began failed at once, with this errno.
    pub(super) failed: Option<u32>,
}

/// Why a record says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// Shorter than its kind must be.
    Short,
    /// A kind or value that this version does not know.
    Unknown,
}

/// Decodes one record of the ring.
pub(super) fn decode(bytes: &[u8], clock: &Clock) -> Result<Decoded, Undecodable> {
    let header: record::Header = read(bytes)?;
    let mut failed = None;
    let event = match header.kind {
        kind::OPENED => Event::Opened(opened(bytes, clock)?),
        kind::ACCEPTED => Event::Accepted(opened(bytes, clock)?),
        kind::ESTABLISHED => Event::Established(established(bytes, clock)?),
        kind::ENDED => Event::Ended(ended(bytes, clock)?),
        kind::HELLO => Event::Hello(hello(bytes, clock)?),
        kind::FIRST_BYTES => Event::FirstBytes(first_bytes(bytes, clock)?),
        kind::RESET => Event::Reset(reset(bytes, clock)?),
        kind::LISTENING => Event::Listening(listener(bytes, clock)?),
        kind::LISTENER_CLOSED => Event::ListenerClosed(listener(bytes, clock)?),
        kind::CONNECT_FAILED => {
            failed = Some(read::<record::ConnectFailed>(bytes)?.error.unsigned_abs());
            // It begins with the same fields.
            Event::Opened(opened(bytes, clock)?)
        }
        _ => return Err(Undecodable::Unknown),
    };
    let has = |bit| header.flags & bit != 0;
    Ok(Decoded {
        event,
        socket: header.socket,
        is_own: has(flag::OWN),
        is_public: has(flag::PUBLIC_FIELDS),
        failed,
    })
}

fn read<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> Result<T, Undecodable> {
    T::read_from_prefix(bytes).map(|(record, _)| record).map_err(|_| Undecodable::Short)
}

fn address(bytes: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(), port)
}

fn direction(flags: u16) -> Direction {
    if flags & flag::SENT == 0 { Direction::Received } else { Direction::Sent }
}

fn ends(endpoints: &record::Endpoints) -> (SocketAddr, SocketAddr) {
    (address(endpoints.local, endpoints.local_port), address(endpoints.remote, endpoints.remote_port))
}

fn owner(record: &record::Opened) -> Owner {
    let record::Owner { cgroup, pid, uid, gid, process, .. } = record.owner;
    Owner {
        pid,
        process: ProcessName::from_kernel(&process),
        uid,
        gid,
        cgroup,
        netns: record.endpoints.netns,
    }
}

fn opened(bytes: &[u8], clock: &Clock) -> Result<Opened, Undecodable> {
    let record: record::Opened = read(bytes)?;
    let (local, remote) = ends(&record.endpoints);
    let time = clock.time(record.header.time_ns);
    Ok(Opened { time, socket: SocketId(record.header.socket), local, remote, owner: owner(&record) })
}

fn established(bytes: &[u8], clock: &Clock) -> Result<Established, Undecodable> {
    let record: record::Established = read(bytes)?;
    let (local, remote) = ends(&record.endpoints);
    let time = clock.time(record.header.time_ns);
    Ok(Established { time, socket: SocketId(record.header.socket), local, remote })
}

fn listener(bytes: &[u8], clock: &Clock) -> Result<Listener, Undecodable> {
    let Opened { time, local, owner, socket: _, remote: _ } = opened(bytes, clock)?;
    Ok(Listener { time, local, owner })
}

fn ended(bytes: &[u8], clock: &Clock) -> Result<Ended, Undecodable> {
    let record: record::Ended = read(bytes)?;
    let (local, remote) = ends(&record.endpoints);
    let time = clock.time(record.header.time_ns);
    let peer_closed = record.header.flags & flag::PEER_CLOSED != 0;
    Ok(Ended {
        time,
        socket: SocketId(record.header.socket),
        local,
        remote,
        uid: record.uid,
        cgroup: record.cgroup,
        netns: record.endpoints.netns,
        state: state(record.state)?,
        error: record.error.unsigned_abs(),
        bytes_sent: record.bytes_sent,
        bytes_acked: record.bytes_acked,
        // The peer's FIN takes one number of the sequence space (RFC 9293 §3.4).
        bytes_received: record.bytes_received.saturating_sub(u64::from(peer_closed)),
        peer_closed,
        last_sent: (record.bytes_sent > 0 && record.header.flags & flag::PUBLIC_FIELDS == 0)
            .then(|| last_sent(time, record.last_sent_ago_jiffies, clock)),
        srtt_us: record.srtt_us,
        accepted: (record.header.flags & flag::SENTINEL != 0)
            .then_some(record.header.flags & flag::ACCEPTED != 0),
    })
}

fn last_sent(ended: Time, ago_jiffies: u32, clock: &Clock) -> Time {
    ended - u64::from(ago_jiffies) * clock.jiffy_ns
}

/// A connect that was not answered yet (`include/net/tcp_states.h`).
const SYN_SENT: u32 = 2;

/// Numbers of `include/net/tcp_states.h`; 0 is what the sentinel gives, which comes too late to know.
fn state(number: u32) -> Result<State, Undecodable> {
    Ok(match number {
        0 => State::Unknown,
        1 => State::Established,
        SYN_SENT => State::SynSent,
        4 => State::FinWait1,
        5 => State::FinWait2,
        8 => State::CloseWait,
        9 => State::LastAck,
        11 => State::Closing,
        _ => return Err(Undecodable::Unknown),
    })
}

fn hello(bytes: &[u8], clock: &Clock) -> Result<HelloSegment, Undecodable> {
    type Empty = record::HelloSegment<0>;
    let (head, data) = Empty::read_from_prefix(bytes).map_err(|_| Undecodable::Short)?;
    let length = usize::try_from(head.length).map_err(|_| Undecodable::Unknown)?;
    if !HELLO_SEGMENT_BYTES.contains(&data.len()) || length > data.len() {
        return Err(Undecodable::Short);
    }
    Ok(HelloSegment {
        time: clock.time(head.header.time_ns),
        socket: SocketId(head.header.socket),
        direction: direction(head.header.flags),
        offset: head.offset,
        expected_bytes: head.expected,
        data: Bytes::copy_from_slice(&data[..length]),
    })
}

fn first_bytes(bytes: &[u8], clock: &Clock) -> Result<FirstBytes, Undecodable> {
    type Empty = record::FirstBytes<0>;
    let (record, data) = Empty::read_from_prefix(bytes).map_err(|_| Undecodable::Short)?;
    let data = data.get(..usize::from(record.length)).ok_or(Undecodable::Short)?;
    Ok(FirstBytes {
        time: clock.time(record.header.time_ns),
        socket: SocketId(record.header.socket),
        direction: direction(record.header.flags),
        offset: record.offset,
        payload_bytes: record.payload_bytes,
        other_offset: record.other_offset,
        class: class(record.class)?,
        data: Bytes::copy_from_slice(data),
    })
}

/// A hello has records of its own; as first bytes it would be a defect of the programs.
fn class(number: u16) -> Result<Class, Undecodable> {
    classify::Class::from_number(number).and_then(class::of).ok_or(Undecodable::Unknown)
}

fn reset(bytes: &[u8], clock: &Clock) -> Result<Reset, Undecodable> {
    let record: record::Reset = read(bytes)?;
    let (local, remote) = ends(&record.endpoints);
    Ok(Reset {
        time: clock.time(record.header.time_ns),
        socket: (record.header.socket != 0).then_some(SocketId(record.header.socket)),
        direction: direction(record.header.flags),
        local,
        remote,
        reason: (record.header.flags & flag::REASON != 0).then_some(record.reason),
        connecting: record.state == SYN_SENT,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Clock, Undecodable, decode};

    #[test]
    fn tells_unknown_kinds() {
        let clock = Clock { monotonic_to_epoch_ns: 0, jiffy_ns: 1 };
        let mut bytes = [0_u8; 104];
        bytes[16] = 200;
        assert_eq!(decode(&bytes, &clock), Err(Undecodable::Unknown));
        assert_eq!(decode(&bytes[..10], &clock), Err(Undecodable::Short));
    }

    proptest! {
        #[test]
        fn never_fails_on_any_bytes(kind in 0_u8..12, bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let mut bytes = bytes;
            if let Some(place) = bytes.get_mut(16) {
                *place = kind;
            }
            if let Some(place) = bytes.get_mut(17) {
                *place = 0;
            }
            let _decoded = decode(&bytes, &Clock { monotonic_to_epoch_ns: 1, jiffy_ns: 4_000_000 });
        }
    }
}
