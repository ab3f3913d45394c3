//! The form that an object has in a version of its group, where that is another than the stored one; it must not know
//! who asks.

use serde_json::{Map, Value, json};

use super::resource::Resource;
use super::route::Objects;

/// Names of an Event's fields in `events.k8s.io/v1` and in the core's `v1`: `pkg/apis/events/v1/conversion.go`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// A stored object as a request's version has it.
pub(crate) fn in_version(mut object: Value, objects: &Objects) -> Value {
    let resource = objects.resource();
    object["apiVersion"] = resource.api_version(objects.version).into();
    if is_core_event(resource)
        && let Some(event) = object.as_object_mut()
    {
        rename(event, |(new, old)| (new, old));
        for (field, empty) in [
            ("firstTimestamp", Value::Null),
            ("lastTimestamp", Value::Null),
            ("source", json!({})),
            ("reportingInstance", "".into()),
            ("reportingComponent", "".into()),
        ] {
            event.entry(field).or_insert(empty);
        }
    }
    object
}

/// An object that a client wrote in a request's version, as it is stored.
pub(crate) fn stored(mut object: Value, resource: &Resource) -> Value {
    if is_core_event(resource)
        && let Some(event) = object.as_object_mut()
    {
        rename(event, |(new, old)| (old, new));
    }
    object
}

/// A field that is selected, as the stored objects have it.
pub(crate) fn stored_path(resource: &Resource, path: &str) -> String {
    if path == "source" {
        return "deprecatedSource.component".to_owned();
    }
    let (first, rest) = path.split_once('.').map_or((path, ""), |(first, rest)| (first, rest));
    let renamed = EVENT_FIELDS.iter().find(|(_, old)| is_core_event(resource) && *old == first);
    let first = renamed.map_or(first, |(new, _)| *new);
    if rest.is_empty() { first.to_owned() } else { format!("{first}.{rest}") }
}

fn is_core_event(resource: &Resource) -> bool {
    resource.plural == "events" && resource.group.is_empty()
}

type Names = (&'static str, &'static str);

fn rename(event: &mut Map<String, Value>, direction: impl Fn(Names) -> Names) {
    for names in EVENT_FIELDS {
        let (from, to) = direction(names);
        if let Some(value) = event.remove(from) {
            event.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resource::{RESOURCES, numbered};

    fn events(group: &str) -> Objects {
        Objects { resource: numbered(group, "events").unwrap(), version: "v1", namespace: None, name: None }
    }

    #[test]
    fn events_of_both_groups_are_the_same_objects() {
        let event =
            json!({ "kind": "Event", "note": "a", "regarding": { "name": "redis-0" }, "type": "Normal" });
        let core = in_version(event.clone(), &events(""));
        assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("a"), &json!("redis-0")));
        assert_eq!((&core["apiVersion"], &core["firstTimestamp"]), (&json!("v1"), &Value::Null));
        assert_eq!(core.get("note"), None);
        let new = in_version(event, &events("events.k8s.io"));
        assert_eq!((&new["note"], &new["apiVersion"]), (&json!("a"), &json!("events.k8s.io/v1")));
        assert_eq!(stored(core, events("").resource())["note"], "a");
    }

    #[test]
    fn selected_fields_of_core_events_are_those_that_are_stored() {
        let core = &RESOURCES[numbered("", "events").unwrap()];
        assert_eq!(stored_path(core, "involvedObject.name"), "regarding.name");
        assert_eq!(stored_path(core, "reason"), "reason");
        let pods = &RESOURCES[numbered("", "pods").unwrap()];
        assert_eq!(stored_path(pods, "spec.nodeName"), "spec.nodeName");
    }
}
