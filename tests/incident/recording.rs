//! A recording gives what the live trace gave, byte for byte.

use std::process::Command;

use anyhow::{Context as _, Result};
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::program;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;

use mtlsnoop_tests::watched::{SOON, Watched};

#[test]
fn analyze_prints_what_trace_printed() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let incident = scene.unconditional_mtls()?;
    let mut sidecar = scene.client_sidecar(&incident)?;
    let recording = scene.cluster.folder().join("incident.mtlsnoop");
    let path = recording.to_str().context("the folder's name is UTF-8")?.to_owned();
    let mut watched = Watched::start(scene, &["-w", &path])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        watched.app_sends(b"PING\r\n", server)?;
        watched.finding(server)?;
    }
    sidecar.replace_clusters(&[incident.disabled()])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        watched.app_sends(b"PING\r\nQUIT\r\n", server)?;
    }
    watched.tracer.wait_for("the resolution", SOON, |line| line["kind"] == "resolved")?;
    let live = watched.tracer.stop()?.stdout();
    let output =
        Command::new(program::TRACER.find()?).args(["analyze", "-o", "json", "--all", &path]).output()?;
    let analyzed = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(analyzed, live);
    assert!(live.matches("\"kind\":\"finding\"").count() >= 2, "{live}");
    Ok(())
}
