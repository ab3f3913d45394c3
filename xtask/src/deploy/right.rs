//! What the agents may ask of the Kubernetes API: reading, named kinds only, and Events. Whether it is enough is shown by
//! the agent's own tests, whose API server refuses what this role does not allow.
use serde_json::Value;

use super::document;

const READING: [&str; 3] = ["get", "list", "watch"];

/// What may be written: API group, resource, verbs.
const WRITING: (&str, &str, [&str; 2]) = ("events.k8s.io", "events", ["create", "patch"]);

pub(super) fn check(objects: &[Value]) -> Vec<String> {
    let rules = document::find(objects, "ClusterRole").and_then(|role| role["rules"].as_array());
    rules.into_iter().flatten().flat_map(check_rule).collect()
}

fn check_rule(rule: &Value) -> Vec<String> {
    let (groups, resources, verbs) =
        (texts(rule, "apiGroups"), texts(rule, "resources"), texts(rule, "verbs"));
    let mut complaints = Vec::new();
    if [&groups, &resources, &verbs].iter().any(|words| words.is_empty() || words.contains(&"*")) {
        complaints.push(format!("a rule of the ClusterRole is about everything: {rule}"));
    }
    let is_writing = groups == [WRITING.0] && resources == [WRITING.1] && verbs == WRITING.2;
    if !is_writing && verbs.iter().any(|verb| !READING.contains(verb)) {
        complaints.push(format!(
            "the ClusterRole lets agents {} {}",
            verbs.join(" and "),
            resources.join(", ")
        ));
    }
    if resources.contains(&"secrets") {
        complaints.push("the ClusterRole lets agents read secrets".into());
    }
    if resources.contains(&"configmaps") && texts(rule, "resourceNames").is_empty() {
        complaints.push("the ClusterRole lets agents read every ConfigMap".into());
    }
    complaints
}

fn texts<'a>(rule: &'a Value, key: &str) -> Vec<&'a str> {
    rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check_rule;

    #[test]
    fn reading_of_named_kinds_and_events_are_all() {
        for (groups, resources, verbs, names, complaint) in [
            (&[""][..], &["pods"][..], &["get", "list", "watch"][..], &[][..], None),
            (&["events.k8s.io"], &["events"], &["create", "patch"], &[], None),
            (&[""], &["configmaps"], &["get"], &["istio"], None),
            (&[""], &["configmaps"], &["get"], &[], Some("every ConfigMap")),
            (&[""], &["secrets"], &["get"], &["a"], Some("secrets")),
            (&[""], &["pods"], &["get", "delete"], &[], Some("get and delete pods")),
            (&["events.k8s.io"], &["events"], &["create", "patch", "delete"], &[], Some("delete events")),
            (&[""], &["pods", "events"], &["create", "patch"], &[], Some("create and patch pods, events")),
            (&["*"], &["pods"], &["get"], &[], Some("about everything")),
            (&[""], &["*"], &["get"], &[], Some("about everything")),
            (&[""], &["pods"], &["*"], &[], Some("about everything")),
            (&[], &["pods"], &["get"], &[], Some("about everything")),
        ] {
            let rule =
                json!({"apiGroups": groups, "resources": resources, "verbs": verbs, "resourceNames": names});
            let found = check_rule(&rule);
            match complaint {
                None => assert_eq!(found, [""; 0], "{rule}"),
                Some(complaint) => assert!(found.join("\n").contains(complaint), "{rule}: {found:?}"),
            }
        }
    }
}
