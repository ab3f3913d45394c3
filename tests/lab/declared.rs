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
