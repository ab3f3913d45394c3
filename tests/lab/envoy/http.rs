//! Envoy's filter for HTTP, which parses what others copy; it must not know which way the traffic goes.

use serde_json::{Value, json};

use super::{Files, bootstrap};

/// Parses HTTP and sends every request to a cluster, as for a port that is declared (or was found) to be HTTP.
pub(super) fn connection_manager(cluster: &str, files: &Files) -> Value {
    manager(
        cluster,
        &json!({ "match": { "prefix": "/" }, "route": { "cluster": cluster } }),
        &json!([bootstrap::access_log(files)]),
    )
}

/// A listener that answers every request by itself, as those for probes (15021) and for metrics (15090) do.
pub(super) fn answering_listener(port: u16) -> Value {
    let (address, additional_addresses) = bootstrap::addresses(port);
    let route = json!({
        "match": { "prefix": "/" },
        "direct_response": { "status": 200, "body": { "inline_string": "ready\n" } }
    });
    json!({
        "name": format!("answers-{port}"),
        "address": address,
        "additional_addresses": additional_addresses,
        "filter_chains": [{ "filters": [manager(&format!("answers-{port}"), &route, &json!([]))] }]
    })
}

fn manager(name: &str, route: &Value, access_log: &Value) -> Value {
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "codec_type": "AUTO",
            "route_config": {
                "name": name,
                // Clusters come later than listeners.
                "validate_clusters": false,
                "virtual_hosts": [{ "name": "allow_any", "domains": ["*"], "routes": [route] }]
            },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                }
            }],
            "access_log": access_log
        }
    })
}
