//! Two speeds: with `--capture adaptive` a client that fails is suspected at once, and seen whole when it tries again.

use anyhow::Result;
use mtlsnoop_tests::client;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::scene::{Scene, SceneSpec};
use mtlsnoop_tests::server::Backend;
use mtlsnoop_tests::watched::{SOON, Watched};
use serde_json::json;

const ADAPTIVE: [&str; 3] = ["--capture", "adaptive", "-v"];

fn scene(backend: Backend, port: u16) -> Result<Scene> {
    let mut scene = SceneSpec::new("store", port).start(Cluster::start()?)?;
    scene.serve(backend)?;
    Ok(scene)
}

/// The app asks Redis, through its sidecar.
fn ping(watched: &Watched) -> Result<String> {
    let output = client::redis(watched.scene.client.app_container()?, watched.scene.address(), &["PING"])?;
    Ok(output.stdout.trim().to_owned())
}

#[test]
fn one_failure_is_reported_by_its_end_and_the_next_one_is_seen_whole() -> Result<()> {
    let scene = scene(Backend::Redis, 6379)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &ADAPTIVE)?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        // The second address is of the same pod, which is watched already.
        if server.is_ipv4() {
            watched.app_sends(b"PING\r\n", server)?;
            let told = watched.finding_like(server, |_| true)?;
            assert_eq!(told["confidence"], "possible", "{told:#}");
            assert_eq!(told.get("client_hello"), None, "nothing was looked at: {told:#}");
            assert_eq!(told["listener"]["behaviour"], "silent", "{told:#}");
            assert_eq!(told["client"]["container"], "istio-proxy", "{told:#}");
            watched.wait_until_said("closely")?;
        }
        watched.app_sends(b"PING\r\n", server)?;
        let seen = watched.finding_like(server, |line| line["confidence"] == "likely")?;
        for (key, value) in [
            ("/code", json!("mtls-to-plaintext")),
            ("/cause/code", json!("headless-unconditional-mtls")),
            ("/client/process", json!("envoy")),
            ("/client/victim/process", json!("lab-sender")),
            ("/client_hello/mesh", json!("istio")),
            ("/server/process", json!("redis-server")),
            ("/listener/behaviour", json!("silent")),
            ("/incomplete", json!(false)),
        ] {
            assert_eq!(seen.pointer(key), Some(&value), "{key}: {seen:#}");
        }
    }
    watched.end()?;
    Ok(())
}

#[test]
fn an_answer_is_direct_evidence_at_the_second_attempt() -> Result<()> {
    let scene = scene(Backend::Memcached, 11211)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &ADAPTIVE)?;
    let server = watched.scene.address();
    watched.app_sends(b"version\r\n", server)?;
    let suspect = watched.connection(server, |line| line.get("suspicion").is_some())?;
    assert_eq!(suspect["suspicion"], "cut-short", "{suspect:#}");
    watched.wait_until_said("closely")?;
    watched.app_sends(b"version\r\n", server)?;
    let seen = watched.finding_like(server, |_| true)?;
    assert_eq!((&seen["confidence"], &seen["count"]), (&json!("certain"), &json!(1)), "{seen:#}");
    assert_eq!(seen["listener"]["protocol"], "memcached", "{seen:#}");
    watched.end()?;
    Ok(())
}

#[test]
fn what_was_mended_is_resolved_and_what_is_quiet_is_watched_no_longer() -> Result<()> {
    let scene = scene(Backend::Redis, 6379)?;
    let sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[&ADAPTIVE[..], &["--disarm-after", "4s"]].concat())?;
    let server = watched.scene.address();
    watched.app_sends(b"PING\r\n", server)?;
    watched.wait_until_said("closely")?;
    watched.app_sends(b"PING\r\n", server)?;
    watched.finding_like(server, |line| line["confidence"] == "likely")?;
    drop(sidecar);
    let plain = watched.scene.unconditional_mtls()?.disabled();
    let _sidecar = watched.scene.client_sidecar(&plain)?;
    assert_eq!(ping(&watched)?, "PONG", "it is mended");
    watched.tracer.wait_for("the resolution", SOON, |line| line["kind"] == "resolved")?;
    watched.wait_until_said("no longer")?;
    watched.end()?;
    Ok(())
}

#[test]
fn healthy_traffic_of_a_sidecar_is_not_suspect() -> Result<()> {
    let scene = scene(Backend::Redis, 6379)?;
    let plain = scene.unconditional_mtls()?.disabled();
    let _sidecar = scene.client_sidecar(&plain)?;
    let mut watched = Watched::start(scene, &ADAPTIVE)?;
    let server = watched.scene.address();
    for _ in 0..3 {
        assert_eq!(ping(&watched)?, "PONG");
    }
    let healthy = watched.connection(server, |line| line["outcome"]["bytes_received"] == 7)?;
    assert_eq!(healthy.get("suspicion"), None, "{healthy:#}");
    assert!(!watched.has_said("closely")?, "{}", watched.tracer.stderr());
    watched.end_without_finding()
}

#[test]
fn a_refused_connect_of_a_sidecar_is_suspect() -> Result<()> {
    let scene = SceneSpec::new("store", 6379).start(Cluster::start()?)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &ADAPTIVE)?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        watched.app_sends(b"PING\r\n", server)?;
        let refused = watched.connection(server, |line| line["listener"]["behaviour"] == "refused")?;
        if server.is_ipv4() {
            assert_eq!(refused["suspicion"], "refused", "{refused:#}");
            watched.wait_until_said("closely")?;
        }
    }
    watched.end_without_finding()
}
