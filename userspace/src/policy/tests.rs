//! What a small cluster declares for an attempt: a client in one namespace, a headless Redis with two pods in another.

use std::net::SocketAddr;

use super::{
    Declared, Rule,
    expectation::{Because, Does},
    interception::Interception,
    version::Version,
};
use crate::{
    event::{
        cluster::{Cluster, Container, Endpoint, Pod, Service, ServicePort},
        istio::{
            ClientMode, ClientTls, ControlPlane, DestinationRule, EntryPort, Istio, Labels,
            PeerAuthentication, ServerMode, ServiceEntry, TrafficPolicy, Workload, WorkloadEntry,
        },
    },
    identity::objects::Objects,
    tls::mesh::{Direction, Mesh, MeshHello},
};

/// The Service has port 6379, the pods have 16379.
const TARGET: &str = "10.1.1.24:16379";

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn pod(namespace: &str, name: &str, address: &str, has_proxy: bool) -> Pod {
    let mut pod = Pod {
        namespace: namespace.into(),
        name: name.into(),
        addresses: vec![address.parse().unwrap()],
        labels: labels(&[("app", "redis")]),
        ..Pod::default()
    };
    if has_proxy {
        pod.labels.extend(labels(&[("security.istio.io/tlsMode", "istio")]));
        pod.containers.push(Container { name: "istio-proxy".into(), id: "".into() });
    }
    pod
}

fn endpoint(address: &str, pod: &str) -> Endpoint {
    Endpoint {
        namespace: "data".into(),
        service: "redis".into(),
        address: address.parse().unwrap(),
        port: Some(16379),
        port_name: "tcp-redis".into(),
        pod: Some(pod.into()),
    }
}

/// Istio's kinds are listed; redis-0 and redis-1 have a sidecar as told.
fn cluster(proxies: [bool; 2]) -> Cluster {
    let port = ServicePort { name: "tcp-redis".into(), port: 6379, app_protocol: None };
    Cluster {
        pods: vec![
            Pod { labels: labels(&[("app", "web")]), ..pod("app", "web", "10.1.1.25", true) },
            pod("data", "redis-0", "10.1.1.24", proxies[0]),
            pod("data", "redis-1", "10.1.1.26", proxies[1]),
            pod("other", "redis-1", "10.1.1.27", false),
        ],
        services: vec![Service {
            namespace: "data".into(),
            name: "redis".into(),
            headless: true,
            ports: vec![port],
            ..Service::default()
        }],
        endpoints: vec![
            endpoint("10.1.1.24", "redis-0"),
            endpoint("10.1.1.26", "redis-1"),
            endpoint("fd00::26", "redis-1"),
        ],
        istio: Istio { is_listed: true, ..Istio::default() },
    }
}

fn hello(mesh: Mesh) -> MeshHello {
    MeshHello {
        direction: Some(Direction::Outbound),
        service_port: Some(6379),
        subset: None,
        host: Some("redis.data.svc.cluster.local".into()),
        ..MeshHello::of(mesh)
    }
}

/// They stay until the tests end: what is declared only borrows them.
fn objects(cluster: &Cluster) -> &'static Objects {
    Box::leak(Box::new(Objects::of(cluster)))
}

/// An attempt of the client at redis-0.
fn declared<'a>(cluster: &'a Cluster, hello: Option<&'a MeshHello>) -> Declared<'a> {
    let target: SocketAddr = TARGET.parse().unwrap();
    let [client, server, ..] = cluster.pods.as_slice() else { panic!("two pods") };
    Declared::of(objects(cluster), Some(client), Some(server), cluster.services.first(), target, hello)
}

fn expected(declared: &Declared<'_>) -> Option<Does> {
    declared.expectation().map(|expectation| expectation.does)
}

fn rule(namespace: &str, mode: ClientMode) -> DestinationRule {
    let tls = ClientTls { mode, ..ClientTls::default() };
    DestinationRule {
        namespace: namespace.into(),
        name: "r".into(),
        host: "*.local".into(),
        policy: Some(TrafficPolicy { tls: Some(tls), ..TrafficPolicy::default() }),
        ..DestinationRule::default()
    }
}

#[test]
fn all_endpoints_decide_for_a_headless_service() {
    for (proxies, does, strict, labelled) in [
        ([true, true], Does::Mtls, 0, 2),
        ([false, true], Does::Plaintext, 0, 1),
        ([false, false], Does::Plaintext, 0, 0),
    ] {
        let cluster = cluster(proxies);
        let declared = declared(&cluster, None);
        assert_eq!(expected(&declared), Some(does), "{proxies:?}");
        let endpoints = declared.endpoints().unwrap();
        assert_eq!(
            (endpoints.all, endpoints.labelled, endpoints.strict),
            (2, labelled, strict),
            "{proxies:?}"
        );
    }
}

#[test]
fn ports_are_those_of_the_service() {
    let cluster = cluster([true, true]);
    let without_hello = declared(&cluster, None);
    assert_eq!(without_hello.service_port(), Some(6379), "by the name of the endpoint's port");
    assert_eq!(without_hello.host().as_deref(), Some("redis.data.svc.cluster.local"));
    assert_eq!(without_hello.protocol(), Some("tcp"));
    let sent = MeshHello { service_port: Some(7000), ..hello(Mesh::Istio) };
    assert_eq!(
        declared(&cluster, Some(&sent)).service_port(),
        Some(7000),
        "what the sidecar says goes first"
    );
}

#[test]
fn what_is_not_known_stays_so() {
    let full = cluster([true, true]);
    assert_eq!(Declared::default().rule(), Rule::NotKnown);
    assert_eq!(expected(&Declared::default()), None);
    assert_eq!(Declared::default().takes_mtls(), None);
    let target: SocketAddr = TARGET.parse().unwrap();
    let without_client =
        Declared::of(objects(&full), None, full.pods.get(1), full.services.first(), target, None);
    assert_eq!((without_client.rule(), expected(&without_client)), (Rule::NotKnown, None));
    let mut unlisted = cluster([true, true]);
    unlisted.istio.is_listed = false;
    let found = declared(&unlisted, None);
    assert_eq!((found.rule(), expected(&found), found.server_mode()), (Rule::NotKnown, None, None));
    let mut half = cluster([true, true]);
    half.pods.truncate(2);
    assert_eq!(expected(&declared(&half, None)), None, "a pod of the Service is not in the file");
}

#[test]
fn rules_are_looked_up_for_the_client_and_the_port() {
    let mut cluster = cluster([false, false]);
    cluster.istio.destination_rules.push(rule("istio-system", ClientMode::IstioMutual));
    let found = declared(&cluster, None).expectation().unwrap();
    assert!(
        matches!(found.because, Because::Rule(tls, _) if tls.mode == ClientMode::IstioMutual),
        "{found:?}"
    );
    assert_eq!(found.does, Does::Mtls);
    cluster.istio.destination_rules.push(rule("data", ClientMode::Disable));
    assert_eq!(
        expected(&declared(&cluster, None)),
        Some(Does::Plaintext),
        "the Service's namespace goes first"
    );
}

#[test]
fn servers_take_what_policies_and_annotations_say() {
    let mut cluster = cluster([true, true]);
    let interception =
        |cluster: &Cluster| declared(cluster, None).interception().unwrap() == Interception::Captured;
    assert!(interception(&cluster));
    assert_eq!(declared(&cluster, None).takes_mtls(), Some(true));
    // Keyed by the target port, 16379 here.
    let mut policy = PeerAuthentication {
        namespace: "data".into(),
        name: "p".into(),
        selector: labels(&[("app", "redis")]),
        mode: ServerMode::Strict,
        ..PeerAuthentication::default()
    };
    policy.ports.insert(6379, ServerMode::Disable);
    cluster.istio.peer_authentications = vec![policy.clone()];
    assert_eq!(declared(&cluster, None).takes_mtls(), Some(true), "the Service's port is another");
    assert_eq!(declared(&cluster, None).endpoints().unwrap().strict, 2);
    policy.ports.insert(16379, ServerMode::Disable);
    cluster.istio.peer_authentications = vec![policy];
    assert_eq!(declared(&cluster, None).takes_mtls(), Some(false));
    assert_eq!(expected(&declared(&cluster, None)), Some(Does::Mtls), "and clients do not know that");
    let excluded = ("traffic.sidecar.istio.io/excludeInboundPorts", "16379");
    cluster.pods[1].annotations = labels(&[excluded]);
    assert!(!interception(&cluster));
    assert_eq!(declared(&cluster, None).takes_mtls(), Some(false));
}

#[test]
fn the_version_is_that_of_the_clients_control_plane() {
    let plane = |namespace: &str, revision: &str, version: &str| ControlPlane {
        namespace: namespace.into(),
        revision: revision.into(),
        version: version.into(),
    };
    let mut cluster = cluster([true, true]);
    assert_eq!(declared(&cluster, None).version(), None);
    cluster.pods[0].proxy_version = Some("1.19.0".into());
    assert_eq!(declared(&cluster, None).version(), Some(Version::new(1, 19, 0)), "the sidecar's own");
    cluster.istio.control_planes = vec![plane("mesh", "default", "1.20.1")];
    assert_eq!(declared(&cluster, None).version(), Some(Version::new(1, 20, 1)), "the only one");
    assert_eq!(declared(&cluster, None).root_namespace(), "mesh");
    cluster.istio.control_planes.push(plane("istio-system", "canary", "1.21.0"));
    assert_eq!(declared(&cluster, None).version(), Some(Version::new(1, 19, 0)), "one of two");
    assert_eq!(declared(&cluster, None).root_namespace(), "istio-system");
    cluster.pods[0].annotations = labels(&[("istio.io/rev", "canary")]);
    assert_eq!(declared(&cluster, None).version(), Some(Version::new(1, 21, 0)), "by its revision");
    cluster.istio.root_namespace = Some("root".into());
    assert_eq!(declared(&cluster, None).root_namespace(), "root");
}

#[test]
fn releases_and_the_mesh_decide_for_all() {
    let mut cluster = cluster([false, false]);
    cluster.pods[0].proxy_version = Some("1.5.3".into());
    assert_eq!(expected(&declared(&cluster, None)), Some(Does::Mtls));
    cluster.istio.auto_mtls = Some(false);
    assert_eq!(expected(&declared(&cluster, None)), Some(Does::Plaintext));
    cluster.istio.auto_mtls = None;
    cluster.pods[0].proxy_version = Some("1.4.3".into());
    assert_eq!(expected(&declared(&cluster, None)), Some(Does::Plaintext), "not automatic yet");
}

#[test]
fn machines_are_found_by_address_and_host() {
    let mut cluster = cluster([false, false]);
    let workload = Workload {
        address: Some("10.9.9.9".parse().unwrap()),
        labels: labels(&[("app", "vm")]),
        has_service_account: true,
    };
    // The same machine has another service too.
    let other = WorkloadEntry {
        namespace: "app".into(),
        name: "a".into(),
        workload: Workload { labels: labels(&[]), has_service_account: false, ..workload.clone() },
    };
    let meant = WorkloadEntry { namespace: "data".into(), name: "vm-1".into(), workload };
    cluster.istio.workload_entries = vec![other, meant];
    cluster.istio.service_entries = vec![ServiceEntry {
        namespace: "data".into(),
        name: "vms".into(),
        hosts: vec!["vm.example.com".into()],
        ports: vec![EntryPort {
            name: "db".into(),
            number: 3306,
            protocol: "MySQL".into(),
            ..EntryPort::default()
        }],
        selector: Some(labels(&[("app", "vm")])),
        ..ServiceEntry::default()
    }];
    let sent =
        MeshHello { host: Some("vm.example.com".into()), service_port: Some(3306), ..hello(Mesh::Istio) };
    let target: SocketAddr = "10.9.9.9:3306".parse().unwrap();
    let found = Declared::of(objects(&cluster), cluster.pods.first(), None, None, target, Some(&sent));
    assert_eq!(
        found.workload().map(|declared| (declared.kind, declared.name)),
        Some(("WorkloadEntry", "vm-1"))
    );
    assert_eq!((found.is_labelled(), found.protocol()), (Some(true), Some("MySQL")));
    assert_eq!(found.endpoints().map(|endpoints| (endpoints.all, endpoints.labelled)), Some((1, 1)));
    assert_eq!(found.destination_namespace(), Some("data"));
    assert_eq!(expected(&found), Some(Does::Mtls));
    cluster.istio.workload_entries[1]
        .workload
        .labels
        .insert("security.istio.io/tlsMode".into(), "disabled".into());
    let found = Declared::of(objects(&cluster), cluster.pods.first(), None, None, target, Some(&sent));
    assert_eq!((found.is_labelled(), expected(&found)), (Some(false), Some(Does::Plaintext)));
}

/// Hosts that are not Redis': other names, other namespaces, other wildcards.
const UNRELATED: [&str; 7] = [
    "redis.other.svc.cluster.local",
    "redis-0.redis.data.svc.cluster.local",
    "cache.data.svc.cluster.local",
    "*.other.svc.cluster.local",
    "*.example.org",
    "db.example.org",
    "xredis.data.svc.cluster.local",
];

proptest::proptest! {
    #[test]
    fn an_unrelated_rule_changes_nothing(
        host in proptest::sample::select(&UNRELATED[..]),
        namespace in proptest::sample::select(&["app", "data", "istio-system", "other"][..]),
        mode in proptest::sample::select(&[ClientMode::Disable, ClientMode::IstioMutual][..]),
        counting in proptest::option::of(proptest::sample::select(&["app", "data", "istio-system"][..])),
        proxies in proptest::prelude::any::<[bool; 2]>(),
        is_first in proptest::prelude::any::<bool>(),
    ) {
        let mut before = cluster(proxies);
        before.istio.destination_rules.extend(counting.map(|namespace| rule(namespace, ClientMode::IstioMutual)));
        let mut after = before.clone();
        let unrelated = DestinationRule { name: "unrelated".into(), host: host.into(), ..rule(namespace, mode) };
        let place = if is_first { 0 } else { after.istio.destination_rules.len() };
        after.istio.destination_rules.insert(place, unrelated);
        let (before, after) = (declared(&before, None), declared(&after, None));
        proptest::prop_assert_eq!(expected(&before), expected(&after));
        let counts = |declared: &Declared<'_>| match declared.rule() {
            Rule::Taken(taken) => Some((taken.rule.namespace.clone(), taken.rule.name.clone())),
            _ => None,
        };
        proptest::prop_assert_eq!(counts(&before), counts(&after));
    }
}
