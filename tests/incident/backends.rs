//! Plaintext servers behind the sidecar's mTLS: each has its own way to fail, and each is named.

use std::net::SocketAddr;

use anyhow::Result;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;
use serde_json::{Value, json};

use mtlsnoop_tests::watched::Watched;

/// What must be found behind a server, over IPv4 and IPv6.
struct Expected {
    backend: Backend,
    port: u16,
    behaviour: &'static str,
    protocol: Value,
    confidence: &'static str,
}

fn check(expected: &Expected) -> Result<()> {
    let mut scene = SceneSpec::new("store", expected.port).start(Cluster::start()?)?;
    scene.serve(expected.backend)?;
    let _sidecar = scene.client_sidecar(&scene.unconditional_mtls()?)?;
    let mut watched = Watched::start(scene, &[])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        let reply = watched.app_sends(b"PING\r\n", server)?;
        assert!(reply.received_hex.is_empty(), "the sidecar let something through: {reply:?}");
        let finding = watched.finding(server)?;
        check_finding(&finding, expected, server);
        assert_eq!(finding["client"]["victim"]["port"], json!(reply.port), "{finding:#}");
    }
    let lines = watched.end()?;
    let findings = lines.iter().filter(|line| line["kind"] == "finding");
    assert!(findings.clone().all(|finding| finding["code"] == "mtls-to-plaintext"), "{lines:#?}");
    assert_eq!(findings.count(), 2, "one for each address: {lines:#?}");
    Ok(())
}

fn check_finding(finding: &Value, expected: &Expected, server: SocketAddr) {
    let Expected { backend, port, behaviour, protocol, confidence } = expected;
    let context = format!("{backend:?} at {server}: {finding:#}");
    assert_eq!(finding["code"], "mtls-to-plaintext", "{context}");
    assert_eq!(finding["listener"]["behaviour"], *behaviour, "{context}");
    assert_eq!(finding["listener"]["protocol"], *protocol, "{context}");
    assert_eq!(finding["confidence"], *confidence, "{context}");
    assert_eq!(finding["cause"]["code"], "headless-unconditional-mtls", "{context}");
    assert_eq!(finding["server"]["pod"], "store-0", "{context}");
    assert_eq!(finding["server"]["service"], "store", "{context}");
    assert_eq!(finding["server"]["sidecar"], false, "{context}");
    assert_eq!(finding["client"]["container"], "istio-proxy", "{context}");
    assert_eq!(finding["client"]["process"], "envoy", "{context}");
    assert_eq!(finding["client"]["victim"]["container"], "app", "{context}");
    assert_eq!(finding["client"]["victim"]["process"], "lab-sender", "{context}");
    let sni = format!("outbound_.{port}_._.store.default.svc.cluster.local");
    assert_eq!(finding["client_hello"]["sni"], sni, "{context}");
    assert_eq!(finding["client_hello"]["mesh"], "istio", "{context}");
    assert_eq!(finding["incomplete"], false, "{context}");
    let manifest = finding["fix"]["manifest"].as_str().unwrap_or_default();
    assert!(manifest.contains("host: store.default.svc.cluster.local\n"), "{context}");
    // A greeting that came before the hello stays in the kernel; its class tells the protocol.
    let has_bytes = !finding["listener"]["first_bytes"].as_str().unwrap_or_default().is_empty();
    assert!(has_bytes == (*behaviour == "plaintext") || *behaviour == "spoke-first", "{context}");
}

#[test]
fn redis_is_silent() -> Result<()> {
    let (behaviour, protocol, confidence) = ("silent", Value::Null, "likely");
    check(&Expected { backend: Backend::Redis, port: 6379, behaviour, protocol, confidence })
}

#[test]
fn memcached_answers_with_an_error() -> Result<()> {
    let (behaviour, protocol, confidence) = ("plaintext", json!("memcached"), "certain");
    check(&Expected { backend: Backend::Memcached, port: 11211, behaviour, protocol, confidence })
}

#[test]
fn postgresql_closes() -> Result<()> {
    let (behaviour, protocol, confidence) = ("closed", Value::Null, "likely");
    check(&Expected { backend: Backend::Postgres, port: 5432, behaviour, protocol, confidence })
}

#[test]
fn mariadb_greets() -> Result<()> {
    let (behaviour, protocol, confidence) = ("spoke-first", json!("mysql"), "certain");
    check(&Expected { backend: Backend::MariaDb, port: 3306, behaviour, protocol, confidence })
}

#[test]
fn rabbitmq_answers_with_its_own_header() -> Result<()> {
    let (behaviour, protocol, confidence) = ("plaintext", json!("amqp"), "certain");
    check(&Expected { backend: Backend::RabbitMq, port: 5672, behaviour, protocol, confidence })
}

#[test]
fn nginx_answers_400() -> Result<()> {
    let (behaviour, protocol, confidence) = ("plaintext", json!("http"), "certain");
    check(&Expected { backend: Backend::Nginx, port: 8080, behaviour, protocol, confidence })
}

#[test]
fn nats_greets() -> Result<()> {
    let (behaviour, protocol, confidence) = ("spoke-first", json!("nats"), "certain");
    check(&Expected { backend: Backend::Nats, port: 4222, behaviour, protocol, confidence })
}

#[test]
fn an_unknown_listener_closes() -> Result<()> {
    let (behaviour, protocol, confidence) = ("closed", Value::Null, "likely");
    check(&Expected { backend: Backend::Closes, port: 7001, behaviour, protocol, confidence })
}

#[test]
fn an_unknown_listener_resets() -> Result<()> {
    let (behaviour, protocol, confidence) = ("reset", Value::Null, "likely");
    check(&Expected { backend: Backend::Resets, port: 7002, behaviour, protocol, confidence })
}

#[test]
fn an_unknown_listener_never_answers() -> Result<()> {
    let (behaviour, protocol, confidence) = ("silent", Value::Null, "likely");
    check(&Expected { backend: Backend::NeverAnswers, port: 7003, behaviour, protocol, confidence })
}

#[test]
fn an_unknown_listener_never_reads() -> Result<()> {
    let (behaviour, protocol, confidence) = ("silent", Value::Null, "likely");
    check(&Expected { backend: Backend::NeverReads, port: 7004, behaviour, protocol, confidence })
}
