//! `tls-origination`: a sidecar originates TLS to a port that speaks plaintext.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "tls-origination",
    situation: "a DestinationRule lets the sidecar originate TLS (SIMPLE or MUTUAL) to a port that speaks plaintext",
    confirmed_by: "the app's own connection began in plaintext; the DestinationRule",
    refuted_by: "the app sent a hello itself",
    mend: "the DestinationRule: no TLS for this port, or the port that has TLS",
    applies,
    text,
    fix,
};

fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    format!(
        "the application speaks plaintext, its sidecar originates TLS for it (a DestinationRule of mode SIMPLE or MUTUAL), and \
         what listens at {} speaks plaintext",
        case.server.address
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let port = case.server.address.port();
    Fix {
        text: format!(
            "Limit TLS origination in the DestinationRule to the port that has TLS (trafficPolicy.portLevelSettings), or let it \
             lead to that port; port {port} has none"
        )
        .into(),
        manifest: None,
    }
}
