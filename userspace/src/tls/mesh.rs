//! Tells which service mesh wrote a ClientHello, and what it says of the destination; must not know of
//! clusters or policy.
//!
//! Istio's forms, and where they are written (istio/istio):
//! - SNI `outbound_.6379_._.redis.default.svc.cluster.local`, that is direction, *service* port (the socket
//!   has the target port), subset and host: `BuildDNSSrvSubsetKey` in `pilot/pkg/model/service.go`;
//! - SNI `outbound|6379||redis.default.svc.cluster.local`, the cluster's name, where no other SNI was given:
//!   "Set default SNI of cluster name" in `pilot/pkg/networking/core/cluster_tls.go`;
//! - any SNI at all with `tls.sni` of a DestinationRule, hence
//! - ALPN `istio`, or `istio-` and more, which every sidecar has offered since Istio 1.0:
//!   `pilot/pkg/networking/util/util.go`, `pilot/pkg/xds/filters/filters.go`.

use super::client_hello::ClientHello;

/// A service mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mesh {
    /// Istio with sidecars.
    Istio,
}

impl Mesh {
    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Istio => "istio",
        }
    }
}

/// Which way a mesh's cluster points, seen from the proxy that dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To another workload.
    Outbound,
    /// To the proxy's own workload.
    Inbound,
}

impl Direction {
    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// What a mesh's ClientHello tells of where the client meant to go. What it does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshHello {
    /// The mesh that wrote the hello.
    pub mesh: Mesh,
    /// Which way the cluster points.
    pub direction: Option<Direction>,
    /// The port of the Service, which may differ from the port that was dialled.
    pub service_port: Option<u16>,
    /// The DestinationRule's subset.
    pub subset: Option<Box<str>>,
    /// The host of the Service as the mesh knows it.
    pub host: Option<Box<str>>,
}

/// Says which mesh wrote this hello; `None` for an application's own TLS.
pub fn recognise(hello: &ClientHello) -> Option<MeshHello> {
    let from_sni =
        hello.sni.as_deref().and_then(|sni| istio_subset_key(sni).or_else(|| istio_cluster_name(sni)));
    from_sni.or_else(|| {
        hello.alpn.iter().any(|protocol| is_istio_alpn(protocol)).then(|| istio(None, None, "", ""))
    })
}

/// `<direction>_.<service port>_.<subset>_.<host>`
fn istio_subset_key(sni: &str) -> Option<MeshHello> {
    let (direction, rest) = sni.split_once("_.")?;
    let (port, rest) = rest.split_once("_.")?;
    let (subset, host) = rest.split_once("_.")?;
    if subset.contains('_') || host.is_empty() {
        return None;
    }
    Some(istio(Some(parse_direction(direction)?), Some(parse_port(port)?), subset, host))
}

/// `<direction>|<service port>|<subset>|<host>`
fn istio_cluster_name(sni: &str) -> Option<MeshHello> {
    let parts: Vec<&str> = sni.split('|').collect();
    let &[direction, port, subset, host] = parts.as_slice() else { return None };
    Some(istio(Some(parse_direction(direction)?), Some(parse_port(port)?), subset, host))
}

fn is_istio_alpn(protocol: &str) -> bool {
    protocol == "istio" || protocol.starts_with("istio-")
}

fn istio(direction: Option<Direction>, service_port: Option<u16>, subset: &str, host: &str) -> MeshHello {
    let given = |text: &str| (!text.is_empty()).then(|| text.into());
    MeshHello { mesh: Mesh::Istio, direction, service_port, subset: given(subset), host: given(host) }
}

fn parse_direction(text: &str) -> Option<Direction> {
    [Direction::Outbound, Direction::Inbound].into_iter().find(|direction| direction.name() == text)
}

fn parse_port(text: &str) -> Option<u16> {
    // Rust's own parser would take "+6379" too.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Direction, Mesh, MeshHello, recognise};
    use crate::tls::client_hello::{ClientHello, Reading, parse};
    use crate::tls::samples;

    fn outbound(service_port: u16, subset: Option<&str>, host: &str) -> MeshHello {
        MeshHello {
            mesh: Mesh::Istio,
            direction: Some(Direction::Outbound),
            service_port: Some(service_port),
            subset: subset.map(Into::into),
            host: Some(host.into()),
        }
    }

    fn nameless() -> MeshHello {
        MeshHello { mesh: Mesh::Istio, direction: None, service_port: None, subset: None, host: None }
    }

    #[test]
    fn recorded_hellos_are_recognised() {
        let redis = Some(outbound(6379, None, "redis.default.svc.cluster.local"));
        for (sample, expected) in [
            (samples::ISTIO_TLS12, redis.clone()),
            (samples::ISTIO_TLS13, redis.clone()),
            (samples::ISTIO_PQ, redis.clone()),
            (samples::ISTIO_PQ_DEFAULT, redis.clone()),
            (samples::ISTIO_CLUSTER_NAME_SNI, redis),
            (samples::ISTIO_HTTP_SUBSET, Some(outbound(8080, Some("v1"), "web.shop.svc.cluster.local"))),
            (samples::ISTIO_SNI_OVERRIDE, Some(nameless())),
            (samples::OPENSSL_TLS13, None),
            (samples::OPENSSL_TLS12, None),
            (samples::CURL, None),
            (samples::CHROME, None),
        ] {
            let Reading::Hello(hello) = parse(&samples::bytes(sample)) else { panic!("{sample}") };
            assert_eq!(recognise(&hello), expected, "{sample}");
        }
    }

    fn hello(sni: Option<&str>, alpn: &[&str]) -> ClientHello {
        let alpn = alpn.iter().map(|&protocol| protocol.into()).collect();
        ClientHello { sni: sni.map(Into::into), alpn, ..ClientHello::default() }
    }

    #[test]
    fn a_server_name_alone_is_enough() {
        let inbound = MeshHello { direction: Some(Direction::Inbound), ..outbound(80, None, "a") };
        for (sni, expected) in [
            ("outbound_.6379_._.redis", Some(outbound(6379, None, "redis"))),
            ("outbound_.6379_.v1_.redis", Some(outbound(6379, Some("v1"), "redis"))),
            // The host may have underscores of its own, and everything that looks like a separator.
            ("outbound_.1_._.a_b_.c", Some(outbound(1, None, "a_b_.c"))),
            ("inbound_.80_._.a", Some(inbound)),
            ("outbound|6379|v1|redis", Some(outbound(6379, Some("v1"), "redis"))),
            (
                "inbound|80||",
                Some(MeshHello { direction: Some(Direction::Inbound), host: None, ..outbound(80, None, "") }),
            ),
            ("outbound_.6379_._.", None),
            ("outbound_.6379_.v_1_.redis", None),
            ("outbound_.65536_._.redis", None),
            ("outbound_.+6379_._.redis", None),
            ("outbound_._._.redis", None),
            ("xoutbound_.6379_._.redis", None),
            ("outbound_.6379_.redis", None),
            ("outbound|6379|redis", None),
            ("outbound|6379|||redis", None),
            ("redis.default.svc.cluster.local", None),
            ("", None),
        ] {
            assert_eq!(recognise(&hello(Some(sni), &["h2"])), expected, "{sni}");
        }
    }

    #[test]
    fn an_application_protocol_alone_is_enough() {
        for (alpn, expected) in [
            (&["istio"][..], Some(nameless())),
            (&["istio-peer-exchange", "istio"], Some(nameless())),
            (&["istio-http/1.1", "istio", "http/1.1"], Some(nameless())),
            (&["h2", "istio-h2"], Some(nameless())),
            (&["h2", "http/1.1"], None),
            (&["istiod"], None),
            (&["Istio"], None),
            (&[], None),
        ] {
            assert_eq!(recognise(&hello(None, alpn)), expected, "{alpn:?}");
            assert_eq!(recognise(&hello(Some("cache.example.com"), alpn)), expected, "{alpn:?}");
        }
    }

    #[test]
    fn names_are_stable() {
        assert_eq!(Mesh::Istio.name(), "istio");
        assert_eq!((Direction::Outbound.name(), Direction::Inbound.name()), ("outbound", "inbound"));
    }
}
