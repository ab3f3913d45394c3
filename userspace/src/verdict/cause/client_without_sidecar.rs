//! `client-without-sidecar`: the client is outside of the mesh, and the server wants mTLS.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule, peer_authentication},
};

pub(super) const RULE: Rule = Rule {
    code: "client-without-sidecar",
    situation: "a client without a sidecar speaks plaintext to a server in mode STRICT",
    confirmed_by: "the connecting socket is none of a proxy, and STRICT is declared",
    refuted_by: "the connecting socket is a proxy's",
    mend: "a sidecar for the client, or mode PERMISSIVE for the port",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    !case.may_be_from_proxy()
}

fn text(case: &Case<'_>) -> String {
    let client = case.client.pod.as_deref().unwrap_or("the client");
    format!(
        "{client} has no mesh proxy that would speak mTLS for it, and the proxy at {} takes nothing else",
        case.server.address
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let inject = match (&case.client.pod, case.client.sidecar) {
        (Some(_), Some(false)) => {
            "Give the client a sidecar (label `sidecar.istio.io/inject: \"true\"` on its pod template)"
        }
        (Some(_), Some(true)) => "Let the client's traffic go through its sidecar (it bypasses it)",
        _ => "Let the client be part of the mesh",
    };
    peer_authentication::permissive(case, inject)
}
