//! Who is who: addresses, control groups and namespaces to pods, containers and Services. Pure: no I/O, no clock, no serde.
#![deny(clippy::disallowed_methods)]

pub mod container_id;
pub mod proxy;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        Cgroup,
        cluster::{Cluster, Pod, Service},
        socket::Owner,
    },
    update::Party,
};

/// Most control groups that are kept. A node has some hundreds at a time; sources name one again when it is seen after
/// they have forgotten it, so forgetting all costs little.
const MAX_CGROUPS: usize = 131_072;

/// Who the sockets of a control group belong to.
#[derive(Debug)]
struct Member {
    path: Box<str>,
    /// Index of the pod.
    pod: Option<usize>,
    /// Name of the container, or the short form of its runtime id outside a known cluster.
    container: Option<Box<str>>,
    /// The container is a mesh proxy.
    is_proxy: bool,
}

/// What is known of who is who.
#[derive(Debug, Default)]
pub struct Identity {
    cluster: Cluster,
    pods_by_address: FxHashMap<IpAddr, usize>,
    pods_by_uid: FxHashMap<Box<str>, usize>,
    pods_by_name: FxHashMap<(Box<str>, Box<str>), usize>,
    /// Pod and container, by runtime id.
    containers: FxHashMap<Box<str>, (usize, usize)>,
    services: FxHashMap<(Box<str>, Box<str>), usize>,
    /// Services by their virtual addresses.
    services_by_address: FxHashMap<IpAddr, usize>,
    /// Indexes into the cluster's endpoints.
    endpoints: FxHashMap<IpAddr, Vec<usize>>,
    cgroups: FxHashMap<u64, Member>,
    /// Pods by network namespace, learned from sockets whose cgroup tells the pod.
    pods_by_netns: FxHashMap<u32, usize>,
}

impl Identity {
    /// A control group has this path.
    pub fn add_cgroup(&mut self, cgroup: &Cgroup) {
        if self.cgroups.len() >= MAX_CGROUPS {
            self.cgroups.clear();
        }
        self.cgroups.insert(cgroup.id, self.member(&cgroup.path));
    }

    /// Objects of the cluster; replaces what was known.
    pub fn set_cluster(&mut self, cluster: &Cluster) {
        let cgroups = std::mem::take(&mut self.cgroups);
        *self = Self { cluster: cluster.clone(), ..Self::default() };
        for (index, pod) in cluster.pods.iter().enumerate() {
            self.add_pod(index, pod);
        }
        for (index, service) in cluster.services.iter().enumerate() {
            self.services.insert((service.namespace.clone(), service.name.clone()), index);
            self.services_by_address
                .extend(service.cluster_addresses.iter().map(|address| (*address, index)));
        }
        for (index, endpoint) in cluster.endpoints.iter().enumerate() {
            self.endpoints.entry(endpoint.address).or_default().push(index);
        }
        self.cgroups = cgroups.into_iter().map(|(id, member)| (id, self.member(&member.path))).collect();
    }

    fn add_pod(&mut self, index: usize, pod: &Pod) {
        self.pods_by_uid.insert(pod.uid.clone(), index);
        self.pods_by_name.insert((pod.namespace.clone(), pod.name.clone()), index);
        for (place, container) in pod.containers.iter().enumerate() {
            if !container.id.is_empty() {
                self.containers.insert(container.id.clone(), (index, place));
            }
        }
        // Pods of the node's network share its addresses, so that an address does not tell them.
        if !pod.host_network {
            for address in &pod.addresses {
                self.pods_by_address.insert(*address, index);
            }
        }
    }

    /// A socket of this owner was seen: learns whose its network namespace is. Numbers of namespaces are used again, so
    /// the newest is believed.
    ///
    /// A proxy of the node has sockets in namespaces that are not its own: it teaches nothing.
    pub fn observe(&mut self, owner: &Owner) {
        if proxy::serves_node(owner) {
            return;
        }
        let Some(index) = self.cgroups.get(&owner.cgroup).and_then(|member| member.pod) else { return };
        if self.cluster.pods.get(index).is_some_and(|pod| !pod.host_network) {
            self.pods_by_netns.insert(owner.netns, index);
        }
    }

    /// What is known of the end at `address`, whose socket has this owner if it is on this node.
    pub fn party(&self, address: SocketAddr, owner: Option<&Owner>) -> Party {
        let mut party = Party::at(address);
        if let Some(owner) = owner {
            party.process = (!owner.process.is_empty()).then(|| owner.process.as_str().into());
            party.pid = (owner.pid != 0).then_some(owner.pid);
            party.uid = owner.known_uid();
            // A proxy of the node has no container in the pod that it serves.
            party.container = self.container_of(owner.cgroup).filter(|_| !proxy::serves_node(owner));
            party.mesh = proxy::mesh_of_owner(owner);
        }
        if let Some(pod) = self.pod_of(address.ip(), owner) {
            party.pod = Some(pod.name.clone());
            party.namespace = Some(pod.namespace.clone());
            party.workload.clone_from(&pod.workload);
            party.sidecar = proxy::has_sidecar(pod);
            party.mesh = party.mesh.or_else(|| proxy::mesh_of(pod));
        }
        if let Some(service) = self.service_at(address) {
            party.service = Some(service.name.clone());
            party.headless = Some(service.headless);
            party.namespace.get_or_insert_with(|| service.namespace.clone());
        }
        party
    }

    /// The container of a control group: its name, or the short form of its runtime id outside a known cluster.
    pub fn container_of(&self, cgroup: u64) -> Option<Box<str>> {
        self.cgroups.get(&cgroup)?.container.clone()
    }

    /// Objects of the cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The pod that is the end at `address`, whose socket has this owner if it is on this node.
    pub fn pod(&self, address: IpAddr, owner: Option<&Owner>) -> Option<&Pod> {
        self.pod_of(address, owner)
    }

    /// The Service that has this address and port: among its endpoints, or as its virtual address.
    pub fn service(&self, address: SocketAddr) -> Option<&Service> {
        self.service_at(address)
    }

    /// The virtual addresses that stand for this one.
    pub fn virtual_addresses(&self, address: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let entries = self.endpoints.get(&address.ip()).into_iter().flatten();
        let of_port = entries
            .filter_map(|index| self.cluster.endpoints.get(*index))
            .filter(move |endpoint| endpoint.port.is_none_or(|port| port == address.port()));
        of_port.filter_map(|endpoint| self.service_named(&endpoint.namespace, &endpoint.service)).flat_map(
            |service| {
                let addresses = service.cluster_addresses.iter();
                addresses.flat_map(|address| {
                    service.ports.iter().map(move |port| SocketAddr::new(*address, port.port))
                })
            },
        )
    }

    /// Were a connection to this address passed on by a proxy, the connection for it would be recognised: it leads to a pod,
    /// or to a Service whose endpoints are known.
    pub fn knows_goal(&self, address: SocketAddr) -> bool {
        self.pods_by_address.contains_key(&address.ip())
            || self.endpoints.contains_key(&address.ip())
            || self.services_by_address.contains_key(&address.ip())
    }

    /// The control group is that of a mesh proxy's container.
    pub fn is_of_proxy(&self, cgroup: u64) -> bool {
        self.cgroups.get(&cgroup).is_some_and(|member| member.is_proxy)
    }

    /// Whose a control group with this path is.
    fn member(&self, path: &str) -> Member {
        const SHORT_ID: usize = 12;
        let id = container_id::container_id(path);
        let place = id.and_then(|id| self.containers.get(id)).copied();
        let known = place.and_then(|(pod, place)| {
            let pod = self.cluster.pods.get(pod)?;
            Some((pod, &*pod.containers.get(place)?.name))
        });
        let by_uid = || self.pods_by_uid.get(container_id::pod_uid(path)?.as_str()).copied();
        Member {
            path: path.into(),
            pod: place.map(|(pod, _)| pod).or_else(by_uid),
            container: known.map(|(_, name)| name).or_else(|| id?.get(..SHORT_ID)).map(Into::into),
            is_proxy: known.is_some_and(|(pod, name)| proxy::is_container(pod, name)),
        }
    }

    /// The pod: by the control group of its socket, by its network namespace, and only then by its address.
    ///
    /// The control group comes last for a proxy of the node, whose sockets are in the namespaces of the pods that it serves.
    fn pod_of(&self, address: IpAddr, owner: Option<&Owner>) -> Option<&Pod> {
        let by_cgroup = owner.and_then(|owner| self.cgroups.get(&owner.cgroup)?.pod);
        let by_netns = owner.and_then(|owner| self.pods_by_netns.get(&owner.netns).copied());
        let by_address =
            || self.pods_by_address.get(&address).copied().or_else(|| self.pod_index_of_endpoint(address));
        let index = if owner.is_some_and(proxy::serves_node) {
            by_netns.or_else(by_address).or(by_cgroup)
        } else {
            by_cgroup.or(by_netns).or_else(by_address)
        };
        self.cluster.pods.get(index?)
    }

    fn pod_index_of_endpoint(&self, address: IpAddr) -> Option<usize> {
        self.endpoints.get(&address)?.iter().find_map(|index| {
            let endpoint = self.cluster.endpoints.get(*index)?;
            self.pods_by_name.get(&(endpoint.namespace.clone(), endpoint.pod.clone()?)).copied()
        })
    }

    /// The Service that has this address and port among its endpoints, a headless one first; else the one that has it as
    /// its virtual address.
    fn service_at(&self, address: SocketAddr) -> Option<&Service> {
        let endpoints = self.endpoints.get(&address.ip());
        let mut found: Vec<&Service> = endpoints
            .into_iter()
            .flatten()
            .filter_map(|index| self.cluster.endpoints.get(*index))
            .filter(|endpoint| endpoint.port.is_none_or(|port| port == address.port()))
            .filter_map(|endpoint| self.service_named(&endpoint.namespace, &endpoint.service))
            .collect();
        found.sort_by_key(|service| (!service.headless, service.name.clone()));
        let by_endpoint = found.first().copied();
        by_endpoint.or_else(|| self.cluster.services.get(*self.services_by_address.get(&address.ip())?))
    }

    fn service_named(&self, namespace: &str, name: &str) -> Option<&Service> {
        let index = self.services.get(&(namespace.into(), name.into()))?;
        self.cluster.services.get(*index)
    }
}
