//! Hellos of other meshes, and hellos of a mesh that are not what they seem.

use anyhow::Result;
use mtlsnoop_tests::{client::Sending, interception::SIDECAR_UID, server::Backend};

use super::{bytes, istio_hello};
use crate::{
    at::{At, SOON},
    expected::Wanted,
    situation::{Change, Situation},
};

/// The name that Linkerd's proxies give to a service account (linkerd2-proxy, `linkerd/app/integration`).
const LINKERD: &str = "default.default.serviceaccount.identity.linkerd.cluster.local";

/// Users of sidecars (linkerd2 `charts/`, `proxy.uid`; consul-k8s `connect-inject`, `sidecarUserAndGroupID`; kuma
/// `pkg/transparentproxy/config/`).
const LINKERD_UID: u32 = 2102;
const CONSUL_UID: u32 = 5995;
const KUMA_UID: u32 = 5678;

/// Another mesh's sidecar, as far as its first words go: from its container and as its user, to a server without one.
fn from_sidecar(name: &'static str, told: &'static str, client: Change) -> Situation {
    Situation { client, ..Situation::new(name, told) }
}

fn says(at: &At<'_>, hello: &str, uid: u32) -> Result<()> {
    Sending::pieces(&[&bytes(hello)]).as_id(uid).waiting(SOON / 15).run(at.app()?, at.address()).map(drop)
}

fn wanted(behaviour: &'static str, protocol: Option<&'static str>, confidence: &'static str) -> Wanted {
    let (code, cause) = ("mtls-to-plaintext", "mesh-without-proxy-at-destination");
    Wanted { code, cause, behaviour, protocol, confidence }
}

/// What meshes other than Istio say, and plaintext at the other end.
fn other_meshes() -> Vec<Situation> {
    vec![
        from_sidecar("linkerd-redis", "a hello of Linkerd's proxy to a plain Redis", |pod| {
            pod.container("linkerd-proxy")
                .container("app")
                .annotation("linkerd.io/proxy-version", "edge-26.10.1")
        })
        .serves(Backend::Redis, 6379)
        .when(|at| says(at, include_str!("../../../userspace/src/tls/testdata/linkerd.hex"), LINKERD_UID))
        .found(wanted("silent", None, "likely")),
        from_sidecar("consul-rabbitmq", "a hello of Consul's proxy to a plain RabbitMQ", |pod| {
            let pod = pod.container("consul-dataplane").container("app");
            pod.annotation("consul.hashicorp.com/connect-inject-status", "injected")
        })
        .serves(Backend::RabbitMq, 5672)
        .when(|at| says(at, include_str!("../../../userspace/src/tls/testdata/consul.hex"), CONSUL_UID))
        .found(wanted("plaintext", Some("amqp"), "certain")),
        from_sidecar("kuma-postgresql", "a hello of Kuma's proxy to a PostgreSQL without TLS", |pod| {
            pod.container("kuma-sidecar").container("app").annotation("kuma.io/sidecar-injected", "true")
        })
        .serves(Backend::Postgres, 5432)
        .when(|at| says(at, include_str!("../../../userspace/src/tls/testdata/kuma.hex"), KUMA_UID))
        .found(wanted("closed", None, "likely")),
    ]
}

pub(super) fn all() -> Vec<Situation> {
    other_meshes().into_iter().chain(quiet()).collect()
}

/// Nothing is wrong.
fn quiet() -> Vec<Situation> {
    vec![
        Situation::new("linkerd-hello", "a hello like Linkerd's to a server of TLS")
            .serves(Backend::RedisTls, 6379)
            .when(|at| at.openssl_connects(&["-servername", LINKERD, "-tls1_3"])),
        Situation::new("hbone-hello", "a hello like that of an ambient mesh's tunnel to a server of TLS")
            .serves(Backend::NginxTls, 15008)
            .when(|at| at.openssl_connects(&["-noservername", "-alpn", "h2", "-tls1_3"])),
        Situation::new("replayed-hello", "a copy of a mesh's hello to a server of TLS")
            .serves(Backend::RedisTls, 6379)
            .when(|at| {
                let hello = istio_hello();
                let sending = Sending::pieces(&[&hello]).as_id(SIDECAR_UID).waiting(SOON / 30);
                let reply = sending.run(at.app()?, at.address())?;
                anyhow::ensure!(reply.received_hex.starts_with("16"), "{reply:?}");
                Ok(())
            }),
    ]
}
