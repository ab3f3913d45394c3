//! `lost-disable`: a DestinationRule turns mTLS off, and its own portLevelSettings turn that into nothing for this port.

use crate::{
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule,
        words::{self, host},
    },
};

/// istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy-PortTrafficPolicy: «settings specified at
/// the destination-level will not be inherited when overridden by port-level settings».
pub(super) const RULE: Rule = Rule {
    code: "lost-disable",
    situation: "a DestinationRule has tls.mode DISABLE, and an entry of portLevelSettings for the port without tls, which replaces all of it",
    confirmed_by: "the DestinationRule that counts for the client",
    refuted_by: "the entry has tls of its own",
    mend: "tls.mode DISABLE in that entry too",
    applies,
    text,
    fix,
};

/// Endpoints that the sidecar knows one by one still get what stands beside the entry (`mtls_checker.go`).
fn applies(case: &Case<'_>) -> bool {
    case.declared.is_passthrough() && case.declared.client_tls().lost_disable.is_some()
}

fn text(case: &Case<'_>) -> String {
    let Some(place) = case.declared.client_tls().lost_disable else { return String::new() };
    format!(
        "{} turns mTLS off for {}, but its entry in portLevelSettings for this port has no tls: such an entry \
         replaces the rest and inherits nothing, so the sidecar decides by itself again",
        words::rule(place.rule),
        host(case)
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let command = case.declared.client_tls().lost_disable.and_then(destination_rule::disable_at);
    let how = command.map(|command| format!(": {command}")).unwrap_or_default();
    Fix {
        text: format!("Say tls.mode: DISABLE in that entry of portLevelSettings as well{how}").into(),
        manifest: None,
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{
        event::istio::{ClientMode, ClientTls, PortPolicy},
        verdict::situation::{Situation, policy, rule},
    };

    #[test]
    fn an_entry_without_tls_replaces_all() {
        for (top, entry, expected) in [
            (Some(ClientMode::Disable), Some(None), true),
            (Some(ClientMode::Disable), Some(Some(ClientMode::Disable)), false),
            (Some(ClientMode::Disable), None, false),
            (Some(ClientMode::IstioMutual), Some(None), false),
            (None, Some(None), false),
        ] {
            let mut policy = policy(top);
            policy.ports = entry
                .map(|mode: Option<ClientMode>| PortPolicy {
                    port: 6379,
                    tls: mode.map(|mode| ClientTls { mode, ..ClientTls::default() }),
                    load_balancer: None,
                })
                .into_iter()
                .collect();
            let situation = Situation::default().with(|cluster| {
                cluster.istio.destination_rules = vec![rule("data", "redis", Some(policy))];
            });
            assert_eq!(situation.with_case(RULE.applies), expected, "{top:?} {entry:?}");
            let normal = situation.clone().with(|cluster| cluster.services[0].headless = false);
            assert!(!normal.with_case(RULE.applies), "{top:?} {entry:?}");
            if expected {
                let fix = situation.with_case(RULE.fix);
                assert!(
                    fix.text.contains(
                        r#""path":"/spec/trafficPolicy/portLevelSettings/0/tls","value":{"mode":"DISABLE"}"#
                    ),
                    "{fix:?}"
                );
                assert!(situation.with_case(RULE.text).contains("DestinationRule data/r"));
            }
        }
    }
}
