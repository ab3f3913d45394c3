//! The sidecar's cluster for a headless Service, with and without mesh mTLS; it must not know about listeners.

use std::time::Duration;

use serde_json::{Value, json};

use crate::certificate::{DEFAULT_IDENTITY, Identity};

/// A TLS version as Envoy writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, which is as far as Envoy goes as a client unless told otherwise.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl TlsVersion {
    fn envoy_name(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1_2",
            Self::V1_3 => "TLSv1_3",
        }
    }
}

/// What the sidecar does with the app's connections to one Service.
#[derive(Debug, Clone)]
pub struct Outbound {
    host: String,
    port: u16,
    connect_timeout: Duration,
    tls: Option<Tls>,
}

#[derive(Debug, Clone)]
struct Tls {
    identity: Identity,
    sni: Option<String>,
    alpn: Vec<String>,
    newest: TlsVersion,
    curves: Vec<String>,
}

impl Outbound {
    /// The cluster of the incident: mesh mTLS whatever the other end is, and one second to connect.
    pub fn unconditional_mtls(host: &str, port: u16, identity: &Identity) -> Self {
        let tls = Tls {
            identity: identity.clone(),
            sni: None,
            alpn: ["istio-peer-exchange", "istio"].map(String::from).to_vec(),
            newest: TlsVersion::V1_2,
            curves: Vec::new(),
        };
        Self { host: host.to_owned(), port, connect_timeout: Duration::from_secs(1), tls: Some(tls) }
    }

    /// What a `DestinationRule` with `mode: DISABLE` makes of it.
    #[must_use]
    pub fn disabled(&self) -> Self {
        Self { tls: None, ..self.clone() }
    }

    /// Lets connecting, the TLS handshake included, take longer or less long.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// The newest version that the ClientHello offers.
    #[must_use]
    pub fn tls_version(self, newest: TlsVersion) -> Self {
        self.with_tls(|tls| tls.newest = newest)
    }

    /// Key exchange groups, such as `X25519MLKEM768`, which makes the ClientHello larger than a segment.
    #[must_use]
    pub fn curves(self, curves: &[&str]) -> Self {
        self.with_tls(|tls| tls.curves = curves.iter().copied().map(String::from).collect())
    }

    /// Another server name than the mesh's.
    #[must_use]
    pub fn sni(self, sni: &str) -> Self {
        self.with_tls(|tls| tls.sni = Some(sni.to_owned()))
    }

    /// Other application protocols than the mesh's.
    #[must_use]
    pub fn alpn(self, alpn: &[&str]) -> Self {
        self.with_tls(|tls| tls.alpn = alpn.iter().copied().map(String::from).collect())
    }

    fn with_tls(mut self, change: impl FnOnce(&mut Tls)) -> Self {
        self.tls.as_mut().map(change);
        self
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Istio: `BuildSubsetKey` in `pilot/pkg/model/service.go`.
    pub(super) fn cluster_name(&self) -> String {
        format!("outbound|{}||{}", self.port, self.host)
    }

    /// As in the incident's configuration dump, with files where Istio has its secret discovery service.
    pub(super) fn cluster(&self) -> Value {
        let mut cluster = json!({
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": self.cluster_name(),
            "type": "ORIGINAL_DST",
            "connect_timeout": format!("{:.3}s", self.connect_timeout.as_secs_f64()),
            "lb_policy": "CLUSTER_PROVIDED"
        });
        if let Some(tls) = &self.tls {
            cluster["transport_socket"] = self.transport_socket(tls);
        } else {
            cluster["metadata"] = json!({ "filter_metadata": { "istio": { "config": self.rule() } } });
        }
        cluster
    }

    /// How Istio names the rule that a cluster was changed by.
    fn rule(&self) -> String {
        let service = self.host.split('.').next().unwrap_or(&self.host);
        format!(
            "/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/{service}-disable-mtls"
        )
    }

    fn transport_socket(&self, tls: &Tls) -> Value {
        let sni = tls.sni.clone().unwrap_or_else(|| format!("outbound_.{}_._.{}", self.port, self.host));
        let mut params = json!({ "tls_maximum_protocol_version": tls.newest.envoy_name() });
        if !tls.curves.is_empty() {
            params["ecdh_curves"] = json!(tls.curves);
        }
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {
                    "tls_params": params,
                    "alpn_protocols": tls.alpn,
                    "tls_certificates": [{
                        "certificate_chain": { "filename": tls.identity.certificate },
                        "private_key": { "filename": tls.identity.key }
                    }],
                    "validation_context": {
                        "trusted_ca": { "filename": tls.identity.root },
                        "match_typed_subject_alt_names": [
                            { "san_type": "URI", "matcher": { "exact": DEFAULT_IDENTITY } }
                        ]
                    }
                },
                "sni": sni
            }
        })
    }
}
