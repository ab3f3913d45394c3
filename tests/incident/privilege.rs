//! The incident with a tracer that is not root and has exactly the capabilities that it says it needs.

use anyhow::Result;
use mtlsnoop::source::kernel::{Capture, capability::Capability};
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::privilege::Privileges;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;
use mtlsnoop_tests::watched::Watched;
use serde_json::{Value, json};

/// Starts the tracer after the server, so that the server's process can only be told from `/proc`.
fn finding_with(more: &[Capability]) -> Result<Value> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let needed = Capture::Always.needs();
    let names: Vec<&str> = needed.iter().chain(more).map(|capability| capability.name()).collect();
    let mut watched = Watched::start_as(scene, &Privileges::of(&names), &[])?;
    let server = watched.scene.address();
    watched.app_sends(b"PING\r\n", server)?;
    let finding = watched.finding(server)?;
    watched.end()?;
    Ok(finding)
}

fn check(finding: &Value) {
    for (key, value) in [
        ("/code", json!("mtls-to-plaintext")),
        ("/cause/code", json!("headless-unconditional-mtls")),
        ("/confidence", json!("likely")),
        ("/client/container", json!("istio-proxy")),
        ("/client/process", json!("envoy")),
        ("/client/victim/container", json!("app")),
        ("/server/pod", json!("redis-0")),
        ("/server/service", json!("redis")),
        ("/server/sidecar", json!(false)),
        ("/server/container", json!("redis")),
        ("/listener/behaviour", json!("silent")),
    ] {
        assert_eq!(finding.pointer(key), Some(&value), "{key}: {finding:#}");
    }
}

#[test]
fn the_smallest_set_finds_it() -> Result<()> {
    let finding = finding_with(&[])?;
    check(&finding);
    assert_eq!(finding["server"].get("process"), None, "what this costs is said in the README: {finding:#}");
    Ok(())
}

#[test]
fn two_more_name_the_process_of_a_server_that_was_there_before() -> Result<()> {
    let more: Vec<_> = Capability::ALL.into_iter().filter(|one| one.lost_without().is_some()).collect();
    let finding = finding_with(&more)?;
    check(&finding);
    assert_eq!(finding["server"]["process"], "redis-server", "{finding:#}");
    Ok(())
}

#[test]
fn the_smallest_set_arms_too() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let needed = Capture::Adaptive.needs();
    let names: Vec<&str> = needed.iter().map(|capability| capability.name()).collect();
    let arguments = ["--capture", "adaptive", "--verbose"];
    let mut watched = Watched::start_as(scene, &Privileges::of(&names), &arguments)?;
    let server = watched.scene.address();
    watched.app_sends(b"PING\r\n", server)?;
    watched.wait_until_said("closely")?;
    watched.app_sends(b"PING\r\n", server)?;
    let finding = watched.finding_like(server, |finding| finding.get("client_hello").is_some())?;
    watched.end()?;
    assert_eq!(finding["client"]["victim"]["container"], "app", "{finding:#}");
    assert_eq!(finding["confidence"], "likely", "{finding:#}");
    Ok(())
}
