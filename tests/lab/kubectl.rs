//! What `kubectl get pods,services,endpointslices,… -A -o json` prints for a cluster of the lab; it must not know
//! who reads it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::container::Container;
use crate::interception::Interception;
use crate::pod::{Pod, SIDECAR, Workload};

const NODE: &str = "node-1";
const CREATED: &str = "2020-09-12T13:30:00Z";

/// A Service, in the namespace of its pods.
#[derive(Debug, Clone)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its port, which is the pods' too.
    pub port: u16,
    /// The port's name, by which a mesh knows its protocol: `tcp-redis`, `http`.
    pub port_name: &'a str,
    /// Its own address; a headless Service has none.
    pub cluster_ip: Option<Ipv4Addr>,
    /// The pods that it selects by their label `app`.
    pub pods: &'a [&'a Pod],
}

/// Writes a list to a file.
pub fn write(path: &Path, list: &Value) -> Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(list)?)
        .with_context(|| format!("could not write {}", path.display()))
}

/// Pods, Services, and the mesh's own objects as a list.
pub fn list(pods: &[&Pod], services: &[Service<'_>], mesh: &[Value]) -> Value {
    let mut items: Vec<Value> = pods.iter().map(|pod| pod_object(pod)).collect();
    items.extend(services.iter().map(service_object));
    for service in services {
        items.push(endpoint_slice(service, "IPv4", "v4slc", |pod| pod.ipv4().into()));
        items.push(endpoint_slice(service, "IPv6", "v6slc", |pod| pod.ipv6().into()));
    }
    items.extend_from_slice(mesh);
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items })
}

fn pod_object(pod: &Pod) -> Value {
    let ips: Vec<Value> = pod.addresses().iter().map(|address| json!({ "ip": address })).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(pod),
        "spec": {
            "containers": pod.containers().iter().map(|one| container_spec(pod, one)).collect::<Vec<_>>(),
            "dnsPolicy": "ClusterFirst",
            "nodeName": NODE,
            "restartPolicy": "Always",
            "serviceAccountName": "default"
        },
        "status": {
            "phase": "Running",
            "qosClass": "BestEffort",
            "hostIP": pod.node(),
            "hostIPs": [{ "ip": pod.node() }],
            "podIP": pod.ipv4(),
            "podIPs": ips,
            "startTime": CREATED,
            "containerStatuses": pod.containers().iter().map(|one| container_status(pod, one)).collect::<Vec<_>>()
        }
    })
}

fn metadata(pod: &Pod) -> Value {
    let mut labels = Map::new();
    labels.insert("app".to_owned(), pod.app().into());
    let mut metadata = json!({
        "name": pod.name(),
        "namespace": pod.namespace(),
        "uid": pod.uid(),
        "resourceVersion": "1001",
        "creationTimestamp": CREATED
    });
    match pod.workload() {
        Workload::Deployment(name) => {
            // deployment-util: the pod's name is the ReplicaSet's, a dash and five characters.
            let set = pod.name().rsplit_once('-').map_or(name.as_str(), |(set, _)| set);
            let hash = set.rsplit('-').next().unwrap_or_default();
            labels.insert("pod-template-hash".to_owned(), hash.into());
            metadata["generateName"] = format!("{set}-").into();
            metadata["ownerReferences"] = owner("ReplicaSet", set);
        }
        Workload::StatefulSet(name) => {
            labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), pod.name().into());
            metadata["generateName"] = format!("{name}-").into();
            metadata["ownerReferences"] = owner("StatefulSet", name);
        }
        Workload::None => {}
    }
    let mut annotations = Map::new();
    if pod.has_sidecar() {
        add_injection(pod, &mut labels, &mut annotations);
    }
    add_all(&mut labels, pod.labels());
    add_all(&mut annotations, pod.annotations());
    metadata["labels"] = Value::Object(labels);
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    metadata
}

fn add_all(to: &mut Map<String, Value>, more: &[(String, String)]) {
    to.extend(more.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
}

/// What Istio's webhook adds: istio/istio pkg/kube/inject/webhook.go.
fn add_injection(pod: &Pod, labels: &mut Map<String, Value>, annotations: &mut Map<String, Value>) {
    for (name, value) in [
        ("security.istio.io/tlsMode", "istio"),
        ("service.istio.io/canonical-name", pod.app()),
        ("service.istio.io/canonical-revision", "latest"),
    ] {
        labels.insert(name.to_owned(), value.into());
    }
    let status = json!({ "initContainers": ["istio-init"], "containers": [SIDECAR], "revision": "default" });
    annotations.insert("istio.io/rev".to_owned(), "default".into());
    annotations.insert("sidecar.istio.io/status".to_owned(), status.to_string().into());
    if let Some(Interception::Except(port)) = pod.interception() {
        annotations
            .insert("traffic.sidecar.istio.io/excludeInboundPorts".to_owned(), port.to_string().into());
    }
}

fn owner(kind: &str, name: &str) -> Value {
    json!([{
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": name,
        "uid": "7c9f0c7e-52a5-4a52-8a53-6f6c2f3a1d00",
        "controller": true,
        "blockOwnerDeletion": true
    }])
}

fn image(pod: &Pod, container: &Container) -> String {
    match container.name() {
        SIDECAR => format!("docker.io/istio/proxyv2:{}", pod.istio()),
        name => format!("docker.io/library/{name}:latest"),
    }
}

fn container_spec(pod: &Pod, container: &Container) -> Value {
    json!({ "name": container.name(), "image": image(pod, container), "imagePullPolicy": "IfNotPresent", "resources": {} })
}

fn container_status(pod: &Pod, container: &Container) -> Value {
    json!({
        "name": container.name(),
        "containerID": format!("containerd://{}", container.id()),
        "image": image(pod, container),
        "ready": true,
        "started": true,
        "restartCount": 0,
        "state": { "running": { "startedAt": CREATED } }
    })
}

fn service_object(service: &Service<'_>) -> Value {
    let address = service.cluster_ip.map_or_else(|| "None".to_owned(), |address| address.to_string());
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "namespace": namespace(service),
            "uid": "0b6d2e5c-4f0a-4a3e-9b57-0b8a4f1c7e01",
            "creationTimestamp": CREATED,
            "labels": { "app": service.name }
        },
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "ports": [{ "name": service.port_name, "port": service.port, "protocol": "TCP", "targetPort": service.port }],
            "selector": { "app": selected(service) },
            "sessionAffinity": "None",
            "type": "ClusterIP"
        },
        "status": { "loadBalancer": {} }
    })
}

fn namespace<'a>(service: &Service<'a>) -> &'a str {
    service.pods.first().map_or("default", |pod| pod.namespace())
}

fn selected<'a>(service: &Service<'a>) -> &'a str {
    service.pods.first().map_or(service.name, |pod| pod.app())
}

fn endpoint_slice(
    service: &Service<'_>,
    address_type: &str,
    suffix: &str,
    address: impl Fn(&Pod) -> IpAddr,
) -> Value {
    let endpoints: Vec<Value> = service
        .pods
        .iter()
        .map(|pod| {
            let mut endpoint = json!({
                "addresses": [address(pod)],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "nodeName": NODE,
                "targetRef": { "kind": "Pod", "name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid() }
            });
            if matches!(pod.workload(), Workload::StatefulSet(_)) {
                endpoint["hostname"] = pod.name().into();
            }
            endpoint
        })
        .collect();
    let mut labels = json!({
        "app": service.name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": service.name
    });
    if service.cluster_ip.is_none() {
        labels["service.kubernetes.io/headless"] = "".into();
    }
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{suffix}", service.name),
            "namespace": namespace(service),
            "generateName": format!("{}-", service.name),
            "creationTimestamp": CREATED,
            "labels": labels
        },
        "addressType": address_type,
        "endpoints": endpoints,
        "ports": [{ "name": service.port_name, "port": service.port, "protocol": "TCP" }]
    })
}
