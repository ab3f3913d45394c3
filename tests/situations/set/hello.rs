//! Hellos of other meshes, and hellos of a mesh that are not what they seem.

use mtlsnoop_tests::{client::Sending, interception::SIDECAR_UID, server::Backend};

use super::istio_hello;
use crate::{at::SOON, situation::Situation};

/// The name that Linkerd's proxies give to a service account (linkerd2-proxy, `linkerd/app/integration`).
const LINKERD: &str = "default.default.serviceaccount.identity.linkerd.cluster.local";

pub(super) fn all() -> Vec<Situation> {
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
