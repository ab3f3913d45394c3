//! YAML documents as values, and what must hold between objects of one release. It knows no field of a pod.
use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The objects of a manifest, in their order. Keys that come twice are an error.
pub(super) fn read(manifest: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(manifest).context("what the chart makes is not YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The one object of this kind.
pub(super) fn find<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

/// Names that must agree between objects.
pub(super) fn check(objects: &[Value]) -> Vec<String> {
    let mut complaints = named_once(objects);
    let Some(agents) = find(objects, "DaemonSet") else {
        complaints.push("there is no DaemonSet".into());
        return complaints;
    };
    let labels = &agents["spec"]["template"]["metadata"]["labels"];
    for (kind, selector) in [
        ("DaemonSet", "/spec/selector/matchLabels"),
        ("Service", "/spec/selector"),
        ("PodMonitor", "/spec/selector/matchLabels"),
    ] {
        let selector = find(objects, kind).and_then(|object| object.pointer(selector));
        if selector.is_some_and(|selector| !selects(selector, labels)) {
            complaints.push(format!("the {kind} does not select the agents' pods"));
        }
    }
    let account = &agents["spec"]["template"]["spec"]["serviceAccountName"];
    for (kind, pointer) in [("ServiceAccount", "/metadata/name"), ("ClusterRoleBinding", "/subjects/0/name")]
    {
        let name = find(objects, kind).and_then(|object| object.pointer(pointer));
        if name.is_some_and(|name| name != account) {
            complaints.push(format!("the {kind} is about another account than {account}"));
        }
    }
    complaints
}

/// Nothing comes twice.
fn named_once(objects: &[Value]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = objects.iter().map(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
    names.filter(|name| !seen.insert(name.clone())).map(|name| format!("{name} comes twice")).collect()
}

fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    })
}

#[cfg(test)]
mod tests {
    use super::{check, read};

    const GOOD: &str = "kind: ServiceAccount
metadata: {name: a}
---
kind: DaemonSet
metadata: {name: a}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a, more: b}}
    spec: {serviceAccountName: a}
---
kind: ClusterRoleBinding
subjects: [{name: a}]
---
kind: Service
spec: {selector: {app: a}}
";

    #[test]
    fn names_agree_between_objects() {
        for (from, to, complaint) in [
            ("", "", None),
            (
                "selector: {app: a}",
                "selector: {app: b}",
                Some("the Service does not select the agents' pods"),
            ),
            ("selector: {app: a}", "selector: {}", Some("the Service does not select the agents' pods")),
            ("matchLabels: {app: a}", "matchLabels: {app: b}", Some("the DaemonSet does not select")),
            (
                "subjects: [{name: a}]",
                "subjects: [{name: b}]",
                Some("the ClusterRoleBinding is about another"),
            ),
            (
                "metadata: {name: a}\n---",
                "metadata: {name: b}\n---",
                Some("the ServiceAccount is about another"),
            ),
            ("kind: DaemonSet", "kind: Deployment", Some("there is no DaemonSet")),
        ] {
            let found = check(&read(&GOOD.replacen(from, to, 1)).unwrap());
            match complaint {
                None => assert_eq!(found, [""; 0]),
                Some(complaint) => assert!(found.join("\n").contains(complaint), "{to}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_comes_twice_is_reported() {
        assert!(read("a: 1\na: 2\n").is_err());
        let twice = read(&format!("{GOOD}---\nkind: DaemonSet\nmetadata: {{name: a}}\n")).unwrap();
        assert_eq!(check(&twice), ["\"DaemonSet\" \"a\" comes twice"]);
    }
}
