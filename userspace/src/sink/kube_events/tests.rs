//! What the announcer says to whole stories, and what holds whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::{
    event::time::{SECOND_NS, Time},
    sink::kube_events::{
        announcement::{Announcement, Severity},
        announcer::{Announcer, Settings},
        samples::{BEGIN, client, failed, finding, server, works},
    },
    update::{Confidence, Finding, Party, Update},
};

fn at(seconds: u64) -> Time {
    BEGIN + seconds * SECOND_NS
}

fn announcer() -> Announcer {
    Announcer::new(Settings::of_node("node-1"))
}

/// All that may go out at that second: kind of object, reason, count, new, final.
fn said(announcer: &mut Announcer, seconds: u64) -> Vec<(&'static str, String, u64, bool, bool)> {
    let mut said: Vec<_> = std::iter::from_fn(|| announcer.next(at(seconds)))
        .map(|told| {
            (told.regarding.kind.name(), told.reason.to_string(), told.count, told.is_new, told.is_final)
        })
        .collect();
    said.sort();
    said
}

fn of_all(
    reason: &str,
    count: u64,
    is_new: bool,
    is_final: bool,
) -> Vec<(&'static str, String, u64, bool, bool)> {
    ["Pod", "Pod", "Service"].map(|kind| (kind, reason.to_owned(), count, is_new, is_final)).into()
}

#[test]
fn ten_thousand_failures_are_one_event_for_each_object() {
    let mut announcer = announcer();
    announcer.update(&failed(0, 1));
    assert_eq!(said(&mut announcer, 0), of_all("MtlsToPlaintext", 1, true, false), "the first at once");
    let mut told = Vec::new();
    for second in 1..=1000 {
        announcer.update(&failed(second, 1 + second * 10));
        while let Some(announcement) = announcer.next(at(second)) {
            told.push((announcement.name, announcement.count));
        }
    }
    announcer.hurry(at(1000));
    told.extend(std::iter::from_fn(|| announcer.next(at(1000))).map(|told| (told.name, told.count)));
    let mut counts: BTreeMap<Box<str>, Vec<u64>> = BTreeMap::new();
    for (name, count) in told {
        counts.entry(name).or_default().push(count);
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    for (name, counts) in counts {
        // After one minute, two, four and eight, each with at most a quarter more, and the last count.
        assert!((4..=5).contains(&counts.len()), "{name}: {counts:?}");
        assert!(counts.is_sorted() && counts.last() == Some(&10_001), "{name}: {counts:?}");
    }
}

#[test]
fn silence_is_followed_by_the_last_count() {
    let mut announcer = announcer();
    announcer.update(&failed(0, 1));
    said(&mut announcer, 0);
    announcer.update(&failed(10, 5));
    assert_eq!(said(&mut announcer, 59), []);
    assert_eq!(said(&mut announcer, 76), of_all("MtlsToPlaintext", 5, false, false));
    assert_eq!(said(&mut announcer, 3000), [], "nothing new");
}

#[test]
fn a_resolution_gives_the_last_count_and_an_event_of_its_own() {
    let mut announcer = announcer();
    announcer.update(&failed(0, 1));
    said(&mut announcer, 0);
    announcer.update(&works(20, 3));
    let mut expected = of_all("MtlsToPlaintext", 3, false, true);
    expected.extend(of_all("MtlsToPlaintextResolved", 1, true, false));
    expected.sort();
    assert_eq!(said(&mut announcer, 20), expected);
    announcer.update(&works(21, 3));
    assert_eq!(said(&mut announcer, 3000), [], "it was resolved before");

    announcer.update(&failed(3100, 4));
    announcer.update(&works(3110, 4));
    let mut expected = of_all("MtlsToPlaintext", 4, false, true);
    expected.extend(of_all("MtlsToPlaintextResolved", 2, false, false));
    expected.sort();
    assert_eq!(said(&mut announcer, 3110), expected, "and again");
}

#[test]
fn what_was_not_announced_is_not_resolved() {
    let mut announcer = announcer();
    announcer.update(&works(20, 3));
    assert_eq!(said(&mut announcer, 20), []);
    let Update::Finding(finding) = failed(30, 1) else { panic!("no finding") };
    announcer.update(&Update::Finding(Box::new(Finding { confidence: Confidence::Possible, ..*finding })));
    announcer.update(&works(40, 3));
    assert_eq!(said(&mut announcer, 40), []);
}

#[test]
fn only_what_is_sure_enough_is_announced() {
    for (least, confidence, expected) in [
        (Confidence::Likely, Confidence::Possible, 0),
        (Confidence::Likely, Confidence::Likely, 3),
        (Confidence::Likely, Confidence::Certain, 3),
        (Confidence::Certain, Confidence::Likely, 0),
        (Confidence::Possible, Confidence::Possible, 3),
    ] {
        let mut announcer = Announcer::new(Settings { least, ..Settings::of_node("node-1") });
        announcer.update(&Update::Finding(Box::new(Finding { confidence, ..finding() })));
        assert_eq!(said(&mut announcer, 60).len(), expected, "{least:?} {confidence:?}");
    }
}

#[test]
fn a_surer_finding_is_announced_with_all_that_failed_before() {
    let mut announcer = announcer();
    let Update::Finding(possible) = failed(0, 1) else { panic!("no finding") };
    announcer.update(&Update::Finding(Box::new(Finding { confidence: Confidence::Possible, ..*possible })));
    assert_eq!(said(&mut announcer, 0), []);
    announcer.update(&failed(5, 3));
    assert_eq!(said(&mut announcer, 5), of_all("MtlsToPlaintext", 3, true, false));
}

/// Names, notes and objects: what makes the agents of two nodes, and one that was restarted, tell of one Event.
#[test]
fn the_agents_of_both_ends_tell_of_the_same_events() {
    let told = |node: &str, client: Party, first: u64| {
        let mut announcer = Announcer::new(Settings::of_node(node));
        let update =
            Finding { client, time: at(first), first_seen: at(first), last_seen: at(first), ..finding() };
        announcer.update(&Update::Finding(Box::new(update)));
        std::iter::from_fn(|| announcer.next(at(first))).map(|told| told.name).collect::<Vec<_>>()
    };
    let at_server = Party { process: None, pid: None, uid: None, container: None, ..client() };
    let names = told("node-1", client(), 0);
    assert_eq!(names.len(), 3);
    assert_eq!(told("node-2", at_server, 0), names);
    assert_eq!(told("node-1", client(), 1000), names, "restarted");
}

/// An address that is known as a pod only later: its own Event comes then.
#[test]
fn what_becomes_known_is_announced_then() {
    let mut announcer = announcer();
    let Update::Finding(whole) = failed(0, 1) else { panic!("no finding") };
    let unknown = Party::at(server().address);
    announcer.update(&Update::Finding(Box::new(Finding { server: unknown, ..(*whole).clone() })));
    assert_eq!(said(&mut announcer, 0).len(), 1);
    announcer.update(&Update::Finding(whole));
    let kinds: Vec<_> = said(&mut announcer, 1).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["Pod", "Pod", "Service"], "the client's with the Service's name in it is another one");
}

/// The API server has forgotten it as well.
#[test]
fn what_nothing_was_heard_of_for_an_hour_is_new_again() {
    let mut announcer = announcer();
    announcer.update(&failed(0, 1));
    said(&mut announcer, 0);
    assert_eq!(said(&mut announcer, 3599), []);
    assert_eq!(said(&mut announcer, 3660), []);
    announcer.update(&failed(3661, 2));
    assert_eq!(said(&mut announcer, 3661), of_all("MtlsToPlaintext", 2, true, false));
}

/// One of many troubles, of one of many pods.
#[derive(Clone, Debug)]
enum Move {
    Fails { pod: u8, seconds: u64 },
    Works { pod: u8, seconds: u64 },
    SetBack { seconds: u64 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        8 => (0..40_u8, 0..90_u64).prop_map(|(pod, seconds)| Move::Fails { pod, seconds }),
        2 => (0..40_u8, 0..90_u64).prop_map(|(pod, seconds)| Move::Works { pod, seconds }),
        1 => (0..5000_u64).prop_map(|seconds| Move::SetBack { seconds }),
    ];
    prop::collection::vec(one, 1..200)
}

fn of_pod(pod: u8) -> Party {
    let name = format!("client-{pod}");
    Party { pod_uid: Some(name.as_str().into()), workload: None, pod: Some(name.into()), ..client() }
}

/// Plays moves with a pump after each; gives what went out and when, and the failures of each pod.
fn play(
    announcer: &mut Announcer,
    moves: &[Move],
    can_set_back: bool,
) -> (Vec<(Time, Announcement)>, BTreeMap<u8, u64>, Time) {
    let (mut out, mut counts, mut now) = (Vec::new(), BTreeMap::<u8, u64>::new(), at(10_000));
    for step in moves {
        match *step {
            Move::SetBack { seconds } if can_set_back => now = now - seconds * SECOND_NS,
            Move::SetBack { .. } => {}
            Move::Fails { pod, seconds } => {
                now = now + seconds * SECOND_NS;
                let count = counts.entry(pod).or_default();
                *count += 1;
                announcer.update(&Update::Finding(Box::new(Finding {
                    client: of_pod(pod),
                    time: now,
                    first_seen: BEGIN + u64::from(pod),
                    last_seen: now,
                    count: *count,
                    ..finding()
                })));
            }
            Move::Works { pod, seconds } => {
                now = now + seconds * SECOND_NS;
                let Update::Resolved(resolved) = works(0, counts.get(&pod).copied().unwrap_or_default())
                else {
                    continue;
                };
                let mut resolved = *resolved;
                (resolved.client, resolved.first_seen, resolved.time) =
                    (of_pod(pod), BEGIN + u64::from(pod), now);
                announcer.update(&Update::Resolved(Box::new(resolved)));
            }
        }
        out.extend(std::iter::from_fn(|| announcer.next(now)).map(|told| (now, told)));
    }
    (out, counts, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_more_goes_out_than_may(moves in moves(), per_minute in 1..30_u32) {
        let mut announcer = Announcer::new(Settings { per_minute, ..Settings::of_node("node-1") });
        let (out, _, _) = play(&mut announcer, &moves, false);
        for (index, (from, _)) in out.iter().enumerate() {
            let minute = out[index..].iter().take_while(|(time, _)| time.since_ns(*from) < 60 * SECOND_NS);
            // A burst, and what comes back of the budget while the minute lasts.
            prop_assert!(minute.count() <= 2 * per_minute as usize);
        }
        let minutes = out.last().map_or(0, |(last, _)| last.since_ns(at(10_000)) / (60 * SECOND_NS)) + 2;
        prop_assert!(out.len() as u64 <= minutes * u64::from(per_minute));
    }

    #[test]
    fn the_last_count_of_everything_goes_out_and_is_right(moves in moves(), can_set_back: bool) {
        let mut announcer = Announcer::new(Settings { per_minute: 10_000, ..Settings::of_node("node-1") });
        let (mut out, counts, now) = play(&mut announcer, &moves, can_set_back);
        announcer.hurry(now);
        out.extend(std::iter::from_fn(|| announcer.next(now)).map(|told| (now, told)));
        prop_assert_eq!(announcer.waiting(), 0);
        prop_assert_eq!(announcer.dropped(), 0);
        for (pod, count) in &counts {
            let name = format!("client-{pod}");
            let is_of = |told: &&Announcement| {
                told.regarding.name.as_ref() == name && told.severity == Severity::Warning
            };
            let told: Vec<&Announcement> = out.iter().map(|(_, told)| told).filter(is_of).collect();
            prop_assert_eq!(told.last().map(|told| told.count), Some(*count), "{}", name);
            prop_assert!(told.is_sorted_by_key(|told| told.count));
            prop_assert!(told[0].is_new && told.iter().all(|other| other.name == told[0].name));
        }
    }

    #[test]
    fn memory_has_a_bound_and_what_is_dropped_is_counted(moves in moves(), limit in 1..20_usize) {
        let mut announcer = Announcer::new(Settings { limit, per_minute: 1, ..Settings::of_node("node-1") });
        let (out, counts, _) = play(&mut announcer, &moves, true);
        prop_assert!(announcer.waiting() <= limit as u64);
        let told = out.len() as u64 + announcer.waiting() + announcer.dropped();
        prop_assert!(told >= counts.len() as u64, "every failing pod was told, waits, or was dropped");
    }
}
