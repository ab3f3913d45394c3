//! Envoy's bootstrap: the parts of Istio's that a TCP service needs; it must not know about TLS.

use serde_json::{Value, json};

use super::inbound::Inbound;
use super::outbound::{Outbound, PortProtocol};
use super::{Files, http, inbound};
use crate::interception::OUTBOUND_PORT;

/// Ports that the redirection leaves alone: the kubelet's probes and Prometheus (Istio: `StatusPort`, and the
/// listener `0.0.0.0_15090` of its bootstrap).
const ANSWERING: [u16; 2] = [15021, 15090];

/// Where Envoy sends what no service claims (Istio: `PassthroughCluster`).
const PASSTHROUGH: &str = "PassthroughCluster";

pub(super) fn bootstrap(pod: &str, files: &Files, outbound: &[Outbound], inbound: Option<&Inbound>) -> Value {
    let mut listeners = vec![outbound_listener(files, outbound)];
    let mut clusters = vec![original_destination(PASSTHROUGH)];
    if let Some(inbound) = inbound {
        listeners.push(inbound.listener(files));
        listeners.extend(ANSWERING.map(http::answering_listener));
        clusters.push(inbound::cluster());
    }
    json!({
        "node": { "id": format!("sidecar~{pod}.default~default.svc.cluster.local"), "cluster": pod },
        "admin": { "address": files.voice.admin_address(files) },
        "dynamic_resources": {
            "cds_config": {
                "path_config_source": { "path": files.clusters },
                "resource_api_version": "V3"
            }
        },
        "static_resources": { "listeners": listeners, "clusters": clusters }
    })
}

/// A cluster that connects to wherever the app wanted to go.
pub(super) fn original_destination(name: &str) -> Value {
    json!({
        "name": name,
        "type": "ORIGINAL_DST",
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED"
    })
}

/// The filter that copies bytes both ways and writes the access log.
pub(super) fn tcp_proxy(cluster: &str, files: &Files) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster,
            "cluster": cluster,
            "access_log": [access_log(files)]
        }
    })
}

/// Where a filter says how each of its connections (or requests) went.
pub(super) fn access_log(files: &Files) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": files.access_log,
            "log_format": files.voice.log_format()
        }
    })
}

/// Tells a listener whether its client speaks TLS, which it waits for.
pub(super) fn tls_inspector() -> Value {
    json!({
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
        }
    })
}

/// Tells a listener whether its client speaks HTTP, which it waits for.
fn http_inspector() -> Value {
    json!({
        "name": "envoy.filters.listener.http_inspector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
        }
    })
}

/// Tells a listener where the app wanted to go before the redirection.
pub(super) fn original_dst_filter() -> Value {
    json!({
        "name": "envoy.filters.listener.original_dst",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
        }
    })
}

/// Listens on IPv4 and on IPv6, with a socket for each as Istio does for dual stack.
pub(super) fn addresses(port: u16) -> (Value, Value) {
    let socket = |address: &str| json!({ "socket_address": { "address": address, "port_value": port } });
    (socket("0.0.0.0"), json!([{ "address": socket("::") }]))
}

fn outbound_listener(files: &Files, outbound: &[Outbound]) -> Value {
    let (address, additional_addresses) = addresses(OUTBOUND_PORT);
    let mut filters = vec![original_dst_filter()];
    if outbound.iter().any(|service| service.protocol() == PortProtocol::Unknown) {
        filters.extend([tls_inspector(), http_inspector()]);
    }
    json!({
        "name": "virtualOutbound",
        "traffic_direction": "OUTBOUND",
        "address": address,
        "additional_addresses": additional_addresses,
        "listener_filters": filters,
        // Istio waits for the app's first bytes for ever (protocolDetectionTimeout: 0s).
        "listener_filters_timeout": "0s",
        "filter_chains": outbound.iter().flat_map(|service| chains(service, files)).collect::<Vec<_>>(),
        "default_filter_chain": { "filters": [tcp_proxy(PASSTHROUGH, files)] }
    })
}

fn chains(service: &Outbound, files: &Files) -> Vec<Value> {
    let (port, cluster) = (service.port(), service.cluster_name());
    let as_tcp = json!({
        "filter_chain_match": { "destination_port": port },
        "filters": [tcp_proxy(&cluster, files)]
    });
    let as_http = |protocols: &[&str]| {
        json!({
            "filter_chain_match": { "destination_port": port, "application_protocols": protocols },
            "filters": [http::connection_manager(&cluster, files)]
        })
    };
    match service.protocol() {
        PortProtocol::Tcp => vec![as_tcp],
        PortProtocol::Http => vec![as_http(&[])],
        // What Envoy's inspector calls what it finds.
        PortProtocol::Unknown => vec![as_http(&["http/1.0", "http/1.1", "h2c"]), as_tcp],
    }
}
