//! What an Envoy says itself: entries of its access log, and the clusters of its configuration. Nothing of paths, headers
//! and user agents is kept.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use crate::event::time::{MILLISECOND_NS, Time};

/// One entry of an access log: of a connection (TCP), or of a request with all its retries (HTTP).
///
/// Names are those of Envoy's format operators (docs, `configuration/observability/access_log/usage`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogEntry {
    /// When it was read, which in a live trace is after it was written.
    pub time: Time,
    /// `START_TIME`: when the app's connection or request came, to the millisecond.
    pub began: Time,
    /// `DURATION`: from then to the end of it.
    pub duration_ms: u64,
    /// `RESPONSE_FLAGS`, such as `UF` and `URX`; empty when nothing was noticed.
    pub flags: Vec<Box<str>>,
    /// `RESPONSE_CODE`; 0 for TCP.
    pub response_code: u16,
    /// `RESPONSE_CODE_DETAILS` (Istio 1.9 and newer).
    pub details: Option<Box<str>>,
    /// `CONNECTION_TERMINATION_DETAILS` (Istio 1.9 and newer).
    pub termination_details: Option<Box<str>>,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`: what the TLS library said.
    pub transport_failure: Option<Box<str>>,
    /// `BYTES_RECEIVED` from the app.
    pub bytes_received: u64,
    /// `BYTES_SENT` to the app.
    pub bytes_sent: u64,
    /// `UPSTREAM_HOST`: where it connected to, last.
    pub upstream_host: Option<SocketAddr>,
    /// `UPSTREAM_CLUSTER`.
    pub upstream_cluster: Option<Box<str>>,
    /// `UPSTREAM_LOCAL_ADDRESS`: its own end of that connection; missing when the handshake failed.
    pub upstream_local: Option<SocketAddr>,
    /// `DOWNSTREAM_LOCAL_ADDRESS`: what the app wanted to reach.
    pub downstream_local: Option<SocketAddr>,
    /// `DOWNSTREAM_REMOTE_ADDRESS`: the app's end.
    pub downstream_remote: Option<SocketAddr>,
    /// `REQUESTED_SERVER_NAME`: the name in the app's own hello.
    pub sni: Option<Box<str>>,
    /// `ROUTE_NAME`.
    pub route: Option<Box<str>>,
}

impl LogEntry {
    /// When what it tells of was over.
    pub fn ended(&self) -> Time {
        self.began + self.duration_ms.saturating_mul(MILLISECOND_NS)
    }

    /// It has this response flag.
    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|has| **has == *flag)
    }

    /// Envoy noticed something that is not as it should be.
    pub fn is_failure(&self) -> bool {
        !self.flags.is_empty() || self.transport_failure.is_some()
    }
}

/// The clusters of one proxy's configuration became known; replaces what was known of that proxy before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClustersSeen {
    /// When.
    pub time: Time,
    /// Whose configuration it is, as far as it says so itself.
    pub node: Option<ProxyNode>,
    /// Inode of the network namespace in which it was asked for; none when it came from a file.
    pub netns: Option<u32>,
    /// The clusters.
    pub clusters: Vec<ProxyCluster>,
}

/// A proxy as Istio names it: `sidecar~10.1.1.25~redis-client-….default~default.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyNode {
    /// First address of its pod.
    pub address: IpAddr,
    /// Name of its pod.
    pub pod: Box<str>,
    /// Namespace of its pod.
    pub namespace: Box<str>,
}

/// A cluster of a proxy: what it knows of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyCluster {
    /// Its name, such as `outbound|6379||redis.default.svc.cluster.local`.
    pub name: Box<str>,
    /// Version of the configuration's types; none when it does not say.
    pub api: Option<ApiVersion>,
    /// How it finds its endpoints, such as `ORIGINAL_DST` or `EDS`.
    pub discovery: Box<str>,
    /// How long a connect may take, the TLS handshake included.
    pub connect_timeout_ms: Option<u64>,
    /// When it uses TLS.
    pub tls: ClusterTls,
    /// The `DestinationRule` that it was built with (`metadata.filter_metadata.istio.config`); it need not be the reason for the TLS.
    pub rule: Option<RuleName>,
}

/// Version of Envoy's configuration types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiVersion {
    /// `envoy.api.v2.Cluster`: up to Istio 1.7.
    V2,
    /// `envoy.config.cluster.v3.Cluster`.
    V3,
}

/// When a cluster uses TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterTls {
    /// Never.
    #[default]
    Never,
    /// For every endpoint, whatever it is (`transport_socket` and no `transport_socket_matches`).
    Always(TlsContext),
    /// As the endpoint's metadata says (`transport_socket_matches`), in this order.
    ByEndpoint(Vec<SocketMatch>),
    /// It has another transport socket, of this name.
    Other(Box<str>),
}

/// One of a cluster's transport sockets, for the endpoints that match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketMatch {
    /// Its name, such as `tlsMode-istio`.
    pub name: Box<str>,
    /// It matches every endpoint.
    pub is_for_all: bool,
    /// The TLS that it uses; none for plaintext and for others.
    pub tls: Option<TlsContext>,
}

/// How a cluster does TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsContext {
    /// Server name in the hello.
    pub sni: Option<Box<str>>,
    /// Protocols offered.
    pub alpn: Vec<Box<str>>,
    /// Names of which the server's certificate must have one.
    pub subject_names: Vec<Box<str>>,
}

impl TlsContext {
    /// It is the mesh's: it offers Istio's own protocols (Istio `pilot/pkg/networking/util/util.go`, `ALPNInMesh`).
    pub fn is_of_istio(&self) -> bool {
        self.alpn.iter().any(|name| **name == *"istio" || name.starts_with("istio-"))
    }
}

/// A `DestinationRule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleName {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl fmt::Display for RuleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DestinationRule {}/{}", self.namespace, self.name)
    }
}

/// The article's entry, for the tests of who reads it and who uses it.
#[cfg(test)]
pub(crate) fn sample_entry() -> LogEntry {
    let redis = "10.1.1.24:6379".parse().ok();
    LogEntry {
        began: Time(1_599_917_903_077_000_000),
        duration_ms: 1001,
        flags: vec!["UF".into(), "URX".into()],
        upstream_host: redis,
        upstream_cluster: Some("outbound|6379||redis.default.svc.cluster.local".into()),
        downstream_local: redis,
        downstream_remote: "10.1.1.25:45940".parse().ok(),
        ..LogEntry::default()
    }
}
