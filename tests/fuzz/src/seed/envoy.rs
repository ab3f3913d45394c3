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

/// Lines of every format, and in what containers' runtimes and kubectl wrap them.
pub(super) fn logs() -> Vec<Vec<u8>> {
    let typed = json!({
        "start_time": "2026-11-22T13:38:23.101Z", "response_code": 0, "response_flags": "UF,URX", "duration": 1001,
        "upstream_host": "10.1.1.24:6379", "upstream_cluster": "outbound|6379||redis",
        "downstream_remote_address": "10.1.1.25:45940", "upstream_local_address": null,
    })
    .to_string();
    let untyped = typed.replace("1001", "\"1001\"").replace("null", "\"-\"");
    let (begin, end) = OLD.split_at(80);
    let docker = |text: &str| json!({ "log": text, "stream": "stdout" }).to_string();
    let lines = [
        OLD.to_owned(),
        NEW.to_owned(),
        REQUEST.to_owned(),
        OLD.replace("UF,URX \"-\" \"-\"", "UF,URX \"-\""),
        OLD.replace("UF,URX", "-"),
        OLD.replace('\n', "\r\n"),
        format!("{typed}\n{untyped}\n"),
        format!("[pod/redis-client/istio-proxy] {OLD}"),
        format!("2020-09-12T13:38:24.123456789Z stdout F {typed}\n"),
        format!("2020-09-12T13:38:24.1Z stdout P {begin}\n2020-09-12T13:38:24.1Z stdout F {end}"),
        format!("{}\n", docker(OLD)),
        format!("{}\n{}\n", docker(begin), docker(end)),
        "[2020-09-12 13:38:23.077][21][warning][config] [source/common/grpc.h:101] closed: 14\n".to_owned(),
        "2020-09-12T13:38:23.077Z\tinfo\txdsproxy\tconnected\n".to_owned(),
    ];
    lines.map(String::into_bytes).into()
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
