//! Who is who: with and without a cluster file, and two sockets with the same destination in one namespace.

use anyhow::Result;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::scene::{Scene, SceneSpec};
use mtlsnoop_tests::server::Backend;
use mtlsnoop_tests::tracer::Tracer;

use mtlsnoop_tests::watched::{SOON, Watched, send};

fn redis() -> Result<Scene> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    Ok(scene)
}

#[test]
fn without_a_cluster_processes_and_containers_are_named() -> Result<()> {
    let scene = redis()?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut tracer = Tracer::start(&scene.cluster, &["-o", "json"])?;
    let reply = send(&scene.client, b"PING\r\n", scene.address())?;
    let (_, finding) = tracer.wait_for("a finding", SOON, |line| line["kind"] == "finding")?;
    let short = |container: &mtlsnoop_tests::container::Container| {
        container.id().chars().take(12).collect::<String>()
    };
    assert_eq!(finding["client"]["process"], "envoy", "{finding:#}");
    assert_eq!(finding["client"]["container"], short(scene.client.sidecar_container()?), "{finding:#}");
    assert_eq!(finding["client"]["victim"]["container"], short(scene.client.app_container()?), "{finding:#}");
    assert_eq!(finding["client"]["victim"]["port"], serde_json::json!(reply.port), "{finding:#}");
    assert_eq!(finding["server"]["process"], "redis-server", "{finding:#}");
    assert_eq!(
        finding["cause"]["code"], "unconditional-mtls",
        "nothing is known of the Service: {finding:#}"
    );
    assert_eq!(finding["confidence"], "likely", "the process was seen to accept: {finding:#}");
    assert_eq!(finding["server"].get("pod"), None, "{finding:#}");
    tracer.stop().map(drop)
}

#[test]
fn the_app_and_its_sidecar_have_the_same_destination() -> Result<()> {
    let scene = redis()?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    let reply = watched.app_sends(b"PING\r\n", server)?;
    let finding = watched.finding(server)?;
    let sidecar = watched.connection(server, |line| line["client"]["process"] == "envoy")?;
    let app = watched.connection(server, |line| line["client"]["process"] == "lab-sender")?;
    assert_eq!(sidecar["client"]["uid"], 1337, "{sidecar:#}");
    assert_eq!(sidecar["client"]["container"], "istio-proxy", "{sidecar:#}");
    assert_eq!(app["client"]["container"], "app", "{app:#}");
    assert_eq!(app["client"]["port"], serde_json::json!(reply.port), "{app:#}");
    assert_eq!(
        finding["client"]["port"], sidecar["client"]["port"],
        "the finding is about the sidecar: {finding:#}"
    );
    assert_eq!(app.get("client_hello"), None, "the app spoke plaintext: {app:#}");
    watched.end().map(drop)
}

#[test]
fn only_what_was_asked_for_is_said() -> Result<()> {
    for (arguments, expected) in
        [(["-n", "default"], 1), (["-n", "elsewhere"], 0), (["-p", "redis-0"], 1), (["-p", "none"], 0)]
    {
        let scene = redis()?;
        let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
        let watched = Watched::start(scene, &arguments)?;
        // A second one that says everything tells when there is something to be said.
        let mut other = Tracer::start(&watched.scene.cluster, &["-o", "json"])?;
        watched.app_sends(b"PING\r\n", watched.scene.address())?;
        other.wait_for("a finding", SOON, |line| line["kind"] == "finding")?;
        other.stop()?;
        let lines = watched.end()?;
        let findings = lines.iter().filter(|line| line["kind"] == "finding").count();
        assert_eq!(findings, expected, "{arguments:?}: {lines:#?}");
        let filtered = lines.last().and_then(|summary| summary["filtered"].as_u64());
        assert!(expected == 1 || filtered > Some(0), "{arguments:?}: {lines:#?}");
    }
    Ok(())
}
