//! `create`, `patch` and `delete`; it must not know who may do it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::body::{Body, Key};
use super::query::Query;
use super::resource::{EVENTS, Resource, numbered};
use super::route::Objects;
use super::status::Refusal;
use super::store::Store;
use super::{event_rules, form};
use crate::container::random_uid;

/// An object that was written, and whether it is new.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Value,
    pub(crate) is_new: bool,
}

/// How a patch is to be read, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Merge,
    Apply,
}

impl PatchKind {
    pub(crate) fn of(content_type: &str, resource: &Resource) -> Result<Self, Refusal> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => Ok(Self::Merge),
            // No list is merged by key in what is patched here, so it is the same.
            "application/strategic-merge-patch+json" if !resource.is_custom() => Ok(Self::Merge),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Refusal::unsupported_media_type(other)),
        }
    }
}

/// Creates an object.
pub(crate) fn create(
    store: &mut Store,
    objects: &Objects,
    query: &Query,
    text: &[u8],
) -> Result<Written, Refusal> {
    let mut object = read(text, objects)?;
    let metadata = &mut object["metadata"];
    if metadata["name"].as_str().unwrap_or_default().is_empty() {
        let prefix = metadata["generateName"].as_str().unwrap_or_default().to_owned();
        if prefix.is_empty() {
            let what = "Required value: name or generateName is required".to_owned();
            return Err(Refusal::invalid(objects.resource().kind, "", &[("metadata.name", what)]));
        }
        metadata["name"] = format!("{prefix}{}", uid()?.chars().take(5).collect::<String>()).into();
    }
    if !metadata["resourceVersion"].as_str().unwrap_or_default().is_empty() {
        return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let key = key(objects, &object)?;
    if store.get(objects.stored(), &key).is_some() {
        return Err(Refusal::already_exists(objects.resource(), &key.1));
    }
    finish(store, objects, query, key, object, None)
}

/// Changes an object. By an apply one that is not there is created, if that may be.
pub(crate) fn patch(
    store: &mut Store,
    objects: &Objects,
    query: &Query,
    kind: PatchKind,
    text: &[u8],
    may_create: Result<(), Refusal>,
) -> Result<Written, Refusal> {
    let name = objects.name.clone().unwrap_or_default();
    let key: Key = (objects.namespace.clone().unwrap_or_default().into(), name.as_str().into());
    let before = store.get(objects.stored(), &key).cloned();
    let patch = if kind == PatchKind::Apply {
        check_apply(query)?;
        let object = read(text, objects)?;
        if object["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Refusal::bad_request("metadata.managedFields must be nil"));
        }
        object
    } else {
        let patch = serde_json::from_slice(text)
            .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
        form::stored(patch, objects.resource())
    };
    let Some(before) = before else {
        if kind == PatchKind::Merge {
            return Err(Refusal::not_found(objects.resource(), &name));
        }
        may_create?;
        return finish(store, objects, query, key, patch, None);
    };
    let before = before.body.object(before.version);
    let wanted = patch["metadata"]["resourceVersion"].as_str();
    if wanted.is_some_and(|wanted| before["metadata"]["resourceVersion"] != wanted) {
        return Err(Refusal::conflict(objects.resource(), &name));
    }
    let mut after = before.clone();
    merge(&mut after, &patch);
    if after["metadata"]["name"] != before["metadata"]["name"] {
        return Err(Refusal::bad_request("the name of the object does not match the name on the URL"));
    }
    finish(store, objects, query, key, after, Some(&before))
}

/// Deletes an object.
pub(crate) fn delete(store: &mut Store, objects: &Objects) -> Result<Value, Refusal> {
    let name = objects.name.clone().unwrap_or_default();
    let key: Key = (objects.namespace.clone().unwrap_or_default().into(), name.as_str().into());
    let gone = store.remove(objects.stored(), &key);
    let gone = gone.ok_or_else(|| Refusal::not_found(objects.resource(), &name))?;
    Ok(gone.body.object(gone.version))
}

/// apimachinery `pkg/apis/meta/v1/validation`: `ValidatePatchOptions`.
fn check_apply(query: &Query) -> Result<(), Refusal> {
    if query.field_manager.as_deref().is_some_and(|manager| !manager.is_empty()) {
        return Ok(());
    }
    let what = "Required value: is required for apply patch".to_owned();
    Err(Refusal::invalid("PatchOptions.meta.k8s.io", "", &[("fieldManager", what)]))
}

/// What a client wrote, as it is stored.
fn read(text: &[u8], objects: &Objects) -> Result<Value, Refusal> {
    let mut object: Value = serde_json::from_slice(text)
        .map_err(|error| Refusal::bad_request(format!("the object provided is unrecognized: {error}")))?;
    let resource = objects.resource();
    let api_version = resource.api_version(objects.version);
    if object["apiVersion"] != api_version.as_str() || object["kind"] != resource.kind {
        return Err(Refusal::bad_request(format!(
            "the API version in the data ({}, {}) does not match the expected API version ({api_version}, {})",
            object["apiVersion"], object["kind"], resource.kind
        )));
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let asked = objects.namespace.as_deref().unwrap_or_default();
    if !namespace.is_empty() && namespace != asked {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    if !asked.is_empty() {
        object["metadata"]["namespace"] = asked.into();
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if objects.name.as_deref().is_some_and(|asked| !name.is_empty() && name != asked) {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            objects.name.as_deref().unwrap_or_default()
        )));
    }
    if let Some(asked) = &objects.name {
        object["metadata"]["name"] = asked.as_str().into();
    }
    Ok(form::stored(object, resource))
}

fn key(objects: &Objects, object: &Value) -> Result<Key, Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    // apimachinery `pkg/api/validation`: `NameIsDNSSubdomain`.
    let is_good = name.len() <= 253
        && name.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-')
        });
    if !is_good {
        let what = format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.', and must start and end with an alphanumeric character"
        );
        return Err(Refusal::invalid(objects.resource().kind, name, &[("metadata.name", what)]));
    }
    Ok((objects.namespace.clone().unwrap_or_default().into(), name.into()))
}

/// Checks what is to be stored, adds what the server adds, and stores it, unless it is what is there.
fn finish(
    store: &mut Store,
    objects: &Objects,
    query: &Query,
    key: Key,
    mut object: Value,
    before: Option<&Value>,
) -> Result<Written, Refusal> {
    let namespaces = numbered("", "namespaces").unwrap_or_default();
    if objects.resource().namespaced && store.get(namespaces, &("".into(), key.0.clone())).is_none() {
        return Err(Refusal::namespace_not_found(&key.0));
    }
    if objects.stored() == EVENTS {
        event_rules::check(&object, before, objects.resource().group.is_empty())?;
    }
    if before == Some(&object) {
        return Ok(Written { object, is_new: false });
    }
    let now = now();
    if before.is_none() {
        object["metadata"]["uid"] = uid()?.into();
        object["metadata"]["creationTimestamp"] = now.as_str().into();
    }
    object["metadata"]["managedFields"] = json!([{
        "manager": query.field_manager.as_deref().unwrap_or("unknown"),
        "operation": "Update",
        "apiVersion": object["apiVersion"],
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": {} }
    }]);
    let version = store.put(objects.stored(), key, Body::Whole(Arc::new(object.clone())));
    object["metadata"]["resourceVersion"] = version.to_string().into();
    Ok(Written { object, is_new: before.is_none() })
}

/// RFC 7386, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn uid() -> Result<String, Refusal> {
    random_uid().map_err(|_| Refusal::internal(500, None))
}

/// As the server prints times: RFC 3339 without fractions.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_merged_as_the_rfc_says() {
        for (target, patch, expected) in [
            (json!({ "a": 1, "b": 2 }), json!({ "a": 3 }), json!({ "a": 3, "b": 2 })),
            (json!({ "a": 1 }), json!({ "a": null }), json!({})),
            (json!({ "a": { "b": 1 } }), json!({ "a": { "c": 2 } }), json!({ "a": { "b": 1, "c": 2 } })),
            (json!({ "a": [1, 2] }), json!({ "a": [3] }), json!({ "a": [3] })),
            (json!({}), json!({ "a": { "b": null } }), json!({ "a": {} })),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} and {patch}");
        }
    }
}
