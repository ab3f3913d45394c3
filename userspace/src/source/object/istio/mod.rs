//! Istio's own objects as the API prints them, reduced to facts; knows no other kind.

pub(in crate::source) mod destination_rule;
pub(in crate::source) mod mesh_config;
pub(in crate::source) mod peer_authentication;
pub(in crate::source) mod service_entry;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::{event::istio::Labels, source::object::or_default};

/// API groups of Istio.
pub(in crate::source) const GROUPS: [&str; 2] = ["networking.istio.io", "security.istio.io"];

/// Kinds that are read, with their group.
const USED: [(&str, &str); 5] = [
    ("networking.istio.io", "DestinationRule"),
    ("networking.istio.io", "ServiceEntry"),
    ("networking.istio.io", "WorkloadEntry"),
    ("security.istio.io", "PeerAuthentication"),
    ("", "ConfigMap"),
];

/// Objects of this kind are read.
pub(in crate::source) fn is_used(group: &str, kind: &str) -> bool {
    USED.contains(&(group, kind))
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
