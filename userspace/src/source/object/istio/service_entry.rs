//! A `ServiceEntry` and a `WorkloadEntry` as the API prints them, reduced to facts; knows no other kind.

use serde::Deserialize;

use super::{Selector, unknown};
use crate::{
    event::istio::{EntryPort, Labels, ServiceEntry, Workload, WorkloadEntry},
    source::object::{metadata::Metadata, or_default},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WireEntry {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    hosts: Vec<Box<str>>,
    #[serde(deserialize_with = "or_default")]
    export_to: Vec<Box<str>>,
    #[serde(deserialize_with = "or_default")]
    location: Box<str>,
    #[serde(deserialize_with = "or_default")]
    resolution: Box<str>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<WirePort>,
    #[serde(deserialize_with = "or_default")]
    endpoints: Vec<WireWorkload>,
    workload_selector: Option<Selector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePort {
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    number: u16,
    target_port: Option<u16>,
    #[serde(deserialize_with = "or_default")]
    protocol: Box<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WireWorkloadEntry {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: WireWorkload,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireWorkload {
    #[serde(deserialize_with = "or_default")]
    address: Box<str>,
    #[serde(deserialize_with = "or_default")]
    labels: Labels,
    #[serde(deserialize_with = "or_default")]
    service_account: Box<str>,
}

/// The fact that this ServiceEntry is; why not, where it is none.
pub(in crate::source) fn convert(entry: WireEntry) -> Result<ServiceEntry, Box<str>> {
    let WireEntry { metadata, spec } = entry;
    let metadata = metadata.named()?;
    let external = match &*spec.location {
        "" | "MESH_EXTERNAL" => true,
        "MESH_INTERNAL" => false,
        other => return Err(unknown("location", other)),
    };
    let port = |port: WirePort| EntryPort {
        name: port.name,
        number: port.number,
        target: port.target_port,
        protocol: port.protocol,
    };
    Ok(ServiceEntry {
        namespace: metadata.namespace,
        name: metadata.name,
        hosts: spec.hosts,
        export_to: spec.export_to,
        external,
        passthrough: matches!(&*spec.resolution, "" | "NONE"),
        ports: spec.ports.into_iter().map(port).collect(),
        endpoints: spec.endpoints.into_iter().map(workload).collect(),
        selector: spec.workload_selector.map(|selector| selector.labels),
    })
}

/// The fact that this `WorkloadEntry` is; why not, where it is none.
pub(in crate::source) fn convert_workload(entry: WireWorkloadEntry) -> Result<WorkloadEntry, Box<str>> {
    let metadata = entry.metadata.named()?;
    Ok(WorkloadEntry { namespace: metadata.namespace, name: metadata.name, workload: workload(entry.spec) })
}

fn workload(workload: WireWorkload) -> Workload {
    Workload {
        address: workload.address.parse().ok().map(|address: std::net::IpAddr| address.to_canonical()),
        labels: workload.labels,
        has_service_account: !workload.service_account.is_empty(),
    }
}
