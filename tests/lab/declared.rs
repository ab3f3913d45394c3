//! The mesh's own objects as `kubectl get destinationrules,peerauthentications -A -o json` prints them; it must not
//! know what they are meant to do.

use serde_json::{Value, json};

/// A `DestinationRule`.
pub fn destination_rule(namespace: &str, name: &str, spec: &Value) -> Value {
    object("networking.istio.io/v1", "DestinationRule", namespace, name, spec)
}

/// A `PeerAuthentication`.
pub fn peer_authentication(namespace: &str, name: &str, spec: &Value) -> Value {
    object("security.istio.io/v1", "PeerAuthentication", namespace, name, spec)
}

/// A `PeerAuthentication` for the pods with this label `app`.
pub fn peer_authentication_of(namespace: &str, app: &str, mode: &str) -> Value {
    let spec = json!({ "selector": { "matchLabels": { "app": app } }, "mtls": { "mode": mode } });
    peer_authentication(namespace, app, &spec)
}

/// A `DestinationRule` that asks for this TLS mode for a host, as a whole.
pub fn tls_rule(namespace: &str, host: &str, mode: &str) -> Value {
    let name = host.split('.').next().unwrap_or(host);
    destination_rule(
        namespace,
        &format!("{name}-tls"),
        &json!({ "host": host, "trafficPolicy": { "tls": { "mode": mode } } }),
    )
}

/// The mesh's own configuration, `meshConfig` as `istioctl install` writes it.
pub fn mesh_config(mesh: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "istio",
            "namespace": "istio-system",
            "labels": { "istio.io/rev": "default", "operator.istio.io/component": "Pilot", "release": "istio" }
        },
        "data": { "mesh": mesh, "meshNetworks": "networks: {}" }
    })
}

/// A pod of the control plane.
pub fn istiod(version: &str, node: &str) -> Value {
    let image = format!("docker.io/istio/pilot:{version}");
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "istiod-7d4f9c6b5-x2k9p",
            "namespace": "istio-system",
            "generateName": "istiod-7d4f9c6b5-",
            "labels": { "app": "istiod", "istio": "pilot", "istio.io/rev": "default" },
            "ownerReferences": [{
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "istiod-7d4f9c6b5",
                "uid": "0a1b2c3d-52a5-4a52-8a53-6f6c2f3a1d01",
                "controller": true,
                "blockOwnerDeletion": true
            }]
        },
        "spec": {
            "containers": [{ "name": "discovery", "image": image, "args": ["discovery"], "resources": {} }],
            "nodeName": node
        },
        "status": {
            "phase": "Running",
            "podIP": "10.1.9.9",
            "podIPs": [{ "ip": "10.1.9.9" }],
            "containerStatuses": [{
                "name": "discovery",
                "image": image,
                "containerID": format!("containerd://{:064x}", 9),
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": { "running": { "startedAt": "2026-05-04T08:12:31Z" } }
            }]
        }
    })
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": format!(
                    "{}\n",
                    json!({
                        "apiVersion": api_version,
                        "kind": kind,
                        "metadata": { "annotations": {}, "name": name, "namespace": namespace },
                        "spec": spec
                    })
                )
            },
            "creationTimestamp": "2020-09-12T13:31:00Z",
            "generation": 1,
            "name": name,
            "namespace": namespace,
            "resourceVersion": "1002",
            "uid": "5f0f6a0e-3a53-4d0a-9a35-0e4b8f5d2c11"
        },
        "spec": spec
    })
}
