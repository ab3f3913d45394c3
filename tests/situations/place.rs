//! The pods of one situation and their addresses; it must not know what happens in them.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    cluster::Cluster,
    kubectl::Service,
    pod::{Pod, PodSpec},
};
use serde_json::Value;

use crate::situation::{Names, Situation};

/// Where a situation takes place.
pub(crate) struct Place<'a> {
    /// The node that its pods are on.
    pub(crate) cluster: &'a Cluster,
    pub(crate) client: Pod,
    pub(crate) server: Pod,
    /// A second client, if the situation has one.
    pub(crate) bystander: Option<Pod>,
    endpoints: Vec<Pod>,
    host: String,
}

/// How many situations there are on a node: its pods have addresses from 2 to 254, and no situation has more than four.
pub(crate) const ON_A_NODE: usize = 60;

/// Host numbers of pods, each given once on a node.
struct Hosts(u8);

impl Hosts {
    fn next(&mut self) -> Result<u8> {
        self.0 = self.0.checked_add(1).filter(|host| *host < u8::MAX).context("a node is full")?;
        Ok(self.0)
    }
}

/// Makes the pods of all situations that take place on a node.
pub(crate) fn make<'a>(situations: &[Situation], cluster: &'a Cluster) -> Result<Vec<Place<'a>>> {
    // The switch has the first.
    let mut hosts = Hosts(1);
    situations.iter().map(|situation| Place::make(situation, cluster, &mut hosts)).collect()
}

impl<'a> Place<'a> {
    fn make(situation: &Situation, cluster: &'a Cluster, hosts: &mut Hosts) -> Result<Self> {
        let name = situation.name;
        let client = PodSpec::new(&format!("{name}-client-6d4c6c975f-bm5w6"), hosts.next()?)
            .of_deployment(&format!("{name}-client"))
            .istio(situation.istio);
        let mut server = |nth: usize, change: fn(PodSpec) -> PodSpec| {
            let spec = PodSpec::new(&format!("{name}-{nth}"), hosts.next()?);
            cluster.pod(change(spec.of_stateful_set(name).istio(situation.istio)))
        };
        let first = server(0, situation.server)?;
        let endpoints = situation.endpoints.iter().enumerate();
        let endpoints =
            endpoints.map(|(nth, change)| server(nth + 1, *change)).collect::<Result<Vec<_>>>()?;
        let client = cluster.pod((situation.client)(client))?;
        let bystander = situation
            .has_bystander
            .then(|| cluster.pod(PodSpec::new(&format!("{name}-bystander"), hosts.next()?).container("app")));
        let host = format!("{name}.{}.svc.cluster.local", first.namespace());
        Ok(Self { cluster, client, server: first, bystander: bystander.transpose()?, endpoints, host })
    }

    /// The Service's name in the mesh.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// All pods.
    pub(crate) fn pods(&self) -> Vec<&Pod> {
        [&self.client, &self.server].into_iter().chain(&self.bystander).chain(&self.endpoints).collect()
    }

    /// The pods of the Service.
    pub(crate) fn servers(&self) -> Vec<&Pod> {
        std::iter::once(&self.server).chain(&self.endpoints).collect()
    }

    /// The Service, if there is one.
    pub(crate) fn service<'b>(situation: &Situation, servers: &'b [&'b Pod]) -> Option<Service<'b>> {
        let Situation { name, port, port_name, is_outside_of_services, cluster_ip, .. } = *situation;
        (!is_outside_of_services).then_some(Service { name, port, port_name, cluster_ip, pods: servers })
    }

    /// The mesh's objects.
    pub(crate) fn declared(&self, situation: &Situation) -> Vec<Value> {
        (situation.declared)(&Names {
            service: situation.name,
            namespace: self.server.namespace(),
            host: &self.host,
            port: situation.port,
        })
    }

    /// The addresses that tell the situation in what is found.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.pods().into_iter().flat_map(Pod::addresses).collect()
    }
}
