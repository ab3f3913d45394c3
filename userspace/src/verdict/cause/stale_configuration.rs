//! `stale-configuration`: the sidecar uses mTLS though all that is declared says plaintext.

use crate::{
    event::envoy::{ClusterTls, RuleName},
    policy::{
        expectation::{Because, Does},
        version::Version,
    },
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule::{self, is_host_name},
        words::{self, host},
    },
};

/// The first release that renews no clusters when only the endpoints of a headless Service change (istio#60803); for ports
/// that are HTTP already since 1.21 (istio#48235).
const NO_RENEWAL_SINCE: Version = Version::new(1, 31, 0);

pub(super) const RULE: Rule = Rule {
    code: "stale-configuration",
    situation: "the sidecar uses mTLS though by all that is declared it should not: its configuration is older than the endpoints, labels or rules",
    confirmed_by: "rules, policies and the labels of all endpoints, evaluated as Istio does; the sidecar's own configuration has TLS all the same, or was made with a rule that is gone",
    refuted_by: "what is declared is older than the attempt",
    mend: "a push: a moment of waiting, a change that makes istiod send clusters again, or a restart of the client",
    applies,
    text,
    fix,
};

fn because<'a>(case: &Case<'a>) -> Option<Because<'a>> {
    let expectation = case.declared.expectation()?;
    (expectation.does == Does::Plaintext).then_some(expectation.because)
}

/// Of a release that is not known it is not known either whether it looks at endpoints; then the sidecar's own configuration
/// may tell.
fn applies(case: &Case<'_>) -> bool {
    because(case).is_some_and(|because| {
        !is_of_endpoints(because)
            || case.declared.version().is_some()
            || gone_rule(case).is_some()
            || is_renewed(case)
    })
}

/// The rule that the sidecar's configuration was made with, if there is none of that name any more.
fn gone_rule<'a>(case: &Case<'a>) -> Option<&'a RuleName> {
    let rule = case.word.rule().filter(|_| case.word.uses_tls_always())?;
    (case.declared.has_rule(&rule.namespace, &rule.name) == Some(false)).then_some(rule)
}

/// The sidecar has no TLS there any more: its configuration came after the attempt.
fn is_renewed(case: &Case<'_>) -> bool {
    case.hello.is_some() && case.word.uses_no_tls()
}

fn text(case: &Case<'_>) -> String {
    let Some(because) = because(case) else { return String::new() };
    let why = match because {
        Because::Rule(_, place) => {
            format!("{} turns mTLS off", words::rule(place.rule))
        }
        Because::OneUnlabelled(name) => {
            format!("its endpoint {name} has no sidecar, which is plaintext for all of them")
        }
        Because::NoEndpoint => "it has no endpoint".to_owned(),
        Because::NoLabel => "the endpoint has no sidecar".to_owned(),
        Because::ServersDisable => "a PeerAuthentication has mode DISABLE for its servers".to_owned(),
        Because::NotAutomatic => "the mesh does not turn mTLS on by itself".to_owned(),
        Because::External => "a ServiceEntry declares it outside the mesh".to_owned(),
        Because::Release(version) => format!("Istio {version} uses none for headless Services"),
        Because::Label | Because::AllLabelled | Because::NotAsked(_) => "it should not".to_owned(),
    };
    let known =
        case.declared.version().filter(|version| *version >= NO_RENEWAL_SINCE && is_of_endpoints(because));
    let known = known.map(|version| {
        format!(". Istio {version} does not renew clusters when only endpoints of a headless Service change (istio#60803)")
    });
    format!(
        "by all that is declared the sidecar should speak plaintext to {} ({why}), and it uses mTLS: its configuration is older than \
         that{}{}",
        host(case),
        known.unwrap_or_default(),
        configured(case)
    )
}

/// What the sidecar's own configuration says of it.
fn configured(case: &Case<'_>) -> String {
    let Some(cluster) = case.word.cluster else { return String::new() };
    match (&cluster.tls, gone_rule(case), &cluster.rule) {
        (_, Some(gone), _) => format!(". It was made with {gone}, which is there no more"),
        (ClusterTls::Never, ..) => ". By now it is renewed, and has no TLS for it".to_owned(),
        (ClusterTls::ByEndpoint(_), ..) => {
            ". It goes by the endpoint there: it is what the sidecar knows of the endpoints that is old"
                .to_owned()
        }
        (ClusterTls::Always(_), None, Some(rule)) => {
            format!(". It has TLS for every endpoint there, and was made with {rule}")
        }
        (ClusterTls::Always(_), None, None) => ". It has TLS for every endpoint there".to_owned(),
        (ClusterTls::Other(_), ..) => String::new(),
    }
}

/// It is the endpoints that changed.
fn is_of_endpoints(because: Because<'_>) -> bool {
    matches!(because, Because::OneUnlabelled(_) | Because::NoEndpoint)
}

fn fix(case: &Case<'_>) -> Fix {
    let restart = restart(case).map(|command| format!(": {command}")).unwrap_or_default();
    if is_renewed(case) {
        return Fix {
            text: format!(
                "Nothing, if it works now: the sidecar's configuration was renewed since. If it does not, restart the client{restart}"
            )
            .into(),
            manifest: None,
        };
    }
    if let Some(Because::Rule(..)) = because(case) {
        return Fix {
            text: format!(
                "Wait a moment: the rule is there, and the sidecar gets it with the next push. If it does not (istioctl \
                 proxy-status shows it as stale), restart the client{restart}"
            )
            .into(),
            manifest: None,
        };
    }
    let Fix { text, manifest } = destination_rule::fix(case);
    Fix {
        text: format!("Restart the client, so that its sidecar asks for all clusters again{restart}. And, so that it stays so: {text}")
            .into(),
        manifest,
    }
}

fn restart(case: &Case<'_>) -> Option<String> {
    let (kind, name) = case.client.workload.as_deref()?.split_once('/')?;
    let namespace = case.client.namespace.as_deref()?;
    let is_known = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet");
    (is_known && is_host_name(name) && is_host_name(namespace))
        .then(|| format!("kubectl rollout restart {} {name} -n {namespace}", kind.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{
        event::{
            envoy::{ClusterTls, SocketMatch},
            istio::ClientMode,
        },
        verdict::situation::{Situation, always, policy, rule},
    };

    #[test]
    fn plaintext_was_to_be_expected() {
        let disabled = Situation::default().with(|cluster| {
            cluster.istio.destination_rules = vec![rule("data", "redis", policy(Some(ClientMode::Disable)))];
        });
        let of = |version: &str| {
            let version = Some(version.into());
            Situation::default().with(|cluster| cluster.pods[0].proxy_version = version)
        };
        let mixed = of("1.20.3").with(|cluster| Situation::inject(&mut cluster.pods[2]));
        let new = of("1.31.0");
        let normal = Situation::default().with(|cluster| cluster.services[0].headless = false);
        for (situation, words, has_manifest) in [
            (of("1.20.3"), "its endpoint redis-0 has no sidecar", true),
            (mixed, "its endpoint redis-0 has no sidecar", true),
            (new, "Istio 1.31.0 does not renew clusters", true),
            (normal, "the endpoint has no sidecar", true),
            (disabled, "DestinationRule data/r turns mTLS off", false),
        ] {
            assert!(situation.with_case(RULE.applies), "{words}");
            let text = situation.with_case(RULE.text);
            assert!(text.contains(words), "{text}");
            let fix = situation.with_case(RULE.fix);
            assert!(fix.text.contains("kubectl rollout restart deployment web -n app"), "{fix:?}");
            assert_eq!(fix.manifest.is_some(), has_manifest, "{fix:?}");
        }
    }

    #[test]
    fn the_sidecars_own_configuration_tells_that_it_is_old() {
        let disabled = Situation::default().with(|cluster| {
            cluster.istio.destination_rules = vec![rule("data", "redis", policy(Some(ClientMode::Disable)))];
        });
        let normal = Situation::default().with(|cluster| cluster.services[0].headless = false);
        let label = SocketMatch { name: "tlsMode-istio".into(), is_for_all: false, tls: None };
        let by_endpoint = ClusterTls::ByEndpoint(vec![label]);
        // The release is not known: of the endpoints alone it could not be told.
        let headless = Situation::default;
        for (what, situation, says) in [
            (
                "its rule is gone",
                headless().configured("ORIGINAL_DST", always(), Some("gone")),
                Some("made with DestinationRule data/gone, which is there no more"),
            ),
            (
                "renewed",
                headless().configured("ORIGINAL_DST", ClusterTls::Never, None),
                Some("By now it is renewed"),
            ),
            ("an old release may do it", headless().configured("ORIGINAL_DST", always(), None), None),
            (
                "the rule is there, and not in it",
                disabled.clone().configured("ORIGINAL_DST", always(), None),
                Some("It has TLS for every endpoint there"),
            ),
            (
                "the rule is there in an older form",
                disabled.configured("ORIGINAL_DST", always(), Some("r")),
                Some("made with DestinationRule data/r"),
            ),
            (
                "its endpoints are old",
                normal.configured("EDS", by_endpoint, None),
                Some("of the endpoints that is old"),
            ),
        ] {
            assert_eq!(situation.with_case(RULE.applies), says.is_some(), "{what}");
            let text = situation.with_case(RULE.text);
            assert!(says.is_none_or(|says| text.contains(says)), "{what}: {text}");
            let is_over = situation.with_case(RULE.fix).text.starts_with("Nothing, if it works now");
            assert_eq!(is_over, what == "renewed", "{what}");
        }
    }

    #[test]
    fn mtls_was_to_be_expected_or_nothing_is_known() {
        let all =
            Situation::default().with(|cluster| cluster.pods[1..].iter_mut().for_each(Situation::inject));
        let unlisted = Situation::default().with(|cluster| cluster.istio.is_listed = false);
        // An old release may do it always.
        for situation in [all, unlisted, Situation::default()] {
            assert!(!situation.with_case(RULE.applies), "{situation:?}");
        }
    }
}
