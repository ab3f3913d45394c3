//! Istio's objects as kubectl prints them: what is taken from each, and what of them is counted as unreadable.

use serde_json::{Value, json};

use crate::{
    event::{
        istio::{
            ClientMode, ClientTls, ControlPlane, EntryPort, Istio, Labels, LoadBalancer, ServerMode, Workload,
        },
        time::Time,
    },
    source::cluster_file::{Reading, parse},
};

const GROUPS: [&str; 2] = ["networking.istio.io/v1", "security.istio.io/v1"];

fn object(version: &str, kind: &str, spec: &Value) -> Value {
    let metadata = json!({"namespace": "n", "name": "a", "creationTimestamp": "1970-01-01T00:00:02Z"});
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
}

/// A pod with these labels and one container of this name and image.
fn pod(labels: &Value, name: &str, image: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "istio-system", "name": "p", "labels": labels},
        "spec": {"containers": [{"name": name, "image": image}]}})
}

fn reading(items: &[Value]) -> Reading {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "n", "name": "s"}});
    let items: Vec<&Value> = items.iter().chain([&service]).collect();
    parse(json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string().as_bytes()).unwrap()
}

fn istio(item: Value) -> Istio {
    let reading = reading(&[item]);
    assert_eq!(reading.ignored, []);
    reading.cluster.istio
}

fn labels(key: &str, value: &str) -> Labels {
    Labels::from([(key.into(), value.into())])
}

#[test]
fn destination_rules_are_read() {
    let spec = json!({
        "host": "redis", "exportTo": [".", "app"],
        "workloadSelector": {"matchLabels": {"app": "web"}},
        "trafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 3}},
            "loadBalancer": {"simple": "PASSTHROUGH"},
            "tls": {"mode": "ISTIO_MUTUAL", "sni": "s", "subjectAltNames": ["n"]},
            "portLevelSettings": [{"port": {"number": 6379}, "loadBalancer": {"simple": "RANDOM"}}, {"port": {"number": 1}, "tls": {}}]},
        "subsets": [{"name": "v1", "labels": {"v": "1"}}, {"name": "v2", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}}]});
    let found = istio(object(GROUPS[0], "DestinationRule", &spec));
    assert!(found.is_listed);
    let [rule] = found.destination_rules.as_slice() else { panic!("{found:?}") };
    assert_eq!((&*rule.namespace, &*rule.name, &*rule.host), ("n", "a", "redis"));
    assert_eq!((rule.created, rule.export_to.len()), (Time(2_000_000_000), 2));
    assert_eq!(rule.selector, Some(labels("app", "web")));
    let policy = rule.policy.as_ref().unwrap();
    let tls = ClientTls {
        mode: ClientMode::IstioMutual,
        sni: Some("s".into()),
        subject_alt_names: vec!["n".into()],
    };
    assert_eq!((policy.tls.as_ref(), policy.load_balancer), (Some(&tls), Some(LoadBalancer::Passthrough)));
    let [first, second] = policy.ports.as_slice() else { panic!("{policy:?}") };
    assert_eq!((first.port, &first.tls, first.load_balancer), (6379, &None, Some(LoadBalancer::Other)));
    assert_eq!(second.tls.as_ref().map(|tls| tls.mode), Some(ClientMode::Disable), "settings without a mode");
    let [one, two] = rule.subsets.as_slice() else { panic!("{rule:?}") };
    assert_eq!((&*one.name, &one.policy, &*two.name), ("v1", &None, "v2"));
    let two_tls = two.policy.as_ref().and_then(|policy| policy.tls.as_ref());
    assert_eq!(two_tls.map(|tls| tls.mode), Some(ClientMode::Simple));
}

#[test]
fn peer_authentications_are_read() {
    let spec = json!({"selector": {"matchLabels": {"app": "redis"}}, "mtls": {"mode": "STRICT"},
        "portLevelMtls": {"6379": {"mode": "DISABLE"}, "80": {}}});
    let found = istio(object(GROUPS[1], "PeerAuthentication", &spec)).peer_authentications;
    let [policy] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((policy.mode, policy.created), (ServerMode::Strict, Time(2_000_000_000)));
    assert_eq!(policy.selector, labels("app", "redis"));
    let ports: Vec<_> = policy.ports.iter().map(|(port, mode)| (*port, *mode)).collect();
    assert_eq!(ports, [(80, ServerMode::Unset), (6379, ServerMode::Disable)]);
    let empty = istio(object(GROUPS[1], "PeerAuthentication", &json!({"mtls": null, "selector": null})));
    let [policy] = empty.peer_authentications.as_slice() else { panic!("{empty:?}") };
    assert_eq!((policy.mode, policy.selector.len()), (ServerMode::Unset, 0));
}

#[test]
fn entries_are_read() {
    let spec = json!({"hosts": ["db.example.com"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 3306, "name": "db", "protocol": "MySQL", "targetPort": 13306}],
        "endpoints": [{"address": "::ffff:10.9.9.9", "labels": {"a": "b"}, "serviceAccount": "vm"}, {"address": "db"}],
        "workloadSelector": {"labels": {"app": "db"}}});
    let found = istio(object(GROUPS[0], "ServiceEntry", &spec)).service_entries;
    let [entry] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (entry.external, entry.passthrough, &entry.selector),
        (false, false, &Some(labels("app", "db")))
    );
    let port = EntryPort { name: "db".into(), number: 3306, target: Some(13306), protocol: "MySQL".into() };
    assert_eq!(entry.ports, [port]);
    let machine = Workload {
        address: Some("10.9.9.9".parse().unwrap()),
        labels: labels("a", "b"),
        has_service_account: true,
    };
    assert_eq!(entry.endpoints, [machine, Workload::default()]);
    let bare = istio(object(GROUPS[0], "ServiceEntry", &json!({"hosts": ["a"]}))).service_entries;
    assert!(
        bare.iter().all(|entry| entry.external && entry.passthrough),
        "what is not said is the first of its kind"
    );
    let workload = json!({"address": "10.9.9.9", "serviceAccount": "vm"});
    let found = istio(object(GROUPS[0], "WorkloadEntry", &workload)).workload_entries;
    assert!(found.iter().all(|entry| entry.workload.has_service_account) && found.len() == 1, "{found:?}");
}

#[test]
fn versions_are_tags_of_images() {
    let istiod = json!({"app": "istiod", "istio.io/rev": "canary"});
    for (image, expected) in [
        ("docker.io/istio/pilot:1.20.3-distroless", Some("1.20.3-distroless")),
        ("registry:5000/istio/pilot:1.20.3", Some("1.20.3")),
        ("registry:5000/istio/pilot", None),
        ("istio/pilot:1.20.3@sha256:0123", Some("1.20.3")),
        ("istio/pilot@sha256:0123", None),
        ("", None),
    ] {
        let planes = istio(pod(&istiod, "discovery", image)).control_planes;
        let found: Vec<&ControlPlane> = planes.iter().collect();
        let shown = found.first().map(|plane| (&*plane.namespace, &*plane.revision, &*plane.version));
        assert_eq!(shown, expected.map(|version| ("istio-system", "canary", version)), "{image}");
        let pods = reading(&[pod(&json!({}), "istio-proxy", image)]).cluster.pods;
        assert_eq!(pods.first().and_then(|pod| pod.proxy_version.as_deref()), expected, "{image}");
    }
    assert_eq!(istio(pod(&json!({}), "discovery", "istio/pilot:1.20.3")).control_planes, []);
    let app = reading(&[pod(&istiod, "app", "app:1.2.3")]).cluster;
    assert_eq!((app.istio.control_planes.len(), app.pods[0].proxy_version.as_deref()), (0, None));
}

#[test]
fn the_mesh_configuration_is_read() {
    let map = |name: &str, mesh: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "istio-system", "name": name}, "data": {"mesh": mesh}});
    for name in ["istio", "istio-canary"] {
        let found = istio(map(name, "enableAutoMtls: false\nrootNamespace: mesh\n"));
        assert_eq!((found.auto_mtls, found.root_namespace.as_deref()), (Some(false), Some("mesh")), "{name}");
        assert!(!found.is_listed, "it is of no kind of Istio's own");
    }
    let found = istio(map("istio", "accessLogFile: /dev/stdout\n"));
    assert_eq!((found.auto_mtls, found.root_namespace), (None, None));
    let without_data = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio"}});
    for other in [map("istiod", "a: b"), map("other", "a: b"), without_data] {
        let shown: Vec<String> =
            reading(std::slice::from_ref(&other)).ignored.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["1 ConfigMap"], "{other}");
    }
}

#[test]
fn what_is_not_known_is_counted_and_what_is_missing_then_is_not_known() {
    for (version, kind, spec, expected) in [
        (GROUPS[0], "DestinationRule", json!({}), "`spec` has no host"),
        (
            GROUPS[0],
            "DestinationRule",
            json!({"host": "a", "trafficPolicy": {"tls": {"mode": "QUIC"}}}),
            "`QUIC` is no TLS mode that is known",
        ),
        (
            GROUPS[0],
            "DestinationRule",
            json!({"host": "a", "subsets": [{"name": "b", "trafficPolicy": {"tls": {"mode": "x"}}}]}),
            "`x` is no TLS mode that is known",
        ),
        (GROUPS[0], "DestinationRule", json!({"host": 3}), "invalid type: integer `3`, expected a string"),
        (
            GROUPS[1],
            "PeerAuthentication",
            json!({"mtls": {"mode": "MAYBE"}}),
            "`MAYBE` is no mTLS mode that is known",
        ),
        (
            GROUPS[1],
            "PeerAuthentication",
            json!({"portLevelMtls": {"80": {"mode": "x"}}}),
            "`x` is no mTLS mode that is known",
        ),
        (GROUPS[0], "ServiceEntry", json!({"location": "MOON"}), "`MOON` is no location that is known"),
    ] {
        let good = object(GROUPS[1], "PeerAuthentication", &json!({}));
        let reading = reading(&[object(version, kind, &spec), good]);
        let shown: Vec<String> = reading.ignored.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [format!("1 {kind} ({expected})")], "{spec}");
        assert!(!reading.cluster.istio.is_listed, "{spec}");
    }
    let unused = reading(&[object(GROUPS[0], "VirtualService", &json!({}))]);
    assert!(unused.cluster.istio.is_listed, "whoever asked for these asked for the others");
}
