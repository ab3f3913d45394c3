//! The API server is not there, breaks, refuses or is slow: tracing goes on, and names come when they can.

use std::time::Duration;

use anyhow::Result;
use mtlsnoop_tests::api::Refused;
use mtlsnoop_tests::wait;
use serde_json::Value;

use crate::watched::{Ground, SOON, Watched};

/// No pod is named.
fn is_nameless(line: &Value) -> bool {
    line["client"].get("pod").is_none() && line["server"].get("pod").is_none()
}

#[test]
fn a_finding_without_names_is_completed_when_the_server_comes() -> Result<()> {
    let mut ground = Ground::new()?;
    ground.api.stop();
    let mut watched = ground.watch()?;
    assert!(!watched.is_ready()?, "nothing was listed yet");
    watched.fail()?;
    let before = watched.finding("a finding without names", is_nameless)?;
    assert_eq!(before["code"], "mtls-to-plaintext", "{before:#}");
    assert_eq!(before["client"]["process"], "envoy", "{before:#}");
    watched.ground.api.start()?;
    watched.wait_until_ready()?;
    let after = watched.named_finding()?;
    assert_eq!(after["cause"]["code"], "headless-unconditional-mtls", "{after:#}");
    assert_eq!(after["server"]["service"], "redis", "{after:#}");
    watched.end().map(drop)
}

#[test]
fn what_is_known_stays_known_while_the_server_is_gone() -> Result<()> {
    let mut watched = Watched::start()?;
    watched.ground.api.stop();
    watched.wait_for_watch("pods", "failing")?;
    watched.fail()?;
    let finding = watched.named_finding()?;
    assert_eq!(finding["server"]["service"], "redis", "{finding:#}");
    watched.ground.api.start()?;
    watched.wait_for_watch("pods", "listed")?;
    watched.mend()?;
    watched.resolved()?;
    watched.end().map(drop)
}

/// How many watches of pods are over.
fn cut(watched: &Watched) -> usize {
    let requests = watched.ground.api.requests();
    requests.iter().filter(|one| one.verb == "watch" && one.resource == "pods" && one.is_over).count()
}

#[test]
fn watches_that_are_cut_every_second_go_on_where_they_were() -> Result<()> {
    let ground = Ground::new()?;
    ground.api.faults().cut_watches_after = Some(Duration::from_secs(1));
    let mut watched = ground.watch()?;
    watched.wait_until_ready()?;
    wait::until_true("some watches to be cut", SOON, || Ok(cut(&watched) >= 3))?;
    watched.fail()?;
    watched.named_finding()?;
    let requests = watched.ground.api.requests();
    let begun = requests.iter().filter(|one| {
        let is_list = one.verb == "list" || one.uri.contains("sendInitialEvents");
        one.resource == "pods" && one.uri.contains("nodeName") && is_list
    });
    assert!(begun.count() < cut(&watched), "each was begun anew: {requests:#?}");
    watched.end().map(drop)
}

#[test]
fn after_410_everything_is_listed_again() -> Result<()> {
    let mut watched = Watched::start()?;
    watched.ground.api.expire_versions();
    watched.ground.api.break_connections();
    watched.ground.api.change("pods", "default", "redis-0", |pod| {
        pod["metadata"]["labels"]["after"] = "410".into();
    })?;
    watched.ground.api.expire_versions();
    watched.wait_for_watch("pods", "listed")?;
    watched.fail()?;
    let finding = watched.named_finding()?;
    assert_eq!(finding["server"]["pod"], "redis-0", "{finding:#}");
    watched.end().map(drop)
}

#[test]
fn a_kind_that_is_forbidden_is_said_and_the_rest_goes_on() -> Result<()> {
    let ground = Ground::new()?;
    ground.api.forbid("destinationrules")?;
    let mut watched = ground.watch()?;
    watched.wait_until_ready()?;
    watched.wait_for_watch("destinationrules", "forbidden")?;
    watched.fail()?;
    let finding = watched.named_finding()?;
    assert_eq!(finding["server"]["service"], "redis", "{finding:#}");
    watched.end().map(drop)
}

#[test]
fn a_slow_server_holds_no_finding_up() -> Result<()> {
    let ground = Ground::new()?;
    ground.api.faults().delay = Duration::from_secs(3);
    let mut watched = ground.watch()?;
    watched.fail()?;
    watched.finding("a finding without names", is_nameless)?;
    watched.named_finding()?;
    watched.end().map(drop)
}

#[test]
fn refusals_are_waited_out() -> Result<()> {
    let ground = Ground::new()?;
    let refused =
        |code, times| Refused { resource: None, verb: None, code, retry_after_seconds: Some(1), times };
    ground.api.faults().refusals = vec![refused(429, 4), refused(500, 4), refused(503, 4)];
    let mut watched = ground.watch()?;
    watched.fail()?;
    watched.named_finding()?;
    watched.end().map(drop)
}
