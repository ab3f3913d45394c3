//! `server-identity-refused`: the client's sidecar does not accept the server's certificate.

use crate::{
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        mtls_rejected::{Refusal, refusal},
    },
};

pub(super) const RULE: Rule = Rule {
    code: "server-identity-refused",
    situation: "the client's sidecar refuses the server's certificate: another identity, trust domain or root than it expects",
    confirmed_by: "after the ServerHello the client sends no more than an alert; Envoy logs CERTIFICATE_VERIFY_FAILED",
    refuted_by: "the handshake goes on",
    mend: "subjectAltNames of the DestinationRule, the host that is called, or the trust domain",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    refusal(case) == Some(Refusal::ServerByClient)
}

fn text(case: &Case<'_>) -> String {
    format!(
        "the sidecar ended the handshake after the certificate of {} with an alert: the identity in it is none of those that it \
         expects there (service accounts of the endpoints, or subjectAltNames of a DestinationRule), or its issuer is not known",
        case.server.address
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let pod = case.server.pod.as_deref().unwrap_or("POD");
    let namespace = case.server.namespace.as_deref().unwrap_or("NAMESPACE");
    Fix {
        text: format!(
            "Compare the identity that the server has (`istioctl proxy-config secret {pod} -n {namespace}`) with what the client \
             expects (`istioctl proxy-config cluster POD --fqdn HOST -o json`, match_typed_subject_alt_names), and correct \
             subjectAltNames in the DestinationRule, the host that is called, or the trust domain"
        )
        .into(),
        manifest: None,
    }
}
