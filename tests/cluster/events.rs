//! Findings become Kubernetes Events: one for each object, whoever saw it and however often.

use std::time::Duration;

use mtlsnoop::sink::kube_events::poster::state::Outcome;
use mtlsnoop_tests::api::Refused;

use crate::posting::{World, failed, may, works};

/// Three times the same: the client's pod, the destination's Service and its pod.
fn of_all(reason: &str, count: u64) -> Vec<(String, String, u64)> {
    ["Pod/redis-0", "Pod/redis-client-1", "Service/redis"]
        .map(|object| (reason.to_owned(), object.to_owned(), count))
        .into()
}

#[test]
fn a_finding_is_an_event_on_each_object() {
    let world = World::new();
    let mut agent = world.agent("node-1");
    agent.takes(&failed(0, 0, 1));
    let state = agent.announces(0, 3);
    assert_eq!(state.of(Outcome::Created), 3, "{state:?}");
    assert_eq!(world.events(), of_all("MtlsToPlaintext", 1));
    assert_eq!(world.verbs(), ["create"; 3]);
    world.api.check().unwrap();
}

#[test]
fn ten_thousand_retries_and_a_resolution_are_two_events_with_a_count() {
    let world = World::new();
    let mut agent = world.agent("node-1");
    for second in 0..1000 {
        agent.takes(&failed(0, second, 10 * second + 1));
        agent.pumps(second);
    }
    agent.takes(&works(0, 1000, 9991));
    agent.ends(1000, Duration::from_secs(30));
    let mut expected = of_all("MtlsToPlaintext", 9991);
    expected.extend(of_all("MtlsToPlaintextResolved", 1));
    assert_eq!(world.events(), expected);
    let requests = world.verbs().len();
    assert!(requests < 50, "{requests} requests");
    world.api.check().unwrap();
}

#[test]
fn both_ends_and_a_restarted_agent_have_the_same_events() {
    let world = World::new();
    let (mut at_client, mut at_server) = (world.agent("node-1"), world.agent("node-2"));
    at_client.takes(&failed(0, 0, 1));
    at_client.announces(0, 3);
    at_server.takes(&failed(0, 0, 1));
    let state = at_server.announces(0, 3);
    assert_eq!(state.of(Outcome::Unchanged), 3, "{state:?}");
    assert_eq!(world.events(), of_all("MtlsToPlaintext", 1));

    at_client.takes(&failed(0, 100, 37));
    let state = at_client.announces(100, 6);
    assert_eq!(state.of(Outcome::Renewed), 3, "{state:?}");
    at_server.takes(&failed(0, 100, 37));
    let state = at_server.announces(100, 6);
    assert_eq!(state.of(Outcome::Unchanged), 6, "the other end has told it: {state:?}");
    assert_eq!(world.events(), of_all("MtlsToPlaintext", 37));

    let mut restarted = world.agent("node-1");
    restarted.takes(&failed(200, 200, 1));
    let state = restarted.announces(200, 3);
    assert_eq!(state.of(Outcome::Renewed), 3, "{state:?}");
    assert_eq!(world.events(), of_all("MtlsToPlaintext", 38), "one more at least");
    assert!(world.verbs().iter().all(|verb| ["create", "patch"].contains(&verb.as_str())));
    world.api.check().unwrap();
}

#[test]
fn an_event_that_the_server_has_forgotten_is_made_again() {
    let world = World::new();
    let mut agent = world.agent("node-1");
    agent.takes(&failed(0, 0, 1));
    agent.announces(0, 3);
    for event in world.api.list("events").unwrap() {
        world.api.delete("events", "default", event["metadata"]["name"].as_str().unwrap()).unwrap();
    }
    agent.takes(&failed(0, 100, 37));
    let state = agent.announces(100, 6);
    assert_eq!(state.of(Outcome::Created), 6, "{state:?}");
    assert_eq!(world.events(), of_all("MtlsToPlaintext", 37));
    world.api.check().unwrap();
}

#[test]
fn what_is_forbidden_is_counted_and_not_tried_again() {
    let world = World::new();
    world.api.restrict(&may(&["get"])).unwrap();
    let mut agent = world.agent("node-1");
    agent.takes(&failed(0, 0, 1));
    let state = agent.announces(0, 3);
    assert_eq!(state.of(Outcome::Forbidden), 3, "{state:?}");
    assert_eq!(world.verbs(), ["create"; 3]);
    assert_eq!(world.events(), []);
}

#[test]
fn a_busy_server_is_asked_again() {
    for code in [429, 503] {
        let world = World::new();
        let refused = Refused {
            resource: Some("events".to_owned()),
            verb: None,
            code,
            retry_after_seconds: Some(1),
            times: 2,
        };
        world.api.faults().refusals.push(refused);
        let mut agent = world.agent("node-1");
        agent.takes(&failed(0, 0, 1));
        let state = agent.announces(0, 3);
        assert_eq!(state.of(Outcome::Created), 3, "{code}: {state:?}");
        assert_eq!(world.events(), of_all("MtlsToPlaintext", 1), "{code}");
        assert_eq!(world.verbs().len(), 5, "{code}: two of them were refused");
    }
}

#[test]
fn a_server_that_is_away_is_told_when_it_is_back() {
    let mut world = World::new();
    world.api.stop();
    let mut agent = world.agent("node-1");
    agent.takes(&failed(0, 0, 1));
    agent.pumps(0);
    world.api.start().unwrap();
    let state = agent.announces(0, 3);
    assert_eq!(state.of(Outcome::Created), 3, "{state:?}");
    assert_eq!(world.events(), of_all("MtlsToPlaintext", 1));
    world.api.check().unwrap();
}

#[test]
fn an_agent_that_ends_without_a_server_says_what_was_dropped() {
    let mut world = World::new();
    world.api.stop();
    let mut agent = world.agent("node-1");
    agent.takes(&failed(0, 0, 1));
    agent.pumps(0);
    let state = agent.ends(0, Duration::from_millis(100));
    assert_eq!(state.outcomes().map(|(_, count)| count).sum::<u64>(), 3, "{state:?}");
    assert_eq!(state.of(Outcome::Dropped), 3, "{state:?}");
}
