//! Mesh mTLS to plaintext again, once for each cause that is declared (`mesh-facts`, variants A to I): what differs
//! is what the cluster says.

use anyhow::Result;
use mtlsnoop_tests::{
    declared::{destination_rule, peer_authentication, peer_authentication_of, tls_rule},
    envoy::{Inbound, PeerAuthentication},
    interception::Interception,
    server::Backend,
};
use serde_json::json;

use crate::{
    at::At,
    expected::Wanted,
    situation::{Change, Situation, mtls},
};

fn wanted(cause: &'static str, behaviour: &'static str) -> Wanted {
    Wanted { code: "mtls-to-plaintext", cause, behaviour, protocol: None, confidence: "likely" }
}

fn redis(name: &'static str, told: &'static str, cause: &'static str) -> Situation {
    let fails: fn(&At<'_>) -> Result<()> = |at| at.fails(b"PING\r\n");
    Situation::new(name, told)
        .through(mtls)
        .serves(Backend::Redis, 6379)
        .when(fails)
        .found(wanted(cause, "silent"))
}

const INJECTED: Change = |pod| pod.container("server").sidecar(Interception::Both);
const PLAIN: Change = |pod| pod.container("server");

pub(super) fn all() -> Vec<Situation> {
    [rules(), pods(), inferred()].into_iter().flatten().collect()
}

/// What a `DestinationRule` asks for.
fn rules() -> Vec<Situation> {
    vec![
        redis("a-rule", "A: a DestinationRule asks for mutual TLS", "destination-rule-mtls")
            .declared(|names| vec![tls_rule(names.namespace, names.host, "ISTIO_MUTUAL")]),
        redis("a-wildcard", "A: so does one for every host of a namespace", "destination-rule-mtls")
            .server(|pod| PLAIN(pod).in_namespace("wild"))
            .declared(|_| vec![tls_rule("wild", "*.wild.svc.cluster.local", "ISTIO_MUTUAL")]),
        redis("h-passthrough", "H: PASSTHROUGH for the port alone", "unchecked-passthrough")
            .with_address()
            .endpoint(INJECTED)
            .declared(|names| {
                let passthrough = json!({ "simple": "PASSTHROUGH" });
                let ports = json!([{ "port": { "number": names.port }, "loadBalancer": passthrough }]);
                let policy = json!({ "portLevelSettings": ports });
                let spec = json!({ "host": names.host, "trafficPolicy": policy });
                vec![destination_rule(names.namespace, "passthrough", &spec)]
            }),
        redis("i-lost-disable", "I: settings for the port lose the rule's DISABLE", "lost-disable")
            .behind(|identity| Inbound::new(PeerAuthentication::Permissive, identity))
            .server(|pod| pod.container("server").sidecar(Interception::Except(6379)))
            .declared(|names| {
                let pool = json!({ "tcp": { "maxConnections": 100 } });
                let ports = json!([{ "port": { "number": names.port }, "connectionPool": pool }]);
                let policy = json!({ "tls": { "mode": "DISABLE" }, "portLevelSettings": ports });
                let spec = json!({ "host": names.host, "trafficPolicy": policy });
                vec![destination_rule(names.namespace, "pool", &spec)]
            }),
    ]
}

/// What the server's pod is like.
fn pods() -> Vec<Situation> {
    vec![
        redis(
            "b-excluded-port",
            "B: the port is excluded from the server's sidecar",
            "excluded-inbound-port",
        )
        .behind(|identity| Inbound::new(PeerAuthentication::Permissive, identity))
        .server(|pod| pod.container("server").sidecar(Interception::Except(6379))),
        redis("c-copied-label", "C: a pod without a sidecar has the label of one", "label-without-proxy")
            .server(|pod| PLAIN(pod).label("security.istio.io/tlsMode", "istio")),
        redis("c-no-redirection", "C: a sidecar that nothing is redirected to", "not-intercepted")
            .behind(|identity| Inbound::new(PeerAuthentication::Permissive, identity))
            .server(|pod| pod.container("server").sidecar(Interception::Nothing))
            .not_captured(
                "who accepted is in no packet, and silence alone is no proof against the sidecar that is declared",
            ),
        redis("c-interception-none", "C: a sidecar whose pod wants no redirection", "interception-off")
            .behind(|identity| Inbound::new(PeerAuthentication::Permissive, identity))
            .server(|pod| {
                let pod = pod.container("server").sidecar(Interception::Nothing);
                pod.annotation("sidecar.istio.io/interceptionMode", "NONE")
            }),
        redis(
            "d-port-disabled",
            "D: the port's mTLS is switched off at the server's sidecar",
            "peer-authentication-disable",
        )
        .behind(|identity| Inbound::new(PeerAuthentication::Disable, identity))
        .declared(|names| {
            let spec = json!({
                "selector": { "matchLabels": { "app": names.service } },
                "mtls": { "mode": "STRICT" },
                "portLevelMtls": { names.port.to_string(): { "mode": "DISABLE" } }
            });
            vec![peer_authentication(names.namespace, names.service, &spec)]
        }),
        redis(
            "d-http-disabled",
            "D: the same where the port is HTTP: the sidecar answers 400",
            "peer-authentication-disable",
        )
        .serves(Backend::Nginx, 8080)
        .port_name("http")
        .behind(|identity| Inbound::new(PeerAuthentication::Disable, identity).http())
        .declared(|names| vec![peer_authentication_of(names.namespace, names.service, "DISABLE")])
        .found(Wanted {
            protocol: Some("http"),
            confidence: "certain",
            ..wanted("peer-authentication-disable", "plaintext")
        }),
    ]
}

/// What the mesh concludes from all pods of a Service.
fn inferred() -> Vec<Situation> {
    vec![
        redis("g-stale", "G: a pod without a sidecar joins others that have one", "stale-configuration")
            .endpoint(INJECTED)
            .endpoint(INJECTED),
    ]
}
