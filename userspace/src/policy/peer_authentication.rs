//! What a server's sidecar takes on a port: the `PeerAuthentication`s that count. Pure.
//!
//! Written after istio `pilot/pkg/security/authn/policy_applier.go` (`ComposePeerAuthentication`) and
//! `pilot/pkg/model/authentication.go` (`GetNamespaceMutualTLSMode`), 1.31.

use crate::{
    event::istio::{Labels, PeerAuthentication, ServerMode},
    policy::destination_rule::is_subset,
};

/// How narrow the policy is that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// None: the default.
    Default,
    /// The mesh.
    Mesh,
    /// The namespace.
    Namespace,
    /// The workload.
    Workload,
    /// The workload's port.
    Port,
}

/// What counts for one port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective<'a> {
    /// The mode; never unset.
    pub mode: ServerMode,
    /// How narrow the policy is that decides.
    pub scope: Scope,
    /// That policy.
    pub policy: Option<&'a PeerAuthentication>,
}

/// Mode of a server without any policy.
const DEFAULT: Effective<'_> =
    Effective { mode: ServerMode::Permissive, scope: Scope::Default, policy: None };

/// What counts for a target port of a pod with these labels in this namespace.
pub fn effective<'a>(
    policies: &'a [PeerAuthentication],
    root_namespace: &str,
    namespace: &str,
    labels: &Labels,
    port: u16,
) -> Effective<'a> {
    let wide = of_namespace(policies, root_namespace, namespace);
    // With a selector they count in their own namespace only, and never in the root namespace.
    let is_narrow = |policy: &PeerAuthentication| {
        &*policy.namespace == namespace
            && namespace != root_namespace
            && !policy.selector.is_empty()
            && is_subset(&policy.selector, labels)
    };
    let Some(policy) = oldest(policies, is_narrow) else { return wide };
    let of_workload = set(policy, policy.mode, Scope::Workload).unwrap_or(wide);
    let of_port = policy.ports.get(&port).and_then(|mode| set(policy, *mode, Scope::Port));
    of_port.unwrap_or(of_workload)
}

/// What counts for a namespace as a whole: all that Istio looks at when it infers what clients of a Service do.
pub fn of_namespace<'a>(
    policies: &'a [PeerAuthentication],
    root_namespace: &str,
    namespace: &str,
) -> Effective<'a> {
    let without_selector = |of: &str, scope| {
        let is_wide = |policy: &PeerAuthentication| &*policy.namespace == of && policy.selector.is_empty();
        let policy = oldest(policies, is_wide)?;
        set(policy, policy.mode, scope)
    };
    let own = if namespace == root_namespace { None } else { without_selector(namespace, Scope::Namespace) };
    own.or_else(|| without_selector(root_namespace, Scope::Mesh)).unwrap_or(DEFAULT)
}

/// Of several policies for the same, the oldest counts, and it alone.
fn oldest(
    policies: &[PeerAuthentication],
    is_meant: impl Fn(&PeerAuthentication) -> bool,
) -> Option<&PeerAuthentication> {
    policies
        .iter()
        .filter(|policy| is_meant(policy))
        .min_by_key(|policy| (policy.created, policy.name.clone()))
}

fn set(policy: &PeerAuthentication, mode: ServerMode, scope: Scope) -> Option<Effective<'_>> {
    (mode != ServerMode::Unset).then_some(Effective { mode, scope, policy: Some(policy) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Scope, effective, of_namespace};
    use crate::event::{
        istio::{Labels, PeerAuthentication, ServerMode},
        time::Time,
    };

    fn mode(text: &str) -> ServerMode {
        let all = [ServerMode::Unset, ServerMode::Disable, ServerMode::Permissive, ServerMode::Strict];
        all.into_iter().find(|mode| mode.name() == text).unwrap()
    }

    /// `namespace MODE`, with the app that it selects after an `@`, and `port=MODE` after that.
    fn policy(created: u64, text: &str) -> PeerAuthentication {
        let mut words = text.split(' ');
        let (namespace, whole) = (words.next().unwrap(), words.next().unwrap());
        let mut policy = PeerAuthentication {
            namespace: namespace.into(),
            name: format!("p{created}").into(),
            created: Time(created),
            mode: mode(whole),
            ..PeerAuthentication::default()
        };
        for word in words {
            match (word.strip_prefix('@'), word.split_once('=')) {
                (Some(app), _) => policy.selector = Labels::from([("app".into(), app.into())]),
                (None, Some((port, port_mode))) => {
                    policy.ports.extend(BTreeMap::from([(port.parse().unwrap(), mode(port_mode))]));
                }
                (None, None) => panic!("{word}"),
            }
        }
        policy
    }

    /// Why, the policies in the order of their creation, the mode of port 6379, and what decides.
    type Case = (&'static str, &'static [&'static str], &'static str, Scope);

    /// Rules of `istio.io/latest/docs/reference/config/security/peer_authentication` and of `ComposePeerAuthentication`.
    const TABLE: &[Case] = &[
        ("none: permissive", &[], "PERMISSIVE", Scope::Default),
        ("the mesh", &["istio-system STRICT"], "STRICT", Scope::Mesh),
        (
            "the namespace goes before the mesh",
            &["istio-system STRICT", "data DISABLE"],
            "DISABLE",
            Scope::Namespace,
        ),
        ("another namespace", &["other STRICT"], "PERMISSIVE", Scope::Default),
        (
            "the workload goes before the namespace",
            &["data STRICT", "data PERMISSIVE @redis"],
            "PERMISSIVE",
            Scope::Workload,
        ),
        ("another workload", &["data STRICT", "data PERMISSIVE @web"], "STRICT", Scope::Namespace),
        ("the port goes before the workload", &["data STRICT @redis 6379=DISABLE"], "DISABLE", Scope::Port),
        ("another port", &["data STRICT @redis 16379=DISABLE"], "STRICT", Scope::Workload),
        (
            "unset inherits from the namespace",
            &["data STRICT", "data UNSET @redis"],
            "STRICT",
            Scope::Namespace,
        ),
        ("unset inherits from the mesh", &["istio-system STRICT", "data UNSET"], "STRICT", Scope::Mesh),
        ("all unset", &["istio-system UNSET", "data UNSET @redis 6379=UNSET"], "PERMISSIVE", Scope::Default),
        (
            "an unset port inherits from the workload",
            &["data DISABLE @redis 6379=UNSET"],
            "DISABLE",
            Scope::Workload,
        ),
        (
            "a port of an unset workload",
            &["data STRICT", "data UNSET @redis 6379=DISABLE"],
            "DISABLE",
            Scope::Port,
        ),
        ("ports without a selector do not count", &["data STRICT 6379=DISABLE"], "STRICT", Scope::Namespace),
        (
            "the oldest for a workload wins",
            &["data DISABLE @redis", "data STRICT @redis"],
            "DISABLE",
            Scope::Workload,
        ),
        (
            "the oldest alone: ports of the younger do not count",
            &["data UNSET @redis", "data STRICT @redis 6379=DISABLE"],
            "PERMISSIVE",
            Scope::Default,
        ),
        (
            "the oldest for a namespace wins",
            &["data PERMISSIVE", "data STRICT"],
            "PERMISSIVE",
            Scope::Namespace,
        ),
        (
            "a selector in the root namespace does not count elsewhere",
            &["istio-system STRICT @redis"],
            "PERMISSIVE",
            Scope::Default,
        ),
    ];

    #[test]
    fn the_narrowest_policy_decides() {
        let labels = Labels::from([("app".into(), "redis".into()), ("tier".into(), "data".into())]);
        for (why, policies, expected, scope) in TABLE {
            let policies: Vec<_> = (0_u64..).zip(*policies).map(|(at, text)| policy(at, text)).collect();
            let found = effective(&policies, "istio-system", "data", &labels, 6379);
            assert_eq!((found.mode.name(), found.scope), (*expected, *scope), "{why}");
            assert_eq!(found.policy.is_some(), found.scope != Scope::Default, "{why}");
        }
    }

    #[test]
    fn inference_looks_at_namespaces_only() {
        // push_context.go, BestEffortInferServiceMTLSMode: «uses only mesh and namespace level PeerAuthentication».
        let policies = [policy(0, "data DISABLE @redis 6379=DISABLE"), policy(1, "data STRICT")];
        assert_eq!(of_namespace(&policies, "istio-system", "data").mode, ServerMode::Strict);
    }

    #[test]
    fn the_root_namespace_has_the_mesh_as_its_own() {
        let policies = [policy(0, "istio-system STRICT"), policy(1, "istio-system DISABLE @redis")];
        let labels = Labels::from([("app".into(), "redis".into())]);
        let found = effective(&policies, "istio-system", "istio-system", &labels, 6379);
        assert_eq!((found.mode, found.scope), (ServerMode::Strict, Scope::Mesh));
    }
}
