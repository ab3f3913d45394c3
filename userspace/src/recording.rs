//! The format of recordings, shared by the sink that writes and the source that reads; must not know files or the core.
//!
//! A recording is what the core was told, so that the same core says the same again. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 2 | format [`VERSION`] |
//! | 4 | length of the payload of the first frame, at most [`PAYLOAD_BYTES_MAX`] |
//! | 4 | CRC-32 (IEEE) of the payload |
//! | length | payload: one [`Event`] in postcard encoding |
//! | … | further frames, to the end of the file |
//!
//! Postcard does not describe itself: any change of [`Event`] or of what it holds is a new [`VERSION`].

use crate::event::Event;

/// The first bytes of a recording.
pub const MAGIC: [u8; 8] = *b"MTLSNOOP";

/// The version that is written, and the only one that is read.
pub const VERSION: u16 = 4;

/// Bytes before the first frame.
pub const HEADER_BYTES: usize = MAGIC.len() + size_of::<u16>();

/// Bytes of a frame before its payload.
pub const PREFIX_BYTES: usize = 2 * size_of::<u32>();

/// No payload is longer. The longest are those that hold a cluster; everything else is below 5 KiB.
pub const PAYLOAD_BYTES_MAX: u32 = 64 << 20;

/// The bytes before the first frame.
pub fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..].copy_from_slice(&VERSION.to_le_bytes());
    header
}

/// An event cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It is longer than a frame can be.
    #[error("an event of {bytes} bytes is longer than the {PAYLOAD_BYTES_MAX} bytes that a recording takes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It has no encoding.
    #[error("an event cannot be encoded: {0}")]
    Encoding(#[from] postcard::Error),
}

/// Appends the frame of an event.
pub fn append_frame(event: &Event, frames: &mut Vec<u8>) -> Result<(), EncodeError> {
    let payload = postcard::to_stdvec(event)?;
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length <= PAYLOAD_BYTES_MAX)
        .ok_or(EncodeError::TooLong { bytes: payload.len() })?;
    frames.extend_from_slice(&length.to_le_bytes());
    frames.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    frames.extend_from_slice(&payload);
    Ok(())
}

/// What the bytes before a payload say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Length of the payload.
    pub length: u32,
    /// Its CRC-32.
    pub crc: u32,
}

impl Prefix {
    /// Reads them; none unless there are [`PREFIX_BYTES`].
    pub fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.as_chunks() {
            ([length, crc], []) => {
                Some(Self { length: u32::from_le_bytes(*length), crc: u32::from_le_bytes(*crc) })
            }
            _ => None,
        }
    }

    /// The event of a whole payload; none when the payload is not what was written.
    pub fn decode(self, payload: &[u8]) -> Option<Event> {
        if crc32fast::hash(payload) != self.crc {
            return None;
        }
        match postcard::take_from_bytes(payload) {
            Ok((event, [])) => Some(event),
            _ => None,
        }
    }
}

/// What a file holds, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Empty,
    /// A recording of this version.
    Recording {
        /// Its version.
        version: u16,
    },
    /// The beginning of a recording's header.
    HeaderCutShort,
    /// A packet capture: pcap or pcapng.
    Capture,
    /// Anything, compressed with gzip.
    Gzip,
    /// Anything, compressed in another way.
    Compressed {
        /// With what.
        by: &'static str,
        /// What decompresses it.
        command: &'static str,
    },
    /// Something else.
    Other,
}

/// First bytes of pcap (`man 5 pcap-savefile`: microseconds and nanoseconds, both byte orders) and pcapng (section header block).
const CAPTURES: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// First bytes of what gzip writes (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// First bytes of other compressed files, what they are compressed with, and what decompresses them.
const COMPRESSIONS: [(&[u8], &str, &str); 3] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "unzstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz", "unxz"),
    (b"BZh", "bzip2", "bunzip2"),
];

/// What a file holds that begins like this; `beginning` is [`HEADER_BYTES`] long, or the whole file.
pub fn content(beginning: &[u8]) -> Content {
    match beginning {
        [] => Content::Empty,
        _ if CAPTURES.iter().any(|capture| beginning.starts_with(capture)) => Content::Capture,
        [magic @ .., low, high] if magic == MAGIC => {
            Content::Recording { version: u16::from_le_bytes([*low, *high]) }
        }
        _ if MAGIC.starts_with(beginning) || beginning.starts_with(&MAGIC) => Content::HeaderCutShort,
        _ if beginning.starts_with(&GZIP) => Content::Gzip,
        _ => {
            let compression = COMPRESSIONS.iter().find(|(magic, ..)| beginning.starts_with(magic));
            compression.map_or(Content::Other, |&(_, by, command)| Content::Compressed { by, command })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::SocketAddr};

    use bytes::Bytes;

    use super::{Content, HEADER_BYTES, PREFIX_BYTES, Prefix, VERSION, append_frame, content, header};
    use crate::event::{
        Began, Capture, Cgroup, ClusterChanged, ClusterSeen, Event,
        cluster::{
            Change, Cluster, Container, Endpoint, LookedUp, Lookup, LookupFailure, Pod, Service, ServicePort,
            Slice,
        },
        envoy::{
            ApiVersion, ClusterTls, ClustersSeen, LogEntry, ProxyCluster, ProxyNode, RuleName, SocketMatch,
            TlsContext,
        },
        istio::{
            ClientMode, ClientTls, ControlPlane, DestinationRule, EntryPort, Istio, Labels, LoadBalancer,
            PeerAuthentication, PortPolicy, ServerMode, ServiceEntry, Subset, TrafficPolicy, Workload,
            WorkloadEntry,
        },
        loss::{Counters, Loss},
        socket::{
            Class, Direction, Ended, Established, FirstBytes, HelloSegment, Listener, Opened, Owner, Reached,
            Reset, SocketId, State,
        },
        time::Time,
    };

    fn cluster() -> Cluster {
        Cluster {
            pods: vec![Pod {
                namespace: "default".into(),
                name: "redis-0".into(),
                uid: "u".into(),
                addresses: vec!["10.1.1.24".parse().unwrap(), "fd00::24".parse().unwrap()],
                host_network: false,
                labels: BTreeMap::from([("app".into(), "redis".into())]),
                annotations: BTreeMap::new(),
                workload: Some("StatefulSet/redis".into()),
                containers: vec![Container { name: "redis".into(), id: "ab".into() }],
                proxy_version: Some("1.20.3".into()),
            }],
            services: vec![Service {
                namespace: "default".into(),
                name: "redis".into(),
                uid: "uid".into(),
                headless: true,
                cluster_addresses: vec![],
                ports: vec![ServicePort { name: "".into(), port: 6379, app_protocol: Some("redis".into()) }],
            }],
            endpoints: vec![Endpoint {
                namespace: "default".into(),
                service: "redis".into(),
                address: "10.1.1.24".parse().unwrap(),
                port: Some(6379),
                port_name: "tcp".into(),
                pod: None,
            }],
            istio: istio(),
        }
    }

    fn destination_rule() -> DestinationRule {
        let tls = ClientTls {
            mode: ClientMode::IstioMutual,
            sni: Some("s".into()),
            subject_alt_names: vec!["n".into()],
        };
        let port = PortPolicy { port: 6379, tls: None, load_balancer: Some(LoadBalancer::Passthrough) };
        let policy = TrafficPolicy { tls: Some(tls), load_balancer: None, ports: vec![port] };
        DestinationRule {
            namespace: "default".into(),
            name: "r".into(),
            created: Time(5),
            host: "*.local".into(),
            export_to: vec![".".into()],
            selector: Some(Labels::from([("app".into(), "web".into())])),
            policy: Some(policy.clone()),
            subsets: vec![Subset { name: "v1".into(), policy: Some(policy) }],
        }
    }

    fn istio() -> Istio {
        let workload = Workload {
            address: Some("10.9.9.9".parse().unwrap()),
            labels: Labels::new(),
            has_service_account: true,
        };
        let service_entry = ServiceEntry {
            namespace: "default".into(),
            name: "e".into(),
            hosts: vec!["h".into()],
            export_to: vec![],
            external: true,
            passthrough: true,
            ports: vec![EntryPort { name: "p".into(), number: 1, target: Some(2), protocol: "TCP".into() }],
            endpoints: vec![workload.clone()],
            selector: Some(Labels::new()),
        };
        Istio {
            is_listed: true,
            root_namespace: Some("istio-system".into()),
            auto_mtls: Some(true),
            control_planes: vec![ControlPlane {
                namespace: "istio-system".into(),
                revision: "default".into(),
                version: "1.20.3".into(),
            }],
            destination_rules: vec![destination_rule()],
            peer_authentications: vec![PeerAuthentication {
                namespace: "default".into(),
                name: "p".into(),
                created: Time(5),
                selector: Labels::new(),
                mode: ServerMode::Strict,
                ports: BTreeMap::from([(6379, ServerMode::Disable)]),
            }],
            service_entries: vec![service_entry],
            workload_entries: vec![WorkloadEntry { namespace: "default".into(), name: "w".into(), workload }],
        }
    }

    /// One of every kind, with a value in every field.
    fn one_of_each() -> Vec<Event> {
        let time = Time(1_700_000_000_123_456_789);
        let socket = SocketId(7);
        let local: SocketAddr = "10.1.1.25:50714".parse().unwrap();
        let remote: SocketAddr = "[fd00::24]:6379".parse().unwrap();
        let owner = Owner { pid: 1, process: "envoy".into(), uid: 1337, gid: 1337, cgroup: 9, netns: 3 };
        let opened = Opened { time, socket, local, remote, owner: owner.clone() };
        let data = Bytes::from_static(b"\x16\x03\x01");
        let listener = Listener { time, local, owner };
        let ended = Ended {
            time,
            socket,
            local,
            remote,
            uid: 1337,
            cgroup: 9,
            netns: 3,
            state: State::Established,
            error: 104,
            bytes_sent: 205,
            bytes_acked: 206,
            bytes_received: 1,
            peer_closed: true,
            last_sent: Some(time),
            srtt_us: 40,
            accepted: Some(true),
        };
        let (sent, received) = (Direction::Sent, Direction::Received);
        let hello = HelloSegment { time, socket, direction: sent, offset: 0, expected_bytes: 205, data };
        let first = FirstBytes {
            time,
            socket,
            direction: received,
            offset: 1,
            payload_bytes: 7,
            other_offset: 205,
            class: Class::Redis,
            data: Bytes::from_static(b"-ERR\r\n"),
        };
        let reset = Reset {
            time,
            socket: Some(socket),
            direction: received,
            local,
            remote,
            reason: Some(3),
            connecting: true,
        };
        vec![
            Event::Began(Began { time, node: "node".into(), capture: Capture::Adaptive, looks_up: true }),
            Event::Opened(opened.clone()),
            Event::Established(Established { time, socket, local, remote }),
            Event::Accepted(opened),
            Event::Hello(hello),
            Event::FirstBytes(first),
            Event::Reset(reset),
            Event::Ended(ended),
            Event::Listening(listener.clone()),
            Event::ListenerClosed(listener),
            Event::Cgroup(Cgroup { time, id: 9, path: "/kubepods.slice".into() }),
            Event::Cluster(Box::new(ClusterSeen { time, cluster: cluster() })),
            Event::Counted(Counters { time, seen: 3, own: 1, lost: vec![(Loss::Hello, 2)] }),
            Event::Tick(time),
            Event::EnvoyLog(Box::new(logged(time))),
            Event::EnvoyClusters(Box::new(configured(time))),
            Event::ClusterChanged(Box::new(ClusterChanged { time, changes: changes() })),
            Event::Reached(Reached { time, socket }),
        ]
    }

    fn changes() -> Vec<Change> {
        let Cluster { mut pods, mut services, endpoints, istio } = cluster();
        let (namespace, name): (Box<str>, Box<str>) = ("default".into(), "redis-0".into());
        let lookup = Lookup {
            address: "10.1.1.24".parse().unwrap(),
            service: Some((namespace.clone(), "redis".into())),
        };
        vec![
            Change::Pod(Box::new(pods.remove(0))),
            Change::PodGone { namespace: namespace.clone(), name: name.clone() },
            Change::Service(Box::new(services.remove(0))),
            Change::ServiceGone { namespace: namespace.clone(), name: "redis".into() },
            Change::Slice(Box::new(Slice { namespace: namespace.clone(), name: name.clone(), endpoints })),
            Change::SliceGone { namespace, name },
            Change::Istio(Box::new(istio)),
            Change::LookedUp(LookedUp { lookup, failure: Some(LookupFailure::Forbidden) }),
        ]
    }

    fn logged(time: Time) -> LogEntry {
        let address: SocketAddr = "10.1.1.24:6379".parse().unwrap();
        LogEntry {
            time,
            began: Time(7),
            duration_ms: 1001,
            flags: vec!["UF".into(), "URX".into()],
            response_code: 503,
            details: Some("d".into()),
            termination_details: Some("t".into()),
            transport_failure: Some("f".into()),
            bytes_received: 1,
            bytes_sent: 2,
            upstream_host: Some(address),
            upstream_cluster: Some("c".into()),
            upstream_local: Some(address),
            downstream_local: Some(address),
            downstream_remote: Some(address),
            sni: Some("s".into()),
            route: Some("r".into()),
        }
    }

    fn configured(time: Time) -> ClustersSeen {
        let tls = TlsContext {
            sni: Some("s".into()),
            alpn: vec!["istio".into()],
            subject_names: vec!["spiffe://a".into()],
        };
        let matches =
            vec![SocketMatch { name: "tlsMode-istio".into(), is_for_all: true, tls: Some(tls.clone()) }];
        let kinds = [
            ClusterTls::Never,
            ClusterTls::Always(tls),
            ClusterTls::ByEndpoint(matches),
            ClusterTls::Other("quic".into()),
        ];
        let clusters =
            kinds.into_iter().zip([ApiVersion::V2, ApiVersion::V3].into_iter().cycle()).map(|(tls, api)| {
                ProxyCluster {
                    name: "outbound|6379||redis".into(),
                    api: Some(api),
                    discovery: "ORIGINAL_DST".into(),
                    connect_timeout_ms: Some(1000),
                    tls,
                    rule: Some(RuleName { namespace: "default".into(), name: "r".into() }),
                }
            });
        let node = ProxyNode {
            address: "10.1.1.25".parse().unwrap(),
            pod: "redis-client".into(),
            namespace: "default".into(),
        };
        ClustersSeen { time, node: Some(node), netns: Some(4), clusters: clusters.collect() }
    }

    #[test]
    fn every_event_comes_back_as_it_was() {
        for event in one_of_each() {
            let mut frame = Vec::new();
            append_frame(&event, &mut frame).unwrap();
            let (prefix, payload) = frame.split_at(PREFIX_BYTES);
            let prefix = Prefix::read(prefix).unwrap();
            assert_eq!(prefix.length as usize, payload.len());
            assert_eq!(prefix.decode(payload), Some(event));
            let mut longer = payload.to_vec();
            longer.push(0);
            assert_eq!(Prefix { crc: crc32fast::hash(&longer), ..prefix }.decode(&longer), None);
        }
    }

    /// When this fails, recordings of users are no longer read as they were written: raise `VERSION`.
    #[test]
    fn the_encoding_of_this_version_stays() {
        let mut frames = Vec::new();
        for event in one_of_each() {
            append_frame(&event, &mut frames).unwrap();
        }
        assert_eq!((VERSION, frames.len(), crc32fast::hash(&frames)), (4, 1755, 2_098_041_158));
    }

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        let recording = header();
        for (beginning, expected) in [
            (b"".as_slice(), Content::Empty),
            (&recording, Content::Recording { version: VERSION }),
            (b"MTLSNOOP\x02\x01", Content::Recording { version: 0x0102 }),
            (&recording[..HEADER_BYTES - 1], Content::HeaderCutShort),
            (b"MTLS", Content::HeaderCutShort),
            (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00", Content::Capture),
            (b"\x4d\x3c\xb2\xa1", Content::Capture),
            (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c", Content::Capture),
            (b"{\"kind\":\"L", Content::Other),
            (b"X", Content::Other),
        ] {
            assert_eq!(content(beginning), expected, "{beginning:?}");
        }
    }
}
