//! `destination-rule-mtls`: a DestinationRule tells clients to use mTLS for every endpoint, with or without a proxy.

use crate::{
    event::{
        envoy::RuleName,
        istio::{ClientMode, ClientTls},
    },
    policy::{
        Rule as Selection,
        destination_rule::Step,
        expectation::Because,
        host::Fit,
        traffic_policy::{Level, Place},
    },
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule,
        words::{self, host},
    },
};

/// What users ask for counts for all endpoints alike (istio `pilot/pkg/networking/core/cluster_tls.go`,
/// `buildUpstreamTLSSettings`: `userSupplied`; istio#5296).
pub(super) const RULE: Rule = Rule {
    code: "destination-rule-mtls",
    situation: "a DestinationRule asks for mTLS for this host, often by a wildcard, and the server has no sidecar that could answer it",
    confirmed_by: "the DestinationRule that counts for the client has mode ISTIO_MUTUAL or MUTUAL; the sidecar's configuration names it, or alone names one where none are declared",
    refuted_by: "another DestinationRule counts",
    mend: "DestinationRule with DISABLE for host and port where it counts; a rule for the same host is changed",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    asked(case).is_some() || configured(case).is_some()
}

/// The rule that the sidecar's configuration names, where nothing is known of what is declared.
fn configured<'a>(case: &Case<'a>) -> Option<&'a RuleName> {
    case.word.rule_of_tls().filter(|_| !case.declared.is_listed() && !case.word.uses_no_mtls())
}

fn asked<'a>(case: &Case<'a>) -> Option<(&'a ClientTls, Place<'a>)> {
    match case.declared.expectation()?.because {
        Because::Rule(tls, place) if matches!(tls.mode, ClientMode::Mutual | ClientMode::IstioMutual) => {
            Some((tls, place))
        }
        _ => None,
    }
}

fn text(case: &Case<'_>) -> String {
    let Some((tls, place)) = asked(case) else { return of_configured(case) };
    let part = match place.level {
        Level::Rule => "its trafficPolicy",
        Level::Port(_) => "its portLevelSettings",
        Level::Subset(_) => "its subset",
        Level::SubsetPort(..) => "the portLevelSettings of its subset",
    };
    format!(
        "{} (host {}, mode {} in {part}){} asks for mTLS for every endpoint of {}, whether or not a proxy is \
         there to answer; at {} there is none{}",
        words::rule(place.rule),
        place.rule.host,
        tls.mode.name(),
        precedence(case),
        host(case),
        case.server.address,
        agreement(case, &words::rule(place.rule))
    )
}

fn of_configured(case: &Case<'_>) -> String {
    let Some(rule) = configured(case) else { return String::new() };
    format!(
        "by the sidecar's own configuration {rule} asks for mTLS for every endpoint of {}, whether or not a proxy is there to answer; \
         at {} there is none",
        host(case),
        case.server.address
    )
}

/// Whether the sidecar's configuration was made with this rule; it may be older or newer than what is declared.
fn agreement(case: &Case<'_>, rule: &RuleName) -> String {
    match (case.word.cluster, case.word.rule()) {
        (None, _) => String::new(),
        (Some(_), Some(used)) if used == rule => {
            ". The sidecar's own configuration was made with that rule".to_owned()
        }
        (Some(_), Some(used)) => {
            format!(". The sidecar's own configuration was made with {used} instead, and is older or newer")
        }
        (Some(_), None) => {
            ". The sidecar's own configuration was made without it, and is older or newer".to_owned()
        }
    }
}

/// Why this rule counts and not a more specific one elsewhere.
fn precedence(case: &Case<'_>) -> &'static str {
    match case.declared.rule() {
        Selection::Taken(selected) if selected.fit != Fit::Exact => match selected.step {
            Step::Client => ", which counts because it is in the client's namespace,",
            Step::Service => "",
            Step::Root => ", which counts for the whole mesh where nothing more special does,",
        },
        _ => "",
    }
}

fn fix(case: &Case<'_>) -> Fix {
    destination_rule::fix(case)
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{
        event::{
            envoy::{ClusterTls, TlsContext},
            istio::ClientMode,
        },
        verdict::situation::{Situation, always, policy, rule},
    };

    fn asked() -> Situation {
        Situation::default().with(|cluster| {
            cluster.istio.destination_rules =
                vec![rule("data", "redis", policy(Some(ClientMode::IstioMutual)))];
        })
    }

    fn unlisted() -> Situation {
        Situation::default().with(|cluster| cluster.istio.is_listed = false)
    }

    #[test]
    fn the_sidecars_own_configuration_names_the_rule() {
        let own = ClusterTls::Always(TlsContext { alpn: vec!["h2".into()], ..TlsContext::default() });
        for (what, situation, says) in [
            ("declared alone", asked(), Some("at 10.1.1.24:6379 there is none")),
            ("both", asked().configured("EDS", always(), Some("r")), Some("was made with that rule")),
            (
                "another rule",
                asked().configured("EDS", always(), Some("old")),
                Some("made with DestinationRule data/old instead"),
            ),
            ("no rule", asked().configured("ORIGINAL_DST", always(), None), Some("made without it")),
            (
                "the configuration alone",
                unlisted().configured("EDS", always(), Some("redis-mtls")),
                Some("by the sidecar's own configuration DestinationRule data/redis-mtls asks for mTLS"),
            ),
            ("nothing", unlisted(), None),
            // Istio may have inferred the TLS, and the rule be there for something else.
            ("it does not tell", unlisted().configured("ORIGINAL_DST", always(), Some("redis-mtls")), None),
            ("by endpoint", unlisted().configured("EDS", ClusterTls::Never, Some("redis-mtls")), None),
            ("the user's own TLS", unlisted().configured("EDS", own, Some("redis-tls")), None),
            (
                "all is known, and there is no such rule",
                Situation::default().configured("EDS", always(), Some("gone")),
                None,
            ),
        ] {
            assert_eq!(situation.with_case(RULE.applies), says.is_some(), "{what}");
            let text = situation.with_case(RULE.text);
            assert!(says.is_none_or(|says| text.contains(says)), "{what}: {text}");
        }
    }

    #[test]
    fn the_mend_leads_to_the_rule_that_is_named() {
        let named = unlisted().configured("EDS", always(), Some("redis-mtls"));
        let fix = named.with_case(RULE.fix);
        assert!(
            fix.text.contains("made with DestinationRule data/redis-mtls: if that is for this host alone"),
            "{fix:?}"
        );
        assert!(fix.manifest.is_some_and(|manifest| manifest.contains("namespace: data")));
    }

    #[test]
    fn the_rule_that_counts_asks_for_mtls() {
        for (namespace, host, mode, expected) in [
            ("istio-system", "*.local", ClientMode::IstioMutual, true),
            ("app", "*.data.svc.cluster.local", ClientMode::IstioMutual, true),
            ("data", "redis", ClientMode::IstioMutual, true),
            ("data", "redis", ClientMode::Mutual, true),
            ("data", "redis", ClientMode::Simple, false),
            ("data", "redis", ClientMode::Disable, false),
            ("data", "zookeeper", ClientMode::IstioMutual, false),
            ("other", "*.local", ClientMode::IstioMutual, false),
        ] {
            let situation = Situation::default().with(|cluster| {
                cluster.istio.destination_rules = vec![rule(namespace, host, policy(Some(mode)))];
            });
            assert_eq!(situation.with_case(RULE.applies), expected, "{namespace} {host} {mode:?}");
            if expected {
                let text = situation.with_case(RULE.text);
                assert!(
                    text.contains(&format!("{namespace}/r (host {host}, mode {}", mode.name())),
                    "{text}"
                );
            }
        }
    }
}
