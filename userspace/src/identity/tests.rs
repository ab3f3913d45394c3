//! Who is who, in small clusters: which of several facts decides.

use std::{borrow::Borrow, net::SocketAddr};

use super::Identity;
use crate::{
    event::{
        Cgroup,
        cluster::{Change, Cluster, Container, Endpoint, Pod, Service, Slice},
        socket::Owner,
        time::Time,
    },
    tls::mesh::Mesh,
};

const NODE: &str = "192.168.0.1:80";
const POD: &str = "10.1.1.24:6379";

fn pod(name: &str, address: &str, container: char) -> Pod {
    Pod {
        namespace: "default".into(),
        name: name.into(),
        uid: name.into(),
        addresses: vec![address.parse::<SocketAddr>().unwrap().ip()],
        containers: vec![Container { name: "app".into(), id: container.to_string().repeat(64).into() }],
        ..Pod::default()
    }
}

fn service(name: &str, headless: bool) -> Service {
    Service { namespace: "default".into(), name: name.into(), headless, ..Service::default() }
}

fn endpoint(service: &str, address: &str, port: Option<u16>, pod: Option<&str>) -> Endpoint {
    let address = address.parse::<SocketAddr>().unwrap().ip();
    Endpoint {
        namespace: "default".into(),
        service: service.into(),
        address,
        port,
        port_name: "".into(),
        pod: pod.map(Into::into),
    }
}

fn known(cluster: &Cluster) -> Identity {
    let mut identity = Identity::default();
    for (id, container) in [(1, 'a'), (2, 'b')] {
        let path = format!("/kubepods/podx/{}", container.to_string().repeat(64)).into();
        identity.add_cgroup(&Cgroup { time: Time(0), id, path });
    }
    identity.set_cluster(cluster);
    identity
}

fn pod_at(identity: &Identity, address: &str, owner: Option<&Owner>) -> Option<String> {
    identity.party(address.parse().unwrap(), owner, Time(0)).pod.map(Into::into)
}

#[test]
fn the_cgroup_goes_before_the_address() {
    let identity =
        known(&Cluster { pods: vec![pod("old", POD, 'a'), pod("new", POD, 'b')], ..Cluster::default() });
    let owner = |cgroup| Owner { cgroup, ..Owner::default() };
    assert_eq!(pod_at(&identity, POD, Some(&owner(1))).as_deref(), Some("old"));
    assert_eq!(pod_at(&identity, POD, Some(&owner(2))).as_deref(), Some("new"));
    assert_eq!(identity.container_of(1).as_deref(), Some("app"));
}

#[test]
fn an_address_of_the_node_tells_no_pod() {
    let on_node = |name, container| Pod { host_network: true, ..pod(name, NODE, container) };
    let mut identity =
        known(&Cluster { pods: vec![on_node("one", 'a'), on_node("two", 'b')], ..Cluster::default() });
    assert_eq!(pod_at(&identity, NODE, None), None);
    let owner = Owner { cgroup: 2, netns: 7, ..Owner::default() };
    identity.observe(&owner);
    assert_eq!(pod_at(&identity, NODE, Some(&owner)).as_deref(), Some("two"));
    let stranger = Owner { cgroup: 9, netns: 7, ..Owner::default() };
    assert_eq!(pod_at(&identity, NODE, Some(&stranger)), None, "the node's namespace is nobody's");
}

#[test]
fn a_namespace_is_learned_and_can_be_used_again() {
    let pods = vec![pod("old", "10.1.1.1:0", 'a'), pod("new", "10.1.1.2:0", 'b')];
    let mut identity = known(&Cluster { pods, ..Cluster::default() });
    let stranger = Owner { cgroup: 9, netns: 7, ..Owner::default() };
    for (cgroup, expected) in [(1, "old"), (2, "new")] {
        identity.observe(&Owner { cgroup, netns: 7, ..Owner::default() });
        assert_eq!(pod_at(&identity, "127.0.0.1:80", Some(&stranger)).as_deref(), Some(expected));
    }
}

#[test]
fn a_proxy_of_the_node_is_in_the_pod_that_it_serves() {
    let proxy = |host_network| Pod { host_network, ..pod("ztunnel-x", "10.1.1.9:0", 'b') };
    for proxy in [proxy(false), proxy(true)] {
        let pods = vec![pod("app-0", POD, 'a'), proxy];
        let mut identity = known(&Cluster { pods, ..Cluster::default() });
        let ztunnel = |netns| Owner { process: "ztunnel".into(), cgroup: 2, netns, ..Owner::default() };
        assert_eq!(pod_at(&identity, POD, Some(&ztunnel(7))).as_deref(), Some("app-0"), "by address");
        identity.observe(&ztunnel(7));
        let stranger = Owner { netns: 7, ..Owner::default() };
        assert_eq!(pod_at(&identity, "127.0.0.1:1", Some(&stranger)), None, "nothing learned of it");
        identity.observe(&Owner { cgroup: 1, netns: 7, ..Owner::default() });
        assert_eq!(
            pod_at(&identity, "127.0.0.1:1", Some(&ztunnel(7))).as_deref(),
            Some("app-0"),
            "by namespace"
        );
        assert_eq!(
            pod_at(&identity, "10.1.1.9:1", Some(&ztunnel(8))).as_deref(),
            Some("ztunnel-x"),
            "itself"
        );
        let party = identity.party(POD.parse().unwrap(), Some(&ztunnel(7)), Time(0));
        assert_eq!((party.container, party.mesh), (None, Some(Mesh::IstioAmbient)));
    }
}

#[test]
fn an_endpoint_tells_service_and_pod() {
    let second = "[fd00::24]:6379";
    let cluster = Cluster {
        pods: vec![pod("redis-0", POD, 'a')],
        services: vec![service("all", false), service("redis", true)],
        endpoints: vec![
            endpoint("all", POD, None, None),
            endpoint("redis", POD, Some(6379), None),
            endpoint("redis", second, Some(6379), Some("redis-0")),
        ],
        ..Cluster::default()
    };
    let identity = known(&cluster);
    let party = |address: &str| identity.party(address.parse().unwrap(), None, Time(0));
    assert_eq!(
        (party(POD).service.as_deref(), party(POD).headless),
        (Some("redis"), Some(true)),
        "headless first"
    );
    assert_eq!(party("10.1.1.24:9999").service.as_deref(), Some("all"), "another port");
    assert_eq!(party(second).pod.as_deref(), Some("redis-0"), "a second address is only in the slice");
    assert_eq!(party("10.9.9.9:1"), crate::update::Party::at("10.9.9.9:1".parse().unwrap()));
}

fn change(identity: &mut Identity, time: u64, change: impl Borrow<Change>) {
    identity.change(change.borrow(), Time(time));
}

fn gone(name: &str) -> Change {
    Change::PodGone { namespace: "default".into(), name: name.into() }
}

fn pod_at_time(identity: &Identity, address: &str, owner: Option<&Owner>, time: u64) -> Option<String> {
    identity.party(address.parse().unwrap(), owner, Time(time)).pod.map(Into::into)
}

#[test]
fn a_reused_address_is_that_of_the_pod_that_had_it_at_that_time() {
    let mut identity = Identity::default();
    change(&mut identity, 10, Change::Pod(Box::new(pod("first", POD, 'a'))));
    // The next one has the address before it is told that the first one is gone.
    change(&mut identity, 20, Change::Pod(Box::new(pod("second", POD, 'b'))));
    change(&mut identity, 25, gone("first"));
    change(&mut identity, 30, gone("second"));
    for (time, expected) in [(15, "first"), (20, "second"), (29, "second"), (31, "second")] {
        assert_eq!(pod_at_time(&identity, POD, None, time).as_deref(), Some(expected), "{time}");
    }
    change(&mut identity, 40, Change::Pod(Box::new(pod("third", POD, 'c'))));
    assert_eq!(pod_at_time(&identity, POD, None, 41).as_deref(), Some("third"));
    assert_eq!(pod_at_time(&identity, POD, None, 15).as_deref(), Some("first"));
}

#[test]
fn a_pod_of_the_same_name_is_another_pod_and_sockets_stay_with_theirs() {
    let mut identity = known(&Cluster::default());
    let owner = |cgroup| Owner { cgroup, netns: 7, ..Owner::default() };
    change(&mut identity, 10, Change::Pod(Box::new(pod("redis-0", "10.1.1.1:0", 'a'))));
    identity.observe(&owner(1));
    let workload = |identity: &Identity, owner: &Owner| {
        identity.party("127.0.0.1:1".parse().unwrap(), Some(owner), Time(50)).workload.map(String::from)
    };
    let next = Pod {
        uid: "next".into(),
        workload: Some("StatefulSet/redis".into()),
        ..pod("redis-0", "10.1.1.2:0", 'b')
    };
    change(&mut identity, 20, Change::Pod(Box::new(next)));
    assert_eq!(workload(&identity, &owner(1)), None, "the first one's socket");
    assert_eq!(workload(&identity, &owner(2)).as_deref(), Some("StatefulSet/redis"));
    assert_eq!(pod_at_time(&identity, "10.1.1.1:0", None, 50).as_deref(), Some("redis-0"), "remembered");
    assert_eq!(identity.cluster().pods.iter().filter(|pod| !pod.name.is_empty()).count(), 1);
    change(&mut identity, 30, gone("redis-0"));
    assert_eq!(pod_at_time(&identity, "127.0.0.1:1", Some(&owner(2)), 50).as_deref(), Some("redis-0"));
    assert_eq!(identity.cluster().pods.iter().filter(|pod| !pod.name.is_empty()).count(), 0);
}

#[test]
fn containers_that_begin_later_are_found_by_their_groups() {
    let mut identity = known(&Cluster::default());
    assert_eq!(identity.container_of(1).as_deref(), Some("aaaaaaaaaaaa"));
    let pending = Pod { containers: vec![], ..pod("redis-0", POD, 'a') };
    change(&mut identity, 10, Change::Pod(Box::new(pending)));
    assert_eq!(identity.container_of(1).as_deref(), Some("aaaaaaaaaaaa"));
    change(&mut identity, 20, Change::Pod(Box::new(pod("redis-0", POD, 'a'))));
    assert_eq!(identity.container_of(1).as_deref(), Some("app"));
    let sidecar = Container { name: "istio-proxy".into(), id: "b".repeat(64).into() };
    let mut meshed = pod("redis-0", POD, 'a');
    meshed.containers.push(sidecar);
    assert!(!identity.is_of_proxy(2));
    change(&mut identity, 30, Change::Pod(Box::new(meshed)));
    assert!(identity.is_of_proxy(2));
}

#[test]
fn slices_and_services_come_change_and_go() {
    let mut identity = Identity::default();
    let slice = |addresses: &[&str]| {
        let endpoints = addresses.iter().map(|address| endpoint("redis", address, Some(6379), None));
        let endpoints = endpoints.collect();
        Change::Slice(Box::new(Slice { namespace: "default".into(), name: "redis-abc".into(), endpoints }))
    };
    let service_at = |identity: &Identity, address: &str| {
        identity.service(address.parse().unwrap()).map(|service| (service.name.to_string(), service.headless))
    };
    let (one, other) = ("10.1.1.1:6379", "[fd00::2]:6379");
    change(&mut identity, 1, slice(&[one]));
    assert_eq!(service_at(&identity, one), None, "the Service is not known yet");
    change(&mut identity, 2, Change::Service(Box::new(service("redis", true))));
    assert_eq!(service_at(&identity, one), Some(("redis".to_owned(), true)));
    change(&mut identity, 3, slice(&[other]));
    assert_eq!(
        (service_at(&identity, one), service_at(&identity, other)),
        (None, Some(("redis".to_owned(), true)))
    );
    change(&mut identity, 4, Change::Service(Box::new(service("redis", false))));
    assert_eq!(service_at(&identity, other), Some(("redis".to_owned(), false)));
    let (namespace, name) = ("default".into(), "redis-abc".into());
    change(&mut identity, 5, Change::SliceGone { namespace, name });
    assert_eq!(service_at(&identity, other), None);
    let (namespace, name) = ("default".into(), "redis".into());
    change(&mut identity, 6, Change::ServiceGone { namespace, name });
    assert!(identity.service_named("default", "redis").is_none());
    let left = identity.cluster();
    assert!(left.services.iter().all(|service| service.name.is_empty()), "{left:?}");
    assert!(left.endpoints.iter().all(|endpoint| endpoint.service.is_empty()), "{left:?}");
}
