//! `unchecked-passthrough`: a DestinationRule sends clients where the app asked to, and Istio does not look who is there.

use crate::{
    policy::expectation::Because,
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule,
        words::{self, host},
    },
};

/// Istio asks the whole policy, or the subset's, whether it is PASSTHROUGH, and not what they come to for the port (istio
/// `pilot/pkg/networking/core/cluster_builder.go`, `applyDestinationRule` and `buildSubsetCluster`).
pub(super) const RULE: Rule = Rule {
    code: "unchecked-passthrough",
    situation: "loadBalancer PASSTHROUGH in portLevelSettings, or above subsets: the cluster is ORIGINAL_DST with mTLS for every endpoint, and whether all of them can do it is not looked at",
    confirmed_by: "the DestinationRule that counts for the client, and an endpoint without the label tlsMode",
    refuted_by: "the rule says PASSTHROUGH where Istio asks",
    mend: "tls.mode DISABLE beside that PASSTHROUGH",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    let is_unasked = case
        .declared
        .expectation()
        .is_some_and(|expectation| matches!(expectation.because, Because::NotAsked(_)));
    is_unasked && case.declared.is_labelled() == Some(false)
}

fn text(case: &Case<'_>) -> String {
    let place = case.declared.client_tls().passthrough;
    let rule = place.map(|place| words::rule(place.rule).to_string()).unwrap_or_default();
    format!(
        "{rule} has loadBalancer PASSTHROUGH for this port of {}: so its cluster is ORIGINAL_DST, with mTLS for \
         every endpoint, and in this place of the rule Istio does not see that it must look whether all endpoints have a sidecar",
        host(case)
    )
}

fn fix(case: &Case<'_>) -> Fix {
    destination_rule::fix(case)
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{
        event::istio::{LoadBalancer, PortPolicy, TrafficPolicy},
        verdict::situation::{Situation, policy, rule},
    };

    fn situation(policy: TrafficPolicy) -> Situation {
        Situation::default().with(|cluster| {
            cluster.services[0].headless = false;
            cluster.istio.destination_rules = vec![rule("data", "redis", Some(policy))];
        })
    }

    #[test]
    fn passthrough_in_port_level_settings_is_not_seen() {
        let entry = |load_balancer| PortPolicy { port: 6379, tls: None, load_balancer };
        let in_port = |load_balancer| TrafficPolicy { ports: vec![entry(load_balancer)], ..policy(None) };
        let on_top = TrafficPolicy { load_balancer: Some(LoadBalancer::Passthrough), ..policy(None) };
        for (policy, expected) in [
            (in_port(Some(LoadBalancer::Passthrough)), true),
            (in_port(Some(LoadBalancer::Other)), false),
            (in_port(None), false),
            (on_top, false),
        ] {
            let situation = situation(policy);
            assert_eq!(situation.with_case(RULE.applies), expected, "{situation:?}");
            if expected {
                let fix = situation.with_case(RULE.fix);
                assert!(fix.text.contains("portLevelSettings/0/tls"), "{fix:?}");
                assert!(situation.with_case(RULE.text).contains("DestinationRule data/r"));
                let labelled = situation.with(|cluster| Situation::inject(&mut cluster.pods[1]));
                assert!(!labelled.with_case(RULE.applies), "another cause then");
            }
        }
    }
}
