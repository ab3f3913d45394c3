//! `origination-over-app-tls`: a sidecar originates TLS for an application that speaks TLS already.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "origination-over-app-tls",
    situation: "a DestinationRule lets the sidecar originate TLS (SIMPLE or MUTUAL) for an application that speaks TLS already",
    confirmed_by: "two different hellos, the app's and the sidecar's, and the inner one has no answer in TLS",
    refuted_by: "the app's connection is answered in TLS",
    mend: "no TLS in the DestinationRule, or plaintext in the application",
    applies,
    text,
    fix,
};

fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    format!(
        "the application speaks TLS itself, its sidecar wraps that into TLS of its own, and what listens at {} unwraps it only \
         once",
        case.server.address
    )
}

fn fix(_case: &Case<'_>) -> Fix {
    Fix {
        text: "Let only one of the two speak TLS: set the application to plaintext (http:// instead of https://), or remove \
               trafficPolicy.tls (SIMPLE or MUTUAL) of the DestinationRule for this port"
            .into(),
        manifest: None,
    }
}
