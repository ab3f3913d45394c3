//! Meshes that work, and meshes that fail for reasons that have nothing to do with TLS: nothing is found.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use mtlsnoop_tests::{
    client::{self, Sending},
    declared::{peer_authentication_of, tls_rule},
    envoy::{Inbound, PeerAuthentication, PortProtocol, TlsVersion},
    server::Backend,
    wait,
};
use nix::sys::signal::Signal;

use crate::{
    at::{A_MOMENT, At, SOON, pings},
    situation::{Situation, mtls, origination, plaintext},
};

fn strict(name: &'static str, told: &'static str) -> Situation {
    Situation::new(name, told)
        .serves(Backend::Redis, 6379)
        .through(mtls)
        .behind(|identity| Inbound::new(PeerAuthentication::Strict, identity))
        .declared(|names| vec![peer_authentication_of(names.namespace, names.service, "STRICT")])
        .when(pings)
}

fn permissive(name: &'static str, told: &'static str) -> Situation {
    Situation::new(name, told)
        .serves(Backend::Redis, 6379)
        .behind(|identity| Inbound::new(PeerAuthentication::Permissive, identity))
        .when(pings)
}

pub(super) fn all() -> Vec<Situation> {
    [sidecars(), one_sidecar(), ends(), probes()].into_iter().flatten().collect()
}

/// Sidecars at both ends.
fn sidecars() -> Vec<Situation> {
    vec![
        strict("strict", "mesh mTLS to a STRICT server"),
        strict("strict-ipv6", "the same over IPv6").when(|at| at.pings_at(at.address_ipv6())),
        strict("strict-tls13", "the same with TLS 1.3 and a large hello")
            .through(|mesh| mtls(mesh).tls_version(TlsVersion::V1_3)),
        strict("strict-many", "fifty connections at once").when(|at| {
            let sending = Sending::pieces(&[b"PING\r\nQUIT\r\n"]).on_connections(50).waiting(SOON);
            let replies = sending.run_all(at.app()?, at.address())?;
            ensure!(replies.iter().all(|reply| reply.ended == "eof"), "{replies:?}");
            Ok(())
        }),
        strict("strict-long", "one connection with many requests and pauses").when(|at| {
            let arguments = ["-r", "20", "-i", "0.05", "PING"];
            let output = client::redis(at.app()?, at.address(), &arguments)?;
            ensure!(output.stdout.lines().count() == 20, "{}{}", output.stdout, output.stderr);
            Ok(())
        }),
        strict("strict-idle", "an app that connects through its sidecar and says nothing")
            .when(|at| at.waits(&[], 3 * A_MOMENT, "open").map(drop)),
        strict("strict-server-first", "MariaDB behind both sidecars").serves(Backend::MariaDb, 3306).when(
            |at| {
                let output = client::mariadb(at.app()?, at.address(), &[], "SELECT 1")?.wait(SOON)?;
                ensure!(output.stdout == "1\n", "{}{}", output.stdout, output.stderr);
                Ok(())
            },
        ),
        strict("strict-http", "HTTP that both sidecars parse")
            .serves(Backend::Nginx, 8080)
            .port_name("http")
            .through(|mesh| {
                let alpn = ["istio-http/1.1", "istio", "http/1.1"];
                mtls(mesh).alpn(&alpn).port_protocol(PortProtocol::Http)
            })
            .behind(|identity| Inbound::new(PeerAuthentication::Strict, identity).http())
            .when(|at| at.curls(&["http://{}/"])),
        strict("strict-no-server", "both sidecars work, and the server does not run")
            .serves(Backend::Redis, 6379)
            .without_server()
            .when(|at| at.fails(b"PING\r\n")),
        permissive("permissive", "mesh mTLS to a PERMISSIVE server").through(mtls),
        permissive("permissive-app-tls", "the app's own TLS, which both sidecars pass on")
            .serves(Backend::NginxTls, 8443)
            .through(plaintext)
            .when(|at| at.curls(&["--insecure", "https://{}/"])),
        permissive("mtls-around-app-tls", "the app's own TLS inside mesh mTLS")
            .serves(Backend::NginxTls, 8443)
            .through(mtls)
            .when(|at| at.curls(&["--insecure", "https://{}/"])),
        permissive("permissive-plaintext", "plaintext from a sidecar to a PERMISSIVE server")
            .through(plaintext),
    ]
}

/// A sidecar at one end only.
fn one_sidecar() -> Vec<Situation> {
    let to_plain = |name, told| Situation::new(name, told).serves(Backend::Redis, 6379).when(pings);
    vec![
        permissive("permissive-outsider", "plaintext from a client without a sidecar to a PERMISSIVE server"),
        permissive("permissive-outsider-tls", "the same with the app's own TLS")
            .serves(Backend::NginxTls, 8443)
            .when(|at| at.curls(&["--insecure", "https://{}/"])),
        permissive("permissive-no-server", "the same, and the server does not run")
            .without_server()
            .when(|at| at.fails(b"PING\r\n")),
        permissive("permissive-server-resets", "the same, and the server resets")
            .serves(Backend::Resets, 7002)
            .when(|at| at.fails(b"what?\n")),
        permissive("disabled-outsider", "plaintext to a server whose sidecar is in mode DISABLE")
            .behind(|identity| Inbound::new(PeerAuthentication::Disable, identity))
            .declared(|names| vec![peer_authentication_of(names.namespace, names.service, "DISABLE")]),
        to_plain("rule-disable", "a DestinationRule switches mTLS off for a plain Redis")
            .through(|mesh| mtls(mesh).disabled())
            .declared(|names| vec![tls_rule(names.namespace, names.host, "DISABLE")]),
        to_plain("sidecar-plaintext", "plaintext through a sidecar to a plain Redis").through(plaintext),
        to_plain("sidecar-app-tls", "the app's own TLS through its sidecar")
            .serves(Backend::NginxTls, 8443)
            .through(plaintext)
            .when(|at| at.curls(&["--insecure", "https://{}/"])),
        to_plain(
            "sidecar-app-tls-to-plaintext",
            "the app's own TLS through its sidecar to a plain Redis: the app's fault",
        )
        .through(plaintext)
        .when(|at| {
            let openssl = at.openssl(&["-servername", "shop.example"])?;
            at.waits(&[b"PING\r\nQUIT\r\n"], SOON, "eof")?;
            openssl.signal(Signal::SIGTERM)
        }),
        to_plain("origination", "a sidecar originates TLS to a server of TLS")
            .serves(Backend::RedisTls, 6379)
            .through(|mesh| origination(mesh, Some("redis.example")))
            .declared(|names| vec![tls_rule(names.namespace, names.host, "SIMPLE")]),
        to_plain("mtls-to-own-tls", "mesh mTLS to a server whose own TLS takes it")
            .serves(Backend::RedisTls, 6379)
            .through(mtls),
        to_plain("mtls-to-slow-tls", "mesh mTLS to a server of TLS that takes its time")
            .serves(Backend::RedisTlsLate, 6379)
            .through(mtls),
        to_plain("mtls-impatient", "a sidecar that gives up before a slow server of TLS has said anything")
            .serves(Backend::RedisTlsLate, 6379)
            .through(|mesh| mtls(mesh).connect_timeout(Duration::from_millis(100)))
            .when(|at| at.fails(b"PING\r\n")),
        to_plain("own-tls-hangs", "a server of TLS that took mesh mTLS a moment ago and hangs now")
            .serves(Backend::RedisTls, 6379)
            .through(mtls)
            .when(|at| {
                pings(at)?;
                at.signal_server(Signal::SIGSTOP)?;
                at.fails(b"PING\r\n")
            }),
        to_plain("hello-swallowed", "packets as large as a hello do not reach the server")
            .through(mtls)
            .when(|at| {
                at.swallow_packets_from(150)?;
                at.fails(b"PING\r\n")
            }),
        to_plain("sidecar-sniffing", "HTTP through a sidecar that looks at the first bytes")
            .serves(Backend::Nginx, 8080)
            .port_name("web")
            .through(|mesh| plaintext(mesh).port_protocol(PortProtocol::Unknown))
            .when(|at| at.curls(&["http://{}/"])),
    ]
}

/// A server that speaks first, if it speaks; its sidecar connects on to it at once.
fn hangs(name: &'static str, told: &'static str) -> Situation {
    permissive(name, told)
        .serves(Backend::MariaDb, 3306)
        .behind(|identity| Inbound::new(PeerAuthentication::Disable, identity))
        .declared(|names| vec![peer_authentication_of(names.namespace, names.service, "DISABLE")])
}

fn is_not_greeted(at: &At<'_>, server: SocketAddr) -> Result<()> {
    at.signal_server(Signal::SIGSTOP)?;
    let output = client::mariadb(at.app()?, server, &[], "SELECT 1")?.wait(SOON)?;
    ensure!(!output.status.success(), "the client was served: {}", output.stdout);
    Ok(())
}

/// Connections of a mesh that end badly, and none of it is about TLS.
fn ends() -> Vec<Situation> {
    vec![
        strict(
            "sidecar-killed",
            "the client's sidecar is killed in the middle of a connection, and another one started",
        )
        .when(|at| {
            let held = client::redis_cli(at.app()?, at.address(), &["-r", "-1", "-i", "0.02", "PING"])?;
            wait::until_true("a few answers", SOON, || Ok(held.stdout().len() > 30))?;
            at.kill_client_sidecar()?;
            at.start_client_sidecar()?;
            pings(at)
        }),
        strict("server-sidecar-killed", "the server's sidecar is killed in the middle of a connection").when(
            |at| {
                let held = client::redis_cli(at.app()?, at.address(), &["-r", "-1", "-i", "0.02", "PING"])?;
                wait::until_true("a few answers", SOON, || Ok(held.stdout().len() > 30))?;
                at.kill_server_sidecar()
            },
        ),
        strict("server-sidecar-hangs", "the server's sidecar has the hello and hangs").when(|at| {
            at.signal_server_sidecar(Signal::SIGSTOP)?;
            at.fails(b"PING\r\n")
        }),
        strict("killed-in-handshake", "the client's sidecar is killed while a slow server has its hello")
            .serves(Backend::RedisTlsLate, 6379)
            .without_inbound()
            .when(|at| {
                let app = Sending::pieces(&[b"PING\r\n"]).waiting(SOON).start(at.app()?, at.address())?;
                at.wait_for_server_connection()?;
                at.kill_client_sidecar()?;
                app.wait(SOON).map(drop)
            }),
        Situation::new("sidecar-refused", "a sidecar connects to a port that nobody listens on")
            .through(mtls)
            .when(|at| at.fails(b"PING\r\n")),
        Situation::new("sidecar-server-closes", "plaintext through a sidecar, and the server closes")
            .serves(Backend::Closes, 7001)
            .through(plaintext)
            .when(|at| at.fails(b"what?\n")),
        strict("server-closes", "the server behind both sidecars closes without an answer")
            .serves(Backend::Closes, 7001)
            .when(|at| at.fails(b"what?\n")),
        strict("server-resets", "the server behind both sidecars resets")
            .serves(Backend::Resets, 7002)
            .when(|at| at.fails(b"what?\n")),
        strict("server-silent", "the server behind both sidecars never answers")
            .serves(Backend::NeverAnswers, 7003)
            .when(|at| at.waits(&[b"hello?\n"], 3 * A_MOMENT, "open").map(drop)),
        hangs("server-first-hangs", "MariaDB behind a sidecar in mode DISABLE hangs before its greeting")
            .when(|at| is_not_greeted(at, at.address())),
        hangs("server-first-hangs-ipv6", "the same over IPv6")
            .when(|at| is_not_greeted(at, at.address_ipv6())),
        strict("captured-in-the-middle", "a capture that begins in the middle of mesh mTLS")
            .captured_late()
            .when(|at| {
                let held = client::redis_cli(at.app()?, at.address(), &["-r", "60", "-i", "0.02", "PING"])?;
                wait::until_true("a few answers", SOON, || Ok(held.stdout().len() > 30))?;
                at.capture()?;
                held.wait(SOON).map(drop)
            }),
    ]
}

/// What the redirection leaves alone.
fn probes() -> Vec<Situation> {
    let probed = |name, told, port| strict(name, told).without_outbound().without_server().port(port);
    vec![
        probed("kubelet-probe", "the kubelet asks the sidecar whether it is ready", 15021)
            .when(|at| at.curls(&["http://{}/healthz/ready"])),
        probed("prometheus", "Prometheus fetches the sidecar's metrics", 15090)
            .when(|at| at.curls(&["http://{}/stats/prometheus"])),
        probed("agent-metrics", "nobody listens on 15020", 15020).when(|at| {
            let output = at.curl(&["http://{}/metrics"])?;
            ensure!(!output.status.success(), "somebody listens");
            Ok(())
        }),
    ]
}
