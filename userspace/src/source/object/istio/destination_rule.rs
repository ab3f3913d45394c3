//! A `DestinationRule` as the API prints it, reduced to a fact; knows no other kind.

use serde::Deserialize;

use super::{Selector, unknown};
use crate::{
    event::istio::{ClientMode, ClientTls, DestinationRule, LoadBalancer, PortPolicy, Subset, TrafficPolicy},
    source::object::{metadata::Metadata, or_default},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::source) struct WireRule {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    host: Box<str>,
    #[serde(deserialize_with = "or_default")]
    export_to: Vec<Box<str>>,
    workload_selector: Option<Selector>,
    traffic_policy: Option<WirePolicy>,
    #[serde(deserialize_with = "or_default")]
    subsets: Vec<WireSubset>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSubset {
    #[serde(deserialize_with = "or_default")]
    name: Box<str>,
    traffic_policy: Option<WirePolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePolicy {
    tls: Option<WireTls>,
    load_balancer: Option<WireBalancer>,
    #[serde(deserialize_with = "or_default")]
    port_level_settings: Vec<WirePort>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WirePort {
    #[serde(deserialize_with = "or_default")]
    port: PortSelector,
    tls: Option<WireTls>,
    load_balancer: Option<WireBalancer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PortSelector {
    #[serde(deserialize_with = "or_default")]
    number: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireTls {
    #[serde(deserialize_with = "or_default")]
    mode: Box<str>,
    #[serde(deserialize_with = "or_default")]
    sni: Box<str>,
    #[serde(deserialize_with = "or_default")]
    subject_alt_names: Vec<Box<str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireBalancer {
    #[serde(deserialize_with = "or_default")]
    simple: Box<str>,
}

/// The fact that this rule is; why not, where it is none.
pub(in crate::source) fn convert(rule: WireRule) -> Result<DestinationRule, Box<str>> {
    let WireRule { metadata, spec } = rule;
    let metadata = metadata.named()?;
    if spec.host.is_empty() {
        return Err("`spec` has no host".into());
    }
    let subset = |subset: WireSubset| {
        Ok(Subset { name: subset.name, policy: optional(subset.traffic_policy, policy)? })
    };
    Ok(DestinationRule {
        created: metadata.created(),
        namespace: metadata.namespace,
        name: metadata.name,
        host: spec.host,
        export_to: spec.export_to,
        selector: spec.workload_selector.map(|selector| selector.match_labels),
        policy: optional(spec.traffic_policy, policy)?,
        subsets: spec.subsets.into_iter().map(subset).collect::<Result<_, Box<str>>>()?,
    })
}

fn policy(policy: WirePolicy) -> Result<TrafficPolicy, Box<str>> {
    let port = |port: WirePort| {
        Ok(PortPolicy {
            port: port.port.number,
            tls: optional(port.tls, tls)?,
            load_balancer: port.load_balancer.as_ref().map(load_balancer),
        })
    };
    Ok(TrafficPolicy {
        tls: optional(policy.tls, tls)?,
        load_balancer: policy.load_balancer.as_ref().map(load_balancer),
        ports: policy.port_level_settings.into_iter().map(port).collect::<Result<_, Box<str>>>()?,
    })
}

fn tls(tls: WireTls) -> Result<ClientTls, Box<str>> {
    let mode = match &*tls.mode {
        "" | "DISABLE" => ClientMode::Disable,
        "SIMPLE" => ClientMode::Simple,
        "MUTUAL" => ClientMode::Mutual,
        "ISTIO_MUTUAL" => ClientMode::IstioMutual,
        other => return Err(unknown("TLS mode", other)),
    };
    let sni = (!tls.sni.is_empty()).then_some(tls.sni);
    Ok(ClientTls { mode, sni, subject_alt_names: tls.subject_alt_names })
}

fn load_balancer(balancer: &WireBalancer) -> LoadBalancer {
    if &*balancer.simple == "PASSTHROUGH" { LoadBalancer::Passthrough } else { LoadBalancer::Other }
}

fn optional<T, U>(
    value: Option<T>,
    convert: impl Fn(T) -> Result<U, Box<str>>,
) -> Result<Option<U>, Box<str>> {
    value.map(convert).transpose()
}
