//! Whether a pod's sidecar takes over what comes to a port, by what the pod declares. Pure.
//!
//! Written after istio `tools/istio-iptables/pkg/capture/run.go` and the injection template
//! (`manifests/charts/istio-control/istio-discovery/files/injection-template.yaml`), 1.31.

use crate::{event::cluster::Pod, identity::proxy};

/// How packets come to the sidecar: `REDIRECT`, `TPROXY` or `NONE`.
const MODE: &str = "sidecar.istio.io/interceptionMode";
/// Ports that are taken over; `*` for all, empty for none.
const INCLUDED: &str = "traffic.sidecar.istio.io/includeInboundPorts";
/// Ports that are not, where all others are.
const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeInboundPorts";

/// What other meshes call the same: linkerd2 `pkg/k8s/labels.go`, consul-k8s `constants/annotations_and_labels.go`, kuma
/// `metadata/annotations.go`, osm `pkg/injector/`.
const EXCLUDED_ELSEWHERE: [&str; 4] = [
    "config.linkerd.io/skip-inbound-ports",
    "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports",
    "traffic.kuma.io/exclude-inbound-ports",
    "openservicemesh.io/inbound-port-exclusion-list",
];

/// Ports of the proxy itself: HBONE, metrics, health, agent (istio `injection-template.yaml` and the golden files of
/// `tools/istio-iptables`).
const RESERVED: [u16; 4] = [15008, 15090, 15021, 15020];

/// What happens to connections to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interception<'a> {
    /// The pod has no sidecar.
    NoProxy,
    /// They reach the sidecar.
    Captured,
    /// They reach the app, past the sidecar.
    Past(Past<'a>),
}

/// Why connections go past a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past<'a> {
    /// The port is in the annotation of excluded ports, which says this.
    Excluded(&'a str),
    /// The port is not in the annotation of included ports, which says this.
    NotIncluded(&'a str),
    /// No port is taken over.
    ModeNone,
    /// It is the proxy's own.
    Reserved,
}

/// What happens to connections to a port of a pod. What a mesh's control plane excludes for all pods is not known here.
pub fn of(pod: &Pod, port: u16) -> Interception<'_> {
    if !proxy::has_proxy(pod) {
        return Interception::NoProxy;
    }
    let annotation = |key: &str| pod.annotations.get(key).map(|value| value.trim());
    if annotation(MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("none")) {
        return Interception::Past(Past::ModeNone);
    }
    let excluded = EXCLUDED_ELSEWHERE.iter().filter_map(|key| annotation(key)).find(|list| names(list, port));
    if let Some(excluded) = excluded {
        return Interception::Past(Past::Excluded(excluded));
    }
    if RESERVED.contains(&port) {
        return Interception::Past(Past::Reserved);
    }
    match (annotation(INCLUDED), annotation(EXCLUDED)) {
        (Some(included), _) if included != "*" && !names(included, port) => {
            Interception::Past(Past::NotIncluded(included))
        }
        // Excluded ports count only where all are included.
        (None | Some("*"), Some(excluded)) if names(excluded, port) => {
            Interception::Past(Past::Excluded(excluded))
        }
        _ => Interception::Captured,
    }
}

/// Ports, and ranges of them as Linkerd takes them.
fn names(list: &str, port: u16) -> bool {
    list.split(',').any(|entry| {
        let (from, to) = entry.split_once('-').unwrap_or((entry, entry));
        match (from.trim().parse::<u16>(), to.trim().parse::<u16>()) {
            (Ok(from), Ok(to)) => (from..=to).contains(&port),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{EXCLUDED, INCLUDED, Interception, MODE, Past, of};
    use crate::event::cluster::{Container, Pod};

    fn pod(annotations: &[(&str, &str)]) -> Pod {
        let proxy = Container { name: "istio-proxy".into(), id: "".into() };
        let annotations = annotations.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Pod { containers: vec![proxy], annotations, ..Pod::default() }
    }

    #[test]
    fn annotations_and_reserved_ports_decide() {
        let captured = Interception::Captured;
        // istio.io/latest/docs/reference/config/annotations; a port number, what is annotated, what happens.
        for (port, annotations, expected) in [
            (6379, &[][..], captured),
            (6379, &[(EXCLUDED, "6379")], Interception::Past(Past::Excluded("6379"))),
            (6379, &[(EXCLUDED, "80, 6379 ,90")], Interception::Past(Past::Excluded("80, 6379 ,90"))),
            (6379, &[(EXCLUDED, "63790,637")], captured),
            (6379, &[(EXCLUDED, "")], captured),
            (6379, &[(INCLUDED, "*")], captured),
            (6379, &[(INCLUDED, "*"), (EXCLUDED, "6379")], Interception::Past(Past::Excluded("6379"))),
            (6379, &[(INCLUDED, "80")], Interception::Past(Past::NotIncluded("80"))),
            (6379, &[(INCLUDED, "")], Interception::Past(Past::NotIncluded(""))),
            (6379, &[(INCLUDED, "80,6379")], captured),
            // «Only applies when all inbound traffic (i.e. "*") is being redirected.»
            (6379, &[(INCLUDED, "6379"), (EXCLUDED, "6379")], captured),
            (6379, &[(MODE, "NONE")], Interception::Past(Past::ModeNone)),
            (6379, &[(MODE, "TPROXY")], captured),
            (6379, &[(MODE, "REDIRECT")], captured),
            (15008, &[], Interception::Past(Past::Reserved)),
            (15090, &[], Interception::Past(Past::Reserved)),
            (15021, &[], Interception::Past(Past::Reserved)),
            (15020, &[], Interception::Past(Past::Reserved)),
            (15006, &[], captured),
            (
                6379,
                &[("config.linkerd.io/skip-inbound-ports", "25,6000-6400")],
                Interception::Past(Past::Excluded("25,6000-6400")),
            ),
            (6401, &[("config.linkerd.io/skip-inbound-ports", "25,6000-6400")], captured),
            (
                6379,
                &[("traffic.kuma.io/exclude-inbound-ports", "6379")],
                Interception::Past(Past::Excluded("6379")),
            ),
        ] {
            assert_eq!(of(&pod(annotations), port), expected, "{port} {annotations:?}");
        }
        assert_eq!(of(&Pod::default(), 6379), Interception::NoProxy);
    }
}
