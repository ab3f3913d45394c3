//! The other ways in which two ends do not agree on TLS.

use mtlsnoop_tests::{
    client,
    declared::{destination_rule, peer_authentication_of, tls_rule},
    envoy::{Inbound, PeerAuthentication, PortProtocol},
    interception::Interception,
    server::Backend,
};
use serde_json::json;

use crate::{
    at::{A_MOMENT, SOON},
    expected::Wanted,
    situation::{Situation, mtls, origination, plaintext},
};

fn wanted(
    code: &'static str,
    cause: &'static str,
    behaviour: &'static str,
    confidence: &'static str,
) -> Wanted {
    Wanted { code, cause, behaviour, protocol: None, confidence }
}

pub(super) fn all() -> Vec<Situation> {
    [plaintext_to_mtls(), tls_to_plaintext(), server_first(), rejected()].into_iter().flatten().collect()
}

fn strict(name: &'static str, told: &'static str, cause: &'static str) -> Situation {
    Situation::new(name, told)
        .serves(Backend::Redis, 6379)
        .behind(|identity| Inbound::new(PeerAuthentication::Strict, identity))
        .declared(|names| vec![peer_authentication_of(names.namespace, names.service, "STRICT")])
        .when(|at| at.fails(b"PING\r\n"))
        .found(wanted("plaintext-to-mtls", cause, "reset", "likely"))
}

fn plaintext_to_mtls() -> Vec<Situation> {
    vec![
        strict(
            "j-outsider",
            "J: a client without a sidecar, a server that is STRICT",
            "client-without-sidecar",
        ),
        strict("e-mixed", "E: one pod without a sidecar makes plaintext of all", "headless-mixed-endpoints")
            .through(plaintext)
            .endpoint(|pod| pod.container("server")),
        strict(
            "no-label",
            "the label of the server's sidecar says that it can do no mTLS",
            "endpoint-without-label",
        )
        .through(plaintext)
        .server(|pod| {
            let pod = pod.container("server").sidecar(Interception::Both);
            pod.label("security.istio.io/tlsMode", "disabled")
        }),
        strict("stale-plaintext", "a client's sidecar that has not heard of the server's", "stale-plaintext")
            .through(plaintext),
        strict("auto-mtls-off", "a release without mTLS for headless Services", "headless-auto-mtls-off")
            .through(plaintext)
            .istio("1.7.0"),
        strict("outside-of-services", "an address that no Service has", "address-outside-of-services")
            .through(plaintext)
            .outside_of_services(),
        strict(
            "strict-disabled",
            "a DestinationRule switches mTLS off, the server is STRICT",
            "destination-rule-disables-mtls",
        )
        .through(|mesh| mtls(mesh).disabled())
        .declared(|names| {
            vec![
                peer_authentication_of(names.namespace, names.service, "STRICT"),
                tls_rule(names.namespace, names.host, "DISABLE"),
            ]
        }),
    ]
}

fn tls_to_plaintext() -> Vec<Situation> {
    let originating = |name, told| {
        Situation::new(name, told).serves(Backend::Redis, 6379).declared(|names| {
            let tls = json!({ "mode": "SIMPLE", "sni": "redis.example" });
            let spec = json!({ "host": names.host, "trafficPolicy": { "tls": tls } });
            vec![destination_rule(names.namespace, "originate-tls", &spec)]
        })
    };
    let cause = "tls-origination";
    let http = |code, cause| Wanted { protocol: Some("http"), ..wanted(code, cause, "plaintext", "certain") };
    vec![
        originating("m-redis", "M: the sidecar originates TLS to a plain Redis")
            .through(|mesh| origination(mesh, Some("redis.example")))
            .when(|at| at.fails(b"PING\r\n"))
            .found(wanted("tls-to-plaintext", cause, "silent", "possible")),
        originating("m-no-sni", "M: the same without a server name")
            .through(|mesh| origination(mesh, None))
            .when(|at| at.fails(b"PING\r\n"))
            .found(wanted("tls-to-plaintext", cause, "silent", "possible")),
        originating("m-http", "M: the sidecar originates TLS to plain HTTP")
            .serves(Backend::Nginx, 8080)
            .through(|mesh| origination(mesh, Some("web.example")))
            .when(|at| at.fails(b"GET / HTTP/1.0\r\n\r\n"))
            .found(http("tls-to-plaintext", cause)),
        Situation::new(
            "l-https-to-http",
            "L: the app speaks HTTPS to a port that its sidecar takes for HTTP",
        )
        .serves(Backend::NginxTls, 8443)
        .port_name("http")
        .through(|mesh| plaintext(mesh).port_protocol(PortProtocol::Http))
        .when(|at| {
            let output = at.curl(&["--insecure", "https://{}/"])?;
            anyhow::ensure!(!output.status.success(), "curl succeeded");
            Ok(())
        })
        .found(http("tls-to-http-port", "http-declared-port")),
        Situation::new("n-double-tls", "N: the app's own TLS inside TLS that its sidecar originates")
            .serves(Backend::NginxTls, 8443)
            .through(|mesh| origination(mesh, Some("web.example")))
            .declared(|names| vec![tls_rule(names.namespace, names.host, "SIMPLE")])
            .when(|at| {
                let output = at.curl(&["--insecure", "https://{}/"])?;
                anyhow::ensure!(!output.status.success(), "curl succeeded");
                Ok(())
            })
            .found(wanted("double-tls", "origination-over-app-tls", "tls", "certain")),
    ]
}

fn server_first() -> Vec<Situation> {
    let mariadb = |name, told, cause| {
        let found = wanted("server-first-deadlock", cause, "silent", "possible");
        let situation = Situation::new(name, told).serves(Backend::MariaDb, 3306).when(|at| {
            let output = client::mariadb(at.app()?, at.address(), &[], "SELECT 1")?.wait(SOON)?;
            anyhow::ensure!(!output.status.success(), "the client was served: {}", output.stdout);
            Ok(())
        });
        situation.found(found)
    };
    vec![
        mariadb(
            "k-strict",
            "K: a client of MariaDB without a sidecar, a server that is STRICT",
            "plaintext-client-of-server-first",
        )
        .behind(|identity| Inbound::new(PeerAuthentication::Strict, identity))
        .declared(|names| vec![peer_authentication_of(names.namespace, names.service, "STRICT")]),
        mariadb(
            "k-permissive",
            "K: the same, and the server's sidecar waits to see whether it is TLS",
            "plaintext-client-of-server-first",
        )
        .behind(|identity| Inbound::new(PeerAuthentication::Permissive, identity)),
        mariadb(
            "k-sniffing",
            "K: the client's sidecar waits to see which protocol it is",
            "undeclared-server-first",
        )
        .port_name("db")
        .through(|mesh| plaintext(mesh).port_protocol(PortProtocol::Unknown)),
    ]
}

fn rejected() -> Vec<Situation> {
    let mesh = |name, told| Situation::new(name, told).through(mtls).when(|at| at.fails(b"PING\r\n"));
    vec![
        mesh("certificate-refused", "the server turns the client's certificate down")
            .serves(Backend::RedisTlsForeign, 6379)
            .found(wanted("mtls-rejected", "client-certificate-refused", "tls", "possible")),
        mesh("protocols-refused", "the server's own TLS knows none of the mesh's protocols")
            .serves(Backend::NginxTls, 8443)
            .found(wanted("mtls-rejected", "hello-refused", "tls-alert", "certain")),
        mesh("wrong-identity", "the client's sidecar expects another identity of the server")
            .serves(Backend::Redis, 6379)
            .behind(|identity| Inbound::new(PeerAuthentication::Strict, identity))
            .through(|mesh| mtls(mesh).peer("spiffe://cluster.local/ns/default/sa/other"))
            .when(|at| {
                let reply = at.waits(&[b"PING\r\n"], 5 * A_MOMENT, "eof");
                reply.or_else(|_| at.sends(b"PING\r\n")).map(drop)
            })
            .found(wanted("mtls-rejected", "server-identity-refused", "tls", "likely")),
    ]
}
