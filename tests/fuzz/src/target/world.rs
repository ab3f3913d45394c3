//! Clusters made of a fuzzer's bytes: names, hosts, ports and labels are of few kinds, so that objects often mean each other. Must not
//! know what is made of them.

use std::{collections::BTreeMap, net::IpAddr};

use arbitrary::{Result, Unstructured};
use mtlsnoop::event::{
    cluster::{Cluster, Container, Endpoint, Pod, Service, ServicePort},
    istio::{
        ClientMode, ClientTls, ControlPlane, DestinationRule, EntryPort, Istio, Labels, LoadBalancer,
        PeerAuthentication, PortPolicy, ServerMode, ServiceEntry, Subset, TrafficPolicy, Workload,
        WorkloadEntry,
    },
    time::Time,
};

const NAMESPACES: [&str; 4] = ["app", "data", "istio-system", "other"];
const SERVICES: [&str; 3] = ["redis", "web", "db"];
/// As rules and hellos have them, and some that no rule should have.
const HOSTS: [&str; 14] = [
    "redis",
    "web",
    "redis.data",
    "redis.data.svc.cluster.local",
    "web.app.svc.cluster.local",
    "*.data.svc.cluster.local",
    "*.local",
    "*",
    "db.example.org",
    "*.example.org",
    "",
    "..svc",
    "a'; reboot.data.svc.x",
    "redis.data.svc.\nkind: Secret",
];
const EXPORTS: [&str; 6] = ["*", ".", "app", "data", "~", ""];
const SUBSETS: [&str; 3] = ["v1", "v2", ""];
const PORTS: [u16; 6] = [6379, 80, 443, 15_008, 0, 65_535];
const PORT_NAMES: [&str; 5] = ["tcp-redis", "http", "mysql-x", "", "-"];
const PROTOCOLS: [&str; 4] = ["tcp", "http", "mysql", ""];
const VERSIONS: [&str; 9] =
    ["1.5.3", "1.6.6", "1.20.3-distroless", "1.21.0", "1.31.0", "latest", "", "1.", "99999999999999.1.1"];
const ADDRESSES: [[u8; 4]; 4] = [[10, 1, 1, 24], [10, 1, 1, 25], [10, 1, 1, 26], [127, 0, 0, 1]];
const LABELS: [(&str, &str); 6] = [
    ("app", "redis"),
    ("app", "web"),
    ("security.istio.io/tlsMode", "istio"),
    ("security.istio.io/tlsMode", "disabled"),
    ("security.istio.io/tlsMode", "x"),
    ("istio.io/rev", "canary"),
];
const ANNOTATIONS: [&str; 6] = [
    "sidecar.istio.io/interceptionMode",
    "traffic.sidecar.istio.io/includeInboundPorts",
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "config.linkerd.io/skip-inbound-ports",
    "traffic.kuma.io/exclude-inbound-ports",
    "istio.io/rev",
];
const ANNOTATED: [&str; 11] =
    ["", "*", "6379", " 80, 6379 ", "1-65535", "65535-1", "70000", "-", "none", "TPROXY", "canary"];
const CONTAINERS: [&str; 5] = ["app", "istio-proxy", "linkerd-proxy", "kuma-sidecar", ""];
const WORKLOADS: [&str; 4] = ["Deployment/web", "StatefulSet/redis", "Deployment/", "web"];
const REVISIONS: [&str; 3] = ["", "default", "canary"];

/// Most objects of one kind.
const MOST: u32 = 5;

/// One of these.
pub(super) fn one<'a>(bytes: &mut Unstructured<'_>, of: &[&'a str]) -> Result<&'a str> {
    bytes.choose(of).copied()
}

/// None half of the time.
pub(super) fn maybe<'b, T>(
    bytes: &mut Unstructured<'b>,
    make: impl FnOnce(&mut Unstructured<'b>) -> Result<T>,
) -> Result<Option<T>> {
    if bytes.ratio(1, 2)? { make(bytes).map(Some) } else { Ok(None) }
}

/// A few, each with its number.
fn some<'b, T>(
    bytes: &mut Unstructured<'b>,
    mut make: impl FnMut(&mut Unstructured<'b>, u32) -> Result<T>,
) -> Result<Vec<T>> {
    let count = bytes.int_in_range(0..=MOST)?;
    (0..count).map(|number| make(bytes, number)).collect()
}

/// The name of an object; no two of a list are the same, and they are in no order.
pub(super) fn name(bytes: &mut Unstructured<'_>, number: u32) -> Result<Box<str>> {
    Ok(format!("{}{number}", one(bytes, &["a", "b", "redis-"])?).into())
}

pub(super) fn namespace(bytes: &mut Unstructured<'_>) -> Result<Box<str>> {
    one(bytes, &NAMESPACES).map(Into::into)
}

pub(super) fn service_name(bytes: &mut Unstructured<'_>) -> Result<Box<str>> {
    one(bytes, &SERVICES).map(Into::into)
}

pub(super) fn host(bytes: &mut Unstructured<'_>) -> Result<Box<str>> {
    one(bytes, &HOSTS).map(Into::into)
}

pub(super) fn subset(bytes: &mut Unstructured<'_>) -> Result<Box<str>> {
    one(bytes, &SUBSETS).map(Into::into)
}

pub(super) fn port(bytes: &mut Unstructured<'_>) -> Result<u16> {
    bytes.choose(&PORTS).copied()
}

pub(super) fn address(bytes: &mut Unstructured<'_>) -> Result<IpAddr> {
    bytes.choose(&ADDRESSES).map(|address| (*address).into())
}

fn labels(bytes: &mut Unstructured<'_>) -> Result<Labels> {
    let pairs = some(bytes, |bytes, _| bytes.choose(&LABELS).copied())?;
    Ok(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

fn annotations(bytes: &mut Unstructured<'_>) -> Result<BTreeMap<Box<str>, Box<str>>> {
    let pairs = some(bytes, |bytes, _| Ok((one(bytes, &ANNOTATIONS)?, one(bytes, &ANNOTATED)?)))?;
    Ok(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

/// A whole cluster.
pub(super) fn cluster(bytes: &mut Unstructured<'_>) -> Result<Cluster> {
    Ok(Cluster {
        pods: some(bytes, pod)?,
        services: some(bytes, service)?,
        endpoints: some(bytes, endpoint)?,
        istio: istio(bytes)?,
    })
}

/// A pod.
pub(super) fn pod(bytes: &mut Unstructured<'_>, number: u32) -> Result<Pod> {
    let container = |bytes: &mut Unstructured<'_>, _| {
        Ok(Container { name: one(bytes, &CONTAINERS)?.into(), id: Box::default() })
    };
    Ok(Pod {
        namespace: namespace(bytes)?,
        name: name(bytes, number)?,
        uid: number.to_string().into(),
        addresses: some(bytes, |bytes, _| address(bytes))?,
        host_network: bytes.ratio(1, 8)?,
        labels: labels(bytes)?,
        annotations: annotations(bytes)?,
        workload: maybe(bytes, |bytes| one(bytes, &WORKLOADS).map(Into::into))?,
        containers: some(bytes, container)?,
        proxy_version: maybe(bytes, |bytes| one(bytes, &VERSIONS).map(Into::into))?,
    })
}

/// A Service; two may have one name.
pub(super) fn service(bytes: &mut Unstructured<'_>, number: u32) -> Result<Service> {
    let service_port = |bytes: &mut Unstructured<'_>, _| {
        Ok(ServicePort {
            name: one(bytes, &PORT_NAMES)?.into(),
            port: port(bytes)?,
            app_protocol: maybe(bytes, |bytes| one(bytes, &PROTOCOLS).map(Into::into))?,
        })
    };
    Ok(Service {
        namespace: namespace(bytes)?,
        name: service_name(bytes)?,
        uid: number.to_string().into(),
        headless: bytes.arbitrary()?,
        cluster_addresses: some(bytes, |bytes, _| address(bytes))?,
        ports: some(bytes, service_port)?,
    })
}

/// A port of an endpoint.
pub(super) fn endpoint(bytes: &mut Unstructured<'_>, number: u32) -> Result<Endpoint> {
    Ok(Endpoint {
        namespace: namespace(bytes)?,
        service: one(bytes, &SERVICES)?.into(),
        address: address(bytes)?,
        port: maybe(bytes, port)?,
        port_name: one(bytes, &PORT_NAMES)?.into(),
        pod: maybe(bytes, |bytes| name(bytes, number))?,
    })
}

/// Istio's objects.
pub(super) fn istio(bytes: &mut Unstructured<'_>) -> Result<Istio> {
    let plane = |bytes: &mut Unstructured<'_>, _| {
        Ok(ControlPlane {
            namespace: namespace(bytes)?,
            revision: one(bytes, &REVISIONS)?.into(),
            version: one(bytes, &VERSIONS)?.into(),
        })
    };
    let workload_entry = |bytes: &mut Unstructured<'_>, number| {
        Ok(WorkloadEntry {
            namespace: namespace(bytes)?,
            name: name(bytes, number)?,
            workload: workload(bytes)?,
        })
    };
    Ok(Istio {
        is_listed: bytes.arbitrary()?,
        root_namespace: maybe(bytes, namespace)?,
        auto_mtls: bytes.arbitrary()?,
        control_planes: some(bytes, plane)?,
        destination_rules: some(bytes, destination_rule)?,
        peer_authentications: some(bytes, peer_authentication)?,
        service_entries: some(bytes, service_entry)?,
        workload_entries: some(bytes, workload_entry)?,
    })
}

fn destination_rule(bytes: &mut Unstructured<'_>, number: u32) -> Result<DestinationRule> {
    let of_subset = |bytes: &mut Unstructured<'_>, _| {
        Ok(Subset { name: subset(bytes)?, policy: maybe(bytes, traffic_policy)? })
    };
    Ok(DestinationRule {
        namespace: namespace(bytes)?,
        name: name(bytes, number)?,
        created: created(bytes)?,
        host: host(bytes)?,
        export_to: exports(bytes)?,
        selector: maybe(bytes, labels)?,
        policy: maybe(bytes, traffic_policy)?,
        subsets: some(bytes, of_subset)?,
    })
}

fn exports(bytes: &mut Unstructured<'_>) -> Result<Vec<Box<str>>> {
    some(bytes, |bytes, _| one(bytes, &EXPORTS).map(Into::into))
}

fn created(bytes: &mut Unstructured<'_>) -> Result<Time> {
    bytes.int_in_range(0..=2).map(Time)
}

fn traffic_policy(bytes: &mut Unstructured<'_>) -> Result<TrafficPolicy> {
    let of_port = |bytes: &mut Unstructured<'_>, _| {
        Ok(PortPolicy {
            port: port(bytes)?,
            tls: maybe(bytes, client_tls)?,
            load_balancer: maybe(bytes, load_balancer)?,
        })
    };
    Ok(TrafficPolicy {
        tls: maybe(bytes, client_tls)?,
        load_balancer: maybe(bytes, load_balancer)?,
        ports: some(bytes, of_port)?,
    })
}

fn load_balancer(bytes: &mut Unstructured<'_>) -> Result<LoadBalancer> {
    bytes.choose(&[LoadBalancer::Passthrough, LoadBalancer::Other]).copied()
}

fn client_tls(bytes: &mut Unstructured<'_>) -> Result<ClientTls> {
    use ClientMode::{Disable, IstioMutual, Mutual, Simple};
    let mode = *bytes.choose(&[Disable, Simple, Mutual, IstioMutual])?;
    Ok(ClientTls { mode, ..ClientTls::default() })
}

fn server_mode(bytes: &mut Unstructured<'_>) -> Result<ServerMode> {
    use ServerMode::{Disable, Permissive, Strict, Unset};
    bytes.choose(&[Unset, Disable, Permissive, Strict]).copied()
}

fn peer_authentication(bytes: &mut Unstructured<'_>, number: u32) -> Result<PeerAuthentication> {
    Ok(PeerAuthentication {
        namespace: namespace(bytes)?,
        name: name(bytes, number)?,
        created: created(bytes)?,
        selector: labels(bytes)?,
        mode: server_mode(bytes)?,
        ports: some(bytes, |bytes, _| Ok((port(bytes)?, server_mode(bytes)?)))?.into_iter().collect(),
    })
}

fn service_entry(bytes: &mut Unstructured<'_>, number: u32) -> Result<ServiceEntry> {
    let of_port = |bytes: &mut Unstructured<'_>, _| {
        Ok(EntryPort {
            name: one(bytes, &PORT_NAMES)?.into(),
            number: port(bytes)?,
            target: maybe(bytes, port)?,
            protocol: one(bytes, &PROTOCOLS)?.into(),
        })
    };
    Ok(ServiceEntry {
        namespace: namespace(bytes)?,
        name: name(bytes, number)?,
        hosts: some(bytes, |bytes, _| host(bytes))?,
        export_to: exports(bytes)?,
        external: bytes.arbitrary()?,
        passthrough: bytes.arbitrary()?,
        ports: some(bytes, of_port)?,
        endpoints: some(bytes, |bytes, _| workload(bytes))?,
        selector: maybe(bytes, labels)?,
    })
}

fn workload(bytes: &mut Unstructured<'_>) -> Result<Workload> {
    Ok(Workload {
        address: maybe(bytes, address)?,
        labels: labels(bytes)?,
        has_service_account: bytes.arbitrary()?,
    })
}
