//! `peer-authentication-disable`: the server's sidecar is told to take plaintext on this port, and clients of a headless Service
//! are not told.

use crate::{
    event::istio::{PeerAuthentication, ServerMode},
    policy::{interception::Interception, peer_authentication::Scope},
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule::{self, is_host_name},
        words::pod,
    },
};

/// istio#39439: policies for workloads and ports are not looked at when it is inferred what clients of a headless Service do
/// (istio `pilot/pkg/model/push_context.go`, `BestEffortInferServiceMTLSMode`).
pub(super) const RULE: Rule = Rule {
    code: "peer-authentication-disable",
    situation: "a PeerAuthentication with mode DISABLE for the workload or its port: the sidecar passes the hello on to the app, and clients of a headless Service do not know of it",
    confirmed_by: "the PeerAuthentication that counts for the server's port",
    refuted_by: "the sidecar answered the hello",
    mend: "DestinationRule with DISABLE for host and port, or PERMISSIVE for the port",
    applies,
    text,
    fix,
};

fn policy<'a>(case: &Case<'a>) -> Option<(&'a PeerAuthentication, Scope)> {
    let effective = case.declared.server_mode()?;
    let is_narrow = matches!(effective.scope, Scope::Workload | Scope::Port);
    effective
        .policy
        .filter(|_| is_narrow && effective.mode == ServerMode::Disable)
        .map(|policy| (policy, effective.scope))
}

fn applies(case: &Case<'_>) -> bool {
    case.declared.interception() == Some(Interception::Captured) && policy(case).is_some()
}

fn text(case: &Case<'_>) -> String {
    let Some((policy, scope)) = policy(case) else { return String::new() };
    let port = case.server.address.port();
    let what = if scope == Scope::Port { format!("for port {port}") } else { "for this workload".to_owned() };
    format!(
        "PeerAuthentication {}/{} has mode DISABLE {what}: the sidecar of {} answers no mTLS there and passes the hello on to the \
         app as it is. Clients of a headless Service are not told of policies for workloads and ports, and go on with mTLS \
         (istio#39439)",
        policy.namespace,
        policy.name,
        pod(case.server)
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let Fix { text, manifest } = destination_rule::fix(case);
    let named =
        policy(case).filter(|(policy, _)| is_host_name(&policy.namespace) && is_host_name(&policy.name));
    let command = named.map(|(policy, scope)| {
        let spec = match scope {
            Scope::Port => {
                format!("{{\"portLevelMtls\":{{\"{}\":{{\"mode\":\"PERMISSIVE\"}}}}}}", case.server.address.port())
            }
            _ => "{\"mtls\":{\"mode\":\"PERMISSIVE\"}}".to_owned(),
        };
        let PeerAuthentication { namespace, name, .. } = policy;
        format!(
            ". Or let the sidecar take both: kubectl patch peerauthentication {name} -n {namespace} --type=merge -p \
             '{{\"spec\":{spec}}}'"
        )
    });
    Fix { text: format!("{text}{}", command.unwrap_or_default()).into(), manifest }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{
        event::istio::{PeerAuthentication, ServerMode},
        verdict::situation::Situation,
    };

    fn situation(policy: PeerAuthentication) -> Situation {
        let policy = PeerAuthentication { namespace: "data".into(), name: "p".into(), ..policy };
        Situation::default().with(|cluster| {
            Situation::inject(&mut cluster.pods[1]);
            Situation::inject(&mut cluster.pods[2]);
            cluster.istio.peer_authentications = vec![policy];
        })
    }

    #[test]
    fn narrow_policies_are_not_known_to_clients() {
        let redis = || [("app".into(), "redis".into())].into();
        let narrow = |mode| PeerAuthentication { selector: redis(), mode, ..PeerAuthentication::default() };
        let port = |port, mode| PeerAuthentication {
            ports: [(port, mode)].into(),
            ..narrow(ServerMode::Permissive)
        };
        for (policy, expected) in [
            (narrow(ServerMode::Disable), Some("{\"spec\":{\"mtls\":{\"mode\":\"PERMISSIVE\"}}}")),
            (
                port(6379, ServerMode::Disable),
                Some("{\"spec\":{\"portLevelMtls\":{\"6379\":{\"mode\":\"PERMISSIVE\"}}}}"),
            ),
            (port(80, ServerMode::Disable), None),
            (narrow(ServerMode::Permissive), None),
            // Clients know of this one.
            (PeerAuthentication { mode: ServerMode::Disable, ..PeerAuthentication::default() }, None),
        ] {
            let situation = situation(policy);
            assert_eq!(situation.with_case(RULE.applies), expected.is_some(), "{situation:?}");
            if let Some(expected) = expected {
                assert!(
                    situation.with_case(RULE.text).contains("PeerAuthentication data/p has mode DISABLE")
                );
                let fix = situation.with_case(RULE.fix);
                assert!(fix.text.contains(expected) && fix.manifest.is_some(), "{fix:?}");
            }
        }
        assert!(!Situation::default().with_case(RULE.applies), "without a sidecar");
    }
}
