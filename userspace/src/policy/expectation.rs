//! What a sidecar of Istio does with a destination, by all that is declared. Pure.
//!
//! Written after istio `pilot/pkg/networking/core/cluster_tls.go` (`buildUpstreamTLSSettings`, `applyUpstreamTLSSettings`),
//! `pilot/pkg/model/push_context.go` (`BestEffortInferServiceMTLSMode`) and `pilot/pkg/xds/endpoints/mtls_checker.go`, 1.31.

use crate::{
    event::istio::{ClientMode, ClientTls, ServerMode},
    policy::{
        endpoint::Endpoints,
        traffic_policy::{self, Place},
        version::{Inference, Version, inference},
    },
};

/// What a sidecar does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Mesh mTLS.
    Mtls,
    /// TLS of the user's own making.
    Tls,
    /// Neither.
    Plaintext,
}

/// What a sidecar does, and because of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation<'a> {
    /// What it does.
    pub does: Does,
    /// Because of what.
    pub because: Because<'a>,
}

/// What decides about a sidecar's TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because<'a> {
    /// A rule says so.
    Rule(&'a ClientTls, Place<'a>),
    /// The mesh does not turn mTLS on by itself.
    NotAutomatic,
    /// The destination is outside the mesh.
    External,
    /// Servers take no mTLS there.
    ServersDisable,
    /// The endpoint's label says that it can.
    Label,
    /// The endpoint has no such label.
    NoLabel,
    /// All endpoints have the label.
    AllLabelled,
    /// An endpoint of the same destination has no such label.
    OneUnlabelled(&'a str),
    /// There is no endpoint.
    NoEndpoint,
    /// This release does so whatever the endpoints are.
    Release(Version),
    /// A rule makes clients go where the app asks to, in a part of it that Istio does not ask: it does not look at the
    /// endpoints.
    NotAsked(Place<'a>),
}

/// What decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// What a rule says of the port and subset.
    pub rule: traffic_policy::Effective<'a>,
    /// The mesh turns mTLS on by itself.
    pub is_automatic: bool,
    /// The destination is outside the mesh.
    pub is_external: bool,
    /// Clients go where the app asked to, whatever rules say: a headless Service, or a ServiceEntry without resolution.
    pub is_passthrough: bool,
    /// Version of the control plane; none where not known, taken for one of today.
    pub version: Option<Version>,
    /// All endpoints.
    pub endpoints: Endpoints<'a>,
    /// The endpoint that was connected to has the label; none where not known.
    pub is_labelled: Option<bool>,
    /// What the namespace of the destination takes as a whole.
    pub namespace_mode: ServerMode,
    /// What the endpoint takes on its port; unset where not known.
    pub endpoint_mode: ServerMode,
}

/// What a sidecar does with it; none where too little is known.
pub fn of<'a>(inputs: &Inputs<'a>) -> Option<Expectation<'a>> {
    if let Some((tls, place)) = inputs.rule.tls {
        let does = match tls.mode {
            ClientMode::Disable => Does::Plaintext,
            ClientMode::Simple | ClientMode::Mutual => Does::Tls,
            ClientMode::IstioMutual => Does::Mtls,
        };
        return Some(Expectation { does, because: Because::Rule(tls, place) });
    }
    let plaintext = |because| Some(Expectation { does: Does::Plaintext, because });
    if inputs.is_external {
        return plaintext(Because::External);
    }
    if !inputs.is_automatic {
        return plaintext(Because::NotAutomatic);
    }
    if inputs.is_passthrough || inputs.rule.passthrough.is_some() {
        return of_passthrough(inputs);
    }
    if inputs.namespace_mode == ServerMode::Disable {
        return plaintext(Because::ServersDisable);
    }
    if let Some((tls, place)) = inputs.rule.of_endpoints {
        let does = if tls.mode == ClientMode::IstioMutual { Does::Mtls } else { Does::Plaintext };
        return Some(Expectation { does, because: Because::Rule(tls, place) });
    }
    match (inputs.endpoint_mode, inputs.is_labelled?) {
        (_, false) => plaintext(Because::NoLabel),
        (ServerMode::Disable, true) => plaintext(Because::ServersDisable),
        (_, true) => Some(Expectation { does: Does::Mtls, because: Because::Label }),
    }
}

/// One decision for all endpoints, because the sidecar knows them by the app's word only.
fn of_passthrough<'a>(inputs: &Inputs<'a>) -> Option<Expectation<'a>> {
    let plaintext = |because| Some(Expectation { does: Does::Plaintext, because });
    let mtls = |because| Some(Expectation { does: Does::Mtls, because });
    if let Some(version) = inputs.version {
        match inference(version) {
            Inference::AlwaysMtls => return mtls(Because::Release(version)),
            Inference::NeverMtls => return plaintext(Because::Release(version)),
            Inference::AllEndpoints => {}
        }
    }
    let is_asked = inputs.is_passthrough || inputs.rule.is_passthrough_asked;
    let Endpoints { all, unknown, unlabelled, .. } = inputs.endpoints;
    match (is_asked, unlabelled) {
        (true, Some(name)) => return plaintext(Because::OneUnlabelled(name)),
        (true, None) if all == 0 => return plaintext(Because::NoEndpoint),
        (true, None) if unknown > 0 => return None,
        _ => {}
    }
    if inputs.namespace_mode == ServerMode::Disable {
        return plaintext(Because::ServersDisable);
    }
    match inputs.rule.passthrough.filter(|_| !is_asked) {
        Some(place) => mtls(Because::NotAsked(place)),
        None => mtls(Because::AllLabelled),
    }
}

#[cfg(test)]
mod tests {
    use super::{Because, Does, Inputs, of};
    use crate::{
        event::istio::{ClientMode, ClientTls, DestinationRule, ServerMode},
        policy::{
            endpoint::Endpoints,
            traffic_policy::{Effective, Level, Place},
            version::Version,
        },
    };

    const NONE: Endpoints<'_> =
        Endpoints { all: 0, labelled: 0, with_proxy: 0, strict: 0, unknown: 0, unlabelled: None };
    const LABELLED: Endpoints<'_> = Endpoints { all: 2, labelled: 2, ..NONE };
    const MIXED: Endpoints<'_> = Endpoints { all: 2, labelled: 1, unlabelled: Some("redis-1"), ..NONE };
    const UNKNOWN: Endpoints<'_> = Endpoints { all: 2, labelled: 1, unknown: 1, ..NONE };

    fn headless(endpoints: Endpoints<'static>, version: Option<Version>) -> Inputs<'static> {
        Inputs { is_automatic: true, is_passthrough: true, endpoints, version, ..Inputs::default() }
    }

    fn normal(
        is_labelled: Option<bool>,
        namespace_mode: ServerMode,
        endpoint_mode: ServerMode,
    ) -> Inputs<'static> {
        Inputs { is_automatic: true, is_labelled, namespace_mode, endpoint_mode, ..Inputs::default() }
    }

    fn does(inputs: &Inputs<'_>) -> Option<Does> {
        of(inputs).map(|expectation| expectation.does)
    }

    #[test]
    fn a_rule_decides_before_all_else() {
        let rule = DestinationRule::default();
        for (mode, expected) in [
            (ClientMode::Disable, Does::Plaintext),
            (ClientMode::Simple, Does::Tls),
            (ClientMode::Mutual, Does::Tls),
            // cluster_tls.go: ISTIO_MUTUAL of the user's is unconditional, also for endpoints without the label.
            (ClientMode::IstioMutual, Does::Mtls),
        ] {
            let tls = ClientTls { mode, ..ClientTls::default() };
            let place = Place { rule: &rule, level: Level::Rule };
            let rule = Effective { tls: Some((&tls, place)), ..Effective::default() };
            let inputs = [
                Inputs { rule, ..headless(MIXED, None) },
                Inputs { rule, ..normal(Some(false), ServerMode::Permissive, ServerMode::Disable) },
                Inputs { rule, is_external: true, ..Inputs::default() },
            ];
            assert!(inputs.iter().all(|inputs| does(inputs) == Some(expected)), "{mode:?}");
        }
    }

    #[test]
    fn normal_services_go_by_the_endpoints_label() {
        use ServerMode::{Disable, Permissive, Strict, Unset};
        for (why, inputs, expected) in [
            // istio.io/latest/docs/tasks/security/authentication/authn-policy/#auto-mutual-tls
            ("labelled", normal(Some(true), Permissive, Permissive), Some(Does::Mtls)),
            ("not labelled", normal(Some(false), Permissive, Permissive), Some(Does::Plaintext)),
            ("not labelled, though strict", normal(Some(false), Strict, Strict), Some(Does::Plaintext)),
            ("not known", normal(None, Permissive, Unset), None),
            // mtls_checker.go, checkMtlsEnabled
            ("labelled, the port disabled", normal(Some(true), Permissive, Disable), Some(Does::Plaintext)),
            // cluster_tls.go: MTLSDisable of the namespace is no TLS at all.
            (
                "labelled, the namespace disabled",
                normal(Some(true), Disable, Permissive),
                Some(Does::Plaintext),
            ),
            (
                "outside the mesh",
                Inputs { is_external: true, ..normal(Some(true), Permissive, Permissive) },
                Some(Does::Plaintext),
            ),
            (
                "not automatic",
                Inputs { is_automatic: false, ..normal(Some(true), Permissive, Permissive) },
                Some(Does::Plaintext),
            ),
        ] {
            assert_eq!(does(&inputs), expected, "{why}");
        }
    }

    #[test]
    fn headless_services_go_by_release_and_all_endpoints() {
        let release = |minor, patch| Some(Version::new(1, minor, patch));
        for (why, inputs, expected) in [
            ("all labelled", headless(LABELLED, None), Some(Does::Mtls)),
            (
                "one not labelled: plaintext to all (istio#27376)",
                headless(MIXED, None),
                Some(Does::Plaintext),
            ),
            ("no endpoint", headless(NONE, None), Some(Does::Plaintext)),
            ("not all known", headless(UNKNOWN, None), None),
            ("1.5: always", headless(MIXED, release(5, 3)), Some(Does::Mtls)),
            ("1.6.5: always", headless(NONE, release(6, 5)), Some(Does::Mtls)),
            ("1.6.6: never", headless(LABELLED, release(6, 6)), Some(Does::Plaintext)),
            ("1.31: all labelled", headless(LABELLED, release(31, 0)), Some(Does::Mtls)),
            (
                "the namespace disabled",
                Inputs { namespace_mode: ServerMode::Disable, ..headless(LABELLED, None) },
                Some(Does::Plaintext),
            ),
            (
                "the port disabled: ignored (istio#39439)",
                Inputs { endpoint_mode: ServerMode::Disable, ..headless(LABELLED, None) },
                Some(Does::Mtls),
            ),
        ] {
            assert_eq!(does(&inputs), expected, "{why}");
        }
    }

    #[test]
    fn passthrough_by_a_rule_is_asked_in_some_parts_only() {
        let rule = DestinationRule::default();
        let place = Place { rule: &rule, level: Level::Port(0) };
        let passthrough = |is_passthrough_asked| Inputs {
            rule: Effective { passthrough: Some(place), is_passthrough_asked, ..Effective::default() },
            is_automatic: true,
            endpoints: MIXED,
            is_labelled: Some(false),
            ..Inputs::default()
        };
        assert_eq!(does(&passthrough(true)), Some(Does::Plaintext));
        let found = of(&passthrough(false)).unwrap();
        assert_eq!((found.does, found.because), (Does::Mtls, Because::NotAsked(place)));
    }
}
