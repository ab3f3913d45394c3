//! Adds to an object all that a real cluster prints besides what matters, unless it is there; it must not know which
//! objects there are.

use serde_json::{Map, Value, json};

const CREATED: &str = "2026-05-04T08:12:31Z";

/// Completes an object of any kind.
pub(crate) fn complete(object: &mut Value) {
    let (kind, name) = (text(object, "kind"), text(&object["metadata"], "name"));
    let namespace = text(&object["metadata"], "namespace");
    match kind.as_str() {
        "Pod" => complete_pod(object),
        "EndpointSlice" => complete_slice(object, &name),
        "Namespace" => {
            add(object, &["metadata", "labels"], json!({ "kubernetes.io/metadata.name": name }));
            add(object, &["spec"], json!({ "finalizers": ["kubernetes"] }));
            add(object, &["status"], json!({ "phase": "Active" }));
        }
        _ => {}
    }
    add(object, &["metadata", "creationTimestamp"], CREATED.into());
    add(object, &["metadata", "uid"], uid(&[&kind, &namespace, &name]).into());
    let fields = managed_fields(object);
    add(object, &["metadata", "managedFields"], fields);
}

/// What the API server's defaults, the service account's admission and the kubelet add (`kubectl get pod -o json`).
fn complete_pod(pod: &mut Value) {
    for (field, value) in [
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("serviceAccount", json!("default")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("tolerations", json!([toleration("not-ready"), toleration("unreachable")])),
        ("volumes", json!([token_volume()])),
    ] {
        add(pod, &["spec", field], value);
    }
    add(pod, &["metadata", "generation"], 1.into());
    add(pod, &["status", "observedGeneration"], 1.into());
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(condition);
    add(pod, &["status", "conditions"], Value::from(conditions.to_vec()));
    for list in ["containers", "initContainers"] {
        for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            add(container, &["terminationMessagePath"], "/dev/termination-log".into());
            add(container, &["terminationMessagePolicy"], "File".into());
            add(container, &["volumeMounts"], json!([token_mount()]));
        }
    }
    for list in ["containerStatuses", "initContainerStatuses"] {
        for status in pod["status"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = text(status, "image");
            let image = image.rsplit_once(':').map_or(image.as_str(), |(name, _)| name);
            let digest = uid(&[image]).replace('-', "");
            add(status, &["imageID"], format!("{image}@sha256:{digest}{digest}").into());
            add(status, &["lastState"], json!({}));
            add(status, &["resources"], json!({}));
            add(status, &["user"], json!({ "linux": { "gid": 0, "supplementalGroups": [0], "uid": 0 } }));
            let mut mount = token_mount();
            mount["recursiveReadOnly"] = "Disabled".into();
            add(status, &["volumeMounts"], json!([mount]));
        }
    }
}

/// What the controller of `EndpointSlice`s adds (staging/src/k8s.io/endpointslice/utils.go).
fn complete_slice(slice: &mut Value, name: &str) {
    let service = text(&slice["metadata"]["labels"], "kubernetes.io/service-name");
    add(slice, &["metadata", "generation"], 3.into());
    add(
        slice,
        &["metadata", "annotations"],
        json!({ "endpoints.kubernetes.io/last-change-trigger-time": CREATED }),
    );
    add(
        slice,
        &["metadata", "ownerReferences"],
        json!([{
            "apiVersion": "v1",
            "blockOwnerDeletion": true,
            "controller": true,
            "kind": "Service",
            "name": service,
            "uid": uid(&["Service", name])
        }]),
    );
}

fn condition(kind: &str) -> Value {
    json!({
        "lastProbeTime": null,
        "lastTransitionTime": CREATED,
        "observedGeneration": 1,
        "status": "True",
        "type": kind
    })
}

fn toleration(key: &str) -> Value {
    json!({
        "effect": "NoExecute",
        "key": format!("node.kubernetes.io/{key}"),
        "operator": "Exists",
        "tolerationSeconds": 300
    })
}

fn token_mount() -> Value {
    json!({
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        "name": "kube-api-access-x7k2p",
        "readOnly": true
    })
}

fn token_volume() -> Value {
    let namespace = json!([{ "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" }, "path": "namespace" }]);
    json!({
        "name": "kube-api-access-x7k2p",
        "projected": {
            "defaultMode": 420,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                { "configMap": { "items": [{ "key": "ca.crt", "path": "ca.crt" }], "name": "kube-root-ca.crt" } },
                { "downwardAPI": { "items": namespace } }
            ]
        }
    })
}

/// Who set which field: the largest part of many objects.
fn managed_fields(object: &Value) -> Value {
    let manager = |name: &str, parts: &[&str], subresource: Option<&str>| {
        let fields: Map<String, Value> = parts
            .iter()
            .filter(|part| object.get(**part).is_some_and(|value| !value.is_null()))
            .map(|part| (format!("f:{part}"), field_set(&object[*part])))
            .collect();
        let mut entry = json!({
            "apiVersion": object["apiVersion"],
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
            "manager": name,
            "operation": "Update",
            "time": CREATED
        });
        if let Some(subresource) = subresource {
            entry["subresource"] = subresource.into();
        }
        entry
    };
    let own = ["metadata", "spec", "data", "endpoints", "ports", "addressType"];
    match object["kind"].as_str() {
        Some("Pod") => json!([
            manager("kube-controller-manager", &own, None),
            manager("kubelet", &["status"], Some("status"))
        ]),
        Some("EndpointSlice") => json!([manager("kube-controller-manager", &own, None)]),
        _ => json!([manager("kubectl-client-side-apply", &own, None)]),
    }
}

/// `FieldsV1`: lists without keys are owned as a whole, those of named things by their names.
fn field_set(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (format!("f:{name}"), field_set(value))).collect()
        }
        Value::Array(items) => items
            .iter()
            .filter_map(|item| {
                let (named_by, name) =
                    ["name", "type"].iter().find_map(|key| Some((key, item.get(*key)?)))?;
                let key = json!({ *named_by: name });
                Some((format!("k:{key}"), field_set(item)))
            })
            .collect(),
        _ => json!({}),
    }
}

/// A uid that follows from what the object is.
fn uid(parts: &[&str]) -> String {
    // FNV-1a, 64 bits, once for each half.
    let hash = |seed: u64| {
        parts
            .iter()
            .flat_map(|part| part.bytes().chain([0]))
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let digits = format!("{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15));
    format!("{}-{}-4{}-a{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
}

/// Sets a field unless it is there.
fn add(object: &mut Value, path: &[&str], value: Value) {
    let field = path.iter().fold(object, |object, part| &mut object[*part]);
    if field.is_null() {
        *field = value;
    }
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_the_rest_is_added() {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "redis-0", "namespace": "default", "uid": "mine" },
            "spec": { "containers": [{ "name": "redis" }], "priority": 7 },
            "status": { "containerStatuses": [{ "name": "redis", "image": "docker.io/redis:7" }] }
        });
        complete(&mut pod);
        assert_eq!((&pod["metadata"]["uid"], &pod["spec"]["priority"]), (&json!("mine"), &json!(7)));
        assert_eq!(pod["status"]["conditions"].as_array().map(Vec::len), Some(5));
        assert!(pod.to_string().contains("f:containers") && pod.to_string().contains("k:{"), "{pod}");
        let image = pod["status"]["containerStatuses"][0]["imageID"].as_str().unwrap();
        assert_eq!(image.len(), "docker.io/redis@sha256:".len() + 64, "{image}");
        let once = pod.clone();
        complete(&mut pod);
        assert_eq!(pod, once);
    }

    #[test]
    fn uids_are_those_of_one_object() {
        assert_eq!(uid(&["Pod", "a", "b"]).len(), 36);
        assert_ne!(uid(&["Pod", "a", "b"]), uid(&["Pod", "ab", ""]));
    }
}
