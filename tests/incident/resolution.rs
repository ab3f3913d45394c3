//! The finding's own fix is applied while the sidecar runs, and the tracer says that it is mended.

use anyhow::Result;
use mtlsnoop_tests::client;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;

use mtlsnoop_tests::watched::{SOON, Watched};

#[test]
fn after_the_fix_the_same_client_succeeds() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let incident = scene.unconditional_mtls()?;
    let mut sidecar = scene.client_sidecar(&incident)?;
    let mut watched = Watched::start(scene, &["--fail-on-finding"])?;
    let server = watched.scene.address();
    for _ in 0..2 {
        watched.app_sends(b"PING\r\n", server)?;
    }
    watched.finding(server)?;
    sidecar.replace_clusters(&[incident.disabled()])?;
    assert_eq!(client::redis(watched.scene.client.app_container()?, server, &["PING"])?.stdout, "PONG\n");
    let (_, resolved) = watched.tracer.wait_for("the resolution", SOON, |line| line["kind"] == "resolved")?;
    assert_eq!(resolved["code"], "mtls-to-plaintext", "{resolved:#}");
    assert_eq!(resolved["count"], 2, "{resolved:#}");
    assert_eq!(resolved["client"]["workload"], "Deployment/redis-client", "{resolved:#}");
    let ended = watched.tracer.stop()?;
    assert_eq!(ended.status.code(), Some(3), "there was a finding, and --fail-on-finding: {}", ended.stderr);
    Ok(())
}

#[test]
fn direct_evidence_of_another_client_makes_it_certain() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    assert_eq!(client::redis(watched.scene.outsider.app_container()?, server, &["PING"])?.stdout, "PONG\n");
    watched.app_sends(b"PING\r\n", server)?;
    let finding = watched.finding(server)?;
    assert_eq!(finding["confidence"], "certain", "{finding:#}");
    assert_eq!(finding["listener"]["protocol"], "redis", "{finding:#}");
    let resolved = watched.end()?.into_iter().filter(|line| line["kind"] == "resolved").count();
    assert_eq!(resolved, 0, "another client's success mends nothing");
    Ok(())
}
