//! Tests of the cluster file: a whole cluster as kubectl prints it, edge cases by table, and text of any kind.

use std::{error::Error as _, fs, net::IpAddr, path::Path};

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};
use serde_json::{Value, json};

use super::{Error, Reading, parse, read};
use crate::event::cluster::{Endpoint, Pod, Service};

const REDIS: &[u8] = include_bytes!("testdata/redis.json");
const ID: &str = "6b36d2f6acb7392f48cb0f2b8c696348cd79efd2adf1f1b64cfbebc17d458c23";

fn reading(value: &Value) -> Reading {
    parse(value.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error} in {value}"))
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

/// A pod with these fields beside its name.
fn pod(metadata: &Value, spec: &Value, status: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec, "status": status});
    object["metadata"] = named("a", metadata);
    object
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": named(name, &json!({})), "spec": spec})
}

fn slice(fields: &Value) -> Value {
    let metadata = named("s-1", &json!({"labels": {"kubernetes.io/service-name": "s"}}));
    let object = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": metadata});
    merged(object, fields)
}

fn named(name: &str, more: &Value) -> Value {
    merged(json!({"namespace": "n", "name": name}), more)
}

fn merged(mut object: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// `10.0.0.1:80 pod`, with `*` for all ports.
fn describe(endpoint: &Endpoint) -> String {
    let port = endpoint.port.map_or_else(|| "*".to_owned(), |port| port.to_string());
    format!("{}:{port} {}", endpoint.address, endpoint.pod.as_deref().unwrap_or("-"))
}

fn only_pod(value: &Value) -> Pod {
    let mut pods = reading(value).cluster.pods;
    assert_eq!(pods.len(), 1, "{value}");
    pods.remove(0)
}

fn ignored(reading: &Reading) -> Vec<String> {
    reading.ignored.iter().map(ToString::to_string).collect()
}

#[test]
fn pods_of_a_cluster_are_read() {
    let reading = parse(REDIS).unwrap();
    assert_eq!(reading.ignored, []);
    let shown: Vec<String> = reading
        .cluster
        .pods
        .iter()
        .map(|pod| {
            let containers: Vec<String> =
                pod.containers.iter().map(|one| format!("{}={:.4}", one.name, one.id)).collect();
            let annotations: Vec<&str> = pod.annotations.keys().map(|key| &**key).collect();
            format!(
                "{}/{} {} {:?} {} [{}] [{}]",
                pod.namespace,
                pod.name,
                pod.workload.as_deref().unwrap_or("-"),
                pod.addresses,
                pod.host_network,
                containers.join(" "),
                annotations.join(" "),
            )
        })
        .collect();
    let injected = "istio.io/rev sidecar.istio.io/status";
    assert_eq!(
        shown,
        [
            "default/redis-0 StatefulSet/redis [10.1.1.24, fd00:10:1::18] false [redis=6b36] []".to_owned(),
            format!(
                "default/redis-client-7f9c8d6b54-x2k9p Deployment/redis-client [10.1.1.25] false \
                 [app=3d39 istio-proxy=0887] [{injected}]"
            ),
            format!(
                "default/redis-native-5b8d7c9f66-q8w4z Deployment/redis-native [10.1.1.26] false \
                 [app=6cf5 istio-proxy=1cff] [{injected}]"
            ),
            "kube-system/kube-proxy-mw5tn DaemonSet/kube-proxy [192.168.7.11] true [kube-proxy=0424] []"
                .to_owned(),
            "default/backup-29140320-h7d2m Job/backup-29140320 [] false [backup=0804] []".to_owned(),
        ]
    );
    let redis = reading.cluster.pods.first().unwrap();
    assert_eq!(&*redis.uid, "5fbb210e-6bb9-496c-a461-8a438c269344");
    assert_eq!(redis.labels.get("app").map(|app| &**app), Some("redis"));
    assert_eq!(redis.containers.first().map(|container| &*container.id), Some(ID));
}

#[test]
fn services_and_endpoints_of_a_cluster_are_read() {
    let cluster = parse(REDIS).unwrap().cluster;
    let [redis, dns] = cluster.services.as_slice() else { panic!("two Services") };
    assert_eq!(
        (&*redis.name, redis.headless, redis.cluster_addresses.as_slice()),
        ("redis", true, [].as_slice())
    );
    assert_eq!(redis.ports.first().map(|port| (&*port.name, port.port)), Some(("tcp-redis", 6379)));
    assert!(!dns.headless);
    let addresses: [IpAddr; 2] = ["10.96.0.10".parse().unwrap(), "fd00:10:96::a".parse().unwrap()];
    assert_eq!(dns.cluster_addresses, addresses);
    assert_eq!(dns.ports.iter().map(|port| &*port.name).collect::<Vec<_>>(), ["dns-tcp"], "TCP only");
    let endpoints: Vec<String> = cluster.endpoints.iter().map(describe).collect();
    assert_eq!(endpoints, ["10.1.1.24:6379 redis-0", "fd00:10:1::18:6379 redis-0"]);
    assert!(
        cluster
            .endpoints
            .iter()
            .all(|endpoint| (&*endpoint.namespace, &*endpoint.service) == ("default", "redis"))
    );
}

#[test]
fn addresses_are_those_that_a_pod_holds() {
    let table = [
        (json!({}), vec![]),
        (json!(null), vec![]),
        (json!({"podIP": null, "podIPs": null}), vec![]),
        (json!({"podIP": "", "podIPs": []}), vec![]),
        (json!({"podIP": "10.0.0.1"}), vec!["10.0.0.1"]),
        (
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
            vec!["10.0.0.1", "fd00::1"],
        ),
        (json!({"podIP": "::ffff:10.0.0.1"}), vec!["10.0.0.1"]),
        (json!({"podIP": "10.0.0.1", "phase": "Running"}), vec!["10.0.0.1"]),
        (json!({"podIP": "10.0.0.1", "phase": "Succeeded"}), vec![]),
        (json!({"podIP": "10.0.0.1", "phase": "Failed"}), vec![]),
    ];
    for (status, expected) in table {
        let addresses = only_pod(&pod(&json!({}), &json!({}), &status)).addresses;
        let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{status}");
    }
}

#[test]
fn workloads_are_what_people_know() {
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    let hash = json!({"pod-template-hash": "5b8d7c9f66"});
    let table = [
        (json!(null), json!({}), None),
        (json!([{"kind": "StatefulSet", "name": "a", "controller": false}]), json!({}), None),
        (json!([{"kind": "StatefulSet", "name": "a"}]), json!({}), None),
        (owner("Node", "node-a"), json!({}), None),
        (owner("StatefulSet", "a"), json!({}), Some("StatefulSet/a")),
        (owner("DaemonSet", "a"), json!(null), Some("DaemonSet/a")),
        (owner("Job", "a-29140320"), json!({}), Some("Job/a-29140320")),
        (owner("Job", "a"), json!({}), Some("Job/a")),
        (owner("ReplicaSet", "a-5b8d7c9f66"), hash.clone(), Some("Deployment/a")),
        (owner("ReplicaSet", "a-5b8d7c9f66"), json!({}), Some("ReplicaSet/a-5b8d7c9f66")),
        (owner("ReplicaSet", "a-other"), hash.clone(), Some("ReplicaSet/a-other")),
        (owner("ReplicaSet", "a5b8d7c9f66"), hash, Some("ReplicaSet/a5b8d7c9f66")),
    ];
    for (owners, labels, expected) in table {
        let metadata = json!({"ownerReferences": owners, "labels": labels});
        let workload = only_pod(&pod(&metadata, &json!({}), &json!({}))).workload;
        assert_eq!(workload.as_deref(), expected, "{metadata}");
    }
}

#[test]
fn a_job_that_has_its_time_in_its_name_is_that_of_a_cron_job() {
    let table = [
        ("a-b-29140320", "2025-05-28T08:00:03Z", "CronJob/a-b"),
        ("a-29140320", "2025-05-29T08:00:00Z", "CronJob/a"),
        ("a-29140320", "2025-05-29T08:01:00Z", "Job/a-29140320"),
        ("a-29140320", "2025-05-28T07:59:59Z", "Job/a-29140320"),
        ("a-29140320", "", "Job/a-29140320"),
        ("a-29140320x", "2025-05-28T08:00:03Z", "Job/a-29140320x"),
        ("29140320", "2025-05-28T08:00:03Z", "Job/29140320"),
        ("a", "2025-05-28T08:00:03Z", "Job/a"),
    ];
    for (job, created, expected) in table {
        let owners = json!([{"kind": "Job", "name": job, "controller": true}]);
        let metadata = json!({"ownerReferences": owners, "creationTimestamp": created});
        let workload = only_pod(&pod(&metadata, &json!({}), &json!({}))).workload;
        assert_eq!(workload.as_deref(), Some(expected), "{metadata}");
    }
}

#[test]
fn containers_are_those_that_run_beside_each_other() {
    let status = |name: &str, id: &str| json!([{"name": name, "containerID": id}]);
    let one = json!([{"name": "a"}]);
    let sidecar = json!([{"name": "a", "restartPolicy": "Always"}]);
    let (id, named) = (format!("docker://{ID}"), format!("a={ID}"));
    let table = [
        (json!({"containers": null}), json!({}), vec![]),
        (json!({"containers": one}), json!(null), vec!["a="]),
        (json!({"containers": one}), json!({"containerStatuses": [{"name": "a"}]}), vec!["a="]),
        (json!({"containers": one}), json!({"containerStatuses": status("a", &id)}), vec![named.as_str()]),
        (json!({"containers": one}), json!({"containerStatuses": status("b", &id)}), vec!["a="]),
        (
            json!({"containers": one}),
            json!({"containerStatuses": status("a", "containerd://12")}),
            vec!["a="],
        ),
        (json!({"containers": one}), json!({"containerStatuses": status("a", ID)}), vec!["a="]),
        (json!({"initContainers": one}), json!({"initContainerStatuses": status("a", &id)}), vec![]),
        (
            json!({"initContainers": sidecar}),
            json!({"initContainerStatuses": status("a", &id)}),
            vec![&named],
        ),
        (
            json!({"ephemeralContainers": one}),
            json!({"ephemeralContainerStatuses": status("a", &id)}),
            vec![&named],
        ),
    ];
    for (spec, status, expected) in table {
        let containers = only_pod(&pod(&json!({}), &spec, &status)).containers;
        let shown: Vec<String> = containers.iter().map(|one| format!("{}={}", one.name, one.id)).collect();
        assert_eq!(shown, expected, "{spec} {status}");
    }
}

#[test]
fn annotations_are_those_of_meshes() {
    let kept = [
        "istio.io/rev",
        "traffic.sidecar.istio.io/excludeOutboundPorts",
        "config.linkerd.io/opaque-ports",
        "consul.hashicorp.com/connect-inject",
        "kuma.io/sidecar-injection",
    ];
    let left =
        ["fakeistio.io/rev", "istio.io", "istio.io.example.com/a", "hashicorp.com/a", "kubernetes.io/a"];
    let all: serde_json::Map<String, Value> =
        kept.into_iter().chain(left).map(|key| (key.to_owned(), json!("x"))).collect();
    let annotations = only_pod(&pod(&json!({"annotations": all}), &json!({}), &json!({}))).annotations;
    let mut expected = kept;
    expected.sort_unstable();
    assert_eq!(annotations.keys().map(|key| &**key).collect::<Vec<_>>(), expected);
}

#[test]
fn services_are_headless_or_have_addresses() {
    let table = [
        (json!({"clusterIP": "None"}), true, 0),
        (json!({"clusterIPs": ["None"]}), true, 0),
        (json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": null}), true, 0),
        (json!({"clusterIP": "10.96.0.1"}), false, 1),
        (json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}), false, 2),
        (json!({"type": "ExternalName", "externalName": "example.com"}), false, 0),
        (json!({"clusterIP": "", "clusterIPs": null}), false, 0),
    ];
    for (spec, headless, addresses) in table {
        let services = reading(&service("s", &spec)).cluster.services;
        let shown: Vec<(bool, usize)> =
            services.iter().map(|one: &Service| (one.headless, one.cluster_addresses.len())).collect();
        assert_eq!(shown, [(headless, addresses)], "{spec}");
    }
}

#[test]
fn endpoints_have_ports_and_pods() {
    let one = json!([{"addresses": ["10.0.0.1"]}]);
    let table = [
        (json!({"endpoints": one, "ports": [{"port": 80}]}), vec!["10.0.0.1:80 -"]),
        (json!({"endpoints": one, "ports": null}), vec!["10.0.0.1:* -"]),
        (json!({"endpoints": one, "ports": []}), vec!["10.0.0.1:* -"]),
        (json!({"endpoints": one}), vec!["10.0.0.1:* -"]),
        (
            json!({"endpoints": one, "ports": [{"name": "", "port": null, "protocol": "TCP"}]}),
            vec!["10.0.0.1:* -"],
        ),
        (json!({"endpoints": one, "ports": [{"port": 53, "protocol": "UDP"}]}), vec![]),
        (json!({"endpoints": null, "ports": [{"port": 80}]}), vec![]),
        (json!({"endpoints": [{"addresses": null}]}), vec![]),
        (
            json!({"endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "p"}}],
                "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}, {"port": 82, "protocol": "SCTP"}]}),
            vec!["10.0.0.1:80 p", "10.0.0.1:81 p"],
        ),
        (
            json!({"endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Node", "name": "p"}}]}),
            vec!["10.0.0.1:* -"],
        ),
    ];
    for (fields, expected) in table {
        let endpoints = reading(&list(&[service("s", &json!({})), slice(&fields)])).cluster.endpoints;
        assert_eq!(endpoints.iter().map(describe).collect::<Vec<_>>(), expected, "{fields}");
    }
}

#[test]
fn old_endpoints_count_where_there_is_no_slice() {
    let old = |name: &str, address: &str| {
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": named(name, &json!({})), "subsets": [{
            "addresses": [{"ip": address, "targetRef": {"kind": "Pod", "name": "p"}}],
            "notReadyAddresses": [{"ip": "10.0.0.9"}],
            "ports": [{"name": "a", "port": 80, "protocol": "TCP"}]}]})
    };
    let empty =
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": named("e", &json!({})), "subsets": null});
    let sliced = slice(&json!({"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}));
    let reading = reading(&list(&[old("s", "10.0.0.1"), old("t", "10.0.0.2"), empty, sliced]));
    let shown: Vec<String> =
        reading.cluster.endpoints.iter().map(|one| format!("{} {}", one.service, describe(one))).collect();
    assert_eq!(shown, ["s 10.0.0.1:80 -", "t 10.0.0.2:80 p", "t 10.0.0.9:80 -"]);
}

#[test]
fn every_form_of_output_is_taken() {
    let one = pod(&json!({}), &json!({}), &json!({}));
    let mut bare = one.clone();
    bare.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
    let typed = json!({"apiVersion": "v1", "kind": "PodList", "items": [bare]});
    let table = [
        (one.to_string(), 1),
        (list(&[one.clone(), one.clone()]).to_string(), 2),
        (typed.to_string(), 1),
        (format!("{one}{one}"), 2),
        (format!("{}\n{typed}\n\n{one}\n", list(&[])), 2),
        (format!("\u{feff}{one}"), 1),
    ];
    for (text, pods) in table {
        let reading = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error} in {text}"));
        assert_eq!((reading.cluster.pods.len(), reading.ignored.len()), (pods, 0), "{text}");
    }
}

#[test]
fn what_is_not_used_is_counted() {
    let good = pod(&json!({}), &json!({}), &json!({}));
    let other =
        |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
    let table = [
        (other("networking.istio.io/v1", "Gateway"), "1 Gateway.networking.istio.io"),
        (other("serving.knative.dev/v1", "Service"), "1 Service.serving.knative.dev"),
        (other("v1", "ConfigMap"), "1 ConfigMap"),
        (other("example.com/v1", "AllowList"), "1 AllowList.example.com"),
        (json!({"metadata": {"name": "a"}}), "1 object (it has no `kind`)"),
        (json!(3), "1 object (it has no `kind`)"),
        (json!([]), "1 object (it has no `kind`)"),
        (other("v1", "Pod"), "1 Pod (`metadata` has no name or no namespace)"),
        (
            pod(&json!({}), &json!({"containers": 3}), &json!({})),
            "1 Pod (invalid type: integer `3`, expected a sequence)",
        ),
        (
            service("s", &json!({"ports": [{"port": 70000}]})),
            "1 Service (invalid value: integer `70000`, expected u16)",
        ),
        (
            slice(&json!({"metadata": named("s", &json!({}))})),
            "1 EndpointSlice (no label `kubernetes.io/service-name`)",
        ),
        (slice(&json!({"addressType": "FQDN"})), "1 EndpointSlice (it has names, not addresses)"),
        (
            slice(&json!({"endpoints": [{"addresses": ["010.0.0.1"]}]})),
            "1 EndpointSlice (`010.0.0.1` is no address)",
        ),
    ];
    for (bad, expected) in table {
        let reading = reading(&list(&[bad.clone(), good.clone()]));
        assert_eq!((ignored(&reading), reading.cluster.pods.len()), (vec![expected.to_owned()], 1), "{bad}");
    }
    let rule = other("networking.istio.io/v1", "Gateway");
    let reading = reading(&list(&[rule.clone(), rule.clone(), good.clone(), rule]));
    assert_eq!(ignored(&reading), ["3 Gateway.networking.istio.io"]);
}

#[test]
fn what_is_no_output_of_kubectl_is_told() {
    let refused = json!({"apiVersion": "v1", "kind": "Status", "message": "pods is forbidden"}).to_string();
    let config = json!({"apiVersion": "v1", "kind": "Config"}).to_string();
    let table: [(&[u8], &str); 17] = [
        (b"", "(found: nothing)"),
        (br#"{"apiVersion":"v1","kind":"List","items":[]}"#, "(found: nothing)"),
        (config.as_bytes(), "(found: 1 Config)"),
        (b"\n# pods\napiVersion: v1\nitems:\n", "it is YAML, but JSON is wanted; give `-o json`"),
        (b"---\nkind: Pod\n", "it is YAML"),
        (b"NAMESPACE   NAME      READY\ndefault     redis-0   1/1\n", "it is a table"),
        (b"\xff\xfe{\0", "it is UTF-16"),
        (b"{\n  \"kind\": x\n}", "(line 2, column 11: expected value)"),
        (b"No resources found", "it is not JSON (line 1, column 1"),
        (b"{\"kind\": \"\xff\"}", "it is not JSON (line 1"),
        (REDIS.split_at(30_000).0, "it ends in the middle of an object (line "),
        (b"[1, 2]", "found an array"),
        (b"42", "found a number"),
        (b"null", "found null"),
        (br#"{"a": 1}"#, "found an object without `kind` and `apiVersion`"),
        (br#"{"kind": 1}"#, "found an object whose `kind` or `apiVersion` is no text"),
        (refused.as_bytes(), "found an error of the API server: pods is forbidden"),
    ];
    for (text, expected) in table {
        let message = parse(text).map(|reading| reading.cluster).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
}

#[test]
fn files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.json");
    let missing = read(&path).unwrap_err();
    assert!(
        matches!(missing, Error::Unreadable { .. }) && missing.to_string().contains("cluster.json"),
        "{missing}"
    );
    assert!(missing.source().is_some());
    fs::write(&path, "kind: Pod").unwrap();
    assert!(matches!(read(&path).unwrap_err(), Error::Malformed { .. }));
    fs::write(&path, REDIS).unwrap();
    assert_eq!(read(&path).unwrap().cluster.pods.len(), 5);
    assert!(read(Path::new("/")).is_err(), "a folder");
}

/// Any JSON made of the names that are looked for, so that it gets past the first look.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = "metadata|spec|status|items|kind|apiVersion|name|namespace|labels|annotations|ownerReferences|controller|\
        containers|initContainers|restartPolicy|podIP|podIPs|ip|phase|containerStatuses|containerID|clusterIP|\
        clusterIPs|ports|port|protocol|addressType|endpoints|addresses|targetRef|subsets|notReadyAddresses|\
        kubernetes\\.io/service-name|pod-template-hash|image|data|mesh|host|exportTo|trafficPolicy|tls|mode|subsets|\
        portLevelSettings|number|loadBalancer|simple|selector|matchLabels|mtls|portLevelMtls|6379|hosts|location|\
        resolution|workloadSelector|address|serviceAccount|creationTimestamp";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "v1|discovery\\.k8s\\.io/v1|networking\\.istio\\.io/v1|security\\.istio\\.io/v1|DestinationRule|PeerAuthentication|\
            ServiceEntry|WorkloadEntry|ConfigMap|istio|STRICT|Pod|PodList|List|Service|EndpointSlice|Endpoints|ReplicaSet|None|Always|10\\.0\\.0\\.1|\
            containerd://[0-9a-f]{64}|\\PC{0,8}"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_is_read_or_counted(object in any_json()) {
        let good = pod(&json!({}), &json!({}), &json!({}));
        let reading = parse(list(&[object, good]).to_string().as_bytes());
        prop_assert!(reading.is_ok_and(|reading| !reading.cluster.pods.is_empty()), "a bad object costs only itself");
    }

    #[test]
    fn any_document_is_read_or_refused(object in any_json()) {
        drop(parse(object.to_string().as_bytes()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..256)) {
        drop(parse(&text));
    }
}
