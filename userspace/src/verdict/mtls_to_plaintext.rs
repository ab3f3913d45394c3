//! `mtls-to-plaintext`: mesh mTLS reaches a listener that speaks plaintext. Pure.

use std::ops::RangeInclusive;

use crate::{
    policy::interception::Interception,
    update::{Behaviour, Confidence},
    verdict::{
        case::{Case, PassedOn},
        has_proxy_at_destination,
    },
};

/// How long a mesh's hello may be: Istio's in TLS 1.2 has 205 bytes, Kuma's 157 with a long server name, and of longer
/// ones than the limit of what leaves the kernel nothing is known.
const HELLO_BYTES: RangeInclusive<u64> = 100..=4096;

/// How sure it is that this attempt is one; none when it is not.
///
/// Certain only with direct evidence: the listener's answer to this hello, or its plaintext answer to another client.
/// Silence, a bare close or a reset is never more than likely, and that only if no proxy is at the destination.
///
/// An attempt whose hello was not seen is possible at most, and only where all that is declared says so.
pub fn confidence(case: &Case<'_>) -> Option<Confidence> {
    if case.hello.is_none() {
        return is_told_by_end(case).then_some(Confidence::Possible);
    }
    if case.is_taken_over {
        return None;
    }
    match case.behaviour {
        Behaviour::Plaintext | Behaviour::SpokeFirst => Some(Confidence::Certain),
        Behaviour::Silent | Behaviour::Closed | Behaviour::Reset => without_answer(case),
        Behaviour::Tls
        | Behaviour::TlsAlert
        | Behaviour::Refused
        | Behaviour::Unreachable
        | Behaviour::Timeout => None,
    }
}

/// A sidecar's attempt, of which only the end was seen, at a headless Service's pod without one was in vain,
/// with as many bytes as a hello has.
fn is_told_by_end(case: &Case<'_>) -> bool {
    if !case.is_end_only {
        return false;
    }
    let is_hello_sized = case.outcome.is_some_and(|outcome| HELLO_BYTES.contains(&outcome.bytes_sent));
    let is_declared = case.server.headless == Some(true) && case.server.sidecar == Some(false);
    // By its own configuration it was no mesh hello.
    is_hello_sized && is_declared && !case.word.uses_no_mtls() && without_answer(case).is_some()
}

/// Of a proxy that was seen, only this can be declared: where connections go past it, it would not have been seen.
fn is_told_to_pass_on(case: &Case<'_>) -> bool {
    case.declared.interception() == Some(Interception::Captured) && case.declared.takes_mtls() == Some(false)
}

fn without_answer(case: &Case<'_>) -> Option<Confidence> {
    let speaks_tls = case.knowledge.tls.is_some();
    let has_proxy = has_proxy_at_destination(case);
    // A proxy takes both plaintext and mTLS, so neither its silence nor its plaintext to others says anything, unless it
    // was seen to pass the hello on as it is, or is told to.
    let passes_on = case.passed_on == PassedOn::Hello || is_told_to_pass_on(case);
    let answers_itself = has_proxy == Some(true) && !passes_on;
    if speaks_tls || case.gave_up_soon() || answers_itself {
        return None;
    }
    if case.knowledge.plaintext.is_some() {
        return Some(Confidence::Certain);
    }
    let is_without_proxy = has_proxy == Some(false) || passes_on;
    Some(if is_without_proxy { Confidence::Likely } else { Confidence::Possible })
}
