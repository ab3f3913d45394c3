//! Connections that fail or succeed for reasons that are none of ours: the outcome is right, and nobody is accused.

use anyhow::Result;
use mtlsnoop_tests::client::{self, Sending};
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::interception::SIDECAR_UID;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;

use mtlsnoop_tests::watched::{SOON, Watched};

#[test]
fn no_listener() -> Result<()> {
    let scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        watched.app_sends(b"PING\r\n", server)?;
        let connection = watched.connection(server, |line| line["client"]["process"] == "envoy")?;
        assert_eq!(connection["listener"]["behaviour"], "refused", "{connection:#}");
        assert_eq!(connection["outcome"]["ended_by"], "server", "{connection:#}");
        assert_eq!(connection["outcome"]["error"], 111, "{connection:#}");
    }
    watched.end_without_finding()
}

#[test]
fn a_host_that_is_not_there() -> Result<()> {
    let mut watched = Watched::start(SceneSpec::new("redis", 6379).start(Cluster::start()?)?, &[])?;
    let nobody = (watched.scene.cluster.range().ipv4(99), 6379).into();
    let sending = Sending::pieces(&[b"PING\r\n"]).as_id(SIDECAR_UID).waiting(SOON);
    assert_eq!(sending.run(watched.scene.client.app_container()?, nobody)?.ended, "unreachable");
    let connection = watched.connection(nobody, |_| true)?;
    assert_eq!(connection["listener"]["behaviour"], "unreachable", "{connection:#}");
    assert_eq!(connection["outcome"]["ended_by"], "network", "{connection:#}");
    assert_eq!(connection["outcome"]["error"], 113, "{connection:#}");
    watched.end_without_finding()
}

#[test]
fn plaintext_from_a_pod_without_a_sidecar() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let mut watched = Watched::start(scene, &[])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        assert_eq!(
            client::redis(watched.scene.outsider.app_container()?, server, &["PING"])?.stdout,
            "PONG\n"
        );
        let connection = watched.connection(server, |line| line["client"]["process"] == "redis-cli")?;
        assert_eq!(connection["listener"]["behaviour"], "plaintext", "{connection:#}");
        assert_eq!(connection["listener"]["protocol"], "redis", "{connection:#}");
        assert_eq!(
            connection["listener"]["first_bytes"], "",
            "application data stays in the kernel: {connection:#}"
        );
        assert_eq!(connection["outcome"]["ended_by"], "client", "{connection:#}");
        assert_eq!(connection["outcome"]["how"], "fin", "{connection:#}");
    }
    watched.end_without_finding()
}

#[test]
fn plaintext_through_a_sidecar_without_mtls() -> Result<()> {
    let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?.disabled())?;
    let mut watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    assert_eq!(client::redis(watched.scene.client.app_container()?, server, &["PING"])?.stdout, "PONG\n");
    watched.connection(server, |line| line["client"]["process"] == "envoy")?;
    watched.end_without_finding()
}
