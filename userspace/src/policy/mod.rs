//! What a cluster declares for one attempt: Istio's own logic, evaluated over the facts that are known. Pure.
//!
//! Nothing is guessed: what is not known stays so. All of it is worked out when it is asked for, so that an attempt that is
//! well costs nothing.
#![deny(clippy::disallowed_methods)]

pub mod destination_rule;
pub mod endpoint;
pub mod expectation;
pub mod host;
pub mod interception;
pub mod peer_authentication;
#[cfg(test)]
mod tests;
pub mod traffic_policy;
pub mod version;

use std::{borrow::Cow, net::SocketAddr};

use crate::{
    event::{
        cluster::{Pod, Service, ServicePort},
        istio::{Istio, ServerMode, ServiceEntry, Workload, WorkloadEntry},
    },
    identity::objects::Objects,
    policy::{
        destination_rule::{Question, Selected, is_subset},
        endpoint::Endpoints,
        expectation::{Expectation, Inputs},
        interception::Interception,
        version::Version,
    },
    tls::mesh::{Mesh, MeshHello},
};

/// Namespace of mesh-wide rules where nothing else is said (istio `pkg/config/constants/constants.go`, `IstioSystemNamespace`).
const ROOT_NAMESPACE: &str = "istio-system";

/// Domain of a cluster where nothing else is said (`DefaultClusterLocalDomain` there).
const DOMAIN: &str = "cluster.local";

/// The first release that turns mTLS on by itself (istio 1.5 release notes; `enableAutoMtls` in `pkg/config/mesh/mesh.go`).
const AUTOMATIC_SINCE: Version = Version::new(1, 5, 0);

/// What a cluster declares for one attempt; the default knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declared<'a> {
    objects: Option<&'a Objects>,
    client: Option<&'a Pod>,
    server: Option<&'a Pod>,
    service: Option<&'a Service>,
    target: Option<SocketAddr>,
    hello: Option<&'a MeshHello>,
}

/// The `DestinationRule` that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule<'a> {
    /// Too little is known: of rules, of the client, or of the host.
    NotKnown,
    /// There is none.
    None,
    /// This one.
    Taken(Selected<'a>),
}

impl<'a> Declared<'a> {
    /// What is declared for an attempt of this client at this address, and for what is there; `hello` is what the client's
    /// sidecar said of where it wants to go.
    pub fn of(
        objects: &'a Objects,
        client: Option<&'a Pod>,
        server: Option<&'a Pod>,
        service: Option<&'a Service>,
        target: SocketAddr,
        hello: Option<&'a MeshHello>,
    ) -> Self {
        Self { objects: Some(objects), client, server, service, target: Some(target), hello }
    }

    /// The pod that connects.
    pub fn client(&self) -> Option<&'a Pod> {
        self.client
    }

    /// The pod that is connected to.
    pub fn server(&self) -> Option<&'a Pod> {
        self.server
    }

    /// The Service that the client means: the one that its hello names, else one that has the address.
    pub fn service(&self) -> Option<&'a Service> {
        let (name, namespace) = match self.hello.and_then(|hello| hello.host.as_deref()) {
            Some(host) => host::service(host)?,
            None => return self.service,
        };
        let is_named = |service: &&Service| *service.name == *name && *service.namespace == *namespace;
        self.service.filter(is_named).or_else(|| self.objects?.service(namespace, name))
    }

    /// The ServiceEntry that has the host.
    pub fn service_entry(&self) -> Option<&'a ServiceEntry> {
        let host = self.hello?.host.as_deref()?;
        let has_host = |entry: &&ServiceEntry| {
            entry.hosts.iter().any(|own| host::fit(own, &entry.namespace, host).is_some())
        };
        self.istio()?.service_entries.iter().find(has_host)
    }

    /// The host that the client means, as the mesh knows it.
    pub fn host(&self) -> Option<Cow<'a, str>> {
        if let Some(host) = self.hello.and_then(|hello| hello.host.as_deref()) {
            return Some(host.into());
        }
        let Service { name, namespace, .. } = self.service()?;
        Some(format!("{name}.{namespace}.svc.{DOMAIN}").into())
    }

    /// The Service's port that the client means, which may be another than the one it connects to.
    pub fn service_port(&self) -> Option<u16> {
        let of_address = || Some(self.port_of_address()?.port);
        self.hello.and_then(|hello| hello.service_port).or_else(of_address)
    }

    /// The port's protocol as it is declared: `appProtocol`, or what its name begins with
    /// (istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection).
    pub fn protocol(&self) -> Option<&'a str> {
        let number = self.service_port()?;
        if let Some(port) =
            self.service().and_then(|service| service.ports.iter().find(|port| port.port == number))
        {
            let of_name = || port.name.split('-').next().filter(|prefix| !prefix.is_empty());
            return port.app_protocol.as_deref().or_else(of_name);
        }
        let port = self.service_entry()?.ports.iter().find(|port| port.number == number)?;
        (!port.protocol.is_empty()).then_some(&port.protocol)
    }

    /// The rule of the client for the host.
    pub fn rule(&self) -> Rule<'a> {
        let (Some(istio), Some(client), Some(host)) = (self.istio(), self.client, self.host()) else {
            return Rule::NotKnown;
        };
        let question = Question {
            client_namespace: &client.namespace,
            client_labels: Some(&client.labels),
            root_namespace: self.root_namespace(),
            host: &host,
            service_namespace: self.destination_namespace(),
        };
        match destination_rule::select(&istio.destination_rules, &question) {
            Some(selected) => Rule::Taken(selected),
            None if istio.is_listed => Rule::None,
            None => Rule::NotKnown,
        }
    }

    /// A `DestinationRule` of this name exists; none where that is not known.
    pub fn has_rule(&self, namespace: &str, name: &str) -> Option<bool> {
        let istio = self.istio().filter(|istio| istio.is_listed)?;
        Some(istio.destination_rules.iter().any(|rule| *rule.namespace == *namespace && *rule.name == *name))
    }

    /// What the rule says of the port and subset; nothing where there is none or it is not known.
    pub fn client_tls(&self) -> traffic_policy::Effective<'a> {
        let subset = self.hello.and_then(|hello| hello.subset.as_deref());
        match (self.rule(), self.service_port()) {
            (Rule::Taken(selected), Some(port)) => traffic_policy::effective(&selected, port, subset),
            _ => traffic_policy::Effective::default(),
        }
    }

    /// What a sidecar does with the destination by all that is declared; none where too little is known.
    pub fn expectation(&self) -> Option<Expectation<'a>> {
        if matches!(self.rule(), Rule::NotKnown) {
            return None;
        }
        let entry = self.service_entry();
        let version = self.version();
        // A Service without endpoints in the file has some all the same: one is connected to.
        let known = self.endpoints().filter(|endpoints| entry.is_some() || endpoints.all > 0);
        let endpoints = known.unwrap_or(Endpoints { all: 1, unknown: 1, ..Endpoints::default() });
        expectation::of(&Inputs {
            rule: self.client_tls(),
            is_automatic: self.is_automatic(),
            is_external: entry.is_some_and(|entry| entry.external),
            is_passthrough: self.is_passthrough(),
            version,
            endpoints,
            is_labelled: self.is_labelled(),
            namespace_mode: self.namespace_mode(),
            endpoint_mode: self.server_mode().map_or(ServerMode::Unset, |effective| effective.mode),
        })
    }

    /// Clients go where the app asked to, whatever rules say: the Service is headless, or a ServiceEntry without resolution.
    pub fn is_passthrough(&self) -> bool {
        let is_headless = self.service().is_some_and(|service| service.headless);
        is_headless || self.service_entry().is_some_and(|entry| entry.passthrough)
    }

    /// What the server's sidecar takes on the port; none where policies or the server are not known.
    pub fn server_mode(&self) -> Option<peer_authentication::Effective<'a>> {
        let (server, istio) = (self.server?, self.istio().filter(|istio| istio.is_listed)?);
        let policies = &istio.peer_authentications;
        let port = self.target?.port();
        Some(peer_authentication::effective(
            policies,
            self.root_namespace(),
            &server.namespace,
            &server.labels,
            port,
        ))
    }

    /// What happens to connections to the port, by what the server's pod declares; none where that is not known.
    pub fn interception(&self) -> Option<Interception<'a>> {
        Some(interception::of(self.server?, self.target?.port()))
    }

    /// What is at the destination takes mesh mTLS: a proxy that connections reach, and that is not told to pass them on as
    /// they are. None where that is not known.
    pub fn takes_mtls(&self) -> Option<bool> {
        let disabled = || self.server_mode().is_some_and(|effective| effective.mode == ServerMode::Disable);
        Some(self.interception()? == Interception::Captured && !disabled())
    }

    /// All endpoints of the destination; none where they are not known.
    pub fn endpoints(&self) -> Option<Endpoints<'a>> {
        let (objects, port, root) = (self.objects?, self.service_port(), self.root_namespace());
        match (self.service(), self.service_entry()) {
            (Some(service), _) => Some(endpoint::of_service(objects, root, service, port)),
            (None, Some(entry)) => Some(endpoint::of_entry(objects, root, entry, port)),
            (None, None) => None,
        }
    }

    /// The endpoint that was connected to is one that clients take for able to do mTLS; none where it is not known.
    pub fn is_labelled(&self) -> Option<bool> {
        let of_pod = self.server.map(|server| endpoint::is_labelled(&server.labels));
        of_pod.or_else(|| Some(endpoint::is_workload_labelled(self.workload()?.workload)))
    }

    /// The endpoint that was connected to, where it is declared as one that is no pod.
    ///
    /// A machine may be declared once for each of its services: what the host's own ServiceEntry selects counts first.
    pub fn workload(&self) -> Option<DeclaredWorkload<'a>> {
        let (istio, address) = (self.istio()?, self.target?.ip().to_canonical());
        let is_there = |workload: &Workload| workload.address == Some(address);
        let meant = self.service_entry();
        let is_meant = |known: &WorkloadEntry| {
            let selector = meant.filter(|entry| entry.namespace == known.namespace)?.selector.as_ref()?;
            Some(is_subset(selector, &known.workload.labels))
        };
        let there = istio.workload_entries.iter().filter(|entry| is_there(&entry.workload));
        let of_itself =
            there.min_by_key(|entry| (is_meant(entry) != Some(true), &entry.namespace, &entry.name));
        let of_entry = || {
            istio.service_entries.iter().find_map(|entry| {
                let workload = entry.endpoints.iter().find(|workload| is_there(workload))?;
                Some(DeclaredWorkload {
                    kind: "ServiceEntry",
                    namespace: &entry.namespace,
                    name: &entry.name,
                    workload,
                })
            })
        };
        let own = of_itself.map(|entry| DeclaredWorkload {
            kind: "WorkloadEntry",
            namespace: &entry.namespace,
            name: &entry.name,
            workload: &entry.workload,
        });
        own.or_else(of_entry)
    }

    /// Version of the control plane of the client's sidecar, else that of the sidecar itself.
    pub fn version(&self) -> Option<Version> {
        const REVISION: &str = "istio.io/rev";
        let planes = &self.istio()?.control_planes;
        let revision = self.client.and_then(|client| client.annotations.get(REVISION));
        let own = revision.and_then(|revision| planes.iter().find(|plane| plane.revision == *revision));
        let only =
            || planes.first().filter(|first| planes.iter().all(|plane| plane.version == first.version));
        let of_plane = own.or_else(only).and_then(|plane| Version::parse(&plane.version));
        of_plane.or_else(|| Version::parse(self.client?.proxy_version.as_deref()?))
    }

    /// Namespace of mesh-wide rules: as configured, else that of the control plane.
    pub fn root_namespace(&self) -> &'a str {
        let Some(istio) = self.istio() else { return ROOT_NAMESPACE };
        let planes = &istio.control_planes;
        let only =
            planes.first().filter(|first| planes.iter().all(|plane| plane.namespace == first.namespace));
        let of_plane = || only.map_or(ROOT_NAMESPACE, |plane| &plane.namespace);
        istio.root_namespace.as_deref().unwrap_or_else(of_plane)
    }

    /// Objects of Istio's kinds were asked for: one that is not here does not exist.
    pub fn is_listed(&self) -> bool {
        self.istio().is_some_and(|istio| istio.is_listed)
    }

    /// Istio's objects, unless the hello is another mesh's.
    fn istio(&self) -> Option<&'a Istio> {
        let is_istio = self.hello.is_none_or(|hello| hello.mesh == Mesh::Istio);
        Some(self.objects.filter(|_| is_istio)?.istio())
    }

    fn is_automatic(&self) -> bool {
        let by_version = || self.version().is_none_or(|version| version >= AUTOMATIC_SINCE);
        self.istio().and_then(|istio| istio.auto_mtls).unwrap_or_else(by_version)
    }

    /// What the destination's namespace takes as a whole.
    fn namespace_mode(&self) -> ServerMode {
        let (Some(namespace), Some(istio)) = (self.destination_namespace(), self.istio()) else {
            return ServerMode::Unset;
        };
        peer_authentication::of_namespace(&istio.peer_authentications, self.root_namespace(), namespace).mode
    }

    /// Namespace of what has the host.
    pub fn destination_namespace(&self) -> Option<&'a str> {
        let of_service = self.service().map(|service| &*service.namespace);
        of_service.or_else(|| Some(&*self.service_entry()?.namespace))
    }

    /// The Service's port that has the address and port among its endpoints; the first, where several lead there.
    fn port_of_address(&self) -> Option<&'a ServicePort> {
        let (objects, service, target) = (self.objects?, self.service()?, self.target?);
        let is_there = |port: &&ServicePort| {
            objects.endpoints_at(target.ip().to_canonical()).any(|endpoint| {
                endpoint.port == Some(target.port())
                    && endpoint.port_name == port.name
                    && endpoint.service == service.name
                    && endpoint.namespace == service.namespace
            })
        };
        service.ports.iter().find(is_there)
    }
}

/// An endpoint that is no pod, and where it is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredWorkload<'a> {
    /// `WorkloadEntry` or `ServiceEntry`.
    pub kind: &'static str,
    /// Namespace of that.
    pub namespace: &'a str,
    /// Name of that.
    pub name: &'a str,
    /// What it is.
    pub workload: &'a Workload,
}
