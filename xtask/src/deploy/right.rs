//! What the agents may ask of the Kubernetes API: exactly what they do ask. Whether it is enough is shown by the agent's own
//! tests too, whose API server refuses what this role does not allow.
use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::document;
use crate::workspace::Workspace;

/// The file in which each kind that is read has its name.
const KINDS: &str = "userspace/src/source/kube/kind.rs";

/// What is asked for: API group, resource, verbs. The only thing that is written are Events.
const ASKED: [(&str, &str, &[&str]); 9] = [
    ("", "pods", &["get", "list", "watch"]),
    ("", "services", &["get", "list", "watch"]),
    ("discovery.k8s.io", "endpointslices", &["list", "watch"]),
    ("networking.istio.io", "destinationrules", &["list", "watch"]),
    ("networking.istio.io", "serviceentries", &["list", "watch"]),
    ("networking.istio.io", "workloadentries", &["list", "watch"]),
    ("security.istio.io", "peerauthentications", &["list", "watch"]),
    ("", "configmaps", &["get"]),
    (EVENTS.0, EVENTS.1, &["create", "patch"]),
];

const EVENTS: (&str, &str) = ("events.k8s.io", "events");

/// Group, resource and verb.
type Right = (String, String, String);

/// The rights of a release: no more than is asked for, and all of it where everything is switched on.
pub(super) fn check(objects: &[Value], has_all: bool) -> Vec<String> {
    let Some(role) = document::find(objects, "ClusterRole") else { return Vec::new() };
    let given = given(role);
    let asked = asked();
    let mut complaints: Vec<String> = given
        .difference(&asked)
        .map(|(group, resource, verb)| format!("agents may {verb} {resource} of «{group}», and never do"))
        .collect();
    if has_all {
        let missing = asked.difference(&given);
        complaints
            .extend(missing.map(|(group, resource, verb)| {
                format!("agents {verb} {resource} of «{group}», and may not")
            }));
    }
    complaints.extend(unnamed(role));
    complaints
}

/// The kinds that the code reads are those that the list above has.
pub(super) fn check_kinds(workspace: &Workspace) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(workspace.root.join(KINDS)).with_context(|| format!("could not read {KINDS}"))?;
    Ok(compare_kinds(&text))
}

fn compare_kinds(text: &str) -> Vec<String> {
    let named = text
        .lines()
        .filter_map(|line| line.split_once("const PLURAL: &'static str = \"")?.1.split('"').next());
    let named: BTreeSet<&str> = named.collect();
    let listed: BTreeSet<&str> =
        ASKED.iter().map(|(_, resource, _)| *resource).filter(|resource| *resource != EVENTS.1).collect();
    let kinds = named.symmetric_difference(&listed);
    kinds
        .map(|kind| format!("{kind} is in one of {KINDS} and deploy/right.rs, and not in the other"))
        .collect()
}

fn asked() -> BTreeSet<Right> {
    let rights = ASKED.iter().flat_map(|(group, resource, verbs)| {
        verbs.iter().map(|verb| ((*group).to_owned(), (*resource).to_owned(), (*verb).to_owned()))
    });
    rights.collect()
}

fn given(role: &Value) -> BTreeSet<Right> {
    let mut given = BTreeSet::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                let rights =
                    texts(rule, "verbs").map(|verb| (group.to_owned(), resource.to_owned(), verb.to_owned()));
                given.extend(rights);
            }
        }
    }
    given
}

/// `ConfigMap`s hold secrets of others: only named ones may be read.
fn unnamed(role: &Value) -> Option<String> {
    let mut rules = role["rules"].as_array().into_iter().flatten();
    let is_unnamed = |rule: &Value| {
        texts(rule, "resources").any(|resource| resource == "configmaps")
            && texts(rule, "resourceNames").count() == 0
    };
    rules.any(is_unnamed).then(|| "agents may read every ConfigMap".to_owned())
}

fn texts<'a>(rule: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    rule[key].as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ASKED, check, compare_kinds};

    /// A role that has all that is asked for, and this.
    fn with(rule: Value) -> Vec<Value> {
        let rules = ASKED.iter().map(|(group, resource, verbs)| {
            json!({"apiGroups": [group], "resources": [resource], "verbs": verbs, "resourceNames": ["istio"]})
        });
        let rules: Vec<Value> = rules.chain([rule]).collect();
        vec![json!({"kind": "ClusterRole", "rules": rules})]
    }

    #[test]
    fn every_right_beyond_what_is_asked_for_is_reported() {
        for (rule, complaint) in [
            (json!({}), None),
            (json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}), None),
            (json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}), Some("may delete pods")),
            (json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}), Some("may get secrets")),
            (json!({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}), Some("pods of «*»")),
            (json!({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}), Some("may get *")),
            (json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}), Some("may * pods")),
            (
                json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}),
                Some("every ConfigMap"),
            ),
        ] {
            let found = check(&with(rule.clone()), true);
            match complaint {
                None => assert_eq!(found, [""; 0], "{rule}"),
                Some(complaint) => assert!(found.join("\n").contains(complaint), "{rule}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_right_that_is_missing_is_reported_where_all_is_switched_on() {
        let mut objects = with(json!({}));
        objects[0]["rules"][0]["verbs"] = json!(["get", "list"]);
        assert_eq!(check(&objects, false), [""; 0]);
        assert_eq!(check(&objects, true), ["agents watch pods of «», and may not"]);
    }

    #[test]
    fn kinds_are_compared_with_the_code() {
        let kinds =
            ASKED.map(|(_, resource, _)| format!("    const PLURAL: &'static str = \"{resource}\";\n"));
        let text = kinds[..8].concat();
        assert_eq!(compare_kinds(&text), [""; 0]);
        assert_eq!(compare_kinds(&format!("{text}const PLURAL: &'static str = \"jobs\";")).len(), 1);
        assert_eq!(compare_kinds(&kinds[1..8].concat()).len(), 1);
    }
}
