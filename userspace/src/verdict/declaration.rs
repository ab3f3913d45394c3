//! What the cluster declares for a case, in sentences that can be checked with kubectl. Pure.

use crate::{
    policy::{Rule, interception::Interception, peer_authentication::Scope},
    tls::mesh::Mesh,
    verdict::{
        case::Case,
        words::{self, host},
    },
};

/// The sentences, as far as anything is known.
pub(super) fn sentences(case: &Case<'_>) -> Vec<String> {
    [of_rule(case), of_endpoints(case), of_server(case), of_version(case)].into_iter().flatten().collect()
}

fn of_rule(case: &Case<'_>) -> Option<String> {
    let client = case.declared.client()?;
    let host = host(case);
    Some(match case.declared.rule() {
        Rule::Taken(selected) => format!(
            "for clients in namespace {} and host {host}, {} counts",
            client.namespace,
            words::rule(selected.rule)
        ),
        Rule::None => {
            format!("no DestinationRule of the cluster file counts for clients in namespace {} and host {host}", client.namespace)
        }
        Rule::NotKnown if case.declared.is_listed() || !is_of_istio(case) => return None,
        Rule::NotKnown => {
            "the cluster file has no objects of Istio's kinds: what DestinationRules and PeerAuthentications say is not known".to_owned()
        }
    })
}

/// Nothing in the attempt is another mesh's.
fn is_of_istio(case: &Case<'_>) -> bool {
    case.hello.is_none_or(|sent| sent.mesh.mesh == Mesh::Istio)
}

fn of_endpoints(case: &Case<'_>) -> Option<String> {
    let endpoints = case.declared.endpoints().filter(|endpoints| endpoints.all > 0)?;
    Some(format!(
        "endpoints: {}; with a mesh proxy: {}; with the label security.istio.io/tlsMode: {}",
        endpoints.all, endpoints.with_proxy, endpoints.labelled
    ))
}

fn of_server(case: &Case<'_>) -> Option<String> {
    // Without a proxy no mode counts.
    case.declared.interception().filter(|interception| *interception != Interception::NoProxy)?;
    let effective = case.declared.server_mode()?;
    let mode = effective.mode.name();
    Some(match (effective.policy, effective.scope) {
        (Some(policy), scope) => {
            let of = match scope {
                Scope::Mesh => "the mesh",
                Scope::Namespace => "its namespace",
                Scope::Workload => "this workload",
                Scope::Port | Scope::Default => "this port",
            };
            format!("PeerAuthentication {}/{} has mode {mode} for {of}", policy.namespace, policy.name)
        }
        (None, _) => format!("no PeerAuthentication counts for the server, which is mode {mode}"),
    })
}

fn of_version(case: &Case<'_>) -> Option<String> {
    Some(format!("the mesh is Istio {}", case.declared.version()?))
}

#[cfg(test)]
mod tests {
    use super::sentences;
    use crate::{
        event::istio::{ClientMode, PeerAuthentication, ServerMode},
        verdict::situation::{Situation, policy, rule},
    };

    fn said(situation: &Situation) -> String {
        situation.with_case(sentences).join("\n")
    }

    #[test]
    fn what_is_declared_is_told_and_what_is_not_known_too() {
        let none = Situation::default();
        assert!(
            said(&none)
                .contains("no DestinationRule of the cluster file counts for clients in namespace app")
        );
        assert!(said(&none).contains("endpoints: 2; with a mesh proxy: 0;"));
        assert!(!said(&none).contains("PeerAuthentication"), "the server has no proxy");
        let unlisted = Situation::default().with(|cluster| cluster.istio.is_listed = false);
        assert!(said(&unlisted).contains("no objects of Istio's kinds"), "{}", said(&unlisted));
        let strict = PeerAuthentication {
            namespace: "data".into(),
            name: "p".into(),
            mode: ServerMode::Strict,
            ..PeerAuthentication::default()
        };
        let full = Situation::default().with(|cluster| {
            Situation::inject(&mut cluster.pods[1]);
            cluster.pods[0].proxy_version = Some("1.24.3".into());
            cluster.istio.peer_authentications = vec![strict];
            cluster.istio.destination_rules = vec![rule("data", "redis", policy(Some(ClientMode::Disable)))];
        });
        for sentence in [
            "DestinationRule data/r counts",
            "endpoints: 2; with a mesh proxy: 1; with the label security.istio.io/tlsMode: 1",
            "PeerAuthentication data/p has mode STRICT for its namespace",
            "the mesh is Istio 1.24.3",
        ] {
            assert!(said(&full).contains(sentence), "{} lacks {sentence}", said(&full));
        }
    }
}
