//! A pod: a network namespace on the cluster's switch, with containers; it must not know what runs in them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::address::Range;
use crate::cluster::{Cluster, GATEWAY};
use crate::container::{self, Container};
use crate::interception::{self, Interception};
use crate::netns::Netns;

/// Name of the container that every Istio proxy runs in.
pub const SIDECAR: &str = "istio-proxy";

/// What owns a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workload {
    /// A Deployment by its name; the pod's name begins with the one of its `ReplicaSet`.
    Deployment(String),
    /// A `StatefulSet` by its name.
    StatefulSet(String),
    /// Nothing: somebody made the pod by hand.
    None,
}

/// What a pod shall be like.
#[derive(Debug, Clone)]
pub struct PodSpec {
    name: String,
    workload: Workload,
    app: String,
    host: u8,
    containers: Vec<String>,
    interception: Option<Interception>,
    mss: Option<u16>,
    namespace: String,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    istio: String,
}

impl PodSpec {
    /// A pod called `name` with the address that ends in `host`.
    pub fn new(name: &str, host: u8) -> Self {
        Self {
            name: name.to_owned(),
            workload: Workload::None,
            app: name.to_owned(),
            host,
            containers: Vec::new(),
            interception: None,
            mss: None,
            namespace: "default".to_owned(),
            labels: Vec::new(),
            annotations: Vec::new(),
            istio: "1.6.0".to_owned(),
        }
    }

    /// The pod belongs to a Deployment.
    #[must_use]
    pub fn of_deployment(self, name: &str) -> Self {
        Self { workload: Workload::Deployment(name.to_owned()), app: name.to_owned(), ..self }
    }

    /// The pod belongs to a `StatefulSet`.
    #[must_use]
    pub fn of_stateful_set(self, name: &str) -> Self {
        Self { workload: Workload::StatefulSet(name.to_owned()), app: name.to_owned(), ..self }
    }

    /// One more container.
    #[must_use]
    pub fn container(mut self, name: &str) -> Self {
        self.containers.push(name.to_owned());
        self
    }

    /// A sidecar's container, and the pod's traffic sent to it.
    #[must_use]
    pub fn sidecar(self, interception: Interception) -> Self {
        self.container(SIDECAR).interception(interception)
    }

    /// Which of the pod's traffic its sidecar is sent.
    #[must_use]
    pub fn interception(self, interception: Interception) -> Self {
        Self { interception: Some(interception), ..self }
    }

    /// The pod is in this namespace of Kubernetes, and not in `default`.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// One more label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The sidecar, if there is one, is of this version of Istio, and not of the incident's.
    #[must_use]
    pub fn istio(self, version: &str) -> Self {
        Self { istio: version.to_owned(), ..self }
    }

    /// Announces segments of at most `mss` bytes, and sends none that is larger or merged from several.
    #[must_use]
    pub fn mss(self, mss: u16) -> Self {
        Self { mss: Some(mss), ..self }
    }
}

/// A running pod.
#[derive(Debug)]
pub struct Pod {
    spec: PodSpec,
    uid: String,
    range: Range,
    netns: Netns,
    containers: Vec<Container>,
}

impl Cluster {
    /// Starts a pod. Its containers are there but run nothing yet.
    pub fn pod(&self, spec: PodSpec) -> Result<Pod> {
        let uid = container::random_uid()?;
        let netns = Netns::create()?;
        connect(self, &netns, &spec)?;
        if let Some(interception) = spec.interception {
            interception::install(&netns, interception)?;
        }
        let containers = spec
            .containers
            .iter()
            .map(|name| Container::create(self, &netns, &spec.name, &uid, name))
            .collect::<Result<_>>()?;
        Ok(Pod { spec, uid, range: self.range(), netns, containers })
    }
}

impl Pod {
    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The pod's uid as Kubernetes would have given it.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The value of the pod's label `app`.
    pub fn app(&self) -> &str {
        &self.spec.app
    }

    /// What owns the pod.
    pub fn workload(&self) -> &Workload {
        &self.spec.workload
    }

    /// The pod's namespace in Kubernetes.
    pub fn namespace(&self) -> &str {
        &self.spec.namespace
    }

    /// Labels beside those that every pod of its kind has.
    pub fn labels(&self) -> &[(String, String)] {
        &self.spec.labels
    }

    /// Annotations beside those of the sidecar's injection.
    pub fn annotations(&self) -> &[(String, String)] {
        &self.spec.annotations
    }

    /// The version of Istio that its sidecar, if there is one, is of.
    pub fn istio(&self) -> &str {
        &self.spec.istio
    }

    /// Which of the pod's traffic its sidecar is sent, if there is one.
    pub fn interception(&self) -> Option<Interception> {
        self.spec.interception
    }

    /// Whether there is a sidecar.
    pub fn has_sidecar(&self) -> bool {
        self.spec.interception.is_some()
    }

    /// The pod's first address.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.range.ipv4(self.spec.host)
    }

    /// The pod's second address.
    pub fn ipv6(&self) -> Ipv6Addr {
        self.range.ipv6(self.spec.host)
    }

    /// Both addresses.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.ipv4().into(), self.ipv6().into()]
    }

    /// The address of the node as the pod sees it.
    pub fn node(&self) -> Ipv4Addr {
        self.range.ipv4(GATEWAY)
    }

    /// The pod's network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The containers, in the order in which the specification named them.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// The first container: the app's.
    pub fn app_container(&self) -> Result<&Container> {
        self.containers.first().ok_or_else(|| anyhow::anyhow!("pod {} has no container", self.name()))
    }

    /// The sidecar's container.
    pub fn sidecar_container(&self) -> Result<&Container> {
        self.containers
            .iter()
            .find(|container| container.name() == SIDECAR)
            .ok_or_else(|| anyhow::anyhow!("pod {} has no sidecar", self.name()))
    }
}

fn connect(cluster: &Cluster, netns: &Netns, spec: &PodSpec) -> Result<()> {
    let (range, host) = (cluster.range(), spec.host);
    let port = format!("pod{host}");
    let create = format!(
        "link set lo up\nlink add eth0 type veth peer name {port} netns {}\n",
        cluster.switch().path()
    );
    netns.run("ip", &["-batch", "-"], &create)?;
    cluster.switch().run(
        "ip",
        &["-batch", "-"],
        &format!("link set {port} master br0\nlink set {port} up\n"),
    )?;
    netns.run("ip", &["-batch", "-"], &(address_commands(range, spec) + &route_commands(range)))?;
    Ok(())
}

fn address_commands(range: Range, spec: &PodSpec) -> String {
    let (ipv4, ipv6) = (range.ipv4(spec.host), range.ipv6(spec.host));
    let segments = spec.mss.map_or_else(String::new, |mss| {
        // A veth pair hands merged segments over whole; with one segment at a time each is a packet.
        format!(
            "link set eth0 gso_max_segs 1\n\
             route replace {}/24 dev eth0 src {ipv4} advmss {mss}\n\
             route replace {}/64 dev eth0 advmss {mss}\n",
            range.ipv4(0),
            range.ipv6(0),
        )
    });
    format!(
        "addr add {ipv4}/24 dev eth0\n\
         addr add {ipv6}/64 dev eth0 nodad\n\
         link set eth0 up\n\
         {segments}"
    )
}

fn route_commands(range: Range) -> String {
    let (ipv4, ipv6) = (range.ipv4(GATEWAY), range.ipv6(GATEWAY));
    format!("route add default via {ipv4}\nroute add default via {ipv6}\n")
}
