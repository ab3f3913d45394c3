//! Istio's own objects as the API prints them, reduced to facts; knows no other kind.

mod destination_rule;
mod mesh_config;
mod peer_authentication;
mod service_entry;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::{
    event::istio::{Istio, Labels},
    source::cluster_file::{
        object::{Object, or_default},
        tally::Tally,
    },
};

/// API groups of Istio.
pub(super) const GROUPS: [&str; 2] = ["networking.istio.io", "security.istio.io"];

/// Kinds that are read, with their group.
const USED: [(&str, &str); 5] = [
    ("networking.istio.io", "DestinationRule"),
    ("networking.istio.io", "ServiceEntry"),
    ("networking.istio.io", "WorkloadEntry"),
    ("security.istio.io", "PeerAuthentication"),
    ("", "ConfigMap"),
];

/// Objects of this kind are read.
pub(super) fn is_used(group: &str, kind: &str) -> bool {
    USED.contains(&(group, kind))
}

/// Adds what an object of such a kind tells.
pub(super) fn add(object: &Object<'_>, istio: &mut Istio, tally: &mut Tally) -> Result<(), Box<str>> {
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

/// A selector by labels, in the two ways that Istio writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Selector {
    #[serde(deserialize_with = "or_default")]
    match_labels: Labels,
    #[serde(deserialize_with = "or_default")]
    labels: Labels,
}

/// A value that is none of those that are known: what it says cannot be guessed.
fn unknown(what: &str, value: &str) -> Box<str> {
    format!("`{value}` is no {what} that is known").into()
}
