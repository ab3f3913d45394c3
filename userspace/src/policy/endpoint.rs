//! The endpoints of a destination: which of them Istio takes for one that can do mTLS. Pure.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

use crate::{
    event::{
        cluster::{Pod, Service},
        istio::{Istio, Labels, ServerMode, ServiceEntry, Workload},
    },
    identity::{objects::Objects, proxy},
    policy::{
        destination_rule::is_subset,
        interception::{self, Interception},
        peer_authentication,
    },
};

/// Label by which clients tell whether an endpoint can do mTLS (istio `pilot/pkg/model/service.go`,
/// `GetTLSModeFromEndpointLabels`): nothing else is looked at.
pub const TLS_MODE: &str = "security.istio.io/tlsMode";

/// Its value for mesh mTLS (`IstioMutualTLSModeLabel`).
const ISTIO: &str = "istio";

/// Its value for plaintext, and what a missing label means (`DisabledTLSModeLabel`).
const DISABLED: &str = "disabled";

/// What these labels say of mTLS.
pub fn is_labelled(labels: &Labels) -> bool {
    labels.get(TLS_MODE).is_some_and(|mode| &**mode == ISTIO)
}

/// The same of an endpoint that is no pod: a service account is as good as the label (istio
/// `pilot/pkg/serviceregistry/serviceentry/conversion.go`, `getTLSModeFromWorkloadEntry`).
pub fn is_workload_labelled(workload: &Workload) -> bool {
    match workload.labels.get(TLS_MODE) {
        Some(mode) => &**mode == ISTIO,
        None => workload.has_service_account,
    }
}

/// What is declared of all endpoints of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints<'a> {
    /// How many there are.
    pub all: usize,
    /// Those that clients take for able to do mTLS.
    pub labelled: usize,
    /// Those with a proxy among their containers.
    pub with_proxy: usize,
    /// Those whose proxy takes nothing but mTLS on this port.
    pub strict: usize,
    /// Those of which nothing else is known.
    pub unknown: usize,
    /// One that clients do not take for able to do mTLS.
    pub unlabelled: Option<&'a str>,
}

impl<'a> Endpoints<'a> {
    fn add_pod(&mut self, istio: &Istio, root_namespace: &str, pod: &'a Pod, port: Option<u16>) {
        self.all += 1;
        // A label with a value of its own is not `disabled`.
        if pod.labels.get(TLS_MODE).is_some_and(|mode| &**mode != DISABLED) {
            self.labelled += 1;
        } else {
            self.unlabelled.get_or_insert(&pod.name);
        }
        if !proxy::has_proxy(pod) {
            return;
        }
        self.with_proxy += 1;
        let is_captured = port.is_none_or(|port| interception::of(pod, port) == Interception::Captured);
        let policies = &istio.peer_authentications;
        let effective = peer_authentication::effective(
            policies,
            root_namespace,
            &pod.namespace,
            &pod.labels,
            port.unwrap_or_default(),
        );
        self.strict += usize::from(is_captured && effective.mode == ServerMode::Strict);
    }

    fn add_workload(&mut self, name: &'a str, workload: &Workload) {
        self.all += 1;
        if is_workload_labelled(workload) {
            self.labelled += 1;
        } else {
            self.unlabelled.get_or_insert(name);
        }
    }
}

/// Endpoints of a Service's port; of all its ports where it is not known which.
pub fn of_service<'a>(
    objects: &'a Objects,
    root_namespace: &str,
    service: &Service,
    port: Option<u16>,
) -> Endpoints<'a> {
    let name = port.and_then(|port| service.ports.iter().find(|known| known.port == port));
    let of_port = objects.endpoints_of(&service.namespace, &service.name).filter(|endpoint| {
        name.is_none_or(|port| endpoint.port.is_none() || endpoint.port_name == port.name)
    });
    // A pod with two addresses is one endpoint.
    let mut pods: FxHashSet<&str> = FxHashSet::default();
    let mut others: FxHashSet<IpAddr> = FxHashSet::default();
    let (mut endpoints, mut unknown) = (Endpoints::default(), 0);
    for endpoint in of_port {
        let Some(pod) = endpoint.pod.as_deref() else {
            others.insert(endpoint.address);
            continue;
        };
        if pods.insert(pod) {
            match objects.pod_named(&service.namespace, pod) {
                Some(pod) => endpoints.add_pod(objects.istio(), root_namespace, pod, endpoint.port),
                None => unknown += 1,
            }
        }
    }
    unknown += others.len();
    endpoints.all += unknown;
    endpoints.unknown += unknown;
    endpoints
}

/// Endpoints of a ServiceEntry's port.
pub fn of_entry<'a>(
    objects: &'a Objects,
    root_namespace: &str,
    entry: &'a ServiceEntry,
    port: Option<u16>,
) -> Endpoints<'a> {
    let mut endpoints = Endpoints::default();
    for workload in &entry.endpoints {
        endpoints.add_workload(&entry.name, workload);
    }
    let Some(selector) = &entry.selector else { return endpoints };
    let known = port.and_then(|port| entry.ports.iter().find(|known| known.number == port));
    let target = known.map(|port| port.target.unwrap_or(port.number));
    let at_home = |namespace: &str| *namespace == *entry.namespace;
    for pod in objects.pods_in(&entry.namespace).filter(|pod| is_subset(selector, &pod.labels)) {
        endpoints.add_pod(objects.istio(), root_namespace, pod, target);
    }
    for known in objects.istio().workload_entries.iter().filter(|known| at_home(&known.namespace)) {
        if is_subset(selector, &known.workload.labels) {
            endpoints.add_workload(&known.name, &known.workload);
        }
    }
    endpoints
}
