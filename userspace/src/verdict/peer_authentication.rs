//! The `PeerAuthentication` that lets one port of one workload take plaintext, and leaves everything else as it is. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    event::{
        cluster::Pod,
        istio::{Labels, PeerAuthentication, ServerMode},
    },
    policy::peer_authentication::Scope,
    update::Fix,
    verdict::case::Case,
};

/// Labels that tell a workload, the best known first (kubernetes.io/docs/concepts/overview/working-with-objects/common-labels).
const NAMING: [&str; 3] = ["app.kubernetes.io/name", "app", "k8s-app"];

/// `lead`, or plaintext as well as mTLS for this port.
pub(super) fn permissive(case: &Case<'_>, lead: &str) -> Fix {
    with_mode(case, lead, ServerMode::Permissive, "let this port of the server take plaintext as well")
}

/// `lead`, or plaintext only for this port: a proxy that takes both waits for the client's first bytes.
pub(super) fn disable(case: &Case<'_>, lead: &str) -> Fix {
    with_mode(case, lead, ServerMode::Disable, "let this port of the server take plaintext only")
}

fn with_mode(case: &Case<'_>, lead: &str, mode: ServerMode, otherwise: &str) -> Fix {
    let manifest = manifest(case, mode);
    let how = match &manifest {
        Some(_) => "with this PeerAuthentication, which changes no other port and no other workload",
        None => "with a PeerAuthentication that selects its pods and sets portLevelMtls for it",
    };
    Fix { text: format!("{lead}; or {otherwise}, {how}").into(), manifest: manifest.map(Into::into) }
}

/// Of the oldest policy for a workload, Istio takes no second one: if there is one, this is it with a port more
/// (`ComposePeerAuthentication`, istio `pilot/pkg/security/authn/policy_applier.go`).
fn manifest(case: &Case<'_>, mode: ServerMode) -> Option<String> {
    let pod = case.declared.server()?;
    let effective = case.declared.server_mode()?;
    let port = case.server.address.port();
    let existing = effective.policy.filter(|_| matches!(effective.scope, Scope::Workload | Scope::Port));
    let mut policy = match existing {
        Some(policy) => policy.clone(),
        None => PeerAuthentication {
            namespace: pod.namespace.clone(),
            name: format!("{}-port-{port}", name_of(pod)).into(),
            selector: naming_labels(pod)?,
            ..PeerAuthentication::default()
        },
    };
    policy.ports.insert(port, mode);
    Some(text_of(&policy))
}

fn text_of(policy: &PeerAuthentication) -> String {
    let PeerAuthentication { namespace, name, selector, mode, ports, .. } = policy;
    let mut text = format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  \
         selector:\n    matchLabels:\n"
    );
    // Writing to a String does not fail.
    for (label, value) in selector {
        let _ = writeln!(text, "      {label}: \"{value}\"");
    }
    if *mode != ServerMode::Unset {
        let _ = writeln!(text, "  mtls:\n    mode: {}", mode.name());
    }
    text.push_str("  portLevelMtls:\n");
    for (port, mode) in ports {
        let _ = writeln!(text, "    {port}:\n      mode: {}", mode.name());
    }
    text
}

/// Labels that all pods of the workload have, and no others.
fn naming_labels(pod: &Pod) -> Option<Labels> {
    let (label, value) = NAMING.iter().find_map(|label| pod.labels.get_key_value(*label))?;
    Some(BTreeMap::from([(label.clone(), value.clone())]))
}

fn name_of(pod: &Pod) -> &str {
    pod.workload.as_deref().and_then(|workload| Some(workload.split_once('/')?.1)).unwrap_or(&pod.name)
}

#[cfg(test)]
mod tests {
    use super::text_of;
    use crate::event::istio::{PeerAuthentication, ServerMode};

    #[test]
    fn what_is_there_stays() {
        let policy = PeerAuthentication {
            namespace: "shop".into(),
            name: "db".into(),
            selector: [("app".into(), "db".into())].into(),
            mode: ServerMode::Strict,
            ports: [(3306, ServerMode::Permissive), (9104, ServerMode::Disable)].into(),
            ..PeerAuthentication::default()
        };
        let expected = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: db\n  namespace: \
                        shop\nspec:\n  selector:\n    matchLabels:\n      app: \"db\"\n  mtls:\n    mode: STRICT\n  \
                        portLevelMtls:\n    3306:\n      mode: PERMISSIVE\n    9104:\n      mode: DISABLE\n";
        assert_eq!(text_of(&policy), expected);
    }
}
