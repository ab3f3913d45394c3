//! Objects by kind, turned into facts one by one; what cannot be turned is counted, and never stops the others.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    event::{
        cluster::{Cluster, Endpoint},
        time::Time,
    },
    source::cluster_file::{Reading, endpoint, istio, malformed, pod, service, tally::Tally},
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
        serde_json::from_str(self.text.get()).map_err(|error| malformed::without_position(&error))
    }
}

/// `metadata`, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(deserialize_with = "or_default")]
    pub(super) namespace: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) uid: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) creation_timestamp: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<Box<str>, Box<str>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<Box<str>, Box<str>>,
    #[serde(deserialize_with = "or_default")]
    pub(super) owner_references: Vec<OwnerReference>,
}

impl Metadata {
    /// Without a name an object is nobody.
    pub(super) fn named(self) -> Result<Self, Box<str>> {
        if self.name.is_empty() || self.namespace.is_empty() {
            return Err("`metadata` has no name or no namespace".into());
        }
        Ok(self)
    }

    /// When it was created; the oldest of all where that is not told.
    pub(super) fn created(&self) -> Time {
        let told = self.creation_timestamp.parse::<Timestamp>().ok();
        Time(told.and_then(|told| u64::try_from(told.as_nanosecond()).ok()).unwrap_or_default())
    }
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OwnerReference {
    #[serde(deserialize_with = "or_default")]
    pub(super) kind: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: Box<str>,
    #[serde(deserialize_with = "or_default")]
    pub(super) controller: bool,
}

/// `null` is as good as missing: Go prints empty lists so.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Only TCP is traced; it is also what a missing protocol means.
pub(super) fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

/// Addresses from their texts. One that is none is counted, and costs only itself.
pub(super) fn addresses<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    kind: &str,
    tally: &mut Tally,
) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in texts {
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address.to_canonical()),
            Err(_) => tally.unreadable(kind, format!("`{text}` is no address")),
        }
    }
    addresses
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
                .map(|endpoints| self.cluster.endpoints.extend(endpoints)),
            ("", "Endpoints") => object
                .read()
                .and_then(|endpoints| endpoint::convert_endpoints(endpoints, &mut self.tally))
                .map(|endpoints| self.old_endpoints.extend(endpoints)),
            (group, kind) if istio::is_used(group, kind) => {
                let result = istio::add(object, &mut self.cluster.istio, &mut self.tally);
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
