//! Consul's service mesh.
//!
//! Its forms, and where they are written (hashicorp/consul):
//! - SNI of `agent/connect/sni.go`, each followed by the trust domain `<uuid>.consul` (`agent/connect/uri_signing.go`,
//!   whose uuid is the cluster's): `[<subset>.]<service>.<namespace>.<datacenter>.internal`, with a partition
//!   `[<subset>.]<service>.<namespace>.<partition>.<datacenter>.internal-v1`, of a peer
//!   `<service>.<namespace>.<partition>.<peer>.external`, of a prepared query `<service>.default.<datacenter>.query`,
//!   and between gateways `<datacenter>.internal` and `<partition>.<datacenter>.internal-v1`. The same since
//!   Consul 1.2, then in `agent/xds/sni.go`;
//! - ALPN `consul~<port's name>` of the resource API, version 2 (`internal/mesh/…/sidecarproxy/builder`,
//!   `getAlpnProtocolFromPortName`).
//!
//! Many companies name hosts `*.internal.*`: without the uuid it is not Consul.

use super::{ClientHello, Mesh, MeshHello};

/// The hello of a sidecar or gateway.
pub(super) fn recognise(hello: &ClientHello) -> Option<MeshHello> {
    let is_v2 = hello
        .alpn
        .iter()
        .any(|protocol| protocol.strip_prefix("consul~").is_some_and(|port| !port.is_empty()));
    let from_sni = hello.sni.as_deref().and_then(destination);
    from_sni.or_else(|| is_v2.then(|| MeshHello::of(Mesh::Consul)))
}

fn destination(sni: &str) -> Option<MeshHello> {
    let (rest, cluster_id) = sni.strip_suffix(".consul")?.rsplit_once('.')?;
    if !is_uuid(cluster_id) {
        return None;
    }
    let labels: Vec<&str> = rest.split('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return None;
    }
    let (subset, service, namespace) = match *labels.as_slice() {
        [service, namespace, _, "internal" | "query"]
        | [service, namespace, _, _, "internal-v1" | "external"] => (None, Some(service), Some(namespace)),
        [subset, service, namespace, _, "internal"] | [subset, service, namespace, _, _, "internal-v1"] => {
            (Some(subset), Some(service), Some(namespace))
        }
        [_, "internal"] | [_, _, "internal-v1"] => (None, None, None),
        _ => return None,
    };
    Some(MeshHello {
        subset: subset.map(Into::into),
        service: service.map(Into::into),
        namespace: namespace.map(Into::into),
        ..MeshHello::of(Mesh::Consul)
    })
}

/// The text form of RFC 9562, section 4.
fn is_uuid(text: &str) -> bool {
    const GROUP_DIGITS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_group = |(group, digits): (&str, usize)| {
        group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    text.split('-').count() == GROUP_DIGITS.len() && text.split('-').zip(GROUP_DIGITS).all(is_group)
}

#[cfg(test)]
mod tests {
    use super::{Mesh, MeshHello, recognise};
    use crate::tls::{mesh::tests::hello, samples};

    const TRUST_DOMAIN: &str = "5fcd4b81-a2ca-405a-ac62-0fac602c1949.consul";

    fn service(subset: Option<&str>, name: &str, namespace: &str) -> MeshHello {
        MeshHello {
            subset: subset.map(Into::into),
            service: Some(name.into()),
            namespace: Some(namespace.into()),
            ..MeshHello::of(Mesh::Consul)
        }
    }

    #[test]
    fn hellos_with_its_names_are_recognised() {
        assert_eq!(recognise(&samples::hello(samples::CONSUL)), Some(service(None, "redis", "default")));
    }

    /// The expected names are those of `agent/connect/sni_test.go`.
    #[test]
    fn every_form_of_its_server_names_is_read() {
        let gateway = || Some(MeshHello::of(Mesh::Consul));
        for (before, expected) in [
            ("api.default.foo.internal", Some(service(None, "api", "default"))),
            ("api.neighbor.bar.internal", Some(service(None, "api", "neighbor"))),
            ("canary.api.neighbor.bar.internal", Some(service(Some("canary"), "api", "neighbor"))),
            ("api.default.part1.foo.internal-v1", Some(service(None, "api", "default"))),
            ("canary.api.neighbor.part1.foo.internal-v1", Some(service(Some("canary"), "api", "neighbor"))),
            ("mysql.default.default.my-peering.external", Some(service(None, "mysql", "default"))),
            ("magicquery.default.foo.query", Some(service(None, "magicquery", "default"))),
            ("foo.internal", gateway()),
            ("part1.foo.internal-v1", gateway()),
            ("internal", None),
            ("a.b.api.default.foo.internal", None),
            ("api..foo.internal", None),
            ("api.default.foo.public", None),
            ("server.dc1.peering", None),
        ] {
            let sni = format!("{before}.{TRUST_DOMAIN}");
            assert_eq!(recognise(&hello(Some(&sni), &[])), expected, "{sni}");
        }
    }

    #[test]
    fn hosts_that_are_called_internal_are_not_its() {
        for sni in [
            "api.default.dc1.internal.example.com",
            "api.default.dc1.internal.consul",
            "web.service.consul",
            "api.default.dc1.internal.5fcd4b81-a2ca-405a-ac62-0fac602c1949.example",
            "api.default.dc1.internal.5fcd4b81-a2ca-405a-ac62-0fac602c194.consul",
            "api.default.dc1.internal.5fcd4b81-a2ca-405a-ac62-0fac602c1949-1.consul",
            "api.default.dc1.internal.gfcd4b81-a2ca-405a-ac62-0fac602c1949.consul",
            "consul",
        ] {
            assert_eq!(recognise(&hello(Some(sni), &["h2"])), None, "{sni}");
        }
    }

    #[test]
    fn the_second_version_is_known_by_its_protocol() {
        let nameless = Some(MeshHello::of(Mesh::Consul));
        assert_eq!(recognise(&hello(None, &["consul~tcp"])), nameless);
        assert_eq!(recognise(&hello(Some("api.example.com"), &["consul~tcp"])), nameless);
        assert_eq!(recognise(&hello(None, &["consul~"])), None);
        assert_eq!(recognise(&hello(None, &["consul"])), None);
    }
}
