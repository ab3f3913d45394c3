//! Who is who: addresses, control groups and namespaces to pods, containers and Services. Pure: no I/O, no clock, no serde.
#![deny(clippy::disallowed_methods)]

pub mod container_id;
mod former;
mod members;
pub mod objects;
pub mod proxy;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use crate::{
    event::{
        Cgroup,
        cluster::{Change, Cluster, Pod, Service},
        socket::Owner,
        time::Time,
    },
    identity::{members::Members, objects::Objects},
    update::Party,
};

/// What is known of who is who.
#[derive(Debug, Default)]
pub struct Identity {
    objects: Objects,
    members: Members,
}

impl Identity {
    /// A control group has this path.
    pub fn add_cgroup(&mut self, cgroup: &Cgroup) {
        self.members.add(cgroup, &self.objects);
    }

    /// Objects of the cluster; replaces what was known.
    pub fn set_cluster(&mut self, cluster: &Cluster) {
        self.objects = Objects::of(cluster);
        self.members.replaced(&self.objects);
    }

    /// Something of the cluster came, changed or went, and became known at this time.
    pub fn change(&mut self, change: &Change, now: Time) {
        match change {
            Change::Pod(pod) => {
                if self.objects.has_namesake(pod) {
                    self.remove_pod(&pod.namespace, &pod.name, now);
                }
                let place = self.objects.set_pod(pod, now);
                self.members.changed(place, &self.objects);
            }
            Change::PodGone { namespace, name } => self.remove_pod(namespace, name, now),
            Change::Service(service) => self.objects.set_service(service),
            Change::ServiceGone { namespace, name } => self.objects.remove_service(namespace, name),
            Change::Slice(slice) => self.objects.set_slice(slice),
            Change::SliceGone { namespace, name } => self.objects.remove_slice(namespace, name),
            Change::Istio(istio) => self.objects.set_istio(istio),
            // What was found came before it.
            Change::LookedUp(_) => {}
        }
    }

    fn remove_pod(&mut self, namespace: &str, name: &str, now: Time) {
        if let Some((place, pod)) = self.objects.remove_pod(namespace, name, now) {
            self.members.gone(place, &pod, now);
        }
    }

    /// A socket of this owner was seen: learns whose its network namespace is.
    ///
    /// A proxy of the node has sockets in namespaces that are not its own: it teaches nothing.
    pub fn observe(&mut self, owner: &Owner) {
        if !proxy::serves_node(owner) {
            self.members.observe(owner.cgroup, owner.netns, &self.objects);
        }
    }

    /// What is known of the end at `address` at that time, whose socket has this owner if it is on this node.
    pub fn party(&self, address: SocketAddr, owner: Option<&Owner>, time: Time) -> Party {
        let mut party = Party::at(address);
        if let Some(owner) = owner {
            party.process = (!owner.process.is_empty()).then(|| owner.process.as_str().into());
            party.pid = (owner.pid != 0).then_some(owner.pid);
            party.uid = owner.known_uid();
            // A proxy of the node has no container in the pod that it serves.
            party.container = self.container_of(owner.cgroup).filter(|_| !proxy::serves_node(owner));
            party.mesh = proxy::mesh_of_owner(owner);
        }
        if let Some(pod) = self.pod(address.ip(), owner, time) {
            party.pod = Some(pod.name.clone());
            party.namespace = Some(pod.namespace.clone());
            party.workload.clone_from(&pod.workload);
            party.sidecar = proxy::has_sidecar(pod);
            party.mesh = party.mesh.or_else(|| proxy::mesh_of(pod));
        }
        if let Some(service) = self.service(address) {
            party.service = Some(service.name.clone());
            party.headless = Some(service.headless);
            party.namespace.get_or_insert_with(|| service.namespace.clone());
        }
        party
    }

    /// Adds what only findings tell.
    pub fn add_details(&self, party: &mut Party, owner: Option<&Owner>, time: Time) {
        if let Some(pod) = self.pod(party.address.ip(), owner, time) {
            party.labels = (!pod.labels.is_empty()).then(|| pod.labels.clone());
            party.pod_uid = known(&pod.uid);
        }
        party.service_uid = self.service(party.address).and_then(|service| known(&service.uid));
    }

    /// The container of a control group: its name, or the short form of its runtime id outside a known cluster.
    pub fn container_of(&self, cgroup: u64) -> Option<Box<str>> {
        self.members.container(cgroup).map(Into::into)
    }

    /// Objects of the cluster, and how they are found.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Objects of the cluster; one without a namespace is none.
    pub fn cluster(&self) -> &Cluster {
        self.objects.cluster()
    }

    /// The pod that was the end at `address` at that time: by the control group of its socket, by its network namespace, and
    /// only then by its address.
    ///
    /// The control group comes last for a proxy of the node, whose sockets are in the namespaces of the pods that it serves.
    pub fn pod(&self, address: IpAddr, owner: Option<&Owner>, time: Time) -> Option<&Pod> {
        let by_cgroup = || self.members.pod_of_cgroup(owner?.cgroup, &self.objects);
        let by_netns = || self.members.pod_of_namespace(owner?.netns, &self.objects);
        let by_address = || self.objects.pod_at(address, time);
        if owner.is_some_and(proxy::serves_node) {
            by_netns().or_else(by_address).or_else(by_cgroup)
        } else {
            by_cgroup().or_else(by_netns).or_else(by_address)
        }
    }

    /// The Service that has this address and port: among its endpoints, or as its virtual address.
    pub fn service(&self, address: SocketAddr) -> Option<&Service> {
        self.objects.service_at(address)
    }

    /// The Service of this name.
    pub fn service_named(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.objects.service(namespace, name)
    }

    /// The virtual addresses that stand for this one.
    pub fn virtual_addresses(&self, address: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let entries = self.objects.endpoints_at(address.ip());
        let of_port = entries.filter(move |endpoint| endpoint.port.is_none_or(|port| port == address.port()));
        of_port.filter_map(|endpoint| self.objects.service(&endpoint.namespace, &endpoint.service)).flat_map(
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
        let ip = address.ip();
        self.objects.has_pod_at(ip)
            || self.objects.endpoints_at(ip).next().is_some()
            || self.objects.service_of_address(ip).is_some()
    }

    /// The control group is that of a mesh proxy's container.
    pub fn is_of_proxy(&self, cgroup: u64) -> bool {
        self.members.is_proxy(cgroup)
    }
}

/// A uid; an empty one is not known.
fn known(uid: &str) -> Option<Box<str>> {
    (!uid.is_empty()).then(|| uid.into())
}
