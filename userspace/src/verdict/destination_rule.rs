//! The `DestinationRule` that turns mesh mTLS off for the host and port that were observed, where it counts. Pure.

use std::fmt::Write as _;

use crate::{
    event::istio::{ClientMode, DestinationRule},
    policy::{
        Rule,
        destination_rule::{Selected, Step},
        host::{self, Fit},
        traffic_policy::{Level, Place},
        version::Version,
    },
    update::Fix,
    verdict::case::Case,
};

/// Longest name of a Kubernetes object (RFC 1123 subdomain).
const NAME_LIMIT: usize = 253;

/// The first release whose `DestinationRule`s have version `v1` (istio 1.22 release notes); older ones have the one below.
const STABLE_SINCE: Version = Version::new(1, 22, 0);

/// Turns mTLS off for the observed host and port, and for nothing else.
///
/// It counts only where Istio looks first: in the client's namespace, then in the Service's, then in the root namespace
/// (`pilot/pkg/model/push_context.go`, `destinationRule`). A second rule for a host that has one already would not count.
pub(super) fn fix(case: &Case<'_>) -> Fix {
    let Some(host) = host(case) else {
        return Fix {
            text: "Turn mTLS off for this destination with a DestinationRule of mode DISABLE; its host name was not seen".into(),
            manifest: None,
        };
    };
    if let Some(text) = neighbours(case) {
        return Fix { text: text.into(), manifest: None };
    }
    let port = port(case);
    let what = port.map_or_else(|| host.clone(), |port| format!("{host} port {port}"));
    match case.declared.rule() {
        Rule::Taken(selected) if selected.fit == Fit::Exact => in_rule(case, &selected, &what),
        rule => {
            let wider = if let Rule::Taken(selected) = &rule { Some(selected) } else { None };
            let namespace = namespace(case, &host, wider);
            let otherwise =
                if case.server.sidecar == Some(true) { "" } else { " (or give the destination a sidecar)" };
            Fix {
                text: format!(
                    "Turn mTLS off for {what}, because nothing there can answer it: apply this DestinationRule{otherwise}. Not for \
                     the whole namespace: what else is there may take nothing but mTLS{}",
                    named(case, &rule)
                )
                .into(),
                manifest: Some(manifest(case, &host, port, namespace.as_deref(), wider).into()),
            }
        }
    }
}

/// The rule that the sidecar was configured with, where it is not known what that says.
fn named(case: &Case<'_>, rule: &Rule<'_>) -> String {
    let named = case.word.rule().filter(|_| *rule == Rule::NotKnown);
    named.map_or_else(String::new, |named| {
        format!(
            ". The sidecar's cluster was made with {named}: if that is for this host alone, a second rule would not count; say \
             tls.mode: DISABLE for this port in that one instead"
        )
    })
}

/// A command that sets `tls.mode: DISABLE` in that part of a rule; none for names that no shell should see.
pub(super) fn disable_at(place: Place<'_>) -> Option<String> {
    let path = match place.level {
        Level::Rule => "/spec/trafficPolicy/tls".to_owned(),
        Level::Port(entry) => format!("/spec/trafficPolicy/portLevelSettings/{entry}/tls"),
        Level::Subset(subset) => format!("/spec/subsets/{subset}/trafficPolicy/tls"),
        Level::SubsetPort(subset, entry) => {
            format!("/spec/subsets/{subset}/trafficPolicy/portLevelSettings/{entry}/tls")
        }
    };
    patch(place.rule, &path, r#"{"mode":"DISABLE"}"#)
}

/// A JSON patch (RFC 6902: `add` replaces what is there) of a rule that exists: the rest of it stays.
fn patch(rule: &DestinationRule, path: &str, value: &str) -> Option<String> {
    let DestinationRule { namespace, name, .. } = rule;
    (is_host_name(namespace) && is_host_name(name)).then(|| {
        format!(
            "kubectl patch destinationrule {name} -n {namespace} --type=json -p \
             '[{{\"op\":\"add\",\"path\":\"{path}\",\"value\":{value}}}]'"
        )
    })
}

/// The rule that is there already must say it.
fn in_rule(case: &Case<'_>, selected: &Selected<'_>, what: &str) -> Fix {
    let effective = case.declared.client_tls();
    let place = effective.tls.map(|(_, place)| place).or(effective.lost_disable).or(effective.passthrough);
    let has_one_port = case.declared.service().is_some_and(|service| service.ports.len() == 1);
    let command = match place {
        Some(place) if place.level != Level::Rule || has_one_port => disable_at(place),
        _ => port(case).and_then(|port| with_port(selected, port)),
    };
    let rule = format!("{}/{}", selected.rule.namespace, selected.rule.name);
    let how = command.unwrap_or_else(|| "set tls.mode: DISABLE for this port there".to_owned());
    Fix {
        text: format!(
            "Turn mTLS off for {what} in DestinationRule {rule}, because nothing there can answer it and a second rule for the \
             same host would not count: {how}"
        )
        .into(),
        manifest: None,
    }
}

/// Says it for the port, in a rule that says nothing of it yet.
fn with_port(selected: &Selected<'_>, port: u16) -> Option<String> {
    let entry = format!(r#"{{"port":{{"number":{port}}},"tls":{{"mode":"DISABLE"}}}}"#);
    match selected.policy() {
        None => patch(selected.rule, "/spec/trafficPolicy", &format!(r#"{{"portLevelSettings":[{entry}]}}"#)),
        Some((rule, policy)) if policy.ports.is_empty() => {
            patch(rule, "/spec/trafficPolicy/portLevelSettings", &format!("[{entry}]"))
        }
        Some((rule, policy)) => match policy.ports.iter().position(|known| known.port == port) {
            Some(at) => disable_at(Place { rule, level: Level::Port(at) }),
            None => patch(rule, "/spec/trafficPolicy/portLevelSettings/-", &entry),
        },
    }
}

/// Why a rule for all endpoints would break some of them.
fn neighbours(case: &Case<'_>) -> Option<String> {
    let endpoints = case.declared.endpoints().filter(|endpoints| endpoints.strict > 0)?;
    let pod = case.server.pod.as_deref().unwrap_or("the pod");
    Some(format!(
        "{} of the {} endpoints take nothing but mTLS, and a DestinationRule is for all of them: do not turn mTLS off. Give {pod} \
         a sidecar that takes this port, or a Service of its own",
        endpoints.strict, endpoints.all
    ))
}

/// Turns mTLS on for the whole host.
pub(super) fn mutual(case: &Case<'_>) -> Option<String> {
    let host = host(case)?;
    let namespace = namespace(case, &host, None);
    let head = head(case, &host, "mtls", namespace.as_deref());
    Some(format!("{head}    tls:\n      mode: {}\n", ClientMode::IstioMutual.name()))
}

/// The host in the hello, else the name of the Service. Only what can be a host name: it goes into a manifest.
pub(super) fn host(case: &Case<'_>) -> Option<String> {
    let named = case.hello.and_then(|sent| sent.mesh.host.as_deref()).map(str::to_owned);
    let of_service = || {
        let (service, namespace) = (case.server.service.as_deref()?, case.server.namespace.as_deref()?);
        Some(format!("{service}.{namespace}.svc.cluster.local"))
    };
    named.filter(|host| is_host_name(host)).or_else(|| of_service().filter(|host| is_host_name(host)))
}

/// The port of the Service, which may be another than that of the connection.
fn port(case: &Case<'_>) -> Option<u16> {
    case.hello.and_then(|sent| sent.mesh.service_port).or_else(|| case.declared.service_port())
}

/// Where a new rule counts: beside the wider one that counts now if that is the client's own, else with the Service. Only
/// what can be a name; the context of kubectl decides where nothing is known.
fn namespace(case: &Case<'_>, host: &str, wider: Option<&Selected<'_>>) -> Option<String> {
    let of_client = wider.filter(|wider| wider.step == Step::Client).map(|wider| &*wider.rule.namespace);
    let of_client = of_client.or_else(|| named_by_client(case));
    let of_service = case.declared.destination_namespace().or_else(|| Some(host::service(host)?.1));
    of_client.or(of_service).filter(|namespace| is_host_name(namespace)).map(str::to_owned)
}

/// The client's namespace, if the rule that the sidecar was configured with is there, and it is not known what is declared.
fn named_by_client<'a>(case: &Case<'a>) -> Option<&'a str> {
    let named = case.word.rule().filter(|_| !case.declared.is_listed())?;
    (Some(&named.namespace) == case.client.namespace.as_ref()).then_some(&*named.namespace)
}

/// RFC 1123 §2.1, in lower case as Kubernetes has it.
pub(super) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.len() <= NAME_LIMIT && host.split('.').all(is_label)
}

fn manifest(
    case: &Case<'_>,
    host: &str,
    port: Option<u16>,
    namespace: Option<&str>,
    wider: Option<&Selected<'_>>,
) -> String {
    let mut text = head(case, host, "disable-mtls", namespace);
    let Some(port) = port else {
        text.push_str("    tls:\n      mode: DISABLE\n");
        return text;
    };
    // The new rule counts alone: what the wider one says of the other ports must be said again. Writing to a String does
    // not fail.
    if let Some(mode) = wider.and_then(mode_of_others) {
        let _ = write!(text, "    tls:\n      mode: {}\n", mode.name());
    }
    let _ = write!(
        text,
        "    portLevelSettings:\n    - port:\n        number: {port}\n      tls:\n        mode: DISABLE\n"
    );
    text
}

/// A new rule up to its `trafficPolicy`.
fn head(case: &Case<'_>, host: &str, suffix: &str, namespace: Option<&str>) -> String {
    let is_old = case.declared.version().is_some_and(|version| version < STABLE_SINCE);
    let version = if is_old { "v1alpha3" } else { "v1" };
    let name = host::service(host).map_or_else(|| host.replace('.', "-"), |(service, _)| service.to_owned());
    let namespace = namespace.map(|namespace| format!("  namespace: {namespace}\n")).unwrap_or_default();
    format!(
        "apiVersion: networking.istio.io/{version}\nkind: DestinationRule\nmetadata:\n  name: {name}-{suffix}\n{namespace}spec:\n  \
         host: {host}\n  trafficPolicy:\n"
    )
}

/// A mode that needs no certificate beside it.
fn mode_of_others(wider: &Selected<'_>) -> Option<ClientMode> {
    let mode = wider.policy()?.1.tls.as_ref()?.mode;
    matches!(mode, ClientMode::Disable | ClientMode::IstioMutual).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::{fix, is_host_name};
    use crate::{
        event::istio::{
            ClientMode, DestinationRule, PeerAuthentication, PortPolicy, ServerMode, Subset, TrafficPolicy,
        },
        verdict::situation::{Situation, policy, rule},
    };

    /// A rule for all of the mesh in this namespace.
    fn wide(namespace: &str) -> DestinationRule {
        rule(namespace, "*.local", policy(Some(ClientMode::IstioMutual)))
    }

    #[test]
    fn a_new_rule_is_for_the_observed_host_and_port_only() {
        let expected = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: redis-disable-mtls\n  \
                        namespace: data\nspec:\n  host: redis.data.svc.cluster.local\n  trafficPolicy:\n    portLevelSettings:\n    - port:\n        \
                        number: 6379\n      tls:\n        mode: DISABLE\n";
        let situation = Situation::default();
        let fix = situation.with_case(fix);
        assert_eq!(fix.manifest.as_deref(), Some(expected));
        assert!(fix.text.contains("Not for the whole namespace"), "{}", fix.text);
    }

    #[test]
    fn a_new_rule_is_where_it_counts() {
        for (rules, namespace, others) in [
            (vec![], "data", ""),
            (vec![wide("istio-system")], "data", "ISTIO_MUTUAL"),
            (vec![wide("data")], "data", "ISTIO_MUTUAL"),
            (vec![wide("app")], "app", "ISTIO_MUTUAL"),
            (vec![wide("other")], "data", ""),
        ] {
            let situation = Situation::default().with(|cluster| cluster.istio.destination_rules = rules);
            let manifest = situation.with_case(fix).manifest.unwrap();
            assert!(manifest.contains(&format!("  namespace: {namespace}\n")), "{manifest}");
            assert_eq!(manifest.contains("mode: ISTIO_MUTUAL"), !others.is_empty(), "{manifest}");
        }
    }

    #[test]
    fn a_rule_that_is_there_is_changed() {
        let exact = |policy: Option<TrafficPolicy>| rule("data", "redis", policy);
        let with_port = |port| {
            let entry = PortPolicy { port, ..PortPolicy::default() };
            Some(TrafficPolicy { ports: vec![entry], ..TrafficPolicy::default() })
        };
        let subset = Subset { name: "v1".into(), policy: Some(policy(Some(ClientMode::IstioMutual))) };
        let in_subset = DestinationRule { subsets: vec![subset], ..exact(None) };
        for (rule, subset, expected) in [
            (
                exact(Some(policy(Some(ClientMode::IstioMutual)))),
                None,
                r#""path":"/spec/trafficPolicy/tls","value":{"mode":"DISABLE"}"#,
            ),
            (
                exact(Some(policy(None))),
                None,
                r#""path":"/spec/trafficPolicy/portLevelSettings","value":[{"port":{"number":6379},"tls":{"mode":"DISABLE"}}]"#,
            ),
            (
                exact(None),
                None,
                r#""path":"/spec/trafficPolicy","value":{"portLevelSettings":[{"port":{"number":6379}"#,
            ),
            (exact(with_port(80)), None, r#""path":"/spec/trafficPolicy/portLevelSettings/-""#),
            (
                exact(with_port(6379)),
                None,
                r#""path":"/spec/trafficPolicy/portLevelSettings/0/tls","value":{"mode":"DISABLE"}"#,
            ),
            (in_subset, Some("v1"), r#""path":"/spec/subsets/0/trafficPolicy/tls""#),
        ] {
            let mut situation =
                Situation::default().with(|cluster| cluster.istio.destination_rules = vec![rule]);
            situation.hello.subset = subset.map(Into::into);
            let fix = situation.with_case(fix);
            assert_eq!(fix.manifest, None);
            assert!(fix.text.contains("kubectl patch destinationrule r -n data --type=json"), "{}", fix.text);
            assert!(fix.text.contains(expected), "{} lacks {expected}", fix.text);
        }
    }

    #[test]
    fn a_neighbour_that_takes_nothing_but_mtls_is_spared() {
        let strict =
            PeerAuthentication { namespace: "data".into(), mode: ServerMode::Strict, ..Default::default() };
        let situation = Situation::default().with(|cluster| {
            cluster.istio.peer_authentications = vec![strict];
            Situation::inject(&mut cluster.pods[2]);
        });
        let fix = situation.with_case(fix);
        assert_eq!(fix.manifest, None);
        assert!(fix.text.contains("1 of the 2 endpoints take nothing but mTLS"), "{}", fix.text);
    }

    #[test]
    fn old_releases_get_the_version_that_they_know() {
        for (version, expected) in [("1.21.9", "v1alpha3\n"), ("1.22.0", "v1\n"), ("latest", "v1\n")] {
            let situation =
                Situation::default().with(|cluster| cluster.pods[0].proxy_version = Some(version.into()));
            let manifest = situation.with_case(fix).manifest.unwrap();
            assert!(
                manifest.starts_with(&format!("apiVersion: networking.istio.io/{expected}")),
                "{manifest}"
            );
        }
    }

    #[test]
    fn takes_no_host_that_could_break_the_manifest() {
        for host in ["", "a..b", "a\nkind: Secret", "*.local", "-a.b", "a: b", "a'b", &"a".repeat(300)] {
            assert!(!is_host_name(host), "{host}");
        }
        assert!(is_host_name("redis.default.svc.cluster.local"));
        let mut situation = Situation::default().with(|cluster| {
            cluster.istio.destination_rules =
                vec![DestinationRule { name: "r'; reboot".into(), ..rule("data", "redis", None) }];
        });
        let text = situation.with_case(fix).text;
        assert!(!text.contains("kubectl"), "{text}");
        situation.hello.host = Some("db.example.org".into());
        let manifest = situation.with_case(fix).manifest.unwrap();
        assert!(manifest.contains("name: db-example-org-disable-mtls\nspec:"), "{manifest}");
    }
}
