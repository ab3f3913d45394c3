//! An object as the store keeps it: whole, or as how to make it; it must not know who reads it.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::selector::Selectable;

/// Namespace (empty for objects without) and name.
pub(crate) type Key = (Box<str>, Box<str>);

/// Many objects that are alike, made when somebody asks for one.
pub trait Recipe: Send + Sync {
    /// The `nth` object, whole. Each change of it has another `revision`.
    fn object(&self, nth: u32, revision: u32) -> Value;
    /// A label of it, without making the object.
    fn label(&self, nth: u32, key: &str) -> Option<String>;
    /// A field that can be selected, without making the object; empty where it is not set.
    fn field(&self, nth: u32, path: &str) -> String;
}

/// An object.
#[derive(Clone)]
pub(crate) enum Body {
    Whole(Arc<Value>),
    Made { recipe: Arc<dyn Recipe>, nth: u32, revision: u32 },
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(object) => write!(f, "Whole({object})"),
            Self::Made { nth, revision, .. } => write!(f, "Made({nth}, {revision})"),
        }
    }
}

impl Body {
    /// The object, as it was stored with this version.
    pub(crate) fn object(&self, version: u64) -> Value {
        let mut object = match self {
            Self::Whole(object) => Value::clone(object),
            Self::Made { recipe, nth, revision } => recipe.object(*nth, *revision),
        };
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object
    }
}

impl Selectable for Body {
    fn label(&self, key: &str) -> Option<String> {
        match self {
            Self::Whole(object) => object["metadata"]["labels"].get(key)?.as_str().map(str::to_owned),
            Self::Made { recipe, nth, .. } => recipe.label(*nth, key),
        }
    }

    fn field(&self, path: &str) -> String {
        // `status.podIPs` is known and never matches: no value that is asked for is this.
        if path == "status.podIPs" {
            return "\0".to_owned();
        }
        match self {
            Self::Whole(object) => text(&object[path.split('.').next().unwrap_or_default()], path),
            Self::Made { recipe, nth, .. } => recipe.field(*nth, path),
        }
    }
}

/// The text of the field `path`, of which the first part has led to `value`.
fn text(value: &Value, path: &str) -> String {
    let value = path.split('.').skip(1).fold(value, |value, part| &value[part]);
    match value {
        Value::String(text) => text.clone(),
        Value::Null if matches!(path, "spec.hostNetwork" | "spec.unschedulable") => "false".to_owned(),
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_server_converts_them() {
        let pod = json!({
            "metadata": { "name": "redis-0", "labels": { "app": "redis" } },
            "spec": { "nodeName": "node-1" },
            "status": { "podIP": "10.0.0.1", "podIPs": [{ "ip": "10.0.0.1" }], "replicas": 3 }
        });
        let pod = Body::Whole(Arc::new(pod));
        for (path, expected) in [
            ("metadata.name", "redis-0"),
            ("spec.nodeName", "node-1"),
            ("spec.hostNetwork", "false"),
            ("status.podIP", "10.0.0.1"),
            ("status.podIPs", "\0"),
            ("status.replicas", "3"),
            ("status.phase", ""),
        ] {
            assert_eq!(pod.field(path), expected, "{path}");
        }
        assert_eq!(pod.label("app").as_deref(), Some("redis"));
        assert_eq!(pod.object(7)["metadata"]["resourceVersion"], "7");
    }
}
