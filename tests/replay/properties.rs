//! What holds for every stream of events: no panic, sums that add up, and verdicts that do not depend on how a hello was cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::Range,
    sync::LazyLock,
};

use bytes::Bytes;
use mtlsnoop::{
    engine::{Connections, Settings},
    event::{Capture, Event, loss::Loss, socket::HelloSegment},
    update::{Summary, Update},
};
use proptest::prelude::{Strategy, any, proptest};

use crate::story::{Story, replay};

/// Ends of connections are reported, left out, open, or lost under a name: nothing else.
fn assert_adds_up(summary: &Summary, context: &str) {
    let lost: u64 = summary.lost.iter().filter(|(loss, _)| loss.is_of_flow()).map(|(_, count)| count).sum();
    let accounted = summary.reported + summary.own + summary.open + lost;
    assert_eq!(summary.seen, accounted, "{context}: {summary:?}");
}

/// A story that was read.
struct Known {
    name: String,
    events: Vec<Event>,
}

/// All of them, read once.
static STORIES: LazyLock<Vec<Known>> = LazyLock::new(|| {
    Story::all().iter().map(|story| Known { name: story.name(), events: story.events() }).collect()
});

#[test]
fn every_story_adds_up() {
    for Known { name, events } in STORIES.iter() {
        let (_, summary) = replay(events, Settings::default());
        assert_adds_up(&summary, name);
    }
}

/// What was told of an incident.
#[derive(Default)]
struct Told {
    failed: u64,
    servers: BTreeSet<SocketAddr>,
}

#[test]
fn every_failed_attempt_is_told_once_by_the_same_incident() {
    let mut with_several_servers = 0;
    for Known { name, events } in STORIES.iter() {
        let mut incidents: BTreeMap<u64, Told> = BTreeMap::new();
        for update in replay(events, Settings::default()).0 {
            let (incident, newly_failed, count, server) = match update {
                Update::Finding(finding) => {
                    (finding.incident, finding.newly_failed, finding.count, finding.server.address)
                }
                Update::Resolved(resolved) => {
                    (resolved.incident, resolved.newly_failed, resolved.count, resolved.server.address)
                }
                Update::Connection(_) => continue,
            };
            let told = incidents.entry(incident).or_default();
            told.failed += newly_failed;
            told.servers.insert(server);
            assert_eq!(told.failed, count, "{name}: incident {incident}");
        }
        with_several_servers += incidents.values().filter(|told| told.servers.len() > 1).count();
    }
    assert!(with_several_servers > 0, "in no story an incident concerns several addresses");
}

/// How many connection ends a source has seen that gives these events: beginnings, or ends where only these are followed.
fn seen(events: &[Event]) -> u64 {
    let follows_ends =
        |event: &Event| matches!(event, Event::Began(began) if began.capture == Capture::Adaptive);
    let is_counted = |event: &&Event| match event {
        Event::Opened(_) | Event::Accepted(_) => !events.iter().any(follows_ends),
        Event::Ended(_) => events.iter().any(follows_ends),
        _ => false,
    };
    events.iter().filter(is_counted).count() as u64
}

/// The same events with the count that a source gives after them.
fn counted(events: &[Event]) -> Vec<Event> {
    let mut events: Vec<_> =
        events.iter().filter(|event| !matches!(event, Event::Counted(_))).cloned().collect();
    let time = events.iter().map(Event::time).max().unwrap_or_default();
    let seen = seen(&events);
    events.push(Event::Counted(mtlsnoop::event::loss::Counters { time, seen, own: 0, lost: Vec::new() }));
    events
}

/// How a hello reaches the core instead: cut at these places, with further parts that repeat and overlap, in an order by these keys.
#[derive(Clone, Debug)]
struct Cut {
    places: Vec<usize>,
    repeated: Vec<(usize, usize)>,
    keys: Vec<u16>,
}

fn cut() -> impl Strategy<Value = Cut> {
    const MAX_PLACES: usize = 5;
    const MAX_REPEATED: usize = 4;
    let places = proptest::collection::vec(any::<usize>(), 0..=MAX_PLACES);
    let repeated = proptest::collection::vec(any::<(usize, usize)>(), 0..=MAX_REPEATED);
    // One for each part.
    let keys = proptest::collection::vec(any::<u16>(), MAX_PLACES + 1 + MAX_REPEATED);
    (places, repeated, keys).prop_map(|(places, repeated, keys)| Cut { places, repeated, keys })
}

impl Cut {
    /// The parts of a hello of this length, all of it covered.
    fn ranges(&self, length: usize) -> Vec<Range<usize>> {
        let mut places: Vec<_> = self.places.iter().map(|place| place % length).chain([0, length]).collect();
        places.sort_unstable();
        places.dedup();
        let repeated = self.repeated.iter().map(|(one, other)| {
            let (one, other) = (one % length, other % length);
            one.min(other)..one.max(other) + 1
        });
        let ranges = places.windows(2).map(|pair| pair[0]..pair[1]).chain(repeated);
        let mut keyed: Vec<_> = self.keys.iter().zip(ranges).collect();
        keyed.sort_by_key(|(key, _)| **key);
        keyed.into_iter().map(|(_, range)| range).collect()
    }
}

/// Cuts every part of a hello anew.
fn recut(events: &[Event], cut: &Cut) -> Vec<Event> {
    let mut result = Vec::new();
    for event in events {
        match event {
            Event::Hello(segment) => {
                let ranges = cut.ranges(segment.data.len());
                result.extend(ranges.into_iter().map(|range| part(segment, range.start, range.end)));
            }
            other => result.push(other.clone()),
        }
    }
    result
}

fn part(segment: &HelloSegment, from: usize, to: usize) -> Event {
    let offset = segment.offset + u32::try_from(from).unwrap();
    Event::Hello(HelloSegment { offset, data: segment.data.slice(from..to), ..segment.clone() })
}

/// What is said, but for how much of an echoed hello came first.
fn said(updates: Vec<Update>) -> Vec<Update> {
    let mut said = updates;
    for update in &mut said {
        if let Update::Finding(finding) = update {
            finding.listener.first_bytes = Box::default();
        }
    }
    said
}

/// Changes one field of one event at random, in ways that no kernel would.
fn damage() -> impl Strategy<Value = (usize, usize, u8, u64)> {
    (any::<usize>(), any::<usize>(), any::<u8>(), any::<u64>())
}

fn damaged(mut events: Vec<Event>, (at, other, what, number): (usize, usize, u8, u64)) -> Vec<Event> {
    if events.is_empty() {
        return events;
    }
    let (at, other) = (at % events.len(), other % events.len());
    match what % 4 {
        0 => events.swap(at, other),
        1 => drop(events.remove(at)),
        2 => events.insert(other, events[at].clone()),
        _ => match &mut events[at] {
            Event::Hello(segment) => {
                segment.offset = u32::try_from(number % 5000).unwrap();
                segment.expected_bytes = u32::try_from(number >> 40).unwrap();
            }
            Event::FirstBytes(bytes) => bytes.data = Bytes::copy_from_slice(&number.to_be_bytes()),
            Event::Ended(ended) => {
                (ended.bytes_sent, ended.error) = (number, u32::try_from(number >> 40).unwrap());
            }
            Event::Opened(opened) | Event::Accepted(opened) => opened.socket.0 = number % 200,
            _ => {}
        },
    }
    events
}

proptest! {
    #[test]
    fn the_cut_of_a_hello_changes_nothing(cut in cut()) {
        let has_hello = |story: &&Known| story.events.iter().any(|event| matches!(event, Event::Hello(_)));
        let mut with_hello = 0;
        for Known { name, events } in STORIES.iter().filter(has_hello) {
            with_hello += 1;
            let (whole, summary) = replay(events, Settings::default());
            let (parts, summary_of_parts) = replay(&recut(events, &cut), Settings::default());
            assert_eq!(said(whole), said(parts), "{name}");
            assert_eq!(summary, summary_of_parts, "{name}");
        }
        assert!(with_hello > 30, "only {with_hello} stories with a hello");
    }

    #[test]
    fn every_beginning_of_a_story_adds_up(index in any::<usize>(), length in any::<usize>(), max_flows in 1_usize..6) {
        let Known { name, events } = &STORIES[index % STORIES.len()];
        let (_, summary) = replay(&counted(&events[..length % (events.len() + 1)]), Settings { max_flows, ..Settings::default() });
        assert_adds_up(&summary, name);
        assert!(summary.open <= max_flows as u64);
        assert!(summary.lost.iter().all(|(loss, _)| matches!(loss, Loss::EvictedFlow | Loss::Detail | Loss::IncompleteHello)));
    }

    #[test]
    fn no_events_make_it_panic(index in any::<usize>(), damages in proptest::collection::vec(damage(), 0..12)) {
        let events = damages.into_iter().fold(STORIES[index % STORIES.len()].events.clone(), damaged);
        let _said = replay(&events, Settings { max_flows: 3, max_findings: 1, max_destinations: 1, connections: Connections::All, ..Settings::default() });
    }
}
