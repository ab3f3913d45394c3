//! A Service as the API prints it, reduced to a fact; knows no other kind.

use serde::Deserialize;

use crate::{
    event::{
        cluster::{Service, ServicePort},
        istio::Labels,
    },
    source::object::{addresses, is_tcp, metadata::Metadata, or_default, tally::Tally},
};

/// `clusterIP` of a headless Service (`ClusterIPNone`, `k8s.io/api/core/v1/types.go`).
const NONE: &str = "None";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WireService {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "clusterIP", deserialize_with = "or_default")]
    cluster_ip: Box<str>,
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    cluster_ips: Vec<Box<str>>,
    #[serde(deserialize_with = "or_default")]
    selector: Labels,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<WirePort>,
}

#[derive(Debug, Deserialize)]
struct WirePort {
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
    protocol: Option<Box<str>>,
    #[serde(rename = "port")]
    number: u16,
    #[serde(rename = "appProtocol")]
    app_protocol: Option<Box<str>>,
}

impl WireService {
    /// The labels of its pods; empty where somebody else says which pods are its.
    pub(in crate::source) fn selector(&self) -> &Labels {
        &self.spec.selector
    }
}

/// The fact that this Service is; why not, where it is none.
pub(in crate::source) fn convert(service: WireService, tally: &mut Tally) -> Result<Service, Box<str>> {
    let WireService { metadata, spec: Spec { cluster_ip, mut cluster_ips, ports, .. } } = service;
    let metadata = metadata.named()?;
    if cluster_ips.is_empty() && !cluster_ip.is_empty() {
        cluster_ips.push(cluster_ip);
    }
    let headless = cluster_ips.iter().any(|address| &**address == NONE);
    let texts = cluster_ips.iter().map(|address| &**address).filter(|address| *address != NONE);
    let tcp = ports.into_iter().filter(|port| is_tcp(port.protocol.as_deref()));
    Ok(Service {
        headless,
        cluster_addresses: addresses(texts, "Service", tally),
        ports: tcp
            .map(|port| ServicePort { name: port.name, port: port.number, app_protocol: port.app_protocol })
            .collect(),
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
    })
}
