//! Several clients, and many connections at once: each is told apart, each is counted, nothing is lost.

use std::net::SocketAddr;

use anyhow::Result;
use mtlsnoop_tests::client::Sending;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::envoy::Sidecar;
use mtlsnoop_tests::interception::Interception;
use mtlsnoop_tests::pod::PodSpec;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;
use mtlsnoop_tests::wait;
use serde_json::Value;

use mtlsnoop_tests::watched::{SOON, Watched, is_at, send};

#[test]
fn two_clients_at_once() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let second =
        scene.cluster.pod(PodSpec::new("second", 27).container("app").sidecar(Interception::Outbound))?;
    let outbound = [scene.unconditional_mtls()?];
    let _sidecars = [Sidecar::of_client(&scene.client, &outbound)?, Sidecar::of_client(&second, &outbound)?];
    let watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    let replies = std::thread::scope(|scope| {
        let clients =
            [&watched.scene.client, &second].map(|pod| scope.spawn(move || send(pod, b"PING\r\n", server)));
        clients.map(|client| client.join().expect("the client does not panic"))
    });
    // Envoy lets go of the apps before it closes its own connections.
    let is_finding = |line: &&Value| line["kind"] == "finding";
    wait::until("two findings", SOON, || {
        Ok((watched.tracer.objects()?.iter().filter(is_finding).count() == 2).then_some(()))
    })?;
    let ports: Vec<_> = replies.into_iter().map(|reply| Ok(reply?.port)).collect::<Result<_>>()?;
    let lines = watched.end()?;
    let findings: Vec<_> = lines.iter().filter(is_finding).collect();
    assert_eq!(findings.len(), 2, "{findings:#?}");
    for (address, port) in [25, 27].into_iter().zip(ports) {
        let found = findings.iter().filter(|finding| {
            let is_of_pod = finding["client"]["address"]
                .as_str()
                .is_some_and(|text| text.ends_with(&format!(".{address}")));
            is_of_pod && finding["client"]["victim"]["port"] == serde_json::json!(port)
        });
        assert_eq!(found.count(), 1, "client {address} with port {port:?}: {findings:#?}");
    }
    Ok(())
}

#[test]
fn two_hundred_connections_in_a_burst() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    let sending = Sending::pieces(&[b"PING\r\n"]).on_connections(200).waiting(SOON);
    assert_eq!(sending.run_all(watched.scene.client.app_container()?, server)?.len(), 200);
    // Envoy lets go of the apps first.
    wait::until("the sidecar's connections to end", SOON, || {
        let lines = watched.tracer.objects()?;
        Ok((lines.iter().filter(|line| is_of_sidecar(line, server)).count() == 200).then_some(()))
    })?;
    let lines = watched.end()?;
    let findings: Vec<_> = lines.iter().filter(|line| line["kind"] == "finding").collect();
    let last = findings.last().expect("there is a finding");
    assert_eq!(last["count"], 200, "{last:#}");
    assert!(findings.len() <= 3, "a burst does not flood: {}", findings.len());
    let sidecars = lines.iter().filter(|line| is_of_sidecar(line, server));
    assert_eq!(sidecars.filter(|line| line["listener"]["behaviour"] == "silent").count(), 200);
    Ok(())
}

/// The end of a connection of the sidecar to the server.
fn is_of_sidecar(line: &Value, server: SocketAddr) -> bool {
    let is_connecting = line["kind"] == "connection" && line["role"] == "connector";
    is_connecting && line["client"]["process"] == "envoy" && is_at(&line["server"], server)
}
