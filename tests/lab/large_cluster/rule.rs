//! Istio's objects of the made-up cluster. It must not know which pods there are.

use serde_json::{Value, json};

use super::service::{Service, managed};
use super::{HEADLESS, uid};

/// How many there are.
pub const RULES: usize = 1_000;

/// A `DestinationRule`, by its number: each for a Service with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule(pub usize);

impl Rule {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..RULES).map(Self)
    }

    /// The Service that it is for, whose name and namespace it has.
    pub fn service(self) -> Service {
        Service(HEADLESS + self.0)
    }

    /// The rule.
    pub fn object(self) -> Value {
        let service = self.service();
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {
                "creationTimestamp": "2026-05-04T08:12:31Z",
                "generation": 1,
                "labels": { "app": service.name(), "app.kubernetes.io/managed-by": "Helm" },
                "managedFields": [managed("helm", &json!({
                    "f:metadata": { "f:labels": { ".": {}, "f:app": {}, "f:app.kubernetes.io/managed-by": {} } },
                    "f:spec": { ".": {}, "f:host": {}, "f:trafficPolicy": {} }
                }))],
                "name": service.name(),
                "namespace": service.namespace(),
                "uid": uid(5, self.0, 0)
            },
            "spec": {
                "host": service.host(),
                "trafficPolicy": {
                    "connectionPool": { "http": { "http2MaxRequests": 1000 }, "tcp": { "connectTimeout": "5s", "maxConnections": 1000 } },
                    "loadBalancer": { "simple": "LEAST_REQUEST" },
                    "outlierDetection": { "baseEjectionTime": "30s", "consecutive5xxErrors": 5, "interval": "10s" }
                }
            }
        })
    }
}
