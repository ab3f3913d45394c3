//! A `PeerAuthentication` as the API prints it, reduced to a fact; knows no other kind.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Selector, unknown};
use crate::{
    event::istio::{PeerAuthentication, ServerMode},
    source::object::{metadata::Metadata, or_default},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WirePolicy {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    selector: Selector,
    #[serde(deserialize_with = "or_default")]
    mtls: Mtls,
    #[serde(deserialize_with = "or_default")]
    port_level_mtls: BTreeMap<u16, Mtls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Mtls {
    #[serde(deserialize_with = "or_default")]
    mode: Box<str>,
}

/// The fact that this policy is; why not, where it is none.
pub(in crate::source) fn convert(policy: WirePolicy) -> Result<PeerAuthentication, Box<str>> {
    let WirePolicy { metadata, spec } = policy;
    let metadata = metadata.named()?;
    let ports = spec.port_level_mtls.iter().map(|(port, mtls)| Ok((*port, mode(mtls)?)));
    Ok(PeerAuthentication {
        created: metadata.created(),
        namespace: metadata.namespace,
        name: metadata.name,
        mode: mode(&spec.mtls)?,
        ports: ports.collect::<Result<_, Box<str>>>()?,
        selector: spec.selector.match_labels,
    })
}

fn mode(mtls: &Mtls) -> Result<ServerMode, Box<str>> {
    match &*mtls.mode {
        "" | "UNSET" => Ok(ServerMode::Unset),
        "DISABLE" => Ok(ServerMode::Disable),
        "PERMISSIVE" => Ok(ServerMode::Permissive),
        "STRICT" => Ok(ServerMode::Strict),
        other => Err(unknown("mTLS mode", other)),
    }
}
