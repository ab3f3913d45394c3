//! What Envoys write, each form as short as it can be; must not know who reads it.

use serde_json::{Value, json};

/// Istio 1.3 to 1.7, TCP.
const OLD: &str = "[2020-09-12T13:38:23.101Z] \"- - -\" 0 UF,URX \"-\" \"-\" 0 0 1001 - \"-\" \"-\" \"-\" \"-\" \"10.1.1.24:6379\" \
                   outbound|6379||redis.default.svc.cluster.local - 10.1.1.24:6379 10.1.1.25:45940 - -\n";

/// Istio 1.9 and newer, TCP.
const NEW: &str = "[2026-11-22T13:38:23.101Z] \"- - -\" 0 UF,URX - - \
                   \"TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end\" 0 0 12 - \"-\" \"-\" \"-\" \"-\" \
                   \"[fd00::1]:6379\" outbound|6379|v1|redis.default.svc.cluster.local - [fd00::1]:6379 [fd00::2]:45940 - -\n";

/// Istio 1.9 and newer, a request.
const REQUEST: &str = "[2020-09-12T13:38:23.077Z] \"GET /a?q=\"b\" HTTP/1.1\" 503 UF,URX \
                       upstream_reset_before_response_started{remote_connection_failure} - \"-\" 0 91 107 - \"192.0.2.7\" \
                       \"curl/7.64.1 \\\"x\\\"\" \"1f0a\" \"web:8080\" \"10.1.1.24:8080\" outbound|8080||web 10.1.1.25:50714 \
                       10.96.0.7:8080 10.1.1.25:45940 outbound_.8080_._.web default\n";

/// Istio 1.8: no Mixer any more, and no details yet; over HTTP.
const SHORT: &str = "[2021-01-02T03:04:05.006Z] \"- - HTTP/2\" 503 UF,URX \"delayed connect error: 111\" 12 0 30 7 \"-\" \"-\" \"-\" \"-\" \
                     \"10.1.1.24:6379\" PassthroughCluster 10.1.1.25:50714 10.1.1.24:6379 10.1.1.25:45940 - allow_any\n";

/// Istio 1.2: no route at its end.
const OLDEST: &str = "[2019-08-12T13:38:23.101Z] \"- - -\" 0 UH \"-\" \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" \
                      BlackHoleCluster - 10.96.0.7:6379 10.1.1.25:45940 a.b\n";

/// Every flag of Envoy (`source/common/stream_info/utility.h`), and one that it does not have; one entry never has more than a few.
const FLAGS: [&str; 4] = [
    "LH,UH,UT,LR,UR,UF,UC,UO",
    "NR,DI,FI,RL,UAEX,RLSE,DC,URX",
    "SI,IH,DPE,UMSDR,RFCF,NFCF",
    "DT,UPE,NC,OM,DF,DO,XX",
];

/// What Envoy says of a transport that failed, in the words of several releases.
const FAILURES: [&str; 5] = [
    "TLS error: 268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER",
    "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end:TLS_error_end",
    "TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: SAN matcher",
    "TLS error: Secret is not supplied by SDS",
    "delayed connect error: Connection refused",
];

/// Lines of every format, and in what containers' runtimes and kubectl wrap them.
pub(super) fn logs() -> Vec<Vec<u8>> {
    let (typed, untyped) = objects();
    let (begin, end) = OLD.split_at(80);
    let docker = |text: &str| json!({ "log": text, "stream": "stdout" }).to_string();
    let mut lines = vec![
        OLD.to_owned(),
        NEW.to_owned(),
        REQUEST.to_owned(),
        SHORT.to_owned(),
        OLDEST.to_owned(),
        OLD.replace("UF,URX \"-\" \"-\"", "UF,URX \"-\""),
        OLD.replace("UF,URX", "-"),
        OLD.replace("101Z", "101+02:00"),
        OLD.replace('\n', "\r\n"),
        format!("{typed}\n{untyped}\n"),
        format!("[pod/redis-client/istio-proxy] {OLD}"),
        format!("2020-09-12T13:38:24.123456789Z {NEW}"),
        format!("2020-09-12T13:38:24.123456789Z stdout F {typed}\n"),
        format!("2020-09-12T13:38:24.1Z stdout P {begin}\n2020-09-12T13:38:24.1Z stdout F {end}"),
        format!(
            "2020-09-12T13:38:24.1Z stdout P {begin}\n2020-09-12T13:38:24.1Z stderr F {NEW}2020-09-12T13:38:24.1Z stdout F:x {end}"
        ),
        format!("{}\n", docker(OLD)),
        format!("{}\n{}\n", docker(begin), docker(end)),
        format!("{}\n", docker(&format!("{typed}\n"))),
        "[2020-09-12 13:38:23.077][21][warning][config] [source/common/grpc.h:101] closed: 14\n".to_owned(),
        "2020-09-12T13:38:23.077Z\tinfo\txdsproxy\tconnected\n".to_owned(),
    ];
    lines.extend(FLAGS.map(|flags| OLD.replace("UF,URX", flags)));
    lines.extend(FAILURES.map(|failure| NEW.replace(NEW.split('"').nth(3).unwrap_or_default(), failure)));
    lines.extend(FAILURES.map(|failure| typed.replace("why", failure)));
    lines.into_iter().map(String::into_bytes).collect()
}

/// An entry as JSON with numbers as numbers, and with all as text.
fn objects() -> (String, String) {
    let typed = json!({
        "start_time": "2026-11-22T13:38:23.101Z", "method": null, "protocol": null, "response_code": 0, "response_flags": "UF,URX",
        "response_code_details": "-", "connection_termination_details": null, "upstream_transport_failure_reason": "why",
        "bytes_received": 0, "bytes_sent": 0, "duration": 1001, "authority": "a\\u0022b", "upstream_host": "10.1.1.24:6379",
        "upstream_cluster": "outbound|6379||redis", "upstream_local_address": null, "downstream_local_address": "10.1.1.24:6379",
        "downstream_remote_address": "10.1.1.25:45940", "requested_server_name": "a.b", "route_name": null,
    })
    .to_string();
    let untyped = typed.replace("1001", "\"1001\"").replace(":0,", ":\"0\",").replace("null", "\"-\"");
    (typed, untyped)
}

/// A dump of each cluster of a dump, and of whom it is of.
pub(super) fn dumps_of_one(dump: &[u8]) -> Vec<Vec<u8>> {
    let Ok(dump) = serde_json::from_slice::<Value>(dump) else { return Vec::new() };
    let sections = dump["configs"].as_array().cloned().unwrap_or_default();
    let list = |section: &Value, key: &str| section[key].as_array().cloned().unwrap_or_default();
    let bootstrap = sections.iter().filter(|section| section.get("bootstrap").is_some());
    let whose = bootstrap.map(|section| json!({ "configs": [section] }));
    let mut dumps: Vec<Value> = whose.collect();
    for section in &sections {
        for key in ["static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters"] {
            for entry in list(section, key) {
                dumps.push(json!({ "configs": [{ key: [entry.clone()] }] }));
                dumps.push(json!([entry["cluster"]]));
            }
        }
    }
    dumps.into_iter().map(|dump| dump.to_string().into_bytes()).collect()
}

/// One cluster each, by hand: every way in which it may have TLS and names in a certificate, in v2, v3 and as `istioctl` prints it.
pub(super) fn clusters() -> Vec<Vec<u8>> {
    let tls = |version: &str, validation: Value| {
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": format!("type.googleapis.com/{version}.UpstreamTlsContext"), "sni": "outbound_.6379_._.redis",
            "common_tls_context": { "alpn_protocols": ["istio-peer-exchange", "istio"], "validation_context": validation },
        } })
    };
    let v2 = |validation| tls("envoy.api.v2.auth", validation);
    let v3 = |validation| tls("envoy.extensions.transport_sockets.tls.v3", validation);
    let names = json!({ "matcher": { "contains": "sa" }, "san_type": "URI" });
    let forms = [
        json!({ "transport_socket": v2(json!({ "verify_subject_alt_name": ["spiffe://a"] })) }),
        json!({ "transport_socket": v3(json!({ "match_subject_alt_names": [{ "exact": "a" }, { "prefix": "b" }] })) }),
        json!({ "transport_socket": v3(json!({ "match_typed_subject_alt_names": [names] })) }),
        json!({ "transport_socket": { "name": "tls", "config": { "sni": "a", "common_tls_context": null } } }),
        json!({ "transport_socket": { "name": "envoy.transport_sockets.raw_buffer" } }),
        json!({ "transport_socket": { "name": "envoy.transport_sockets.quic", "typed_config": { "@type": "x.Quic" } } }),
        json!({ "tls_context": { "sni": "a", "common_tls_context": { "alpn_protocols": ["istio"] } } }),
        json!({ "transport_socket_matches": [
            { "name": "hbone", "match": { "tunnel": "http" }, "transport_socket": { "name": "internal_upstream" } },
            { "name": "tlsMode-istio", "match": { "tlsMode": "istio" }, "transport_socket": v3(Value::Null) },
            { "name": "tlsMode-disabled", "match": {}, "transport_socket": { "name": "envoy.transport_sockets.raw_buffer" } },
        ] }),
        json!({ "cluster_type": { "name": "envoy.clusters.dynamic_forward_proxy" }, "type": null, "metadata": null }),
    ];
    let whole = |form: &Value, version: &str| {
        let mut cluster = json!({
            "@type": format!("type.googleapis.com/{version}.Cluster"), "name": "outbound|6379|v1|redis.default.svc.cluster.local",
            "type": "ORIGINAL_DST", "connect_timeout": "0.250s", "metadata": { "filter_metadata": { "istio": {
                "config": "/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/redis" } } },
        });
        for (key, value) in form.as_object().into_iter().flatten() {
            cluster[key] = value.clone();
        }
        cluster
    };
    let mut dumps: Vec<String> = Vec::new();
    for form in &forms {
        let (v2, v3) = (whole(form, "envoy.api.v2"), whole(form, "envoy.config.cluster.v3"));
        dumps.push(json!({ "configs": [{ "dynamic_active_clusters": [{ "cluster": v2 }] }] }).to_string());
        dumps.push(json!([v3]).to_string());
        dumps.push(in_camel_case(&json!([v3]).to_string()));
        // With `?resource=`.
        dumps.push(json!({ "configs": [{ "version_info": "1", "cluster": v3 }] }).to_string());
    }
    dumps.into_iter().map(String::into_bytes).collect()
}

/// Keys as `istioctl` prints them.
fn in_camel_case(text: &str) -> String {
    let mut parts = text.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_in_key = part.starts_with(|first: char| first.is_ascii_lowercase())
            && !camel.ends_with('.')
            && camel
                .rsplit('"')
                .next()
                .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()));
        let (first, rest) = part.split_at(usize::from(is_in_key));
        camel += &if is_in_key { first.to_ascii_uppercase() } else { "_".to_owned() };
        camel += rest;
    }
    camel
}
