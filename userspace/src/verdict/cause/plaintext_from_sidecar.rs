//! `plaintext-from-sidecar`: the client's sidecar speaks plaintext, and the server wants mTLS.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "plaintext-from-sidecar",
    situation: "a sidecar speaks plaintext to a server in mode STRICT, and why is not known",
    confirmed_by: "nothing; it is what is left",
    refuted_by: "the connecting socket is none of a proxy",
    mend: "a DestinationRule with ISTIO_MUTUAL for the host, or the Service's name instead of an address",
    applies,
    text,
    fix,
};

fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    format!(
        "the client's sidecar sends plaintext to {}, and the proxy there takes nothing but mTLS: the sidecar takes the address \
         for one outside of the mesh, or was told to use no TLS for it",
        case.server.address
    )
}

fn fix(_case: &Case<'_>) -> Fix {
    Fix {
        text: "Call the Service by its name, not a pod by its address; if it is called so, look which DestinationRule and which \
               cluster the sidecar uses for it (`istioctl proxy-config cluster POD --fqdn HOST -o json`)"
            .into(),
        manifest: None,
    }
}
