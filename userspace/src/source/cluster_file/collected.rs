//! Objects by kind, turned into facts one by one; what cannot be turned is counted, and never stops the others.

use rustc_hash::FxHashSet;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    event::{
        cluster::{Cluster, Endpoint},
        istio::Istio,
    },
    source::{
        cluster_file::Reading,
        object::{
            self, endpoint,
            istio::{self, destination_rule, mesh_config, peer_authentication, service_entry},
            pod, service,
            tally::Tally,
        },
    },
};

/// An object that is not read yet.
pub(super) struct Object<'a> {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) text: &'a RawValue,
}

impl Object<'_> {
    /// The API group; empty for the core group, whose version stands alone.
    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Box<str>> {
        object::read(self.text.get())
    }
}

/// Facts so far.
#[derive(Default)]
pub(super) struct Collected {
    cluster: Cluster,
    /// From objects of kind `Endpoints`, which say the same as slices where a cluster has both.
    old_endpoints: Vec<Endpoint>,
    /// An object of Istio's could not be read, so that what is not known may be all the same.
    is_incomplete: bool,
    tally: Tally,
}

impl Collected {
    /// Adds what an object tells.
    pub(super) fn add(&mut self, object: &Object<'_>) {
        if object.kind.is_empty() {
            return self.tally.unreadable("object", "it has no `kind`");
        }
        if istio::GROUPS.contains(&object.group()) {
            self.cluster.istio.is_listed = true;
        }
        let result = match (object.group(), object.kind.as_str()) {
            ("", "Pod") => object.read().and_then(|pod| pod::convert(pod, &mut self.tally)).map(
                |(pod, control_plane)| {
                    self.cluster.pods.push(pod);
                    self.cluster.istio.control_planes.extend(control_plane);
                },
            ),
            ("", "Service") => object
                .read()
                .and_then(|service| service::convert(service, &mut self.tally))
                .map(|service| self.cluster.services.push(service)),
            ("discovery.k8s.io", "EndpointSlice") => object
                .read()
                .and_then(|slice| endpoint::convert_slice(slice, &mut self.tally))
                .map(|slice| self.cluster.endpoints.extend(slice.endpoints)),
            ("", "Endpoints") => object
                .read()
                .and_then(|endpoints| endpoint::convert_endpoints(endpoints, &mut self.tally))
                .map(|endpoints| self.old_endpoints.extend(endpoints)),
            (group, kind) if istio::is_used(group, kind) => {
                let result = add_istio(object, &mut self.cluster.istio, &mut self.tally);
                self.is_incomplete |= result.is_err();
                result
            }
            ("", kind) => {
                self.tally.unused(kind);
                Ok(())
            }
            (group, kind) => {
                self.tally.unused(&format!("{kind}.{group}"));
                Ok(())
            }
        };
        if let Err(why) = result {
            self.tally.unreadable(&object.kind, why);
        }
    }

    /// All facts: `Endpoints` only of Services without a slice.
    pub(super) fn finish(mut self) -> Reading {
        let key = |endpoint: &Endpoint| (endpoint.namespace.clone(), endpoint.service.clone());
        let sliced: FxHashSet<_> = self.cluster.endpoints.iter().map(key).collect();
        let unsliced = self.old_endpoints.into_iter().filter(|endpoint| !sliced.contains(&key(endpoint)));
        self.cluster.endpoints.extend(unsliced);
        self.cluster.istio.is_listed &= !self.is_incomplete;
        Reading { cluster: self.cluster, ignored: self.tally.finish() }
    }
}

/// Adds what an object of such a kind tells.
fn add_istio(object: &Object<'_>, istio: &mut Istio, tally: &mut Tally) -> Result<(), Box<str>> {
    match object.kind.as_str() {
        "DestinationRule" => istio.destination_rules.push(destination_rule::convert(object.read()?)?),
        "PeerAuthentication" => {
            istio.peer_authentications.push(peer_authentication::convert(object.read()?)?);
        }
        "ServiceEntry" => istio.service_entries.push(service_entry::convert(object.read()?)?),
        "WorkloadEntry" => istio.workload_entries.push(service_entry::convert_workload(object.read()?)?),
        kind => match mesh_config::convert(&object.read()?) {
            Some(config) => config.add_to(istio),
            None => tally.unused(kind),
        },
    }
    Ok(())
}
