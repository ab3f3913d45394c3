//! Kuma and Kong Mesh.
//!
//! Their forms, and where they are written (kumahq/kuma):
//! - ALPN `kuma`, which says that the mTLS is the mesh's (`KumaALPNProtocols` in `pkg/xds/envoy/tls/tls.go`);
//! - SNI of `pkg/xds/envoy/tls/sni.go`: `<service>`, with tags `<service>{<key>=<value>,…}` (`SNIFromTags`),
//!   `a<16 hex digits>.<name>.<port>.<mesh>.<ms|mes|mzms>` (`SNIForResource`), and the newest
//!   `sni.<msvc|extsvc|mzsvc>.<mesh>[.<zone>[.<namespace>]].<name>.<section>` (`SNIFromKRI`). The first could be
//!   anybody's host name, so it counts with the ALPN only.

use super::{ClientHello, Mesh, MeshHello, offers, parse_port};

/// The hello of a sidecar or gateway.
pub(super) fn recognise(hello: &ClientHello) -> Option<MeshHello> {
    let sni = hello.sni.as_deref().unwrap_or_default();
    resource(sni)
        .or_else(|| identifier(sni))
        .or_else(|| tagged(sni))
        .or_else(|| offers(hello, "kuma").then(|| service(sni)))
}

/// `a<hash>.<name>.<port>.<mesh>.<kind>`
fn resource(sni: &str) -> Option<MeshHello> {
    const HASH_DIGITS: usize = 16;
    let labels: Vec<&str> = sni.split('.').collect();
    let [hash, names @ .., port, _mesh, "ms" | "mes" | "mzms"] = labels.as_slice() else { return None };
    let hash = hash.strip_prefix('a')?;
    if hash.len() != HASH_DIGITS || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) || names.is_empty() {
        return None;
    }
    let name = names.join(".");
    Some(MeshHello {
        service_port: Some(parse_port(port)?),
        service: Some(name.into()),
        ..MeshHello::of(Mesh::Kuma)
    })
}

/// `sni.<kind>.<mesh>[.<zone>[.<namespace>]].<name>.<section>`; the section is a port's number or name.
fn identifier(sni: &str) -> Option<MeshHello> {
    let labels: Vec<&str> = sni.split('.').collect();
    let ["sni", "msvc" | "extsvc" | "mzsvc", _mesh, place @ .., name, section] = labels.as_slice() else {
        return None;
    };
    let namespace = match *place {
        [] | [_] => None,
        [_zone, namespace] => Some(namespace.into()),
        _ => return None,
    };
    Some(MeshHello {
        service_port: parse_port(section),
        service: Some((*name).into()),
        namespace,
        ..MeshHello::of(Mesh::Kuma)
    })
}

/// `<service>{<key>=<value>,…}`
fn tagged(sni: &str) -> Option<MeshHello> {
    let (name, tags) = sni.strip_suffix('}')?.split_once('{')?;
    let is_tag = |tag: &str| tag.split_once('=').is_some_and(|(key, _)| !key.is_empty());
    (!name.is_empty() && tags.split(',').all(is_tag)).then(|| service(name))
}

/// A service as its tag `kuma.io/service` names it: in Kubernetes `<name>_<namespace>_svc_<port>`
/// (`pkg/plugins/runtime/k8s/util/`, `ServiceTag`).
fn service(tag: &str) -> MeshHello {
    let in_kubernetes = || {
        let (name, rest) = tag.split_once('_')?;
        let (namespace, port) = rest.split_once("_svc_")?;
        Some(MeshHello {
            service_port: Some(parse_port(port)?),
            service: Some(name.into()),
            namespace: Some(namespace.into()),
            ..MeshHello::of(Mesh::Kuma)
        })
    };
    in_kubernetes().unwrap_or_else(|| MeshHello {
        service: (!tag.is_empty()).then(|| tag.into()),
        ..MeshHello::of(Mesh::Kuma)
    })
}

#[cfg(test)]
mod tests {
    use super::{Mesh, MeshHello, recognise};
    use crate::tls::{mesh::tests::hello, samples};

    fn service(name: &str, namespace: Option<&str>, port: Option<u16>) -> MeshHello {
        MeshHello {
            service_port: port,
            service: Some(name.into()),
            namespace: namespace.map(Into::into),
            ..MeshHello::of(Mesh::Kuma)
        }
    }

    #[test]
    fn hellos_with_its_names_are_recognised() {
        let redis = Some(service("redis", Some("default"), Some(6379)));
        assert_eq!(recognise(&samples::hello(samples::KUMA)), redis);
    }

    /// Most names are those of `pkg/xds/envoy/tls/sni_test.go`.
    #[test]
    fn most_of_its_server_names_are_enough() {
        for (sni, expected) in [
            ("ae10a8071b8a8eeb8.backend.8080.demo.ms", Some(service("backend", None, Some(8080)))),
            ("a333a125865a97632.backend.8080.demo.mes", Some(service("backend", None, Some(8080)))),
            ("ae10a8071b8a8eeb8.back.end.8080.demo.mzms", Some(service("back.end", None, Some(8080)))),
            ("sni.msvc.default.backend.http", Some(service("backend", None, None))),
            ("sni.msvc.default.east.backend.http", Some(service("backend", None, None))),
            ("sni.msvc.default.east.app-ns.backend.http", Some(service("backend", Some("app-ns"), None))),
            ("sni.mzsvc.default.global-svc.8080", Some(service("global-svc", None, Some(8080)))),
            ("backend{app=backend-app,env=prod}", Some(service("backend", None, None))),
            ("redis_default_svc_6379{version=v1}", Some(service("redis", Some("default"), Some(6379)))),
            ("ae10a8071b8a8eeb.backend.8080.demo.ms", None),
            ("ae10a8071b8a8eeb8.8080.demo.ms", None),
            ("ae10a8071b8a8eeb8.backend.http.demo.ms", None),
            ("ae10a8071b8a8eeb8.backend.8080.demo.svc", None),
            ("sni.msvc.default.backend", None),
            ("sni.msvc.a.b.c.d.e.f", None),
            ("sni.example.com", None),
            ("backend{", None),
            ("{a=b}", None),
            ("backend{a}", None),
            ("backend", None),
            ("redis_default_svc_6379", None),
        ] {
            assert_eq!(recognise(&hello(Some(sni), &["h2"])), expected, "{sni}");
        }
    }

    #[test]
    fn its_protocol_is_enough() {
        for (sni, expected) in [
            (None, Some(MeshHello::of(Mesh::Kuma))),
            (Some("backend"), Some(service("backend", None, None))),
            (Some("redis_default_svc_6379"), Some(service("redis", Some("default"), Some(6379)))),
            (Some("redis_default_svc_port"), Some(service("redis_default_svc_port", None, None))),
        ] {
            assert_eq!(recognise(&hello(sni, &["kuma"])), expected, "{sni:?}");
        }
        assert_eq!(recognise(&hello(Some("backend"), &["kuma2"])), None);
    }
}
