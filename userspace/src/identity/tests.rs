//! Who is who, in small clusters: which of several facts decides.

use std::net::SocketAddr;

use super::Identity;
use crate::{
    event::{
        Cgroup,
        cluster::{Cluster, Container, Endpoint, Pod, Service},
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
    identity.party(address.parse().unwrap(), owner).pod.map(Into::into)
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
        let party = identity.party(POD.parse().unwrap(), Some(&ztunnel(7)));
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
    let party = |address: &str| identity.party(address.parse().unwrap(), None);
    assert_eq!(
        (party(POD).service.as_deref(), party(POD).headless),
        (Some("redis"), Some(true)),
        "headless first"
    );
    assert_eq!(party("10.1.1.24:9999").service.as_deref(), Some("all"), "another port");
    assert_eq!(party(second).pod.as_deref(), Some("redis-0"), "a second address is only in the slice");
    assert_eq!(party("10.9.9.9:1"), crate::update::Party::at("10.9.9.9:1".parse().unwrap()));
}
