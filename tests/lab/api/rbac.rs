//! What a user may do, by rules as `ClusterRole` and `Role` objects have them; it must not know what is done.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Rules of one user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// With the namespace in which they hold; none: everywhere.
    grants: Vec<(Option<String>, Rule)>,
    /// Everything is allowed, as to `cluster-admin`.
    all: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    verbs: Vec<String>,
    paths: Vec<String>,
}

/// A request, as rules see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

/// What every user may read: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`, `system:discovery` and
/// `system:public-info-viewer`.
const PUBLIC_PATHS: [&str; 8] =
    ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/version"];

impl Rules {
    /// Everything is allowed.
    pub(crate) fn all() -> Self {
        Self { grants: Vec::new(), all: true }
    }

    /// The rules of these objects; bindings and other objects beside them are passed over.
    pub(crate) fn of(objects: &[Value]) -> Result<Self> {
        let mut rules = Self::default();
        for object in objects {
            let namespace = match object["kind"].as_str() {
                Some("ClusterRole") => None,
                Some("Role") => {
                    let namespace = object["metadata"]["namespace"].as_str();
                    Some(namespace.context("a Role without a namespace")?.to_owned())
                }
                _ => continue,
            };
            for rule in object["rules"].as_array().into_iter().flatten() {
                rules.grants.push((namespace.clone(), Rule::read(rule)?));
            }
        }
        ensure!(!rules.grants.is_empty(), "there is no ClusterRole or Role with rules");
        Ok(rules)
    }

    /// Takes away what is allowed of a resource.
    pub(crate) fn without(mut self, resource: &str) -> Self {
        for (_, rule) in &mut self.grants {
            rule.resources.retain(|one| one != resource);
        }
        self
    }

    /// `pkg/apis/rbac/v1/evaluation_helpers.go` and `plugin/pkg/auth/authorizer/rbac/rbac.go`.
    pub(crate) fn allow(&self, attempt: &Attempt<'_>) -> bool {
        self.all
            || self.grants.iter().any(|(namespace, rule)| {
                (namespace.is_none() || namespace.as_deref() == attempt.namespace) && rule.allows(attempt)
            })
    }

    pub(crate) fn allow_path(&self, path: &str) -> bool {
        let own = self.grants.iter().flat_map(|(_, rule)| &rule.paths).map(String::as_str);
        self.all || own.chain(PUBLIC_PATHS).any(|allowed| covers(allowed, path))
    }
}

impl Rule {
    fn read(rule: &Value) -> Result<Self> {
        let list = |key: &str| -> Vec<String> {
            let values = rule[key].as_array().into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let read = Self {
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            verbs: list("verbs"),
            paths: list("nonResourceURLs"),
        };
        ensure!(!read.verbs.is_empty(), "a rule without verbs: {rule}");
        Ok(read)
    }

    fn allows(&self, attempt: &Attempt<'_>) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|one| one == "*" || one == wanted);
        let is_named = self.names.is_empty()
            || attempt.name.is_some_and(|name| self.names.iter().any(|one| one == name));
        has(&self.verbs, attempt.verb)
            && has(&self.groups, attempt.group)
            && has(&self.resources, attempt.resource)
            && is_named
    }
}

fn covers(allowed: &str, path: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => path == allowed,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_allow_what_they_name_and_nothing_else() {
        let rules = Rules::of(&[
            json!({ "kind": "ClusterRole", "rules": [
                { "apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "watch"] },
                { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"] }
            ] }),
            json!({ "kind": "Role", "metadata": { "namespace": "istio-system" }, "rules": [
                { "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["istio"], "verbs": ["get"] }
            ] }),
            json!({ "kind": "ClusterRoleBinding" }),
        ]);
        let rules = rules.unwrap();
        for (verb, group, resource, namespace, name, expected) in [
            ("list", "", "pods", None, None, true),
            ("delete", "", "pods", Some("default"), Some("a"), false),
            ("list", "apps", "pods", None, None, false),
            ("create", "events.k8s.io", "events", Some("default"), None, true),
            ("create", "", "events", Some("default"), None, false),
            ("get", "", "configmaps", Some("istio-system"), Some("istio"), true),
            ("get", "", "configmaps", Some("istio-system"), Some("other"), false),
            ("get", "", "configmaps", Some("default"), Some("istio"), false),
            ("get", "", "configmaps", None, None, false),
        ] {
            let attempt = Attempt { verb, group, resource, namespace, name };
            assert_eq!(rules.allow(&attempt), expected, "{attempt:?}");
        }
        assert!(rules.allow_path("/apis/apps/v1") && rules.allow_path("/version"));
        assert!(!rules.allow_path("/metrics"));
        let fewer = rules.without("pods");
        let list = |resource| Attempt { verb: "list", group: "", resource, namespace: None, name: None };
        assert!(!fewer.allow(&list("pods")) && fewer.allow(&list("services")));
    }
}
