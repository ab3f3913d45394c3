//! `destination-rule-mtls`: a DestinationRule tells clients to use mTLS for every endpoint, with or without a proxy.

use crate::{
    event::istio::{ClientMode, ClientTls},
    policy::{
        Rule as Selection,
        destination_rule::Step,
        expectation::Because,
        host::Fit,
        traffic_policy::{Level, Place},
    },
    update::Fix,
    verdict::{case::Case, cause::Rule, destination_rule, words::{self, host}},
};

/// What users ask for counts for all endpoints alike (istio `pilot/pkg/networking/core/cluster_tls.go`,
/// `buildUpstreamTLSSettings`: `userSupplied`; istio#5296).
pub(super) const RULE: Rule = Rule {
    code: "destination-rule-mtls",
    situation: "a DestinationRule asks for mTLS for this host, often by a wildcard, and the server has no sidecar that could answer it",
    confirmed_by: "the DestinationRule that counts for the client has mode ISTIO_MUTUAL or MUTUAL",
    refuted_by: "another DestinationRule counts",
    mend: "DestinationRule with DISABLE for host and port where it counts; a rule for the same host is changed",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    asked(case).is_some()
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
    let Some((tls, place)) = asked(case) else { return String::new() };
    let part = match place.level {
        Level::Rule => "its trafficPolicy",
        Level::Port(_) => "its portLevelSettings",
        Level::Subset(_) => "its subset",
        Level::SubsetPort(..) => "the portLevelSettings of its subset",
    };
    format!(
        "{} (host {}, mode {} in {part}){} asks for mTLS for every endpoint of {}, whether or not a proxy is \
         there to answer; at {} there is none",
        words::rule(place.rule),
        place.rule.host,
        tls.mode.name(),
        precedence(case),
        host(case),
        case.server.address
    )
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
        event::istio::ClientMode,
        verdict::situation::{Situation, policy, rule},
    };

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
