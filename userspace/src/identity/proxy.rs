//! What makes a pod, a process or a socket one of a mesh proxy, and of which mesh. Pure.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    event::{
        cluster::{Container, Pod},
        socket::Owner,
    },
    tls::mesh::Mesh,
};

/// Containers of mesh proxies. Sources: istio `injection-template.yaml`; linkerd2 `pkg/k8s/labels.go`; consul-k8s
/// `control-plane/connect-inject` (new and old name); kuma `pkg/plugins/runtime/k8s/util/`.
const CONTAINERS: [(&str, Mesh); 5] = [
    (ISTIO_CONTAINER, Mesh::Istio),
    ("linkerd-proxy", Mesh::Linkerd),
    ("consul-dataplane", Mesh::Consul),
    ("envoy-sidecar", Mesh::Consul),
    ("kuma-sidecar", Mesh::Kuma),
];

/// Istio's container, of sidecars, gateways and ztunnels.
pub const ISTIO_CONTAINER: &str = "istio-proxy";

/// OSM's container, which has a name that many proxies of no mesh have too; its pods have [`OSM_LABEL`] (osm
/// `pkg/constants/`, `EnvoyUniqueIDLabelName`).
const OSM_CONTAINER: &str = "envoy";

/// Label of the pods that OSM injected.
const OSM_LABEL: &str = "osm-proxy-uuid";

/// Command names of mesh proxies, as the kernel cuts them to 15 bytes; several meshes have Envoy.
const PROCESSES: [(&str, Option<Mesh>); 6] = [
    ("envoy", None),
    ("pilot-agent", Some(Mesh::Istio)),
    ("linkerd2-proxy", Some(Mesh::Linkerd)),
    (ZTUNNEL, Some(Mesh::IstioAmbient)),
    ("consul-dataplan", Some(Mesh::Consul)),
    ("kuma-dp", Some(Mesh::Kuma)),
];

/// The node proxy of Istio's ambient mode. It makes its sockets in the namespaces of the pods that it serves (ztunnel
/// `src/inpod/config.rs`), so that they have its own control group and the pod's addresses.
const ZTUNNEL: &str = "ztunnel";

/// Users of sidecars: Istio (`injection-template.yaml`: `runAsUser: 1337`), Linkerd (linkerd2 `charts/`, `proxy.uid: 2102`), Kuma
/// (`pkg/transparentproxy/config/`: 5678), Consul (consul-k8s `connect-inject`, `sidecarUserAndGroupID = 5995`). OSM's 1500 could be
/// anybody's.
const USERS: [(u32, Mesh); 4] =
    [(1337, Mesh::Istio), (2102, Mesh::Linkerd), (5678, Mesh::Kuma), (5995, Mesh::Consul)];

/// Istio's redirection lets what this group sends pass, and what the user of the same number sends (istio `tools/istio-iptables/pkg/capture/run.go`).
/// It tells a proxy's socket where nothing else of its owner is known, as in a packet capture.
pub const GROUP: u32 = 1337;

/// Where sidecars take what is redirected to them, and proxies of nodes what they tunnel: Istio and Kuma (15001, 15006), ztunnel (15008),
/// Linkerd (4140, 4143), Consul (20000), OSM (15003). Sources: those of the containers, and linkerd2-proxy `linkerd/app/src/env.rs`.
const PORTS: [u16; 7] = [15_001, 15_006, 15_008, 4140, 4143, 20_000, 15_003];

/// Annotations that injectors leave on pods, with the mesh (istio `webhook.go`, linkerd2 `pkg/k8s/labels.go`, kuma
/// `metadata/annotations.go`, consul-k8s `constants/annotations_and_labels.go`), and what ztunnel's pods have got.
const ANNOTATIONS: [(&str, Mesh); 5] = [
    ("sidecar.istio.io/status", Mesh::Istio),
    ("linkerd.io/proxy-version", Mesh::Linkerd),
    ("kuma.io/sidecar-injected", Mesh::Kuma),
    ("consul.hashicorp.com/connect-inject-status", Mesh::Consul),
    ("ambient.istio.io/redirection", Mesh::IstioAmbient),
];

/// The pod has a mesh proxy beside its application, native sidecars included; none of a proxy that is all there is: a
/// gateway or a waypoint is its own application, and takes what it is made for.
pub fn has_sidecar(pod: &Pod) -> Option<bool> {
    let is_proxy = |container: &Container| is_container(pod, &container.name);
    let is_gateway = !pod.containers.is_empty() && pod.containers.iter().all(is_proxy);
    (!is_gateway).then(|| has_proxy(pod))
}

/// The pod has a mesh proxy among its containers, be it a sidecar or all there is.
pub fn has_proxy(pod: &Pod) -> bool {
    pod.containers.iter().any(|container| is_container(pod, &container.name))
}

/// The mesh that the pod is in, by its containers, or by what an injector wrote on it.
pub fn mesh_of(pod: &Pod) -> Option<Mesh> {
    let of_container = pod.containers.iter().find_map(|container| mesh_of_container(pod, &container.name));
    of_container.or_else(|| {
        let injected = ANNOTATIONS.iter().find(|(annotation, _)| pod.annotations.contains_key(*annotation));
        injected.map(|(_, mesh)| *mesh)
    })
}

/// The container with this name is the pod's mesh proxy.
pub fn is_container(pod: &Pod, name: &str) -> bool {
    mesh_of_container(pod, name).is_some()
}

fn mesh_of_container(pod: &Pod, name: &str) -> Option<Mesh> {
    if name == OSM_CONTAINER && pod.labels.contains_key(OSM_LABEL) {
        return Some(Mesh::Osm);
    }
    // Pods of several services have one proxy for each, in Consul: `consul-dataplane-web`.
    let is_of = |(container, mesh): &(&str, Mesh)| {
        let rest = name.strip_prefix(container);
        rest.is_some_and(|rest| rest.is_empty() || (*mesh == Mesh::Consul && rest.starts_with('-')))
    };
    CONTAINERS.iter().find(|entry| is_of(entry)).map(|(_, mesh)| *mesh)
}

/// The socket is one of a mesh proxy.
pub fn is_proxy(owner: &Owner) -> bool {
    is_process(owner.process.as_str()) || mesh_of_user(owner).is_some() || is_of_group(owner)
}

fn is_of_group(owner: &Owner) -> bool {
    owner.gid == GROUP && owner.known_uid().is_none() && owner.process.is_empty()
}

/// The mesh that the owner of a socket tells.
pub fn mesh_of_owner(owner: &Owner) -> Option<Mesh> {
    let process = owner.process.as_str();
    let of_process = PROCESSES.iter().find(|(name, _)| *name == process).and_then(|(_, mesh)| *mesh);
    of_process.or_else(|| mesh_of_user(owner))
}

fn is_process(name: &str) -> bool {
    PROCESSES.iter().any(|(process, _)| *process == name)
}

/// Istio's and Linkerd's users are believed whatever the process is; the others are numbers that an application with a name of
/// its own may have too.
fn mesh_of_user(owner: &Owner) -> Option<Mesh> {
    let is_told_by_user = |mesh| {
        matches!(mesh, Mesh::Istio | Mesh::Linkerd)
            || owner.process.is_empty()
            || is_process(owner.process.as_str())
    };
    let (_, mesh) = USERS.iter().find(|(user, mesh)| *user == owner.uid && is_told_by_user(*mesh))?;
    Some(*mesh)
}

/// Whether a proxy accepted at this port, as far as its owner tells; without a process, a port that only proxies have tells it too.
pub fn accepts(owner: &Owner, port: u16) -> Option<bool> {
    if is_proxy(owner) {
        return Some(true);
    }
    if !owner.process.is_empty() {
        return Some(false);
    }
    // Without a process name, a listener that is none of a proxy's looks like one whose owner was not found.
    PORTS.contains(&port).then_some(true)
}

/// From this address the proxy of a pod hands on to its app what it has decrypted: 127.0.0.6 or `::6` (istio
/// `pilot/pkg/networking/core/cluster_builder.go`, `InboundPassthroughBindIpv4`, `InboundPassthroughBindIpv6`), or the loopback.
pub fn connects_inward_from(address: IpAddr) -> bool {
    address.is_loopback() || address == IpAddr::from(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6))
}

/// The process serves the pods of a node from outside of them: its control group does not tell whose its sockets are.
pub fn serves_node(owner: &Owner) -> bool {
    owner.process.as_str() == ZTUNNEL
}

#[cfg(test)]
mod tests {
    use super::{Mesh, accepts, has_sidecar, is_proxy, mesh_of, mesh_of_owner};
    use crate::event::{
        cluster::{Container, Pod},
        socket::Owner,
    };

    fn owner(process: &str, uid: u32) -> Owner {
        Owner { process: process.into(), uid, ..Owner::default() }
    }

    fn pod(containers: &[&str], labels: &[&str], annotations: &[&str]) -> Pod {
        let container = |name: &&str| Container { name: (*name).into(), ..Container::default() };
        let entry = |key: &&str| ((*key).into(), "x".into());
        Pod {
            containers: containers.iter().map(container).collect(),
            labels: labels.iter().map(entry).collect(),
            annotations: annotations.iter().map(entry).collect(),
            ..Pod::default()
        }
    }

    #[test]
    fn tells_proxies_from_apps() {
        for (process, uid, is_expected, mesh) in [
            ("envoy", 0, true, None),
            ("envoy", 1337, true, Some(Mesh::Istio)),
            ("redis-server", 1337, true, Some(Mesh::Istio)),
            ("redis-server", 999, false, None),
            ("", 0, false, None),
            ("linkerd2-proxy", 2102, true, Some(Mesh::Linkerd)),
            ("", 2102, true, Some(Mesh::Linkerd)),
            ("ztunnel", 0, true, Some(Mesh::IstioAmbient)),
            ("kuma-dp", 0, true, Some(Mesh::Kuma)),
            ("envoy", 5678, true, Some(Mesh::Kuma)),
            ("", 5678, true, Some(Mesh::Kuma)),
            ("java", 5678, false, None),
            ("consul-dataplane", 0, true, Some(Mesh::Consul)),
            ("", 5995, true, Some(Mesh::Consul)),
            ("", 1500, false, None),
        ] {
            let owner = owner(process, uid);
            assert_eq!((is_proxy(&owner), mesh_of_owner(&owner)), (is_expected, mesh), "{process} {uid}");
        }
    }

    #[test]
    fn tells_sidecars_from_gateways_and_other_containers() {
        for (containers, labels, sidecar, mesh) in [
            (&["app", "istio-proxy"][..], &[][..], Some(true), Some(Mesh::Istio)),
            (&["istio-proxy", "app"], &[], Some(true), Some(Mesh::Istio)),
            (&["istio-proxy"], &[], None, Some(Mesh::Istio)),
            (&["app", "linkerd-proxy"], &[], Some(true), Some(Mesh::Linkerd)),
            (&["app", "consul-dataplane"], &[], Some(true), Some(Mesh::Consul)),
            (&["app", "consul-dataplane-web", "consul-dataplane-api"], &[], Some(true), Some(Mesh::Consul)),
            (&["app", "envoy-sidecar"], &[], Some(true), Some(Mesh::Consul)),
            (&["app", "kuma-sidecar"], &[], Some(true), Some(Mesh::Kuma)),
            (&["app", "envoy"], &["osm-proxy-uuid"], Some(true), Some(Mesh::Osm)),
            (&["app", "envoy"], &[], Some(false), None),
            (&["app", "kuma-sidecar-2"], &[], Some(false), None),
            (&["redis"], &[], Some(false), None),
            (&[], &[], Some(false), None),
        ] {
            let pod = pod(containers, labels, &[]);
            assert_eq!((has_sidecar(&pod), mesh_of(&pod)), (sidecar, mesh), "{containers:?}");
        }
    }

    #[test]
    fn annotations_tell_the_mesh_and_no_sidecar() {
        for (annotation, mesh) in [
            ("linkerd.io/proxy-version", Some(Mesh::Linkerd)),
            ("ambient.istio.io/redirection", Some(Mesh::IstioAmbient)),
            ("linkerd.io/inject", None),
        ] {
            let pod = pod(&["app"], &[], &[annotation]);
            assert_eq!((has_sidecar(&pod), mesh_of(&pod)), (Some(false), mesh), "{annotation}");
        }
    }

    #[test]
    fn a_port_of_proxies_tells_where_no_process_does() {
        for (process, port, expected) in [
            ("envoy", 6379, Some(true)),
            ("redis-server", 6379, Some(false)),
            ("redis-server", 15_006, Some(false)),
            ("", 6379, None),
            ("", 15_006, Some(true)),
            ("", 4143, Some(true)),
            ("", 15_008, Some(true)),
        ] {
            assert_eq!(accepts(&owner(process, 999), port), expected, "{process} {port}");
        }
    }
}
