//! How pods, workloads, hosts and rules are called in the texts of causes. Pure.

use crate::{
    event::{envoy::RuleName, istio::DestinationRule},
    policy::Rule,
    update::Party,
    verdict::case::Case,
};

/// `NAMESPACE/POD`, or the address.
pub(super) fn pod(party: &Party) -> String {
    match (&party.namespace, &party.pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        _ => party.address.ip().to_string(),
    }
}

/// The owner of a pod, as people know it.
pub(super) fn workload(party: &Party) -> &str {
    party.workload.as_deref().unwrap_or("its workload")
}

/// The host that the client means, else the address.
pub(super) fn host(case: &Case<'_>) -> String {
    let of_hello = case.hello.and_then(|sent| sent.mesh.host.as_deref()).map(str::to_owned);
    let declared = || case.declared.host().map(std::borrow::Cow::into_owned);
    of_hello.or_else(declared).unwrap_or_else(|| case.server.address.to_string())
}

/// A rule as people look for it.
pub(super) fn rule(rule: &DestinationRule) -> RuleName {
    RuleName { namespace: rule.namespace.clone(), name: rule.name.clone() }
}

/// The rule that Istio selects; none where it is not known, or there is none.
pub(super) fn selected_rule(case: &Case<'_>) -> Option<RuleName> {
    match case.declared.rule() {
        Rule::Taken(selected) => Some(rule(selected.rule)),
        Rule::None | Rule::NotKnown => None,
    }
}

/// A command that declares what the Service's port speaks.
pub(super) fn declare_protocol(server: &Party, protocol: &str) -> String {
    let port = server.address.port();
    let service = server.service.as_deref().unwrap_or("SERVICE");
    let namespace = server.namespace.as_deref().unwrap_or("NAMESPACE");
    format!(
        "`kubectl -n {namespace} patch service {service} --type strategic -p \
         '{{\"spec\":{{\"ports\":[{{\"port\":{port},\"appProtocol\":\"{protocol}\"}}]}}}}'`"
    )
}
