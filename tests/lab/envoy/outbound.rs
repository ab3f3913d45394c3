//! The sidecar's cluster for a headless Service, with mesh mTLS, TLS that it originates, or neither; it must not know
//! about listeners.

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

/// What the mesh takes the protocol of a Service's port for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortProtocol {
    /// Bytes, which are copied.
    Tcp,
    /// HTTP, which is parsed.
    Http,
    /// It is not declared: the sidecar looks at the app's first bytes, and waits for them.
    Unknown,
}

/// What the sidecar does with the app's connections to one Service.
#[derive(Debug, Clone)]
pub struct Outbound {
    host: String,
    port: u16,
    connect_timeout: Duration,
    protocol: PortProtocol,
    tls: Option<Tls>,
    /// The `DestinationRule` that it was changed by.
    rule: Option<String>,
}

#[derive(Debug, Clone)]
struct Tls {
    /// What it presents and whom it trusts; nothing in TLS that checks nobody.
    identity: Option<Identity>,
    /// The identity that the server must have.
    peer: String,
    sni: Option<String>,
    alpn: Vec<String>,
    newest: TlsVersion,
    curves: Vec<String>,
}

impl Outbound {
    /// The cluster of the incident: mesh mTLS whatever the other end is, and one second to connect.
    pub fn unconditional_mtls(host: &str, port: u16, identity: &Identity) -> Self {
        let tls = Tls {
            identity: Some(identity.clone()),
            peer: DEFAULT_IDENTITY.to_owned(),
            sni: Some(format!("outbound_.{port}_._.{host}")),
            alpn: ["istio-peer-exchange", "istio"].map(String::from).to_vec(),
            newest: TlsVersion::V1_2,
            curves: Vec::new(),
        };
        Self { tls: Some(tls), ..Self::plaintext(host, port) }
    }

    /// What a `DestinationRule` with `mode: SIMPLE` makes of it: TLS as to any server in the world. Without `sni` a
    /// cluster for TCP names no server.
    pub fn origination(host: &str, port: u16, sni: Option<&str>) -> Self {
        let tls = Tls {
            identity: None,
            peer: String::new(),
            sni: sni.map(str::to_owned),
            alpn: Vec::new(),
            newest: TlsVersion::V1_3,
            curves: vec!["X25519".to_owned(), "P-256".to_owned()],
        };
        Self { tls: Some(tls), ..Self::plaintext(host, port) }.ruled_by("originate-tls")
    }

    /// No TLS of the sidecar's own, and no rule that says so.
    pub fn plaintext(host: &str, port: u16) -> Self {
        let connect_timeout = Duration::from_secs(1);
        let protocol = PortProtocol::Tcp;
        Self { host: host.to_owned(), port, connect_timeout, protocol, tls: None, rule: None }
    }

    /// What a `DestinationRule` with `mode: DISABLE` makes of it.
    #[must_use]
    pub fn disabled(&self) -> Self {
        let service = self.host.split('.').next().unwrap_or(&self.host);
        let rule = format!("{service}-disable-mtls");
        Self { tls: None, ..self.clone() }.ruled_by(&rule)
    }

    /// The `DestinationRule` that made it what it is.
    #[must_use]
    pub fn ruled_by(self, rule: &str) -> Self {
        Self { rule: Some(rule.to_owned()), ..self }
    }

    /// Lets connecting, the TLS handshake included, take longer or less long.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// What the Service's port is declared to speak.
    #[must_use]
    pub fn port_protocol(self, protocol: PortProtocol) -> Self {
        Self { protocol, ..self }
    }

    /// The identity (a SPIFFE URI) that the server must have (`subjectAltNames` of a `DestinationRule`).
    #[must_use]
    pub fn peer(self, identity: &str) -> Self {
        self.with_tls(|tls| identity.clone_into(&mut tls.peer))
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

    pub(super) fn protocol(&self) -> PortProtocol {
        self.protocol
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
            cluster["transport_socket"] = transport_socket(tls);
        }
        if let Some(rule) = &self.rule {
            // How Istio names the rule that a cluster was changed by.
            let path =
                format!("/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/{rule}");
            cluster["metadata"] = json!({ "filter_metadata": { "istio": { "config": path } } });
        }
        cluster
    }
}

fn transport_socket(tls: &Tls) -> Value {
    let mut params = json!({ "tls_maximum_protocol_version": tls.newest.envoy_name() });
    if !tls.curves.is_empty() {
        params["ecdh_curves"] = json!(tls.curves);
    }
    let mut common = json!({ "tls_params": params, "alpn_protocols": tls.alpn });
    if let Some(identity) = &tls.identity {
        common["tls_certificates"] = json!([{
            "certificate_chain": { "filename": identity.certificate },
            "private_key": { "filename": identity.key }
        }]);
        common["validation_context"] = json!({
            "trusted_ca": { "filename": identity.root },
            "match_typed_subject_alt_names": [{ "san_type": "URI", "matcher": { "exact": tls.peer } }]
        });
    }
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common
    });
    if let Some(sni) = &tls.sni {
        context["sni"] = sni.as_str().into();
    }
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}
