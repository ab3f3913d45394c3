//! Istio's sidecars; must not know of ambient mode.
//!
//! Their forms, and where they are written (istio/istio):
//! - SNI `outbound_.6379_._.redis.default.svc.cluster.local`, that is direction, *service* port (the socket
//!   has the target port), subset and host: `BuildDNSSrvSubsetKey` in `pilot/pkg/model/service.go`;
//! - SNI `outbound|6379||redis.default.svc.cluster.local`, the cluster's name, where no other SNI was given:
//!   "Set default SNI of cluster name" in `pilot/pkg/networking/core/cluster_tls.go`;
//! - any SNI at all with `tls.sni` of a DestinationRule, hence
//! - ALPN `istio`, or `istio-` and more, which every sidecar has offered since Istio 1.0:
//!   `pilot/pkg/networking/util/util.go`, `pilot/pkg/xds/filters/filters.go`.

use super::{ClientHello, Direction, Mesh, MeshHello, parse_port};

/// The hello of a sidecar.
pub(super) fn recognise(hello: &ClientHello) -> Option<MeshHello> {
    let from_sni = hello.sni.as_deref().and_then(|sni| subset_key(sni).or_else(|| cluster_name(sni)));
    from_sni
        .or_else(|| hello.alpn.iter().any(|protocol| is_alpn(protocol)).then(|| MeshHello::of(Mesh::Istio)))
}

/// `<direction>_.<service port>_.<subset>_.<host>`
fn subset_key(sni: &str) -> Option<MeshHello> {
    let (direction, rest) = sni.split_once("_.")?;
    let (port, rest) = rest.split_once("_.")?;
    let (subset, host) = rest.split_once("_.")?;
    if subset.contains('_') || host.is_empty() {
        return None;
    }
    cluster(direction, port, subset, host)
}

/// `<direction>|<service port>|<subset>|<host>`
fn cluster_name(sni: &str) -> Option<MeshHello> {
    let parts: Vec<&str> = sni.split('|').collect();
    let &[direction, port, subset, host] = parts.as_slice() else { return None };
    cluster(direction, port, subset, host)
}

fn cluster(direction: &str, port: &str, subset: &str, host: &str) -> Option<MeshHello> {
    let given = |text: &str| (!text.is_empty()).then(|| text.into());
    Some(MeshHello {
        direction: Some(parse_direction(direction)?),
        service_port: Some(parse_port(port)?),
        subset: given(subset),
        host: given(host),
        ..MeshHello::of(Mesh::Istio)
    })
}

fn is_alpn(protocol: &str) -> bool {
    protocol == "istio" || protocol.starts_with("istio-")
}

fn parse_direction(text: &str) -> Option<Direction> {
    [Direction::Outbound, Direction::Inbound].into_iter().find(|direction| direction.name() == text)
}

#[cfg(test)]
mod tests {
    use super::{Direction, Mesh, MeshHello, recognise};
    use crate::tls::{mesh::tests::hello, samples};

    fn outbound(service_port: u16, subset: Option<&str>, host: &str) -> MeshHello {
        MeshHello {
            direction: Some(Direction::Outbound),
            service_port: Some(service_port),
            subset: subset.map(Into::into),
            host: Some(host.into()),
            ..MeshHello::of(Mesh::Istio)
        }
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
            (samples::ISTIO_SNI_OVERRIDE, Some(MeshHello::of(Mesh::Istio))),
        ] {
            assert_eq!(recognise(&samples::hello(sample)), expected, "{sample}");
        }
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
        for (alpn, is_istio) in [
            (&["istio"][..], true),
            (&["istio-peer-exchange", "istio"], true),
            (&["istio-http/1.1", "istio", "http/1.1"], true),
            (&["h2", "istio-h2"], true),
            (&["h2", "http/1.1"], false),
            (&["istiod"], false),
            (&["Istio"], false),
            (&[], false),
        ] {
            let expected = is_istio.then(|| MeshHello::of(Mesh::Istio));
            assert_eq!(recognise(&hello(None, alpn)), expected, "{alpn:?}");
            assert_eq!(recognise(&hello(Some("cache.example.com"), alpn)), expected, "{alpn:?}");
        }
    }
}
