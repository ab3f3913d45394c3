//! What is known of Istio's own objects in a cluster, reduced to what decides about TLS. Pure data.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::event::time::Time;

/// Labels, or the labels that a selector asks for.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// Istio's objects at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Istio {
    /// Objects of Istio's kinds were asked for: one that is not here does not exist.
    pub is_listed: bool,
    /// Namespace of mesh-wide rules, where the mesh's configuration tells it.
    pub root_namespace: Option<Box<str>>,
    /// `enableAutoMtls`, where the mesh's configuration tells it.
    pub auto_mtls: Option<bool>,
    /// Control planes that run.
    pub control_planes: Vec<ControlPlane>,
    /// `DestinationRule`s.
    pub destination_rules: Vec<DestinationRule>,
    /// `PeerAuthentication`s.
    pub peer_authentications: Vec<PeerAuthentication>,
    /// `ServiceEntry`s.
    pub service_entries: Vec<ServiceEntry>,
    /// `WorkloadEntry`s.
    pub workload_entries: Vec<WorkloadEntry>,
}

/// A control plane (istiod).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ControlPlane {
    /// Namespace.
    pub namespace: Box<str>,
    /// Revision; empty or `default` for the only one.
    pub revision: Box<str>,
    /// Tag of its image, such as `1.20.3`.
    pub version: Box<str>,
}

/// A `DestinationRule`: what clients do with a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DestinationRule {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// When it was created.
    pub created: Time,
    /// Host as written: a short name, a full one, or a wildcard.
    pub host: Box<str>,
    /// Namespaces that see it; `.` for its own, `*` for all; empty for all.
    pub export_to: Vec<Box<str>>,
    /// Labels of the clients that it is for; none for all.
    pub selector: Option<Labels>,
    /// `trafficPolicy`.
    pub policy: Option<TrafficPolicy>,
    /// Subsets, in their order.
    pub subsets: Vec<Subset>,
}

/// A subset of a `DestinationRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subset {
    /// Name.
    pub name: Box<str>,
    /// Its own `trafficPolicy`.
    pub policy: Option<TrafficPolicy>,
}

/// A `trafficPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrafficPolicy {
    /// TLS settings.
    pub tls: Option<ClientTls>,
    /// Load balancer.
    pub load_balancer: Option<LoadBalancer>,
    /// `portLevelSettings`, in their order.
    pub ports: Vec<PortPolicy>,
}

/// An entry of `portLevelSettings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortPolicy {
    /// Port of the Service.
    pub port: u16,
    /// TLS settings.
    pub tls: Option<ClientTls>,
    /// Load balancer.
    pub load_balancer: Option<LoadBalancer>,
}

/// How clients balance load, as far as it decides about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancer {
    /// To the address that the app asked for.
    Passthrough,
    /// In another way.
    Other,
}

/// TLS settings of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientTls {
    /// Mode.
    pub mode: ClientMode,
    /// Server name that is sent instead of the mesh's.
    pub sni: Option<Box<str>>,
    /// Names of which the server's certificate must have one.
    pub subject_alt_names: Vec<Box<str>>,
}

/// TLS modes of clients; the first is that of settings without one (`istio.io/api`, `ClientTLSSettings_TLSmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMode {
    /// No TLS.
    #[default]
    Disable,
    /// TLS without a client certificate.
    Simple,
    /// TLS with a client certificate of the user's.
    Mutual,
    /// TLS with the mesh's certificate.
    IstioMutual,
}

impl ClientMode {
    /// As manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Simple => "SIMPLE",
            Self::Mutual => "MUTUAL",
            Self::IstioMutual => "ISTIO_MUTUAL",
        }
    }
}

/// A `PeerAuthentication`: what servers take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerAuthentication {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// When it was created.
    pub created: Time,
    /// Labels of the servers that it is for; empty for all.
    pub selector: Labels,
    /// Mode.
    pub mode: ServerMode,
    /// Modes by target port.
    pub ports: BTreeMap<u16, ServerMode>,
}

/// Modes of servers; the first is that of settings without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerMode {
    /// That of the wider scope.
    #[default]
    Unset,
    /// Plaintext.
    Disable,
    /// Both.
    Permissive,
    /// Mesh mTLS.
    Strict,
}

impl ServerMode {
    /// As manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Disable => "DISABLE",
            Self::Permissive => "PERMISSIVE",
            Self::Strict => "STRICT",
        }
    }
}

/// A `ServiceEntry`: a host that Kubernetes has no Service for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceEntry {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// Hosts.
    pub hosts: Vec<Box<str>>,
    /// Namespaces that see it; as with rules.
    pub export_to: Vec<Box<str>>,
    /// It is outside the mesh (`location: MESH_EXTERNAL`, also where none is given).
    pub external: bool,
    /// Clients go where the app asked to (`resolution: NONE`, also where none is given).
    pub passthrough: bool,
    /// Ports.
    pub ports: Vec<EntryPort>,
    /// Endpoints that it has itself.
    pub endpoints: Vec<Workload>,
    /// Labels of its endpoints elsewhere: pods and `WorkloadEntry`s of its namespace.
    pub selector: Option<Labels>,
}

/// A port of a `ServiceEntry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryPort {
    /// Name.
    pub name: Box<str>,
    /// Number.
    pub number: u16,
    /// Port of the endpoints, where it is another.
    pub target: Option<u16>,
    /// Protocol, such as `TCP` or `HTTP`.
    pub protocol: Box<str>,
}

/// A `WorkloadEntry`: a machine that is no pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkloadEntry {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// What it is.
    pub workload: Workload,
}

/// An endpoint that is no pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Address; none where it is a name.
    pub address: Option<IpAddr>,
    /// Labels.
    pub labels: Labels,
    /// It has a service account, which a mesh takes for a proxy.
    pub has_service_account: bool,
}
