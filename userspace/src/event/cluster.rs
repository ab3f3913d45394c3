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
    /// `metadata.uid`.
    #[serde(default)]
    pub uid: Box<str>,
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

/// A change of what is known of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A pod is there, or is another than it was: known by namespace and name; another uid is another pod.
    Pod(Box<Pod>),
    /// A pod is gone, or nothing is known of it any more. Who had its addresses is remembered for a while.
    PodGone {
        /// Namespace.
        namespace: Box<str>,
        /// Name.
        name: Box<str>,
    },
    /// A Service is there, or is another than it was.
    Service(Box<Service>),
    /// A Service is gone.
    ServiceGone {
        /// Namespace.
        namespace: Box<str>,
        /// Name.
        name: Box<str>,
    },
    /// A slice of a Service's endpoints is there, or is another than it was.
    Slice(Box<Slice>),
    /// A slice is gone.
    SliceGone {
        /// Namespace.
        namespace: Box<str>,
        /// Name.
        name: Box<str>,
    },
    /// All that is known of Istio's objects; replaces what was known.
    Istio(Box<Istio>),
    /// What was asked for was looked up: what was found came before this.
    LookedUp(LookedUp),
}

/// An `EndpointSlice`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Namespace, also that of the Service.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// Its endpoints, one entry for each port of each address; all of one Service.
    pub endpoints: Vec<Endpoint>,
}

/// What a finding needs to know of the cluster and the core does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lookup {
    /// Address of an end whose pod is to be known.
    pub address: IpAddr,
    /// The Service that clients reach it as, where their hello names it: namespace and name. It is to be known with the
    /// pods behind it, because whether mTLS is right depends on all of them.
    pub service: Option<(Box<str>, Box<str>)>,
}

/// What came of a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedUp {
    /// What was asked for.
    pub lookup: Lookup,
    /// Why it is not known; none where all that the cluster has was found, which may be nothing.
    pub failure: Option<LookupFailure>,
}

/// Why something of the cluster could not be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupFailure {
    /// The API server could not be reached, or did not answer in time.
    Unreachable,
    /// It refused: RBAC.
    Forbidden,
    /// It answered with another error.
    Refused,
    /// Too much was asked for at a time.
    RateLimited,
}

impl LookupFailure {
    /// As sentences have it: what the Kubernetes API did.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "the Kubernetes API did not answer",
            Self::Forbidden => "the Kubernetes API does not allow it (RBAC)",
            Self::Refused => "the Kubernetes API answered with an error",
            Self::RateLimited => "too much was to be looked up at a time",
        }
    }
}
