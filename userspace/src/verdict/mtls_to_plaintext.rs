//! `mtls-to-plaintext`: mesh mTLS reaches a listener that speaks plaintext. Pure.

use std::ops::RangeInclusive;

use crate::{
    event::time::MILLISECOND_NS,
    update::{Behaviour, Confidence},
    verdict::{Case, has_proxy_at_destination},
};

/// A client that gives up sooner says more about itself than about the listener: sidecars wait for their connect
/// timeout, of which the shortest default is 1 s (Istio before 1.6, pkg/config/mesh/mesh.go).
const SHORTEST_SILENCE_NS: u64 = 250 * MILLISECOND_NS;

/// How long a mesh's hello may be: Istio's in TLS 1.2 has 205 bytes, of which the server name is about 50, and of longer
/// ones than the limit of what leaves the kernel nothing is known.
const HELLO_BYTES: RangeInclusive<u64> = 150..=4096;

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

/// A sidecar's attempt at a headless Service's pod without one was in vain, with as many bytes as a hello has.
fn is_told_by_end(case: &Case<'_>) -> bool {
    let is_hello_sized = case.outcome.is_some_and(|outcome| HELLO_BYTES.contains(&outcome.bytes_sent));
    let is_declared = case.server.headless == Some(true) && case.server.sidecar == Some(false);
    is_hello_sized && is_declared && without_answer(case).is_some()
}

fn without_answer(case: &Case<'_>) -> Option<Confidence> {
    let speaks_tls = case.knowledge.tls.is_some();
    let gave_up_soon = case.behaviour == Behaviour::Silent
        && case
            .outcome
            .and_then(|outcome| outcome.after_ns)
            .is_none_or(|after_ns| after_ns < SHORTEST_SILENCE_NS);
    let has_proxy = has_proxy_at_destination(case);
    // A proxy takes both plaintext and mTLS, so neither its silence nor its plaintext to others says anything.
    if speaks_tls || gave_up_soon || has_proxy == Some(true) {
        return None;
    }
    if case.knowledge.plaintext.is_some() {
        return Some(Confidence::Certain);
    }
    Some(if has_proxy == Some(false) { Confidence::Likely } else { Confidence::Possible })
}
