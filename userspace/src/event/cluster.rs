//! What is known of a cluster, reduced to what identity and verdicts need: pods, Services and their endpoints.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::event::istio::Istio;

/// Objects of a cluster at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Pods.
    pub pods: Vec<Pod>,
    /// Services.
    pub services: Vec<Service>,
    /// One entry for each port of each endpoint address.
    pub endpoints: Vec<Endpoint>,
    /// Istio's own objects.
    #[serde(default)]
    pub istio: Istio,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `status.podIPs`, or `status.podIP`.
    pub addresses: Vec<IpAddr>,
    /// It shares the node's addresses (`spec.hostNetwork`): an address does not tell it.
    pub host_network: bool,
    /// Labels.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Annotations of meshes (`*istio.io/*`); the others are not kept.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
    /// What owns it, as people know it: `Deployment/redis-client`.
    pub workload: Option<Box<str>>,
    /// Containers, native sidecars included.
    pub containers: Vec<Container>,
    /// Tag of the image of its mesh proxy, such as `1.20.3`.
    #[serde(default)]
    pub proxy_version: Option<Box<str>>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Name.
    pub name: Box<str>,
    /// Runtime id without its scheme, 64 hex digits; empty before it runs.
    pub id: Box<str>,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// `spec.clusterIP` is `None`.
    pub headless: bool,
    /// `spec.clusterIPs`.
    pub cluster_addresses: Vec<IpAddr>,
    /// Ports.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Name; empty for the only one.
    pub name: Box<str>,
    /// Port of the Service.
    pub port: u16,
    /// `appProtocol`.
    #[serde(default)]
    pub app_protocol: Option<Box<str>>,
}

/// One port of one endpoint address of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Namespace of the Service.
    pub namespace: Box<str>,
    /// Name of the Service (label `kubernetes.io/service-name`).
    pub service: Box<str>,
    /// Address.
    pub address: IpAddr,
    /// Target port; none when the slice has no ports (all ports).
    pub port: Option<u16>,
    /// Name of the Service's port that this is.
    #[serde(default)]
    pub port_name: Box<str>,
    /// Name of the pod (`targetRef`), where told.
    pub pod: Option<Box<str>>,
}
