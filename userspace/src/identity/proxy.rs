//! What makes a pod, a process or a socket one of a mesh proxy. Pure.

use crate::event::{cluster::Pod, socket::Owner};

/// Containers of mesh proxies: Istio, Linkerd, Consul (new and old), Kuma.
/// Sources: istio `injection-template.yaml`; linkerd2 proxy injector; consul-k8s connect-inject; kuma `container_patch`.
const CONTAINERS: [&str; 5] =
    ["istio-proxy", "linkerd-proxy", "consul-dataplane", "envoy-sidecar", "kuma-sidecar"];

/// Command names of mesh proxies, as the kernel cuts them to 15 bytes.
const PROCESSES: [&str; 6] =
    ["envoy", "pilot-agent", "linkerd2-proxy", "ztunnel", "consul-dataplan", "kuma-dp"];

/// User of Istio's sidecar (istio `injection-template.yaml`: `runAsUser: 1337`).
const ISTIO_USER: u32 = 1337;

/// The pod has a mesh proxy among its containers, native sidecars included.
pub fn has_proxy(pod: &Pod) -> bool {
    pod.containers.iter().any(|container| is_container(&container.name))
}

/// The container with this name is a mesh proxy.
pub fn is_container(name: &str) -> bool {
    CONTAINERS.contains(&name)
}

/// The socket is one of a mesh proxy.
pub fn is_proxy(owner: &Owner) -> bool {
    owner.uid == ISTIO_USER || PROCESSES.contains(&owner.process.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_proxy;
    use crate::event::socket::Owner;

    #[test]
    fn tells_proxies_from_apps() {
        let table =
            [("envoy", 0, true), ("redis-server", 1337, true), ("redis-server", 999, false), ("", 0, false)];
        for (process, uid, expected) in table {
            let owner = Owner { process: process.into(), uid, ..Owner::default() };
            assert_eq!(is_proxy(&owner), expected, "{process} {uid}");
        }
    }
}
