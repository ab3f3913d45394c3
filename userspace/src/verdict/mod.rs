//! From one attempt to what is wrong with it: code, confidence, cause, evidence and fix. Pure; one rule a file.
#![deny(clippy::disallowed_methods)]

pub mod case;
pub mod cause;
mod declaration;
pub mod destination_rule;
pub mod double_tls;
pub mod evidence;
mod mend;
pub mod mtls_rejected;
pub mod mtls_to_plaintext;
mod peer_authentication;
pub mod plaintext_to_mtls;
#[cfg(test)]
mod readme;
pub mod server_first_deadlock;
#[cfg(test)]
mod situation;
pub mod tls_to_http_port;
pub mod tls_to_plaintext;
mod words;

use crate::{
    envoy::weight,
    identity::proxy,
    policy::interception::Interception,
    tls::mesh::Mesh,
    update::{Cause, Code, Confidence, Fix},
    verdict::case::Case,
};

/// What is wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What is wrong.
    pub code: Code,
    /// How sure.
    pub confidence: Confidence,
    /// Why.
    pub cause: Cause,
    /// What it rests on.
    pub evidence: Vec<Box<str>>,
    /// How to mend it.
    pub fix: Fix,
}

/// Judges one attempt; none when nothing is wrong with it, or nothing that is known of here.
///
/// HBONE goes to a port that only its proxies have, and these close and fall silent for reasons of their own (policy, a pod
/// that is gone): what is behind the tunnel is not seen from here.
pub fn judge(case: &Case<'_>) -> Option<Judgement> {
    let is_tunnelled = case.may_be_from_proxy() || case.hello.is_some();
    if is_tunnelled && case.mesh() == Some(Mesh::IstioAmbient) {
        return None;
    }
    let (code, confidence) = Code::ALL.into_iter().find_map(|code| Some((code, confidence(code, case)?)))?;
    let confidence = weight::weigh(code, confidence, case.word, case.seen());
    let (why, fix) = cause::of(code, case);
    Some(Judgement { code, confidence, cause: why, evidence: evidence::of(code, case), fix })
}

/// How sure it is that the attempt is one of these; none when it is not. At most one code has one.
fn confidence(code: Code, case: &Case<'_>) -> Option<Confidence> {
    match code {
        Code::MtlsToPlaintext => mtls_to_plaintext::confidence(case),
        // What follows is told by how Istio's proxies behave, and mended by what Istio has.
        _ if case.is_of_other_mesh() => None,
        Code::MtlsRejected => mtls_rejected::confidence(case),
        Code::PlaintextToMtls => plaintext_to_mtls::confidence(case),
        Code::TlsToPlaintext => tls_to_plaintext::confidence(case),
        Code::DoubleTls => double_tls::confidence(case),
        Code::TlsToHttpPort => tls_to_http_port::confidence(case),
        Code::ServerFirstDeadlock => server_first_deadlock::confidence(case),
    }
}

/// Whether a proxy answers at the destination, as far as is known: what was seen goes before what was declared.
pub fn has_proxy_at_destination(case: &Case<'_>) -> Option<bool> {
    let seen = case.acceptor.and_then(|acceptor| {
        let was_redirected = acceptor.port != case.server.address.port();
        if was_redirected || acceptor.is_proxy {
            return Some(true);
        }
        proxy::accepts(acceptor.owner, acceptor.port)
    });
    let declared = || match case.declared.interception()? {
        Interception::NoProxy | Interception::Past(_) => Some(false),
        Interception::Captured => Some(true),
    };
    seen.or_else(declared).or(case.server.sidecar)
}
