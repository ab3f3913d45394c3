//! What holds for all meshes: each hello has one mesh or none, and names are stable.

use super::{Direction, Mesh, recognise};
use crate::tls::{client_hello::ClientHello, samples};

/// A hello with this server name and these application protocols.
pub(super) fn hello(sni: Option<&str>, alpn: &[&str]) -> ClientHello {
    let alpn = alpn.iter().map(|&protocol| protocol.into()).collect();
    ClientHello { sni: sni.map(Into::into), alpn, ..ClientHello::default() }
}

fn mesh_of(hello: &ClientHello, port: u16) -> Option<Mesh> {
    recognise(hello, port).map(|recognised| recognised.mesh)
}

#[test]
fn every_sample_is_of_its_mesh_or_of_none() {
    for (sample, expected) in [
        (samples::ISTIO_TLS12, Some(Mesh::Istio)),
        (samples::ISTIO_SNI_OVERRIDE, Some(Mesh::Istio)),
        (samples::LINKERD, Some(Mesh::Linkerd)),
        (samples::LINKERD_OPAQUE, Some(Mesh::Linkerd)),
        (samples::CONSUL, Some(Mesh::Consul)),
        (samples::KUMA, Some(Mesh::Kuma)),
        (samples::OSM, Some(Mesh::Osm)),
        (samples::OPENSSL_TLS13, None),
        (samples::OPENSSL_TLS12, None),
        (samples::CURL, None),
        (samples::CHROME, None),
        (samples::FIREFOX, None),
    ] {
        for port in [443, 6379, 15_008] {
            assert_eq!(mesh_of(&samples::hello(sample), port), expected, "{sample} to {port}");
        }
    }
    let hbone = samples::hello(samples::ZTUNNEL);
    assert_eq!((mesh_of(&hbone, 15_008), mesh_of(&hbone, 8443)), (Some(Mesh::IstioAmbient), None));
}

#[test]
fn plain_tls_of_applications_is_of_no_mesh() {
    for (sni, alpn) in [
        (Some("api.internal.example.com"), &["h2", "http/1.1"][..]),
        (Some("redis.default.svc.cluster.local"), &[]),
        (Some("vault.service.consul"), &["h2"]),
        (None, &["h2"]),
        (None, &["postgresql"]),
        (None, &[]),
    ] {
        assert_eq!(mesh_of(&hello(sni, alpn), 443), None, "{sni:?} {alpn:?}");
    }
}

#[test]
fn names_are_stable() {
    let names = Mesh::ALL.map(Mesh::name);
    assert_eq!(names, ["istio", "istio-ambient", "linkerd", "consul", "kuma", "osm"]);
    assert_eq!((Direction::Outbound.name(), Direction::Inbound.name()), ("outbound", "inbound"));
}
