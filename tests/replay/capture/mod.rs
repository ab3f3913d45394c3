//! The core on packet captures: every form of file, every trap of captures, and properties; no privileges needed.

mod ends;
mod forms;
mod properties;
mod redirected;
mod traps;

use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use mtlsnoop::{
    engine::{Connections, Engine, Settings},
    event::Event,
    source::{capture::CaptureFile, unreadable::Broken},
    update::{Connection, Finding, Summary, Update},
};
use mtlsnoop_tests::{
    capture_file::{Link, Pcap},
    conversation::{Conversation, End, Packet},
};

/// Begin of every capture here.
const AT_NS: u64 = 1_599_917_903_100_000_000;

/// What a sidecar's hello looks like.
fn hello() -> Vec<u8> {
    const RECORDED: &str = include_str!("../../../userspace/src/tls/testdata/istio_tls12.hex");
    let digits: String = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(digits.trim().as_bytes()).unwrap()
}

/// A hello of so many bytes that it takes two packets.
fn long_hello() -> Vec<u8> {
    const RECORDED: &str = include_str!("../../../userspace/src/tls/testdata/istio_pq_default.hex");
    let digits: String = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(digits.trim().as_bytes()).unwrap()
}

fn client(port: u16) -> SocketAddr {
    ([10, 1, 1, 25], port).into()
}

fn redis() -> SocketAddr {
    ([10, 1, 1, 24], 6379).into()
}

fn between(port: u16) -> Conversation {
    Conversation::new(client(port), redis(), AT_NS)
}

/// The article's incident: silence until the client's connect timeout.
fn silent(conversation: Conversation) -> Conversation {
    conversation.connect().say(End::Client, &hello()).wait_ms(998).close(End::Client)
}

/// What a capture told.
#[derive(Debug)]
struct Told {
    events: Vec<Event>,
    updates: Vec<Update>,
    summary: Summary,
    broken: Option<Broken>,
}

impl Told {
    fn findings(&self) -> Vec<&Finding> {
        let mut findings = Vec::new();
        for update in &self.updates {
            if let Update::Finding(finding) = update {
                findings.push(&**finding);
            }
        }
        findings
    }

    fn connections(&self) -> Vec<&Connection> {
        let mut connections = Vec::new();
        for update in &self.updates {
            if let Update::Connection(connection) = update {
                connections.push(&**connection);
            }
        }
        connections
    }

    fn lost(&self, name: &str) -> u64 {
        self.summary.lost.iter().filter(|(loss, _)| loss.name() == name).map(|(_, count)| count).sum()
    }

    /// The sums are as in every other source.
    #[track_caller]
    fn adds_up(&self) {
        let summary = &self.summary;
        let lost: u64 =
            summary.lost.iter().filter(|(loss, _)| loss.is_of_flow()).map(|(_, count)| count).sum();
        assert_eq!(summary.seen, summary.reported + summary.own + summary.open + lost, "{summary:?}");
    }
}

/// What the file tells, with every connection.
fn told(file: &[u8]) -> Told {
    let mut capture = CaptureFile::new(file, "test").unwrap();
    let mut engine = Engine::new(Settings { connections: Connections::All, ..Settings::default() });
    let (mut events, mut updates) = (Vec::new(), Vec::new());
    let broken = loop {
        match capture.next_event() {
            Ok(Some(event)) => {
                engine.apply(&event, &mut updates);
                events.push(event);
            }
            Ok(None) => break None,
            Err(broken) => break Some(broken),
        }
    };
    engine.finish(&mut updates);
    let told = Told { events, updates, summary: engine.summary(), broken };
    told.adds_up();
    assert!(told.events.is_sorted_by_key(Event::time), "events are not in the order of time");
    told
}

/// What these packets tell, as tcpdump on Ethernet writes them.
fn told_of(packets: &[Packet]) -> Told {
    told(&Pcap::of(Link::Ethernet(0)).file(packets))
}

/// All packets by their time.
fn together(conversations: impl IntoIterator<Item = Conversation>) -> Vec<Packet> {
    let mut packets: Vec<_> = conversations.into_iter().flat_map(Conversation::packets).collect();
    packets.sort_by_key(|packet| packet.time_ns);
    packets
}
