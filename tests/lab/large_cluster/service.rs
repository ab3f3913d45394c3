//! Services and their slices as the API server prints them. It must not know which pods there are now.

use std::net::Ipv4Addr;
use std::ops::Range;

use serde_json::{Value, json};

use super::pod::Pod;
use super::{HEADLESS, NAMESPACES, PORT, SERVICES, node_name, pods_of_service, uid};

/// A Service, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service(pub usize);

/// What a slice says of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does not take connections yet.
    NotReady,
    /// It takes them.
    Ready,
    /// It goes, and still takes them.
    Terminating,
}

const CREATED: &str = "2026-05-04T08:12:31Z";

impl Service {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SERVICES).map(Self)
    }

    /// Those without an address.
    pub fn headless() -> impl Iterator<Item = Self> {
        (0..HEADLESS).map(Self)
    }

    /// It has no address of its own.
    pub fn is_headless(self) -> bool {
        self.0 < HEADLESS
    }

    /// Its name.
    pub fn name(self) -> String {
        if self.is_headless() { format!("store-{:04}", self.0) } else { format!("web-{:05}", self.0) }
    }

    /// Its namespace.
    pub fn namespace(self) -> String {
        format!("team-{:03}", self.0 % NAMESPACES)
    }

    /// Its name within the cluster.
    pub fn host(self) -> String {
        format!("{}.{}.svc.cluster.local", self.name(), self.namespace())
    }

    /// The numbers of its pods.
    pub fn pods(self) -> Range<usize> {
        pods_of_service(self.0)
    }

    /// Name of its slice.
    pub fn slice_name(self) -> String {
        format!("{}-v4slc", self.name())
    }

    fn uid(self) -> String {
        uid(3, self.0, 0)
    }

    /// Where it has an address: 10.128.0.0/12.
    fn cluster_address(self) -> Ipv4Addr {
        let [.., high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(10, 128, high, low)
    }

    /// The Service.
    pub fn object(self) -> Value {
        let address = if self.is_headless() { "None".to_owned() } else { self.cluster_address().to_string() };
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "annotations": { "meta.helm.sh/release-name": self.name(), "meta.helm.sh/release-namespace": self.namespace() },
                "creationTimestamp": CREATED,
                "labels": { "app": self.name(), "app.kubernetes.io/managed-by": "Helm" },
                "managedFields": [managed("helm", &json!({
                    "f:metadata": { "f:annotations": {}, "f:labels": { ".": {}, "f:app": {}, "f:app.kubernetes.io/managed-by": {} } },
                    "f:spec": { "f:internalTrafficPolicy": {}, "f:ports": {}, "f:selector": {}, "f:sessionAffinity": {}, "f:type": {} }
                }))],
                "name": self.name(),
                "namespace": self.namespace(),
                "uid": self.uid()
            },
            "spec": {
                "clusterIP": address,
                "clusterIPs": [address],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{ "name": "tcp-store", "port": PORT, "protocol": "TCP", "targetPort": PORT }],
                "selector": { "app": self.name() },
                "sessionAffinity": "None",
                "type": "ClusterIP"
            },
            "status": { "loadBalancer": {} }
        })
    }

    /// Its slice.
    pub fn slice(self, endpoints: &[(Pod, Condition)]) -> Value {
        let mut labels = json!({
            "app": self.name(),
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": self.name()
        });
        if self.is_headless() {
            labels["service.kubernetes.io/headless"] = "".into();
        }
        json!({
            "addressType": "IPv4",
            "apiVersion": "discovery.k8s.io/v1",
            "endpoints": endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            "kind": "EndpointSlice",
            "metadata": {
                "annotations": { "endpoints.kubernetes.io/last-change-trigger-time": CREATED },
                "creationTimestamp": CREATED,
                "generateName": format!("{}-", self.name()),
                "generation": 4,
                "labels": labels,
                "managedFields": [managed("kube-controller-manager", &json!({
                    "f:addressType": {},
                    "f:endpoints": {},
                    "f:metadata": { "f:annotations": {}, "f:generateName": {}, "f:labels": {}, "f:ownerReferences": {} },
                    "f:ports": {}
                }))],
                "name": self.slice_name(),
                "namespace": self.namespace(),
                "ownerReferences": [{
                    "apiVersion": "v1",
                    "blockOwnerDeletion": true,
                    "controller": true,
                    "kind": "Service",
                    "name": self.name(),
                    "uid": self.uid()
                }],
                "uid": uid(4, self.0, 0)
            },
            "ports": [{ "name": "tcp-store", "port": PORT, "protocol": "TCP" }]
        })
    }
}

fn endpoint(&(pod, condition): &(Pod, Condition)) -> Value {
    let (ready, terminating) = (condition == Condition::Ready, condition == Condition::Terminating);
    let mut endpoint = json!({
        "addresses": [pod.address()],
        "conditions": { "ready": ready, "serving": condition != Condition::NotReady, "terminating": terminating },
        "nodeName": node_name(pod.node()),
        "targetRef": { "kind": "Pod", "name": pod.name(), "namespace": pod.service().namespace(), "uid": pod.uid() },
        "zone": format!("zone-{}", pod.node() % 3)
    });
    if pod.service().is_headless() {
        endpoint["hostname"] = pod.name().into();
    }
    endpoint
}

/// An entry of `metadata.managedFields`.
pub(super) fn managed(manager: &str, fields: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        "manager": manager,
        "operation": "Update",
        "time": CREATED
    })
}
