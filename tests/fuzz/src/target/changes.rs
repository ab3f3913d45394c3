//! A cluster that changes while connections fail: any order of changes, lookups and time.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
};

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use data_encoding::HEXLOWER_PERMISSIVE;
use mtlsnoop::{
    engine::{Connections, Engine, Settings},
    event::{
        Began, Capture, ClusterChanged, ClusterSeen, Event,
        cluster::{Change, LookedUp, Lookup, LookupFailure, Slice},
        socket::{Direction, Ended, Established, HelloSegment, Opened, Owner, SocketId, State},
        time::{MILLISECOND_NS, SECOND_NS, Time},
    },
    sink::{Sink as _, json::JsonLines},
    update::Update,
};

use crate::target::world::{self, maybe};

/// Most that happens.
const STEPS_MAX: usize = 96;

/// How much time passes from one to the next.
const PAUSES_NS: [u64; 5] = [0, MILLISECOND_NS, SECOND_NS, 20 * SECOND_NS, 100 * SECOND_NS];

const FAILURES: [LookupFailure; 4] = [
    LookupFailure::Unreachable,
    LookupFailure::Forbidden,
    LookupFailure::Refused,
    LookupFailure::RateLimited,
];

/// Namespaces and names are few, so that most changes are of something that is there.
const NUMBERS: u32 = 4;

/// Most findings that the core keeps here.
const FINDINGS_MAX: usize = 4;

static HELLO: LazyLock<Bytes> = LazyLock::new(|| {
    const RECORDED: &str = include_str!("../../../../userspace/src/tls/testdata/istio_tls12.hex");
    let digits: String = RECORDED.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap_or_default().into()
});

/// What happens, drawn from the bytes.
pub(crate) fn changes(bytes: &[u8]) {
    let told = run(bytes);
    assert_eq!(told, run(bytes), "the same twice is the same");
    let mut lines = JsonLines::new(Vec::new());
    for update in &told {
        lines.update(update).expect("writing to memory does not fail");
    }
}

fn run(bytes: &[u8]) -> Vec<Update> {
    let mut story = Story::begin();
    // Bytes that are over end it.
    let _ended = story.go_on(&mut Unstructured::new(bytes));
    let Story { mut engine, mut updates, steps, .. } = story;
    engine.finish(&mut updates);
    let most = (steps + 2) * 2 * (FINDINGS_MAX + 2);
    assert!(updates.len() <= most, "{} updates of {steps} steps", updates.len());
    updates
}

struct Story {
    engine: Engine,
    updates: Vec<Update>,
    now: Time,
    steps: usize,
    asked: Vec<Lookup>,
}

impl Story {
    fn begin() -> Self {
        let engine = Engine::new(Settings {
            max_flows: 8,
            max_destinations: 4,
            max_findings: FINDINGS_MAX,
            connections: Connections::Suspect,
            suspects: false,
        });
        let mut story =
            Self { engine, updates: Vec::new(), now: Time(SECOND_NS), steps: 0, asked: Vec::new() };
        let began = Began { time: story.now, node: "node".into(), capture: Capture::Always, looks_up: true };
        story.apply(&Event::Began(began));
        story
    }

    fn apply(&mut self, event: &Event) {
        self.engine.apply(event, &mut self.updates);
    }

    fn go_on(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        while !bytes.is_empty() && self.steps < STEPS_MAX {
            self.steps += 1;
            self.now = self.now + *bytes.choose(&PAUSES_NS)?;
            match bytes.int_in_range(0..=11)? {
                0..=2 => self.attempt(bytes)?,
                3 => self.apply(&Event::Tick(self.now)),
                4 => {
                    let cluster = world::cluster(bytes)?;
                    self.apply(&Event::Cluster(Box::new(ClusterSeen { time: self.now, cluster })));
                }
                _ => self.change(bytes)?,
            }
            let asked = self.engine.take_lookups();
            let once: BTreeSet<String> = asked.iter().map(|lookup| format!("{lookup:?}")).collect();
            assert_eq!(once.len(), asked.len(), "asked twice at a time");
            self.asked = asked;
        }
        Ok(())
    }

    fn change(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let count = bytes.int_in_range(1..=3)?;
        let mut changes = (0..count).map(|_| change(bytes)).collect::<Result<Vec<_>>>()?;
        // What was found comes before the word that it was looked up.
        if let Some(lookup) = self.asked.pop() {
            let failure = maybe(bytes, |bytes| bytes.choose(&FAILURES).copied())?;
            changes.push(Change::LookedUp(LookedUp { lookup, failure }));
        }
        self.apply(&Event::ClusterChanged(Box::new(ClusterChanged { time: self.now, changes })));
        Ok(())
    }

    /// A sidecar's hello that nobody answers.
    fn attempt(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let (from, to): (IpAddr, IpAddr) = (world::address(bytes)?, world::address(bytes)?);
        let netns = *bytes.choose(&[0, 1, 2])?;
        let owner = Owner { uid: 1337, process: "envoy".into(), netns, ..Owner::default() };
        let socket = SocketId(u64::try_from(self.steps).unwrap_or(u64::MAX));
        let (local, remote) = (SocketAddr::new(from, 50_714), SocketAddr::new(to, 6379));
        let (time, ended) = (self.now, self.now + SECOND_NS);
        self.apply(&Event::Opened(Opened { time, socket, local, remote, owner: owner.clone() }));
        self.apply(&Event::Established(Established { time, socket, local, remote }));
        self.apply(&Event::Hello(HelloSegment {
            time,
            socket,
            direction: Direction::Sent,
            offset: 0,
            expected_bytes: u32::try_from(HELLO.len()).unwrap_or(u32::MAX),
            data: HELLO.clone(),
        }));
        self.apply(&Event::Ended(Ended {
            time: ended,
            socket,
            local,
            remote,
            uid: owner.uid,
            cgroup: owner.cgroup,
            netns,
            state: State::FinWait2,
            error: 0,
            bytes_sent: HELLO.len() as u64,
            bytes_acked: HELLO.len() as u64 + 2,
            bytes_received: 0,
            peer_closed: true,
            last_sent: Some(time),
            srtt_us: 80,
            accepted: None,
        }));
        self.now = ended;
        Ok(())
    }
}

/// Something comes, changes or goes.
fn change(bytes: &mut Unstructured<'_>) -> Result<Change> {
    let number = bytes.int_in_range(0..=NUMBERS)?;
    let name = |bytes: &mut Unstructured<'_>| world::name(bytes, number);
    Ok(match bytes.int_in_range(0..=7)? {
        0 | 1 => Change::Pod(Box::new(world::pod(bytes, number)?)),
        2 => Change::PodGone { namespace: world::namespace(bytes)?, name: name(bytes)? },
        3 => Change::Service(Box::new(world::service(bytes, number)?)),
        4 => Change::ServiceGone { namespace: world::namespace(bytes)?, name: world::service_name(bytes)? },
        5 => {
            let namespace = world::namespace(bytes)?;
            let endpoint = world::endpoint(bytes, number)?;
            Change::Slice(Box::new(Slice { namespace, name: name(bytes)?, endpoints: vec![endpoint] }))
        }
        6 => Change::SliceGone { namespace: world::namespace(bytes)?, name: name(bytes)? },
        _ => Change::Istio(Box::new(world::istio(bytes)?)),
    })
}
