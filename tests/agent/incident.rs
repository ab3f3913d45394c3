//! The whole incident: found with all names, counted, announced, and resolved.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use mtlsnoop_tests::wait;
use serde_json::{Value, json};

use crate::port;
use crate::watched::{SOON, Watched};

#[test]
fn a_finding_has_the_names_of_the_api_and_is_told_everywhere() -> Result<()> {
    let mut watched = Watched::start()?;
    watched.fail()?;
    let finding = watched.named_finding()?;
    for (key, value) in [
        ("/code", json!("mtls-to-plaintext")),
        ("/cause/code", json!("headless-unconditional-mtls")),
        ("/client/pod", json!("redis-client-6d4c6c975f-bm5w6")),
        ("/client/namespace", json!("default")),
        ("/client/workload", json!("Deployment/redis-client")),
        ("/client/container", json!("istio-proxy")),
        ("/client/labels/app", json!("redis-client")),
        ("/server/pod", json!("redis-0")),
        ("/server/workload", json!("StatefulSet/redis")),
        ("/server/container", json!("redis")),
        ("/server/service", json!("redis")),
        ("/server/headless", json!(true)),
        ("/server/sidecar", json!(false)),
        ("/server/labels/statefulset.kubernetes.io~1pod-name", json!("redis-0")),
    ] {
        assert_eq!(finding.pointer(key), Some(&value), "{key}: {finding:#}");
    }
    let labels = [
        ("code", "mtls-to-plaintext"),
        ("cause", "headless-unconditional-mtls"),
        ("client_namespace", "default"),
        ("client_workload", "Deployment/redis-client"),
        ("server_service", "redis"),
    ];
    // A finding is said again at most every 10 s, with all failures since, while the client goes on.
    let mut failures = 1;
    wait::until_true("retries to be counted", SOON, || {
        watched.fail()?;
        failures += 1;
        Ok(port::sum(&watched.metrics()?, "mtlsnoop_findings_total", &labels) > 1.5)
    })?;
    let all = |failed| failed > f64::from(failures) - 0.5;
    watched.wait_for_metric("mtlsnoop_failed_connections_total", &labels[2..4], all)?;
    watched.wait_for_metric("mtlsnoop_findings_active", &labels[..2], |active| active > 0.5)?;
    watched.wait_for_metric("mtlsnoop_announcements_total", &[], |count| count > 2.5)?;
    assert_eq!(
        warnings(&watched)?.len(),
        3,
        "one for each object: {:#?}",
        watched.ground.api.list("events")?
    );
    watched.mend()?;
    let resolved = watched.resolved()?;
    assert_eq!(resolved["client"]["workload"], "Deployment/redis-client", "{resolved:#}");
    watched.wait_for_metric("mtlsnoop_findings_resolved_total", &labels[..1], |count| count > 0.5)?;
    watched.wait_for_metric("mtlsnoop_findings_active", &labels[..2], |active| active < 0.5)?;
    let lost = port::sum(&watched.metrics()?, "mtlsnoop_lost_total", &[]);
    assert!(lost < 0.5, "{}", watched.metrics()?);
    let (ground, _) = watched.end()?;
    check_events(&ground.api.list("events")?, failures)
}

/// The Events that something is wrong, once there is one on each object.
fn warnings(watched: &Watched) -> Result<Vec<Value>> {
    wait::until("an Event on each object", SOON, || {
        let events = watched.ground.api.list("events")?;
        let warnings: Vec<Value> = events.into_iter().filter(|event| event["type"] == "Warning").collect();
        Ok((warnings.len() >= 3).then_some(warnings))
    })
    .with_context(|| watched.agent.stderr())
}

/// One Event for each object, with a count for all failures, also those after which the agent was ended.
fn check_events(events: &[Value], failures: u32) -> Result<()> {
    let mut regarded = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "Warning") {
        let text = |key: &str| event["regarding"][key].as_str().unwrap_or_default().to_owned();
        let again = regarded.insert((text("kind"), text("name")), event);
        assert!(again.is_none(), "two Events on one object: {events:#?}");
        assert!(event["regarding"]["uid"].is_string(), "kubectl describe finds Events by uid: {event:#}");
        let count = event["series"]["count"].as_u64().with_context(|| format!("no count: {event:#}"))?;
        assert_eq!(count, u64::from(failures), "{event:#}");
    }
    let names: Vec<_> = regarded.keys().map(|(kind, name)| format!("{kind}/{name}")).collect();
    assert_eq!(names, ["Pod/redis-0", "Pod/redis-client-6d4c6c975f-bm5w6", "Service/redis"]);
    assert!(events.iter().any(|event| event["type"] == "Normal"), "that it works again is told: {events:#?}");
    Ok(())
}
