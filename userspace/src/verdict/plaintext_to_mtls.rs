//! `plaintext-to-mtls`: plaintext reaches a proxy that wants mesh mTLS. Pure.

use crate::{
    event::{istio::ServerMode, socket::Class},
    identity::proxy,
    update::{Behaviour, Confidence},
    verdict::{
        case::{Case, PassedOn},
        has_proxy_at_destination,
    },
};

/// How sure it is that this attempt is one; none when it is not.
///
/// A proxy without a filter chain for plaintext closes with the client's bytes unread, so that the client gets a reset
/// and not a byte. An application behind a permissive proxy may do the same: only when the proxy was seen to pass nothing on,
/// or when STRICT is declared, is it the proxy.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    let is_refused = matches!(case.behaviour, Behaviour::Reset | Behaviour::Closed);
    let is_plain = case.client_class.is_some_and(is_plaintext);
    if !is_refused || case.is_taken_over || !is_plain || proxy::connects_inward_from(case.client.address.ip())
    {
        return None;
    }
    // What it takes from others, it takes from this one.
    let takes_plaintext = case.knowledge.plaintext.is_some() || case.passed_on == PassedOn::Something;
    if takes_plaintext || has_proxy_at_destination(case) != Some(true) {
        return None;
    }
    // At its own port a proxy may be a gateway, which takes other things than mesh mTLS.
    let was_redirected = case.acceptor.is_some_and(|acceptor| acceptor.port != case.server.address.port());
    let was_seen = was_redirected && case.passed_on == PassedOn::Nothing;
    let is_strict = case.declared.server_mode().is_some_and(|effective| effective.mode == ServerMode::Strict);
    let takes_mtls = case.knowledge.mtls.is_some();
    match (was_seen, is_strict, takes_mtls) {
        (true, true, _) | (_, true, true) => Some(Confidence::Certain),
        (true, _, true) | (_, true, _) => Some(Confidence::Likely),
        (true, ..) | (_, _, true) => Some(Confidence::Possible),
        _ => None,
    }
}

fn is_plaintext(class: Class) -> bool {
    !matches!(class, Class::TlsHandshake | Class::TlsAlert)
}

#[cfg(test)]
mod tests {
    use super::confidence;
    use crate::{
        event::{
            cluster::Cluster,
            istio::{ClientMode, ControlPlane, PeerAuthentication, ServerMode},
            socket::{Class, Owner},
            time::Time,
        },
        listener::{Exchange, Knowledge},
        policy::endpoint::TLS_MODE,
        update::{Behaviour, Code, Confidence},
        verdict::{
            case::{Acceptor, Case, PassedOn},
            cause,
            situation::{Situation, policy, rule},
        },
    };

    /// A client of a server with a sidecar sends plaintext, and is reset.
    fn refused<'a>(case: &Case<'a>) -> Case<'a> {
        Case { hello: None, client_class: Some(Class::Redis), behaviour: Behaviour::Reset, ..*case }
    }

    fn strict(cluster: &mut Cluster) {
        let policy = PeerAuthentication {
            namespace: "data".into(),
            name: "default".into(),
            mode: ServerMode::Strict,
            ..PeerAuthentication::default()
        };
        cluster.istio.peer_authentications.push(policy);
    }

    fn injected() -> Situation {
        Situation::default().with(|cluster| Situation::inject(&mut cluster.pods[1]))
    }

    #[test]
    fn how_sure_it_is() {
        let owner = Owner { process: "envoy".into(), uid: 1337, ..Owner::default() };
        let proxy = Some(Acceptor { owner: &owner, port: 15006, is_proxy: true });
        let gateway = Some(Acceptor { owner: &owner, port: 6379, is_proxy: true });
        let exchange = Exchange { time: Time(0), client: ([10, 1, 1, 30], 1).into(), protocol: None };
        let mtls = Knowledge { mtls: Some(exchange), ..Knowledge::default() };
        let plaintext = Knowledge { plaintext: Some(exchange), ..mtls };
        let none = Knowledge::default();
        for (name, is_strict, acceptor, passed_on, knowledge, expected) in [
            ("seen", true, proxy, PassedOn::Nothing, none, Some(Confidence::Certain)),
            (
                "STRICT, and others' mTLS is answered",
                true,
                None,
                PassedOn::Unknown,
                mtls,
                Some(Confidence::Certain),
            ),
            ("STRICT", true, None, PassedOn::Unknown, none, Some(Confidence::Likely)),
            (
                "seen, and others' mTLS is answered",
                false,
                proxy,
                PassedOn::Nothing,
                mtls,
                Some(Confidence::Likely),
            ),
            ("seen, and no more", false, proxy, PassedOn::Nothing, none, Some(Confidence::Possible)),
            ("nothing but a sidecar", false, None, PassedOn::Unknown, none, None),
            ("passed on", false, proxy, PassedOn::Something, mtls, None),
            ("plaintext of others is answered", true, proxy, PassedOn::Nothing, plaintext, None),
            ("a gateway's own port", false, gateway, PassedOn::Nothing, none, None),
        ] {
            let situation = if is_strict { injected().with(strict) } else { injected() };
            situation.with_case(|case| {
                let case = Case { acceptor, passed_on, knowledge, ..refused(case) };
                assert_eq!(confidence(&case), expected, "{name}");
            });
        }
    }

    #[test]
    fn what_is_no_refusal_is_none() {
        injected().with(strict).with_case(|case| {
            let case = refused(case);
            for other in [
                Case { behaviour: Behaviour::Silent, ..case },
                Case { behaviour: Behaviour::Plaintext, ..case },
                Case { is_taken_over: true, ..case },
                Case { client_class: None, ..case },
                Case { client_class: Some(Class::TlsAlert), ..case },
            ] {
                assert_eq!(confidence(&other), None, "{other:?}");
            }
        });
        Situation::default().with(strict).with_case(|case| {
            assert_eq!(confidence(&refused(case)), None, "no proxy is there");
        });
    }

    #[test]
    fn causes() {
        let host = "redis.data.svc.cluster.local";
        let all = || injected().with(strict).with(|cluster| Situation::inject(&mut cluster.pods[2]));
        let disabled = rule("data", host, policy(Some(ClientMode::Disable)));
        let plane = |version: &str| ControlPlane { version: version.into(), ..ControlPlane::default() };
        let table: [(Situation, &str); 6] = [
            (
                all().with(|cluster| cluster.istio.destination_rules.push(disabled)),
                "destination-rule-disables-mtls",
            ),
            (injected().with(strict), "headless-mixed-endpoints"),
            (
                all().with(|cluster| cluster.istio.control_planes.push(plane("1.7.2"))),
                "headless-auto-mtls-off",
            ),
            (
                all().with(|cluster| {
                    cluster.services[0].headless = false;
                    cluster.pods[1].labels.remove(TLS_MODE);
                }),
                "endpoint-without-label",
            ),
            (all(), "stale-plaintext"),
            (Situation { cluster: Cluster::default(), ..all() }, "plaintext-from-sidecar"),
        ];
        for (situation, expected) in table {
            situation.with_case(|case| {
                let case = refused(case);
                assert_eq!(cause::of(Code::PlaintextToMtls, &case).0.code, expected);
                let outsider = Case {
                    is_from_proxy: false,
                    client: &crate::update::Party { process: Some("app".into()), ..case.client.clone() },
                    ..case
                };
                assert_eq!(cause::of(Code::PlaintextToMtls, &outsider).0.code, "client-without-sidecar");
            });
        }
    }
}
