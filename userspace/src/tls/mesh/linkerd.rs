//! Linkerd.
//!
//! Its forms, and where they are written:
//! - SNI `<service account>.<namespace>.serviceaccount.identity.<Linkerd's namespace>.<trust domain>`, the
//!   identity that the destination must prove (linkerd/linkerd2, `controller/api/destination/endpoint_translator.go`;
//!   names as in linkerd/linkerd2-proxy, `linkerd/meshtls/verifier/`), with no ALPN as a rule;
//! - ALPN `transport.l5d.io/v1` where a header names the port behind the proxy, as for opaque ports and
//!   gateways (linkerd2-proxy, `linkerd/transport-header/src/lib.rs`, `PROTOCOL`): the destination port then
//!   is the other proxy's own, 4143.

use super::{ClientHello, Mesh, MeshHello, offers};

/// What stands between the service account and Linkerd's own names.
const IDENTITY: &str = ".serviceaccount.identity.";

const TRANSPORT_HEADER: &str = "transport.l5d.io/v1";

/// The hello of a Linkerd proxy.
pub(super) fn recognise(hello: &ClientHello) -> Option<MeshHello> {
    let from_sni = hello.sni.as_deref().and_then(identity);
    from_sni.or_else(|| offers(hello, TRANSPORT_HEADER).then(|| MeshHello::of(Mesh::Linkerd)))
}

fn identity(sni: &str) -> Option<MeshHello> {
    let (workload, control_plane) = sni.split_once(IDENTITY)?;
    // A service account may have dots in its name, a namespace may not (RFC 1123 subdomain and label).
    let (service_account, namespace) = workload.rsplit_once('.')?;
    let (control_namespace, trust_domain) = control_plane.split_once('.')?;
    let is_given =
        [service_account, namespace, control_namespace, trust_domain].iter().all(|part| !part.is_empty());
    is_given.then(|| MeshHello {
        namespace: Some(namespace.into()),
        service_account: Some(service_account.into()),
        ..MeshHello::of(Mesh::Linkerd)
    })
}

#[cfg(test)]
mod tests {
    use super::{Mesh, MeshHello, recognise};
    use crate::tls::{mesh::tests::hello, samples};

    fn account(name: &str, namespace: &str) -> MeshHello {
        MeshHello {
            namespace: Some(namespace.into()),
            service_account: Some(name.into()),
            ..MeshHello::of(Mesh::Linkerd)
        }
    }

    #[test]
    fn hellos_with_its_names_are_recognised() {
        assert_eq!(recognise(&samples::hello(samples::LINKERD)), Some(account("redis", "default")));
        assert_eq!(recognise(&samples::hello(samples::LINKERD_OPAQUE)), Some(account("redis", "default")));
    }

    #[test]
    fn an_identity_is_enough() {
        for (sni, expected) in [
            // linkerd2-proxy, linkerd/meshtls/verifier.
            ("foo.ns1.serviceaccount.identity.linkerd.cluster.local", Some(account("foo", "ns1"))),
            ("a.b.ns1.serviceaccount.identity.l5d.example.org", Some(account("a.b", "ns1"))),
            ("ns1.serviceaccount.identity.linkerd.cluster.local", None),
            (".ns1.serviceaccount.identity.linkerd.cluster.local", None),
            ("foo.ns1.serviceaccount.identity.linkerd", None),
            ("foo.ns1.serviceaccount.identity.linkerd.", None),
            ("foo.ns1.identity.linkerd.cluster.local", None),
            ("foo.ns1.svc.cluster.local", None),
            ("identity.example.com", None),
        ] {
            assert_eq!(recognise(&hello(Some(sni), &[])), expected, "{sni}");
        }
    }

    #[test]
    fn its_protocol_is_enough() {
        let nameless = Some(MeshHello::of(Mesh::Linkerd));
        assert_eq!(recognise(&hello(None, &["transport.l5d.io/v1"])), nameless);
        assert_eq!(recognise(&hello(Some("gateway.example.org"), &["transport.l5d.io/v1"])), nameless);
        assert_eq!(recognise(&hello(None, &["transport.l5d.io"])), None);
    }
}
