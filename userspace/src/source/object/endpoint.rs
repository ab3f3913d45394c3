//! Endpoints of Services, from `EndpointSlice` objects and from the older `Endpoints`; knows no other kind.

use serde::Deserialize;

use crate::{
    event::cluster::{Endpoint, Slice},
    source::object::{addresses, is_tcp, metadata::Metadata, or_default, tally::Tally},
};

/// Names the Service of a slice (`LabelServiceName`, `k8s.io/api/discovery/v1/well_known_labels.go`).
pub(in crate::source) const SERVICE_NAME: &str = "kubernetes.io/service-name";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::source) struct WireSlice {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    address_type: Box<str>,
    #[serde(deserialize_with = "or_default")]
    endpoints: Vec<SliceEndpoint>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SliceEndpoint {
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<Box<str>>,
    #[serde(deserialize_with = "or_default")]
    target_ref: TargetRef,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WireEndpoints {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    subsets: Vec<Subset>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Subset {
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<SubsetAddress>,
    #[serde(deserialize_with = "or_default")]
    not_ready_addresses: Vec<SubsetAddress>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SubsetAddress {
    #[serde(deserialize_with = "or_default")]
    ip: Box<str>,
    #[serde(deserialize_with = "or_default")]
    target_ref: TargetRef,
}

/// What an address belongs to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TargetRef {
    #[serde(deserialize_with = "or_default")]
    kind: Box<str>,
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
}

impl TargetRef {
    fn pod(self) -> Option<Box<str>> {
        (&*self.kind == "Pod" && !self.name.is_empty()).then_some(self.name)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    protocol: Option<Box<str>>,
    #[serde(rename = "port")]
    number: Option<u16>,
}

/// Numbers and names of the TCP ports; no number for all, where there are no ports or one of them has none.
fn tcp_ports(ports: Vec<Port>) -> Vec<(Option<u16>, Box<str>)> {
    if ports.is_empty() {
        return vec![(None, "".into())];
    }
    let tcp = ports.into_iter().filter(|port| is_tcp(port.protocol.as_deref()));
    tcp.map(|port| (port.number, port.name)).collect()
}

/// The endpoints of a slice, whether ready or not: an address tells who it is all the same.
pub(in crate::source) fn convert_slice(slice: WireSlice, tally: &mut Tally) -> Result<Slice, Box<str>> {
    let metadata = slice.metadata.named()?;
    let Some(service) = metadata.labels.get(SERVICE_NAME) else {
        return Err(format!("no label `{SERVICE_NAME}`").into());
    };
    if &*slice.address_type == "FQDN" {
        return Err("it has names, not addresses".into());
    }
    let ports = tcp_ports(slice.ports);
    let mut found = Vec::new();
    for endpoint in slice.endpoints {
        let texts = endpoint.addresses.iter().map(|address| &**address);
        let pod = endpoint.target_ref.pod();
        for address in addresses(texts, "EndpointSlice", tally) {
            found.extend(ports.iter().map(|(port, port_name)| Endpoint {
                namespace: metadata.namespace.clone(),
                service: service.clone(),
                address,
                port: *port,
                port_name: port_name.clone(),
                pod: pod.clone(),
            }));
        }
    }
    Ok(Slice { namespace: metadata.namespace, name: metadata.name, endpoints: found })
}

/// The endpoints of an Endpoints object, which has the name of its Service.
pub(in crate::source) fn convert_endpoints(
    endpoints: WireEndpoints,
    tally: &mut Tally,
) -> Result<Vec<Endpoint>, Box<str>> {
    let metadata = endpoints.metadata.named()?;
    let mut found = Vec::new();
    for subset in endpoints.subsets {
        let ports = tcp_ports(subset.ports);
        for entry in subset.addresses.into_iter().chain(subset.not_ready_addresses) {
            let pod = entry.target_ref.pod();
            for address in addresses([&*entry.ip], "Endpoints", tally) {
                found.extend(ports.iter().map(|(port, port_name)| Endpoint {
                    namespace: metadata.namespace.clone(),
                    service: metadata.name.clone(),
                    address,
                    port: *port,
                    port_name: port_name.clone(),
                    pod: pod.clone(),
                }));
            }
        }
    }
    Ok(found)
}
