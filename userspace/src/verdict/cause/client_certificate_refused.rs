//! `client-certificate-refused`: the server does not accept the client's certificate.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "client-certificate-refused",
    situation: "the server refuses the client sidecar's certificate: another trust domain or root, or expired",
    confirmed_by: "the server ends the connection within the handshake, and the application gets nothing",
    refuted_by: "the application gets an answer",
    mend: "trust domains, roots and clocks of both ends; certificates that are due",
    applies,
    text,
    fix,
};

/// What is left when neither the hello nor the server was refused.
fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    format!(
        "{} answered the hello, and the connection was over before the application got a byte: it most likely does not accept \
         the sidecar's certificate",
        case.server.address
    )
}

fn fix(_case: &Case<'_>) -> Fix {
    Fix {
        text: "Compare root, trust domain and validity of both ends' certificates (`istioctl proxy-config secret POD`): they \
               need the same root, or each other's trust domain among meshConfig.trustDomainAliases"
            .into(),
        manifest: None,
    }
}
