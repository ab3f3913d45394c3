//! Listeners that speak TLS: whatever they think of the sidecar's hello, it is no mTLS to plaintext; a refusal is a rejection.

use std::net::SocketAddr;

use anyhow::Result;
use mtlsnoop_tests::certificate::DEFAULT_IDENTITY;
use mtlsnoop_tests::client;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::envoy::{Inbound, PeerAuthentication, Sidecar};
use mtlsnoop_tests::interception::Interception;
use mtlsnoop_tests::scene::{Scene, SceneSpec};
use mtlsnoop_tests::server::Backend;

use mtlsnoop_tests::watched::{SOON, Watched};

fn scene(backend: Backend) -> Result<Scene> {
    let mut scene = SceneSpec::new("secure", 6380).start(Cluster::start()?)?;
    scene.serve(backend)?;
    Ok(scene)
}

#[test]
fn a_server_that_accepts_the_mesh() -> Result<()> {
    let scene = scene(Backend::RedisTls)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    assert_eq!(client::redis(watched.scene.client.app_container()?, server, &["PING"])?.stdout, "PONG\n");
    let connection = watched.connection(server, |line| line["client_hello"]["mesh"] == "istio")?;
    assert_eq!(connection["listener"]["behaviour"], "tls", "{connection:#}");
    watched.end_without_finding()
}

#[test]
fn a_server_that_refuses_the_client_certificate() -> Result<()> {
    let scene = scene(Backend::RedisTlsForeign)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    assert!(watched.app_sends(b"PING\r\n", server)?.received_hex.is_empty());
    let connection = watched.connection(server, |line| line["client_hello"]["mesh"] == "istio")?;
    assert_eq!(connection["listener"]["behaviour"], "tls", "it asks for a certificate first: {connection:#}");
    expect_rejection(watched, server, "possible", "client-certificate-refused")
}

#[test]
fn a_server_that_refuses_the_mesh_protocols_with_an_alert() -> Result<()> {
    let scene = scene(Backend::NginxTls)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    let server = watched.scene.address();
    assert!(watched.app_sends(b"GET / HTTP/1.0\r\n\r\n", server)?.received_hex.is_empty());
    let connection = watched.connection(server, |line| line["client_hello"]["mesh"] == "istio")?;
    assert_eq!(connection["listener"]["behaviour"], "tls-alert", "{connection:#}");
    expect_rejection(watched, server, "certain", "hello-refused")
}

fn expect_rejection(mut watched: Watched, server: SocketAddr, confidence: &str, cause: &str) -> Result<()> {
    let finding = watched.finding(server)?;
    assert_eq!(finding["code"], "mtls-rejected", "{finding:#}");
    assert_eq!(finding["confidence"], confidence, "{finding:#}");
    assert_eq!(finding["cause"]["code"], cause, "{finding:#}");
    watched.end().map(drop)
}

#[test]
fn a_second_envoy_as_the_servers_sidecar() -> Result<()> {
    let spec = SceneSpec::new("redis", 6379).backend(|pod| pod.sidecar(Interception::Both));
    let mut scene = spec.start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let identity = scene.mesh.sign("server", DEFAULT_IDENTITY)?;
    let _server = Sidecar::of_server(&scene.backend, &Inbound::new(PeerAuthentication::Strict, &identity))?;
    let _client = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        assert_eq!(client::redis(watched.scene.client.app_container()?, server, &["PING"])?.stdout, "PONG\n");
        let connection = watched.connection(server, |line| line["client_hello"]["mesh"] == "istio")?;
        assert_eq!(connection["listener"]["behaviour"], "tls", "{connection:#}");
    }
    watched.end_without_finding()
}

#[test]
fn a_client_that_is_no_mesh() -> Result<()> {
    for (backend, behaviour) in [(Backend::NginxTls, "tls"), (Backend::Redis, "silent")] {
        let mut watched = Watched::start(scene(backend)?, &[])?;
        let server = watched.scene.address();
        let outsider = watched.scene.outsider.app_container()?;
        let mut openssl = client::openssl(outsider, server, &["-servername", "shop.example"])?;
        if behaviour == "silent" {
            // Redis says nothing, so openssl would wait for ever: it is ended once its hello has been taken in.
            openssl.check_alive()?;
            mtlsnoop_tests::wait::until("the server to have its hello", SOON, || {
                has_received(&watched.scene)
            })?;
            openssl.signal(nix::sys::signal::Signal::SIGTERM)?;
        }
        openssl.wait(SOON)?;
        let connection = watched.connection(server, |line| line["client"]["process"] == "openssl")?;
        assert_eq!(connection["client_hello"]["sni"], "shop.example", "{connection:#}");
        assert_eq!(connection["client_hello"].get("mesh"), None, "{connection:#}");
        assert_eq!(connection["listener"]["behaviour"], behaviour, "{connection:#}");
        watched.end_without_finding()?;
    }
    Ok(())
}

/// A connection of the server's port is established: field `st` of /proc/net/tcp is 01.
fn has_received(scene: &Scene) -> Result<Option<()>> {
    let port = format!(":{:04X}", scene.address().port());
    let is_established = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("01")
    };
    let tables =
        scene.backend.netns().run("cat", &["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"], "")?;
    Ok(tables.lines().any(is_established).then_some(()))
}
