//! The sidecar's listener in front of a server, by the mode of the mesh's `PeerAuthentication`; it must not know
//! which server it is.

use serde_json::{Value, json};

use super::{Files, bootstrap, http};
use crate::certificate::Identity;
use crate::interception::INBOUND_PORT;

const CLUSTER: &str = "InboundPassthroughCluster";

/// What a sidecar takes from its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAuthentication {
    /// Mesh mTLS and nothing else.
    Strict,
    /// Mesh mTLS and anything else.
    Permissive,
    /// Anything, handed to the server as it comes.
    Disable,
}

/// The sidecar in front of a server.
#[derive(Debug, Clone)]
pub struct Inbound {
    mode: PeerAuthentication,
    identity: Identity,
    is_http: bool,
}

impl Inbound {
    /// Presents `identity` and demands a certificate of the same authority.
    pub fn new(mode: PeerAuthentication, identity: &Identity) -> Self {
        Self { mode, identity: identity.clone(), is_http: false }
    }

    /// The server's port is declared as HTTP.
    #[must_use]
    pub fn http(self) -> Self {
        Self { is_http: true, ..self }
    }

    pub(super) fn listener(&self, files: &Files) -> Value {
        let (address, additional_addresses) = bootstrap::addresses(INBOUND_PORT);
        let (chains, looks_for_tls) = match self.mode {
            PeerAuthentication::Strict => (vec![self.mesh_chain(files)], true),
            // Envoy does not go back from a chain for TLS to one for anything, so there is one for TLS of others.
            PeerAuthentication::Permissive => (
                vec![
                    self.mesh_chain(files),
                    self.plain_chain(files, &json!({ "transport_protocol": "tls" })),
                    self.plain_chain(files, &json!({ "transport_protocol": "raw_buffer" })),
                ],
                true,
            ),
            PeerAuthentication::Disable => (vec![self.plain_chain(files, &json!({}))], false),
        };
        let mut filters = vec![bootstrap::original_dst_filter()];
        if looks_for_tls {
            filters.push(bootstrap::tls_inspector());
        }
        json!({
            "name": "virtualInbound",
            "traffic_direction": "INBOUND",
            "address": address,
            "additional_addresses": additional_addresses,
            "listener_filters": filters,
            // Istio waits for the client's first bytes for ever (protocolDetectionTimeout: 0s).
            "listener_filters_timeout": "0s",
            "filter_chains": chains
        })
    }

    fn mesh_chain(&self, files: &Files) -> Value {
        json!({
            "filter_chain_match": {
                "transport_protocol": "tls",
                // Istio: `mtlsTCPWithMxcALPNs` and the HTTP ones, in pilot/pkg/networking/core/listener.go.
                "application_protocols":
                    ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"]
            },
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type":
                        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "require_client_certificate": true,
                    "common_tls_context": {
                        "alpn_protocols": ["istio-peer-exchange", "istio"],
                        "tls_certificates": [{
                            "certificate_chain": { "filename": self.identity.certificate },
                            "private_key": { "filename": self.identity.key }
                        }],
                        "validation_context": { "trusted_ca": { "filename": self.identity.root } }
                    }
                }
            },
            "filters": [self.filter(files)]
        })
    }

    fn plain_chain(&self, files: &Files, matching: &Value) -> Value {
        json!({ "filter_chain_match": matching, "filters": [self.filter(files)] })
    }

    fn filter(&self, files: &Files) -> Value {
        if self.is_http {
            http::connection_manager(CLUSTER, files)
        } else {
            bootstrap::tcp_proxy(CLUSTER, files)
        }
    }
}

/// Connects to the server from 127.0.0.6, which the redirection leaves alone.
pub(super) fn cluster() -> Value {
    let mut cluster = bootstrap::original_destination(CLUSTER);
    cluster["upstream_bind_config"] = json!({
        "source_address": { "address": "127.0.0.6", "port_value": 0 },
        "extra_source_addresses": [{ "address": { "address": "::6", "port_value": 0 } }]
    });
    cluster
}
