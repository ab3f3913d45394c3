//! What holds for every stream of events: no panic, sums that add up, and verdicts that do not depend on how a hello was cut.

use bytes::Bytes;
use mtlsnoop::{
    engine::Settings,
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

fn story(name: &str) -> Vec<Event> {
    Story::all().into_iter().find(|story| story.name() == name).unwrap().events()
}

#[test]
fn every_story_adds_up() {
    for story in Story::all() {
        let (_, summary) = replay(&story.events(), Settings::default());
        assert_adds_up(&summary, &story.name());
    }
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

/// Cuts every hello at the given places, and turns the order of the parts around if asked to.
fn recut(events: &[Event], cuts: &[usize], reversed: bool) -> Vec<Event> {
    let mut result = Vec::new();
    for event in events {
        let Event::Hello(segment) = event else {
            result.push(event.clone());
            continue;
        };
        let mut places: Vec<_> =
            cuts.iter().map(|cut| cut % segment.data.len()).chain([0, segment.data.len()]).collect();
        places.sort_unstable();
        places.dedup();
        let mut parts: Vec<_> = places.windows(2).map(|range| part(segment, range[0], range[1])).collect();
        if reversed {
            parts.reverse();
        }
        result.extend(parts);
    }
    result
}

fn part(segment: &HelloSegment, from: usize, to: usize) -> Event {
    let offset = segment.offset + u32::try_from(from).unwrap();
    Event::Hello(HelloSegment { offset, data: segment.data.slice(from..to), ..segment.clone() })
}

fn findings(updates: &[Update]) -> Vec<&Update> {
    updates.iter().filter(|update| matches!(update, Update::Finding(_))).collect()
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
    fn the_cut_of_a_hello_changes_nothing(cuts in proptest::collection::vec(any::<usize>(), 0..6), reversed in any::<bool>()) {
        for name in ["redis-silent-with-cluster", "memcached-answers-error", "server-node-only", "tls-server-answers"] {
            let events = story(name);
            let (whole, _) = replay(&events, Settings::default());
            let (parts, _) = replay(&recut(&events, &cuts, reversed), Settings::default());
            assert_eq!(findings(&whole), findings(&parts), "{name}");
        }
    }

    #[test]
    fn every_beginning_of_a_story_adds_up(index in any::<usize>(), length in any::<usize>(), max_flows in 1_usize..6) {
        let stories = Story::all();
        let story = &stories[index % stories.len()];
        let events = story.events();
        let (_, summary) = replay(&counted(&events[..length % (events.len() + 1)]), Settings { max_flows, ..Settings::default() });
        assert_adds_up(&summary, &story.name());
        assert!(summary.open <= max_flows as u64);
        assert!(summary.lost.iter().all(|(loss, _)| matches!(loss, Loss::EvictedFlow | Loss::Detail | Loss::IncompleteHello)));
    }

    #[test]
    fn no_events_make_it_panic(index in any::<usize>(), damages in proptest::collection::vec(damage(), 0..12)) {
        let stories = Story::all();
        let events = damages.into_iter().fold(stories[index % stories.len()].events(), damaged);
        let _said = replay(&events, Settings { max_flows: 3, max_findings: 1, max_destinations: 1, connections: true, ..Settings::default() });
    }
}
