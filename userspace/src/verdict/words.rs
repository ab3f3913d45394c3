//! How pods, workloads and hosts are called in the texts of causes. Pure.

use crate::{update::Party, verdict::case::Case};

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
