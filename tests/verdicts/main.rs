//! The incident in small: a hand-made client of the mesh and plaintext listeners, without Envoy and real servers, so
//! that it runs on every kernel. The verdicts expected here hold on all of them. Needs root.

#![cfg(test)]

mod doctor;

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use data_encoding::HEXLOWER;
use mtlsnoop_tests::{
    client::{Reply, Sending},
    cluster::Cluster,
    interception::{Interception, SIDECAR_UID},
    scene::SceneSpec,
    server::Backend,
    watched::Watched,
};
use serde_json::{Value, json};

const PORT: u16 = 6379;

/// For how long the sidecar waits for an answer; well above what counts as silence (250 ms).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A real hello of Envoy, as hexadecimal digits with comments.
const HELLO: &str = include_str!("../../userspace/src/tls/testdata/istio_tls12.hex");

fn hello() -> Result<Vec<u8>> {
    let digits: String = HELLO.lines().filter(|line| !line.starts_with('#')).map(str::trim).collect();
    Ok(HEXLOWER.decode(digits.as_bytes())?)
}

/// A scene in which no traffic is redirected: that takes iptables, and the sidecar's own connections are not.
fn scene() -> SceneSpec {
    SceneSpec::new("redis", PORT).client(|pod| pod.interception(Interception::Nothing))
}

/// The sidecar begins mTLS with a server.
fn greet(watched: &Watched, server: SocketAddr) -> Result<Reply> {
    let sending = Sending::pieces(&[&hello()?]).as_id(SIDECAR_UID).waiting(CONNECT_TIMEOUT);
    sending.run(watched.scene.client.sidecar_container()?, server)
}

/// What must be found behind a listener, over IPv4 and IPv6.
struct Expected {
    backend: Backend,
    behaviour: &'static str,
    protocol: Value,
    confidence: &'static str,
    ended_by: &'static str,
    how: &'static str,
}

/// Does it with every hook that works here, and without those that tracing can do without, as older kernels may be.
fn on_both_tiers(story: impl Fn(&[&str]) -> Result<()>) -> Result<()> {
    story(&[])?;
    let without = doctor::without_optional_hooks()?;
    // Shown when it fails.
    eprintln!("and now {}", without.join(" "));
    story(&without.iter().map(String::as_str).collect::<Vec<_>>())
}

fn check(expected: &Expected) -> Result<()> {
    on_both_tiers(|arguments| check_with(expected, arguments))?;
    check_adaptive(expected)
}

/// The same verdict at the second attempt, for which the first one has armed.
fn check_adaptive(expected: &Expected) -> Result<()> {
    let mut scene = scene().start(Cluster::start()?)?;
    scene.serve(expected.backend)?;
    let mut watched = Watched::start(scene, &["--capture", "adaptive", "--verbose"])?;
    greet(&watched, watched.scene.address())?;
    watched.wait_until_said("closely")?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        greet(&watched, server)?;
        let finding = watched.finding_like(server, |finding| finding.get("client_hello").is_some())?;
        check_finding(&finding, expected, server)?;
    }
    watched.end()?;
    Ok(())
}

fn check_with(expected: &Expected, arguments: &[&str]) -> Result<()> {
    let mut scene = scene().start(Cluster::start()?)?;
    scene.serve(expected.backend)?;
    let mut watched = Watched::start(scene, arguments)?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        greet(&watched, server)?;
        let finding = watched.finding(server)?;
        check_finding(&finding, expected, server)?;
        assert_eq!(finding["server"]["process"], "lab-listener", "{finding:#}");
    }
    let lines = watched.end()?;
    let findings = lines.iter().filter(|line| line["kind"] == "finding");
    assert_eq!(findings.count(), 2, "one for each address: {lines:#?}");
    Ok(())
}

fn check_finding(finding: &Value, expected: &Expected, server: SocketAddr) -> Result<()> {
    let Expected { backend, behaviour, protocol, confidence, ended_by, how } = expected;
    let context = format!("{backend:?} at {server}: {finding:#}");
    let told = [
        ("/code", json!("mtls-to-plaintext")),
        ("/cause/code", json!("headless-unconditional-mtls")),
        ("/confidence", json!(confidence)),
        ("/incomplete", json!(false)),
        ("/client/container", json!("istio-proxy")),
        ("/client/process", json!("lab-sender")),
        ("/server/pod", json!("redis-0")),
        ("/server/service", json!("redis")),
        ("/client_hello/sni", json!("outbound_.6379_._.redis.default.svc.cluster.local")),
        ("/client_hello/mesh", json!("istio")),
        ("/listener/behaviour", json!(behaviour)),
        ("/listener/protocol", protocol.clone()),
        ("/outcome/ended_by", json!(ended_by)),
        ("/outcome/how", json!(how)),
        ("/outcome/bytes_sent", json!(hello()?.len())),
    ];
    for (key, value) in told {
        assert_eq!(finding.pointer(key), Some(&value), "{key}, {context}");
    }
    Ok(())
}

#[test]
fn a_silent_listener() -> Result<()> {
    check(&Expected {
        backend: Backend::NeverAnswers,
        behaviour: "silent",
        protocol: Value::Null,
        confidence: "likely",
        ended_by: "client",
        how: "fin",
    })
}

/// What is known without the kernel's type information: the pods by their addresses, and no process.
#[test]
fn both_kinds_of_evidence_without_type_information() -> Result<()> {
    for (backend, behaviour, confidence) in
        [(Backend::NeverAnswers, "silent", "likely"), (Backend::Answers, "plaintext", "certain")]
    {
        let mut scene = scene().start(Cluster::start()?)?;
        scene.serve(backend)?;
        let mut watched = Watched::start(scene, &["--btf", "/nonexistent"])?;
        for server in [watched.scene.address(), watched.scene.address_ipv6()] {
            greet(&watched, server)?;
            let finding = watched.finding(server)?;
            for (key, value) in [
                ("/code", json!("mtls-to-plaintext")),
                ("/cause/code", json!("headless-unconditional-mtls")),
                ("/confidence", json!(confidence)),
                ("/incomplete", json!(false)),
                ("/client/workload", json!("Deployment/redis-client")),
                ("/server/pod", json!("redis-0")),
                ("/server/service", json!("redis")),
                ("/listener/behaviour", json!(behaviour)),
                ("/outcome/ended_by", json!("client")),
                ("/outcome/bytes_sent", json!(hello()?.len())),
            ] {
                assert_eq!(finding.pointer(key), Some(&value), "{key}: {finding:#}");
            }
            assert_eq!(finding["client"].get("process"), None, "{finding:#}");
        }
        watched.end()?;
    }
    Ok(())
}

#[test]
fn a_listener_that_answers_in_plaintext() -> Result<()> {
    check(&Expected {
        backend: Backend::Answers,
        behaviour: "plaintext",
        protocol: json!("memcached"),
        confidence: "certain",
        ended_by: "client",
        how: "fin",
    })
}

#[test]
fn a_listener_that_closes() -> Result<()> {
    check(&Expected {
        backend: Backend::Closes,
        behaviour: "closed",
        protocol: Value::Null,
        confidence: "likely",
        ended_by: "server",
        how: "fin",
    })
}

#[test]
fn a_listener_that_resets() -> Result<()> {
    check(&Expected {
        backend: Backend::Resets,
        behaviour: "reset",
        protocol: Value::Null,
        confidence: "likely",
        ended_by: "server",
        how: "rst",
    })
}

#[test]
fn nobody_listens() -> Result<()> {
    on_both_tiers(|arguments| {
        let mut watched = Watched::start(scene().start(Cluster::start()?)?, arguments)?;
        for server in [watched.scene.address(), watched.scene.address_ipv6()] {
            assert_eq!(greet(&watched, server)?.ended, "refused");
            let connection = watched.connection(server, |_| true)?;
            for (key, value) in [
                ("/listener/behaviour", json!("refused")),
                ("/outcome/ended_by", json!("server")),
                ("/outcome/error", json!(111)),
            ] {
                assert_eq!(connection.pointer(key), Some(&value), "{key}: {connection:#}");
            }
        }
        watched.end_without_finding()
    })
}

#[test]
fn a_client_that_speaks_plaintext_is_well() -> Result<()> {
    let mut scene = scene().start(Cluster::start()?)?;
    scene.serve(Backend::Answers)?;
    let mut watched = Watched::start(scene, &[])?;
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        let sending = Sending::pieces(&[b"version\r\n"]).waiting(CONNECT_TIMEOUT);
        sending.run(watched.scene.outsider.app_container()?, server)?;
        let connection = watched.connection(server, |_| true)?;
        assert_eq!(connection["listener"]["behaviour"], "plaintext", "{connection:#}");
        assert_eq!(connection["listener"]["first_bytes"], "", "{connection:#}");
    }
    watched.end_without_finding()
}
