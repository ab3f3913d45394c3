//! Dumps of both API versions and of `istioctl`, whole and broken; must not know files.

use std::io::Read;

use super::{Malformed, Reading, document::CLUSTERS_MAX, parse};
use crate::event::envoy::{
    ApiVersion, ClusterTls, ProxyCluster, ProxyNode, RuleName, SocketMatch, TlsContext,
};

const ISTIO_1_5: &str = include_str!("testdata/istio_1_5.json");
const ISTIO_1_32: &str = include_str!("testdata/istio_1_32.json");

fn read(text: &str) -> Reading {
    parse(text.as_bytes()).unwrap()
}

fn tls(sni: &str, alpn: &[&str], names: &[&str]) -> TlsContext {
    let boxed = |texts: &[&str]| texts.iter().map(|text| (*text).into()).collect();
    TlsContext { sni: Some(sni.into()), alpn: boxed(alpn), subject_names: boxed(names) }
}

fn one(name: &str, is_for_all: bool, tls: Option<TlsContext>) -> SocketMatch {
    SocketMatch { name: name.into(), is_for_all, tls }
}

#[test]
fn the_articles_dump_of_api_v2() {
    let reading = read(ISTIO_1_5);
    let client = ProxyNode {
        address: "10.1.1.25".parse().unwrap(),
        pod: "redis-client-6d4c6c975f-bm5w6".into(),
        namespace: "default".into(),
    };
    assert_eq!(reading.node, Some(client));
    assert_eq!((reading.unused.warming, reading.unused.is_loss()), (1, false));
    let v2 = |name: &str, discovery: &str| ProxyCluster {
        name: name.into(),
        api: Some(ApiVersion::V2),
        discovery: discovery.into(),
        connect_timeout_ms: Some(1000),
        ..ProxyCluster::default()
    };
    let redis = tls(
        "outbound_.6379_._.redis.default.svc.cluster.local",
        &["istio-peer-exchange", "istio"],
        &["spiffe://cluster.local/ns/default/sa/default"],
    );
    let app = tls(
        "outbound_.8080_._.awesome-app.default.svc.cluster.local",
        &["istio-peer-exchange", "istio", "h2"],
        &[],
    );
    let rule = RuleName { namespace: "dubbo".into(), name: "redis-disable-mtls".into() };
    let expected = [
        ProxyCluster { connect_timeout_ms: Some(250), ..v2("prometheus_stats", "STATIC") },
        ProxyCluster {
            tls: ClusterTls::Always(redis),
            ..v2("outbound|6379||redis.default.svc.cluster.local", "ORIGINAL_DST")
        },
        ProxyCluster {
            tls: ClusterTls::ByEndpoint(vec![
                one("tlsMode-istio", false, Some(app)),
                one("tlsMode-disabled", true, None),
            ]),
            ..v2("outbound|8080||awesome-app.default.svc.cluster.local", "EDS")
        },
        ProxyCluster {
            rule: Some(rule),
            ..v2("outbound|6379||redis.dubbo.svc.cluster.local", "ORIGINAL_DST")
        },
    ];
    assert_eq!(reading.clusters, expected);
}

#[test]
fn api_v3_and_what_it_has_that_cannot_be_read() {
    let reading = read(ISTIO_1_32);
    assert_eq!((reading.node, reading.unused.unreadable), (None, 3));
    let [redis, hbone, other] = &*reading.clusters else { panic!("{:?}", reading.clusters) };
    let names = ["spiffe://cluster.local/ns/default/sa/redis", "redis.*"];
    let expected =
        tls("outbound_.6379_.v1_.redis.default.svc.cluster.local", &["istio-peer-exchange", "istio"], &names);
    assert_eq!(redis.tls, ClusterTls::Always(expected));
    assert_eq!((redis.api, redis.connect_timeout_ms), (Some(ApiVersion::V3), Some(10_000)));
    assert_eq!(redis.rule, Some(RuleName { namespace: "default".into(), name: "redis-mtls".into() }));
    let ClusterTls::ByEndpoint(matches) = &hbone.tls else { panic!("{hbone:?}") };
    let found: Vec<_> = matches.iter().map(|one| (&*one.name, one.is_for_all, one.tls.is_some())).collect();
    let expected =
        [("hbone", false, false), ("tlsMode-istio", false, true), ("tlsMode-disabled", true, false)];
    assert_eq!(found, expected);
    assert_eq!(other.tls, ClusterTls::Other("envoy.transport_sockets.upstream_proxy_protocol".into()));
    assert_eq!(&*other.discovery, "envoy.clusters.dns");
}

/// The same keys in camel case, as the protobuf library of Go prints them.
fn in_camel_case(value: serde_json::Value) -> serde_json::Value {
    let camel = |key: String| {
        let mut parts = key.split('_');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |key, part| key + &part[..1].to_uppercase() + &part[1..])
    };
    match value {
        serde_json::Value::Object(map) => {
            map.into_iter().map(|(key, value)| (camel(key), in_camel_case(value))).collect()
        }
        serde_json::Value::Array(values) => values.into_iter().map(in_camel_case).collect(),
        other => other,
    }
}

/// In the order of their names: keys of an object are in the order of `serde_json`'s map.
fn sorted(text: &str) -> Vec<ProxyCluster> {
    let mut clusters = read(text).clusters;
    clusters.sort_by(|one, other| one.name.cmp(&other.name));
    clusters
}

#[test]
fn every_shape_tells_the_same_clusters() {
    for text in [ISTIO_1_5, ISTIO_1_32] {
        let dump: serde_json::Value = serde_json::from_str(text).unwrap();
        let expected = sorted(text);
        assert_eq!(sorted(&in_camel_case(dump.clone()).to_string()), expected, "istioctl … all");
        let sections = dump["configs"].as_array().unwrap().iter();
        let lists = sections.flat_map(|section| {
            ["static_clusters", "dynamic_active_clusters"]
                .map(|key| section[key].as_array().cloned().unwrap_or_default())
        });
        let entries: Vec<serde_json::Value> = lists.flatten().collect();
        let alone = serde_json::json!({ "configs": entries });
        assert_eq!(sorted(&alone.to_string()), expected, "?resource=dynamic_active_clusters");
        let bare =
            entries.into_iter().filter_map(|mut entry| entry.get_mut("cluster").map(serde_json::Value::take));
        let bare = in_camel_case(bare.collect());
        assert_eq!(sorted(&bare.to_string()), expected, "istioctl … cluster");
    }
}

#[test]
fn tls_as_it_was_before_transport_sockets() {
    let text = r#"[{"name": "outbound|6379||redis", "tls_context": {"sni": "outbound_.6379_._.redis"}}]"#;
    let sni = TlsContext { sni: Some("outbound_.6379_._.redis".into()), ..TlsContext::default() };
    assert_eq!(read(text).clusters[0].tls, ClusterTls::Always(sni));
}

#[test]
fn what_is_whole_is_used_where_the_end_is_missing() {
    let cut = &ISTIO_1_5[..ISTIO_1_5.find("redis.dubbo").unwrap()];
    let reading = read(cut);
    assert_eq!(reading.clusters.len(), 3);
    assert!(matches!(reading.unused.broken, Some(Malformed::CutShort { line }) if line > 80), "{reading:?}");
    assert!(reading.unused.to_string().contains("line"), "{}", reading.unused);
}

#[test]
fn what_is_no_dump_is_told_with_its_place() {
    for (text, says) in [
        ("", "ends in the middle (line 1)"),
        ("{", "ends in the middle (line 1)"),
        ("configs:\n- cluster:", "line 1, column 1"),
        ("{\"configs\": [{}]}\ntrailing", "line 2"),
        ("{\"configs\": 7}", "line 1"),
        ("{}", "no cluster"),
        ("[]", "no cluster"),
        ("7", "an object with `configs`, or an array of clusters"),
        ("{\"configs\": [{\"dynamic_active_clusters\": [{\"cluster\": 7}]}]}", "no cluster"),
    ] {
        let error = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("kubectl exec"), "{text}: {error}");
    }
}

/// A dump of so many clusters, which is nowhere as a whole.
struct Large {
    left: usize,
    piece: Vec<u8>,
}

impl Read for Large {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() && self.left > 0 {
            self.left -= 1;
            let end = if self.left == 0 { "]}]}" } else { "," };
            let filler = "x".repeat(2000);
            self.piece = format!(
                "{{\"cluster\":{{\"name\":\"outbound|80||{}\",\"x\":\"{filler}\"}}}}{end}",
                self.left
            )
            .into_bytes();
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.piece.drain(..length);
        Ok(length)
    }
}

#[test]
fn of_a_dump_of_tens_of_megabytes_no_more_is_kept_than_is_said() {
    let piece = b"{\"configs\":[{\"dynamic_active_clusters\":[".to_vec();
    let reading = parse(std::io::BufReader::new(Large { left: CLUSTERS_MAX + 10, piece })).unwrap();
    assert_eq!((reading.clusters.len(), reading.unused.too_many), (CLUSTERS_MAX, 10));
    assert!(reading.unused.is_loss());
}
