//! Why it is wrong, and what mends that: one cause a file, asked in order; the first that applies is told.

mod address_outside_of_services;
mod client_certificate_refused;
mod client_without_sidecar;
mod destination_rule_disables_mtls;
mod destination_rule_mtls;
mod endpoint_without_label;
mod excluded_inbound_port;
mod headless_auto_mtls_off;
mod headless_mixed_endpoints;
mod headless_unconditional_mtls;
mod hello_refused;
mod http_declared_port;
mod interception_off;
mod label_without_proxy;
mod lost_disable;
mod machine_without_proxy;
mod mesh_without_proxy_at_destination;
mod not_intercepted;
mod origination_over_app_tls;
mod peer_authentication_disable;
mod plaintext_client_of_server_first;
mod plaintext_from_sidecar;
mod server_identity_refused;
mod stale_configuration;
mod stale_plaintext;
mod tls_origination;
mod unchecked_passthrough;
mod unconditional_mtls;
mod undeclared_server_first;

use crate::{
    update::{Cause, Code, Fix},
    verdict::case::Case,
};

/// A cause: when it applies, it says what it is and how to mend it.
pub struct Rule {
    /// Stable code, in kebab case.
    pub code: &'static str,
    /// When it happens.
    pub situation: &'static str,
    /// Declared facts or observations that confirm it.
    pub confirmed_by: &'static str,
    /// What would refute it.
    pub refuted_by: &'static str,
    /// What mends it, in short.
    pub mend: &'static str,
    /// Whether it is the cause of this case.
    pub applies: fn(&Case<'_>) -> bool,
    /// The cause of this case, in words.
    pub text: fn(&Case<'_>) -> String,
    /// What mends this case.
    pub fix: fn(&Case<'_>) -> Fix,
}

const MTLS_TO_PLAINTEXT: &[Rule] = &[
    mesh_without_proxy_at_destination::RULE,
    lost_disable::RULE,
    excluded_inbound_port::RULE,
    interception_off::RULE,
    not_intercepted::RULE,
    destination_rule_mtls::RULE,
    peer_authentication_disable::RULE,
    unchecked_passthrough::RULE,
    label_without_proxy::RULE,
    machine_without_proxy::RULE,
    stale_configuration::RULE,
    headless_unconditional_mtls::RULE,
    unconditional_mtls::RULE,
];
const MTLS_REJECTED: &[Rule] =
    &[hello_refused::RULE, server_identity_refused::RULE, client_certificate_refused::RULE];
const PLAINTEXT_TO_MTLS: &[Rule] = &[
    client_without_sidecar::RULE,
    destination_rule_disables_mtls::RULE,
    endpoint_without_label::RULE,
    headless_mixed_endpoints::RULE,
    headless_auto_mtls_off::RULE,
    stale_plaintext::RULE,
    address_outside_of_services::RULE,
    plaintext_from_sidecar::RULE,
];
const TLS_TO_PLAINTEXT: &[Rule] = &[tls_origination::RULE];
const DOUBLE_TLS: &[Rule] = &[origination_over_app_tls::RULE];
const TLS_TO_HTTP_PORT: &[Rule] = &[http_declared_port::RULE];
const SERVER_FIRST_DEADLOCK: &[Rule] =
    &[undeclared_server_first::RULE, plaintext_client_of_server_first::RULE];

/// The causes of a code, from the most special to the most general; the last one always applies.
pub fn rules(code: Code) -> &'static [Rule] {
    match code {
        Code::MtlsToPlaintext => MTLS_TO_PLAINTEXT,
        Code::MtlsRejected => MTLS_REJECTED,
        Code::PlaintextToMtls => PLAINTEXT_TO_MTLS,
        Code::TlsToPlaintext => TLS_TO_PLAINTEXT,
        Code::DoubleTls => DOUBLE_TLS,
        Code::TlsToHttpPort => TLS_TO_HTTP_PORT,
        Code::ServerFirstDeadlock => SERVER_FIRST_DEADLOCK,
    }
}

/// The cause of a case, and its fix.
pub(super) fn of(code: Code, case: &Case<'_>) -> (Cause, Fix) {
    let rules = rules(code);
    let found = rules.iter().find(|rule| (rule.applies)(case)).or(rules.last());
    match found {
        Some(rule) => (Cause { code: rule.code, text: (rule.text)(case).into() }, (rule.fix)(case)),
        // No code is without a cause: see the test below.
        None => (Cause { code: code.name(), text: "".into() }, Fix { text: "".into(), manifest: None }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::rules;
    use crate::update::Code;

    #[test]
    fn every_code_has_causes_and_no_two_are_called_the_same() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            assert!(!rules(code).is_empty(), "{}", code.name());
            for rule in rules(code) {
                assert!(seen.insert(rule.code), "{} is there twice", rule.code);
                let is_kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                assert!(rule.code.bytes().all(is_kebab), "{}", rule.code);
                for text in [rule.situation, rule.confirmed_by, rule.refuted_by, rule.mend] {
                    assert!(!text.is_empty() && !text.contains(['|', '\n']), "{}: {text:?}", rule.code);
                }
            }
        }
    }
}
