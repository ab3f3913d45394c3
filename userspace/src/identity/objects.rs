//! The cluster's objects and how they are found, kept in step change by change; must not know sockets. Pure.

use std::{
    hash::Hash,
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rustc_hash::FxHashMap;

use crate::{
    event::{
        cluster::{Cluster, Endpoint, Pod, Service, Slice},
        istio::Istio,
        time::Time,
    },
    identity::former::Former,
};

/// Namespace and name.
type Name = (Box<str>, Box<str>);

/// A pod's place among the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

/// Objects of a cluster.
///
/// What is gone leaves its place empty for what comes next: an object without a namespace, which nothing matches.
#[derive(Debug, Default)]
pub struct Objects {
    cluster: Cluster,
    empty_pods: Vec<usize>,
    empty_services: Vec<usize>,
    empty_endpoints: Vec<usize>,
    pods_by_address: FxHashMap<IpAddr, usize>,
    pods_by_uid: FxHashMap<Box<str>, usize>,
    pods_by_name: FxHashMap<Name, usize>,
    /// Pod and container, by runtime id.
    containers: FxHashMap<Box<str>, (usize, usize)>,
    services: FxHashMap<Name, usize>,
    /// Services by their virtual addresses.
    services_by_address: FxHashMap<IpAddr, usize>,
    /// Endpoints by their addresses.
    endpoints: FxHashMap<IpAddr, Vec<usize>>,
    /// Endpoints by their Services.
    endpoints_by_service: FxHashMap<Name, Vec<usize>>,
    /// Endpoints by their slices.
    slices: FxHashMap<Name, Vec<usize>>,
    former: Former,
}

impl Objects {
    /// These objects.
    pub fn of(cluster: &Cluster) -> Self {
        let mut objects = Self::default();
        let Cluster { pods, services, endpoints, istio } = cluster;
        for pod in pods {
            // Two of one name are two of two nodes' files: both are there.
            let place = put(&mut objects.cluster.pods, &mut objects.empty_pods, pod.clone());
            objects.index_pod(place, Time::default());
        }
        for service in services {
            objects.set_service(service);
        }
        for endpoint in endpoints {
            objects.add_endpoint(endpoint);
        }
        objects.cluster.istio = istio.clone();
        objects
    }

    /// All of them; one without a namespace is none.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// All that is known of Istio's objects.
    pub(super) fn set_istio(&mut self, istio: &Istio) {
        self.cluster.istio = istio.clone();
    }

    /// A pod is there, or is another than it was.
    pub(super) fn set_pod(&mut self, pod: &Pod, now: Time) -> Place {
        let known = self.pods_by_name.get(&(pod.namespace.clone(), pod.name.clone())).copied();
        let place = match known {
            Some(place) => {
                self.unindex_pod(place, &pod.addresses, now);
                self.cluster.pods[place] = pod.clone();
                place
            }
            None => put(&mut self.cluster.pods, &mut self.empty_pods, pod.clone()),
        };
        self.index_pod(place, now);
        Place(place)
    }

    /// Another pod has this one's name.
    pub(super) fn has_namesake(&self, pod: &Pod) -> bool {
        let known = self.pod_named(&pod.namespace, &pod.name);
        known.is_some_and(|known| known.uid != pod.uid)
    }

    /// A pod is gone. Gives it, and the place that it leaves.
    pub(super) fn remove_pod(&mut self, namespace: &str, name: &str, now: Time) -> Option<(Place, Arc<Pod>)> {
        let place = self.pods_by_name.get(&(namespace.into(), name.into())).copied()?;
        self.unindex_pod(place, &[], now);
        self.empty_pods.push(place);
        Some((Place(place), Arc::new(mem::take(self.cluster.pods.get_mut(place)?))))
    }

    fn index_pod(&mut self, place: usize, now: Time) {
        let pod = &self.cluster.pods[place];
        self.pods_by_uid.insert(pod.uid.clone(), place);
        self.pods_by_name.insert((pod.namespace.clone(), pod.name.clone()), place);
        for (index, container) in pod.containers.iter().enumerate() {
            if !container.id.is_empty() {
                self.containers.insert(container.id.clone(), (place, index));
            }
        }
        // Pods of the node's network share its addresses, so that an address does not tell them.
        for address in pod.addresses.iter().filter(|_| !pod.host_network) {
            let other = self.pods_by_address.insert(*address, place).filter(|other| *other != place);
            // It is used again before the end of its former pod is told.
            if let Some(former) = other.and_then(|other| self.cluster.pods.get(other)) {
                self.former.left(*address, Arc::new(former.clone()), now);
            }
        }
    }

    /// Addresses that it keeps are not given up.
    fn unindex_pod(&mut self, place: usize, kept: &[IpAddr], now: Time) {
        let pod = &self.cluster.pods[place];
        self.pods_by_uid.remove(&pod.uid);
        self.pods_by_name.remove(&(pod.namespace.clone(), pod.name.clone()));
        for container in &pod.containers {
            self.containers.remove(&container.id);
        }
        let held = pod.addresses.iter().filter(|address| self.pods_by_address.get(address) == Some(&place));
        let held: Vec<IpAddr> = held.copied().collect();
        let mut former = None;
        for address in held {
            self.pods_by_address.remove(&address);
            if !kept.contains(&address) {
                let pod = former.get_or_insert_with(|| Arc::new(self.cluster.pods[place].clone()));
                self.former.left(address, pod.clone(), now);
            }
        }
    }

    /// A Service is there, or is another than it was.
    pub(super) fn set_service(&mut self, service: &Service) {
        self.remove_service(&service.namespace, &service.name);
        let place = put(&mut self.cluster.services, &mut self.empty_services, service.clone());
        self.services.insert((service.namespace.clone(), service.name.clone()), place);
        self.services_by_address.extend(service.cluster_addresses.iter().map(|address| (*address, place)));
    }

    /// A Service is gone.
    pub(super) fn remove_service(&mut self, namespace: &str, name: &str) {
        let Some(place) = self.services.remove(&(namespace.into(), name.into())) else { return };
        let service = mem::take(&mut self.cluster.services[place]);
        for address in &service.cluster_addresses {
            if self.services_by_address.get(address) == Some(&place) {
                self.services_by_address.remove(address);
            }
        }
        self.empty_services.push(place);
    }

    /// A slice is there, or is another than it was.
    pub(super) fn set_slice(&mut self, slice: &Slice) {
        self.remove_slice(&slice.namespace, &slice.name);
        let places = slice.endpoints.iter().map(|endpoint| self.add_endpoint(endpoint)).collect();
        self.slices.insert((slice.namespace.clone(), slice.name.clone()), places);
    }

    /// A slice is gone.
    pub(super) fn remove_slice(&mut self, namespace: &str, name: &str) {
        for place in self.slices.remove(&(namespace.into(), name.into())).into_iter().flatten() {
            let endpoint = mem::replace(&mut self.cluster.endpoints[place], nobody());
            take_out(&mut self.endpoints, &endpoint.address, place);
            take_out(&mut self.endpoints_by_service, &(endpoint.namespace, endpoint.service), place);
            self.empty_endpoints.push(place);
        }
    }

    fn add_endpoint(&mut self, endpoint: &Endpoint) -> usize {
        let place = put(&mut self.cluster.endpoints, &mut self.empty_endpoints, endpoint.clone());
        self.endpoints.entry(endpoint.address).or_default().push(place);
        let service = (endpoint.namespace.clone(), endpoint.service.clone());
        self.endpoints_by_service.entry(service).or_default().push(place);
        place
    }

    /// The pod at this place.
    pub(super) fn pod(&self, place: Place) -> Option<&Pod> {
        self.cluster.pods.get(place.0)
    }

    /// The pod that has, or had, this uid.
    pub(super) fn pod_of_uid(&self, uid: &str) -> Option<Place> {
        self.pods_by_uid.get(uid).copied().map(Place)
    }

    /// The pod that holds this container, and the container's name.
    pub(super) fn pod_of_container(&self, id: &str) -> Option<(Place, &str)> {
        let (place, index) = *self.containers.get(id)?;
        Some((Place(place), &self.cluster.pods.get(place)?.containers.get(index)?.name))
    }

    /// The pod that had this address at this time; one that is gone, if nobody has it since.
    pub(super) fn pod_at(&self, address: IpAddr, time: Time) -> Option<&Pod> {
        if let Some(former) = self.former.at(address, time) {
            return Some(former);
        }
        let live = self.pods_by_address.get(&address).copied().or_else(|| self.pod_of_endpoint(address));
        let live = live.and_then(|place| self.cluster.pods.get(place));
        live.or_else(|| self.former.last(address, time).map(|pod| &**pod))
    }

    /// Some pod has this address.
    pub(super) fn has_pod_at(&self, address: IpAddr) -> bool {
        self.pods_by_address.contains_key(&address)
    }

    fn pod_of_endpoint(&self, address: IpAddr) -> Option<usize> {
        self.endpoints_at(address).find_map(|endpoint| {
            self.pods_by_name.get(&(endpoint.namespace.clone(), endpoint.pod.clone()?)).copied()
        })
    }

    /// Endpoints that have this address.
    pub fn endpoints_at(&self, address: IpAddr) -> impl Iterator<Item = &Endpoint> {
        let places = self.endpoints.get(&address).into_iter().flatten();
        places.filter_map(|place| self.cluster.endpoints.get(*place))
    }

    /// Endpoints of the Service of this name.
    pub fn endpoints_of(&self, namespace: &str, service: &str) -> impl Iterator<Item = &Endpoint> {
        let places = self.endpoints_by_service.get(&(namespace.into(), service.into())).into_iter().flatten();
        places.filter_map(|place| self.cluster.endpoints.get(*place))
    }

    /// The pod of this name.
    pub fn pod_named(&self, namespace: &str, name: &str) -> Option<&Pod> {
        let place = self.pods_by_name.get(&(namespace.into(), name.into()))?;
        self.cluster.pods.get(*place)
    }

    /// Pods of this namespace.
    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &Pod> {
        self.cluster.pods.iter().filter(move |pod| *pod.namespace == *namespace)
    }

    /// Istio's objects.
    pub fn istio(&self) -> &Istio {
        &self.cluster.istio
    }

    /// The Service of this name.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        let place = self.services.get(&(namespace.into(), name.into()))?;
        self.cluster.services.get(*place)
    }

    /// The Service that has this virtual address.
    pub(super) fn service_of_address(&self, address: IpAddr) -> Option<&Service> {
        self.cluster.services.get(*self.services_by_address.get(&address)?)
    }

    /// The Service that has this address and port among its endpoints, a headless one first; else the one that has it as
    /// its virtual address.
    pub(super) fn service_at(&self, address: SocketAddr) -> Option<&Service> {
        let of_port = self
            .endpoints_at(address.ip())
            .filter(|endpoint| endpoint.port.is_none_or(|port| port == address.port()));
        let services = of_port.filter_map(|endpoint| self.service(&endpoint.namespace, &endpoint.service));
        let by_endpoint = services.min_by_key(|service| (!service.headless, service.name.clone()));
        by_endpoint.or_else(|| self.service_of_address(address.ip()))
    }
}

/// Takes a place out of an index.
fn take_out<K: Eq + Hash>(index: &mut FxHashMap<K, Vec<usize>>, key: &K, place: usize) {
    if let Some(places) = index.get_mut(key) {
        places.retain(|other| *other != place);
        if places.is_empty() {
            index.remove(key);
        }
    }
}

/// An endpoint that is none.
fn nobody() -> Endpoint {
    Endpoint {
        namespace: Box::default(),
        service: Box::default(),
        address: Ipv4Addr::UNSPECIFIED.into(),
        port: None,
        port_name: Box::default(),
        pod: None,
    }
}

/// Puts an object into an empty place, or behind all others.
fn put<T>(all: &mut Vec<T>, empty: &mut Vec<usize>, object: T) -> usize {
    if let Some(place) = empty.pop() {
        all[place] = object;
        return place;
    }
    all.push(object);
    all.len() - 1
}
