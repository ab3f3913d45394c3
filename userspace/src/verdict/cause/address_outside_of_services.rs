//! `address-outside-of-services`: the client calls an address that no Service of the mesh has.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "address-outside-of-services",
    situation: "a sidecar gets an address that is no Service's endpoint (a pod called by its address, socket load balancing before the sidecar): it passes the bytes on as they are",
    confirmed_by: "no Service has the address and port",
    refuted_by: "a Service has it",
    mend: "the Service's name instead of the address; with Cilium socketLB.hostNamespaceOnly=true",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.declared.server().is_some() && case.server.service.is_none() && case.declared.service().is_none()
}

fn text(case: &Case<'_>) -> String {
    format!(
        "no Service has {} among its endpoints: the client's sidecar knows nothing of it and passes the bytes on as they are, and \
         the server's proxy takes nothing but mTLS",
        case.server.address
    )
}

fn fix(_case: &Case<'_>) -> Fix {
    Fix {
        text: "Call it by the name of a Service that has this port (a headless one for single pods); where Cilium replaces \
               kube-proxy, set socketLB.hostNamespaceOnly=true, so that sidecars see the Service's address"
            .into(),
        manifest: None,
    }
}
